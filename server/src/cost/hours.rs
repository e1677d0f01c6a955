//! Hours, days and months of the ledger, all UTC.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, Timelike, Utc};

pub(super) const HOUR_MICROS: i64 = 3_600_000_000;

/// Dates that people write; others are slips.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9999;

/// Start of the hour that a date (its midnight UTC) or an RFC 3339 time names, Unix microseconds; else what is wrong.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let time = match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        Ok(date) => date.and_time(chrono::NaiveTime::MIN),
        Err(_) => match DateTime::parse_from_rfc3339(text) {
            Ok(time) => time.naive_utc(),
            Err(_) => return Err("is not a date like 2025-01-31 or a time like 2025-01-31T18:00:00Z".to_owned()),
        },
    };
    if !YEARS.contains(&time.year()) {
        return Err(format!("is not within the years {} to {}", YEARS.start(), YEARS.end()));
    }
    if time.minute() != 0 || time.second() != 0 || time.nanosecond() != 0 {
        return Err("is not on a full hour of UTC, and prices hold for whole hours".to_owned());
    }
    Ok(time.and_utc().timestamp_micros())
}

/// As people write it: a date where it is midnight, else a time.
pub(super) fn format(micros: i64) -> String {
    let time = time(micros);
    let pattern = if time.time() == chrono::NaiveTime::MIN { "%Y-%m-%d" } else { "%Y-%m-%dT%H:%M:%SZ" };
    time.format(pattern).to_string()
}

/// Where both ends may be open.
pub(super) fn format_range(from: Option<i64>, to: Option<i64>) -> String {
    match (from, to) {
        (None, None) => "at any time".to_owned(),
        (Some(from), None) => format!("from {}", format(from)),
        (None, Some(to)) => format!("until {}", format(to)),
        (Some(from), Some(to)) => format!("from {} to {}", format(from), format(to)),
    }
}

/// Start of the hour of an instant.
pub(super) fn floor(micros: i64) -> i64 {
    micros.saturating_sub(micros.rem_euclid(HOUR_MICROS))
}

/// Instants beyond the calendar are its ends.
pub(super) fn time(micros: i64) -> NaiveDateTime {
    let end = if micros < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    DateTime::from_timestamp_micros(micros).unwrap_or(end).naive_utc()
}

pub(super) fn day(micros: i64) -> NaiveDate {
    time(micros).date()
}

/// Midnight, Unix microseconds.
pub(super) fn of_day(day: NaiveDate) -> i64 {
    day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros()
}

/// So many months later at the same time of day, at the end of a shorter month on its last day.
pub(super) fn add_months(micros: i64, months: u32) -> i64 {
    time(micros).checked_add_months(Months::new(months)).map_or(i64::MAX, |time| time.and_utc().timestamp_micros())
}

/// The month of an instant: how many hours it has, and where the next begins.
pub(super) fn month(micros: i64) -> (u32, i64) {
    let first = day(micros).with_day(1).unwrap_or(NaiveDate::MIN);
    let next = first.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
    let days = next.signed_duration_since(first).num_days();
    (days as u32 * 24, of_day(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_on_its_hour_of_utc() {
        assert_eq!(parse("1970-01-02"), Ok(24 * HOUR_MICROS));
        assert_eq!(parse("1970-01-01T02:00:00+01:00"), Ok(HOUR_MICROS));
        assert_eq!(format(24 * HOUR_MICROS), "1970-01-02");
        assert_eq!(format(25 * HOUR_MICROS), "1970-01-02T01:00:00Z");
        for (text, why) in [
            ("2025-01-01T00:30:00Z", "full hour"),
            ("2025-01-01T00:00:00.5Z", "full hour"),
            ("2025-01-01T05:00:00+05:30", "full hour"),
            ("01.02.2025", "is not a date like"),
            ("2025-02-30", "is not a date like"),
            ("0001-01-01", "years 1970 to 9999"),
        ] {
            let fault = parse(text).expect_err(text);
            assert!(fault.contains(why), "{text}: {fault}");
        }
    }

    #[test]
    fn months_have_their_own_length() {
        let february = parse("2024-02-10").expect("a date");
        assert_eq!(month(february), (29 * 24, parse("2024-03-01").expect("a date")));
        assert_eq!(add_months(parse("2025-01-31").expect("a date"), 1), parse("2025-02-28").expect("a date"));
        for extreme in [i64::MIN, i64::MAX] {
            let (hours, _) = month(extreme);
            assert!(hours <= 31 * 24);
            assert!(!format(extreme).is_empty());
        }
    }
}
