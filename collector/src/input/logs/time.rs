//! When a line says that it was written. Pure.
//!
//! **Invariant:** a time that is not there, or that no calendar has, is none; nothing is guessed but the year of
//! formats without one and the zone of formats without one, which is the node's.

const MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
/// A line of before New Year is read after it; more than this ahead of now, it is of the year before.
const AHEAD_MICROS_MAX: i64 = DAY_SECONDS * MICROS;

/// What a time is read against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub unix_micros: i64,
    /// Of the node's zone, east of Greenwich.
    pub zone_seconds: i64,
}

/// The time at the start of a line, behind an opening bracket or the letter of a level.
pub(super) fn of_text(line: &str, now: Now) -> Option<i64> {
    let text = line.trim_start_matches(['[', '<', '(', ' ']);
    let mut scan = Scan(text.as_bytes());
    iso(&mut scan, now).or_else(|| letter_and_day(text, now)).or_else(|| month_name(text, now))
}

/// A time as a field of a structured line, which may be a text or a number since 1970.
pub(super) fn of_field(text: &str, now: Now) -> Option<i64> {
    iso(&mut Scan(text.as_bytes()), now).or_else(|| of_epoch(text.parse().ok()?)) // no number is no time
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size: between 1990 and 2200.
pub(super) fn of_epoch(number: f64) -> Option<i64> {
    let seconds = [1.0, 1e3, 1e6, 1e9].map(|unit| number / unit);
    let plausible = |seconds: &f64| (631_152_000.0..7_258_118_400.0).contains(seconds);
    seconds.into_iter().find(plausible).map(|seconds| (seconds * 1e6) as i64)
}

struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = rest;
        Some(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let first = *self.0.first()?;
        bytes.contains(&first).then(|| {
            self.0 = &self.0[1..];
            first
        })
    }

    /// `15:04:05` with a fraction, as microseconds of a day.
    fn time_of_day(&mut self) -> Option<i64> {
        let hours = self.digits(2)?;
        self.one_of(b":")?;
        let minutes = self.digits(2)?;
        self.one_of(b":")?;
        let seconds = self.digits(2)?;
        if hours > 23 || minutes > 59 || seconds > 60 {
            return None;
        }
        Some(((hours * 60 + minutes) * 60 + seconds) * MICROS + self.fraction())
    }

    /// Micros of `.678901234` or `,678`; a mark without digits is the message's.
    fn fraction(&mut self) -> i64 {
        let is_mark = matches!(self.0.first(), Some(b'.' | b','));
        let digits = self.0.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
        if !is_mark || digits == 0 {
            return 0;
        }
        let (fraction, rest) = self.0[1..].split_at(digits);
        self.0 = rest;
        let padded = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(6);
        padded.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
    }

    /// `Z`, `+02:00`, `+0200`, `-07`, in seconds east of Greenwich.
    fn zone(&mut self) -> Option<i64> {
        if self.one_of(b"Zz").is_some() {
            return Some(0);
        }
        let mut ahead = Scan(self.0);
        let sign = if ahead.one_of(b"+-")? == b'-' { -1 } else { 1 };
        let hours = ahead.digits(2)?;
        // With or without a colon; minutes may be missing.
        let mut further = Scan(ahead.0);
        let _colon = further.one_of(b":");
        let minutes = further.digits(2).inspect(|_| ahead.0 = further.0).unwrap_or(0);
        if hours > 15 || minutes > 59 {
            return None;
        }
        self.0 = ahead.0;
        Some(sign * (hours * 60 + minutes) * 60)
    }
}

/// `2026-01-02T03:04:05.678Z`, with a blank, slashes, a comma, any zone or none.
fn iso(scan: &mut Scan<'_>, now: Now) -> Option<i64> {
    let year = scan.digits(4)?;
    let mark = scan.one_of(b"-/")?;
    let month = scan.digits(2)?;
    scan.one_of(&[mark])?;
    let day = scan.digits(2)?;
    scan.one_of(b"T t_")?;
    let micros = scan.time_of_day()?;
    if scan.0.first() == Some(&b' ') && matches!(scan.0.get(1), Some(b'+')) {
        scan.0 = &scan.0[1..];
    }
    let zone = scan.zone().unwrap_or(now.zone_seconds);
    Some(days(year, month, day)? * DAY_SECONDS * MICROS + micros - zone * MICROS)
}

/// `E0102 15:04:05.678901` of klog, `E20260102 15:04:05.678901` of glog.
fn letter_and_day(text: &str, now: Now) -> Option<i64> {
    let mut scan = Scan(text.as_bytes());
    scan.one_of(b"DIWEF")?;
    let digits = scan.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let year = if digits == 8 { Some(scan.digits(4)?) } else { None };
    let (month, day) = (scan.digits(2)?, scan.digits(2)?);
    scan.one_of(b" ")?;
    in_year(year, month, day, scan.time_of_day()?, now)
}

/// `Jan  2 15:04:05` of syslog.
fn month_name(text: &str, now: Now) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|name| text.starts_with(name))?;
    let mut scan = Scan(&text.as_bytes()[3..]);
    scan.one_of(b" ")?;
    let day = if scan.one_of(b" ").is_some() { scan.digits(1)? } else { scan.digits(2)? };
    scan.one_of(b" ")?;
    in_year(None, month as i64 + 1, day, scan.time_of_day()?, now)
}

fn in_year(year: Option<i64>, month: i64, day: i64, micros: i64, now: Now) -> Option<i64> {
    let at = |year| Some(days(year, month, day)? * DAY_SECONDS * MICROS + micros - now.zone_seconds * MICROS);
    let this_year = year_of(now.unix_micros.div_euclid(DAY_SECONDS * MICROS));
    match year {
        Some(year) => at(year),
        // February 29 may be of the year before only.
        None => at(this_year).filter(|at| *at <= now.unix_micros + AHEAD_MICROS_MAX).or_else(|| at(this_year - 1)),
    }
}

/// Days since 1970 of a day of the calendar; none where the calendar has none.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = usize::try_from(month - 1).ok().and_then(|at| lengths.get(at))?; // no month is no day
    if !(1..=*length).contains(&day) || !(1970..=2200).contains(&year) {
        return None;
    }
    let before = year - 1;
    let leaps = before / 4 - before / 100 + before / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    let in_year: i64 = lengths.iter().take(month as usize - 1).sum();
    Some((year - 1970) * 365 + leaps + in_year + day - 1)
}

fn year_of(day: i64) -> i64 {
    let guess = 1970 + day / 366;
    (guess..=guess + 2).rev().find(|year| days(*year, 1, 1).is_some_and(|first| first <= day)).unwrap_or(guess)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
    use arrow::temporal_conversions::timestamp_us_to_datetime;
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        string_to_timestamp_nanos(text).unwrap() / 1000
    }

    fn now() -> Now {
        Now { unix_micros: at("2026-01-02T12:00:00Z"), zone_seconds: 0 }
    }

    #[test]
    fn times_of_many_loggers_are_known() {
        for (line, expected) in [
            ("2026-01-02T03:04:05Z x", "2026-01-02T03:04:05Z"),
            ("2026-01-02 03:04:05,678 - trainer", "2026-01-02T03:04:05.678Z"),
            ("[2026-01-02T03:04:05.678901234+02:00] x", "2026-01-02T01:04:05.678901Z"),
            ("2026-01-02T03:04:05-0730", "2026-01-02T10:34:05Z"),
            ("2026/01/02 03:04:05 [error]", "2026-01-02T03:04:05Z"),
            ("E0102 03:04:05.678901    1234 a.go:1] x", "2026-01-02T03:04:05.678901Z"),
            ("I1231 03:04:05.5 1 a.go:1] of last year", "2025-12-31T03:04:05.5Z"),
            ("I20251231 03:04:05.5 1 a.cc:1] x", "2025-12-31T03:04:05.5Z"),
            ("Jan  2 03:04:05 node7 sshd[1]: x", "2026-01-02T03:04:05Z"),
            ("Dec 31 03:04:05 node7 sshd[1]: x", "2025-12-31T03:04:05Z"),
        ] {
            assert_eq!(of_text(line, now()), Some(at(expected)), "{line}");
        }
        for line in
            ["", "2026", "2026-13-02T03:04:05Z", "2026-02-30 03:04:05", "2026-01-02T25:04:05Z", "Jan x", "E0102"]
        {
            assert_eq!(of_text(line, now()), None, "{line}");
        }
        let there = Now { zone_seconds: 7200, ..now() };
        assert_eq!(of_text("2026-01-02 03:04:05 x", there), Some(at("2026-01-02T01:04:05Z")));
    }

    #[test]
    fn numbers_since_1970_are_told_apart_by_their_size() {
        let expected = Some(at("2026-01-02T03:04:05Z"));
        for text in ["1767323045", "1767323045000", "1767323045000000", "1767323045000000000", "2026-01-02T03:04:05Z"] {
            assert_eq!(of_field(text, now()), expected, "{text}");
        }
        for text in ["0", "-1", "12", "NaN", "x", "1e300"] {
            assert_eq!(of_field(text, now()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_instant_is_read_as_it_is_written(micros in 0_i64..7_000_000_000_000_000, zone in -57_i64..57) {
            let text = timestamp_us_to_datetime(micros).unwrap().to_string();
            let now = Now { unix_micros: micros, zone_seconds: zone * 900 };
            prop_assert_eq!(of_text(&format!("{text}Z x"), now), Some(micros));
            prop_assert_eq!(of_text(&format!("{text} x"), now), Some(micros - zone * 900 * MICROS));
        }

        #[test]
        fn no_line_panics(line in "\\PC{0,60}|[0-9TZ:.,+ -]{0,40}|[DIWEF][0-9]{0,9} [0-9:.]{0,20}|Jan [0-9 :é]{0,20}") {
            of_text(&line, now());
            of_field(&line, now());
        }
    }
}
