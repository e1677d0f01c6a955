//! Hours and months of the ledger, in UTC.

use chrono::{DateTime, Datelike, NaiveDate};
use std::fmt;

pub const HOUR_MICROS: i64 = 3_600_000_000;
pub const DAY_MICROS: i64 = 24 * HOUR_MICROS;
/// After its end an hour is still waited for, as the use of an hour is.
const HOUR_KNOWN_AFTER_MICROS: i64 = 10 * 60 * 1_000_000;

/// A month of the ledger, `2026-11` as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    year: i32,
    /// From 1.
    month: u32,
}

impl Period {
    /// None where there is no such month between the years 1 and 9999.
    pub fn new(year: i32, month: u32) -> Option<Self> {
        ((1..=9999).contains(&year) && (1..=12).contains(&month)).then_some(Self { year, month })
    }

    /// `2026-11` and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let digits = |part: &str, count| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
        let whole = digits(year, 4) && digits(month, 2);
        // Both are digits, and few.
        whole.then(|| Self::new(year.parse().ok()?, month.parse().ok()?)).flatten()
    }

    /// The month in which an instant lies; none beyond the year 9999.
    pub fn of(unix_micros: i64) -> Option<Self> {
        let time = DateTime::from_timestamp_micros(unix_micros)?;
        Self::new(time.year(), time.month())
    }

    pub fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year + 1, month: 1 },
            month => Self { month: month + 1, ..self },
        }
    }

    pub fn first_of_quarter(self) -> Self {
        Self { month: self.month - (self.month - 1) % 3, ..self }
    }

    /// Unix microseconds of its start, and of its end, which does not belong to it.
    pub fn range_micros(self) -> (i64, i64) {
        (self.start_micros(), self.next().start_micros())
    }

    pub fn start_micros(self) -> i64 {
        let first = NaiveDate::from_ymd_opt(self.year, self.month, 1).unwrap_or(NaiveDate::MAX);
        first.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros()
    }

    pub fn hours(self) -> i64 {
        let (from, to) = self.range_micros();
        (to - from) / HOUR_MICROS
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// Start of the hour in which an instant lies.
pub fn hour_of(unix_micros: i64) -> i64 {
    unix_micros.div_euclid(HOUR_MICROS).saturating_mul(HOUR_MICROS)
}

/// The end of the last hour that is over and waited for at an instant; all are Unix microseconds.
pub fn known_to(now_micros: i64) -> i64 {
    hour_of(now_micros - HOUR_KNOWN_AFTER_MICROS)
}

/// When all hours before an instant are known.
pub fn known_from(unix_micros: i64) -> i64 {
    hour_of(unix_micros.saturating_add(HOUR_MICROS - 1)).saturating_add(HOUR_KNOWN_AFTER_MICROS)
}

/// An instant as people read it, in UTC.
pub(super) fn instant_text(unix_micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(unix_micros);
    time.map_or_else(|| unix_micros.to_string(), |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_read_strictly_and_written_alike() {
        let november = Period::parse("2026-11").expect("a month");
        assert_eq!(november.to_string(), "2026-11");
        assert_eq!(november.next().next().to_string(), "2027-01");
        assert_eq!((november.hours(), Period::parse("2024-02").expect("a month").hours()), (720, 696));
        assert_eq!(Period::of(november.start_micros()), Some(november));
        assert_eq!(Period::of(november.start_micros() - 1).map(|p| p.to_string()).as_deref(), Some("2026-10"));
        for text in ["", "2026", "2026-13", "2026-00", "2026-1", "26-11", "2026-11-01", "+026-11", "0000-01"] {
            assert_eq!(Period::parse(text), None, "{text:?}");
        }
        assert_eq!((Period::of(i64::MAX), hour_of(-1)), (None, -HOUR_MICROS));
    }
}
