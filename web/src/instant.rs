//! Instants as the address bar has them: `now-24h` or RFC 3339, UTC. Pure.
//!
//! **Invariant:** the pages show UTC, like the tables; nothing here reads a clock.

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// The ranges that one click chooses, by the text that the address has.
pub(crate) const PRESETS: [(&str, &str); 5] =
    [("now-1h", "1h"), ("now-6h", "6h"), ("now-24h", "24h"), ("now-7d", "7d"), ("now-30d", "30d")];

/// A date and time of day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
}

/// The calendar's view of microseconds since 1970, by the days of 400-year eras that begin in March.
pub(crate) fn civil(micros: i64) -> Civil {
    let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    Civil {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month: month as u32,
        day: (day_of_year - (153 * march_month + 2) / 5 + 1) as u32,
        hour: (rest / HOUR) as u32,
        minute: (rest / MINUTE % 60) as u32,
        second: (rest / SECOND % 60) as u32,
    }
}

/// Microseconds since 1970 of a date and time of day.
pub(crate) fn micros_of(c: Civil) -> i64 {
    let year = c.year - i64::from(c.month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = (i64::from(c.month) + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + i64::from(c.day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    days * DAY + i64::from(c.hour) * HOUR + i64::from(c.minute) * MINUTE + i64::from(c.second) * SECOND
}

/// `2026-11-24T01:02:03Z`, whole seconds.
pub(crate) fn rfc3339(micros: i64) -> String {
    let Civil { year, month, day, hour, minute, second } = civil(micros);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// What an address may hold: `now`, `now-24h`, `2026-11-24T01:02:03Z` (also without seconds or `Z`, as a form field
/// gives it).
pub(crate) fn parse_instant(text: &str, now_micros: i64) -> Option<i64> {
    if let Some(offset) = text.strip_prefix("now") {
        return if offset.is_empty() {
            Some(now_micros)
        } else {
            Some(now_micros - parse_length(offset.strip_prefix('-')?)?)
        };
    }
    let (date, time) = text.strip_suffix('Z').unwrap_or(text).split_once('T')?;
    let mut date = date.split('-').map(str::parse::<u32>);
    let time = time.split('.').next()?;
    let mut time = time.split(':').map(str::parse::<u32>);
    let c = Civil {
        year: i64::from(date.next()?.ok()?),
        month: date.next()?.ok()?,
        day: date.next()?.ok()?,
        hour: time.next()?.ok()?,
        minute: time.next()?.ok()?,
        second: time.next().unwrap_or(Ok(0)).ok()?,
    };
    let good = date.next().is_none() && time.next().is_none() && c.year <= 9999;
    let micros = if (1..=12).contains(&c.month) && good { micros_of(c) } else { return None };
    (civil(micros) == c).then_some(micros)
}

/// Start and end of a month like `2026-11`.
pub(crate) fn month_range(period: &str) -> Option<(i64, i64)> {
    let (year, month) = period.split_once('-')?;
    let (year, month): (i64, u32) = (year.parse().ok()?, month.parse().ok()?);
    let start = |year, month| micros_of(Civil { year, month, day: 1, hour: 0, minute: 0, second: 0 });
    let next = if month == 12 { start(year + 1, 1) } else { start(year, month + 1) };
    ((1..=12).contains(&month) && (1970..=9999).contains(&year)).then(|| (start(year, month), next))
}

/// `90s`, `15m`, `24h`, `7d`, `2w`.
fn parse_length(text: &str) -> Option<i64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        "w" => 7 * DAY,
        _ => return None,
    };
    digits.parse::<u32>().ok().and_then(|n| i64::from(n).checked_mul(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_goes_both_ways() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400 * SECOND, "2000-02-29T00:00:00Z"),
            (1_700_000_000 * SECOND, "2023-11-14T22:13:20Z"),
            (-SECOND, "1969-12-31T23:59:59Z"),
            (4_107_542_399 * SECOND, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(micros), text);
            assert_eq!(micros_of(civil(micros)), micros, "{text}");
            assert_eq!(parse_instant(text, 7), Some(micros), "{text}");
        }
    }

    #[test]
    fn months_begin_and_end() {
        let texts = |period| month_range(period).map(|(from, to)| (rfc3339(from), rfc3339(to)));
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(texts("2026-11"), pair("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"));
        assert_eq!(texts("2024-12"), pair("2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z"));
        for bad in ["", "2026", "2026-13", "2026-00", "x-1", "99999-01"] {
            assert_eq!(month_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses_hold_relative_and_absolute_instants() {
        let now = 1_700_000_000 * SECOND;
        for (text, expected) in [
            ("now", Some(now)),
            ("now-24h", Some(now - DAY)),
            ("now-90s", Some(now - 90 * SECOND)),
            ("2023-11-14T22:13", Some(now - 20 * SECOND)),
            ("2023-11-14T22:13:20.500Z", Some(now)),
            ("now-", None),
            ("now-5y", None),
            ("now+1h", None),
            ("2023-02-30T00:00:00Z", None),
            ("2023-13-01T00:00:00Z", None),
            ("2023-11-14", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_instant(text, now), expected, "{text:?}");
        }
    }
}
