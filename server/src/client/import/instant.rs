//! Texts of instants, in the formats that a map may name, to Unix microseconds.
//!
//! **Invariant:** finer digits than a microsecond are cut, never rounded up; a local time that happens twice
//! is its first occurrence, and one that a clock change leaves out is refused.

use super::number::Decimal;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;

/// The names of the formats, for the message about an unknown one.
pub(super) const FORMATS: &str =
    "unix_seconds, unix_millis, unix_micros, unix_nanos, rfc3339, iso, or a strftime pattern such as %d.%m.%Y %H:%M";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    /// Number of `10^-places` seconds since 1970.
    Unix {
        places: i32,
    },
    /// Date, time and zone.
    Rfc3339,
    /// Date and time, with `-` or `/`, `T` or a space, any number of fraction digits, with or without a zone.
    Iso,
    Pattern(String),
}

impl Format {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "unix_seconds" => Self::Unix { places: 0 },
            "unix_millis" => Self::Unix { places: 3 },
            "unix_micros" => Self::Unix { places: 6 },
            "unix_nanos" => Self::Unix { places: 9 },
            "rfc3339" => Self::Rfc3339,
            "iso" => Self::Iso,
            pattern if pattern.contains('%') && is_pattern(pattern) => Self::Pattern(pattern.to_owned()),
            _ => return None,
        })
    }

    /// Whether the text has no zone of its own.
    pub(super) fn is_zoneless(&self, text: &str) -> bool {
        !matches!(self, Self::Unix { .. } | Self::Rfc3339)
            && self.read(text, Tz::UTC) != self.read(text, Tz::Etc__GMTPlus12)
    }

    /// `None` when the text is not of this format.
    pub(super) fn read(&self, text: &str, zone: Tz) -> Option<i64> {
        match self {
            Self::Unix { places } => Decimal::parse(text)?.floor_i64(6 - places),
            Self::Rfc3339 => Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros()),
            Self::Iso => iso(text, zone),
            Self::Pattern(pattern) => by_pattern(text, pattern, zone),
        }
    }
}

fn is_pattern(pattern: &str) -> bool {
    use chrono::format::{Item, StrftimeItems};
    StrftimeItems::new(pattern).all(|item| !matches!(item, Item::Error))
}

fn by_pattern(text: &str, pattern: &str, zone: Tz) -> Option<i64> {
    if let Ok(instant) = DateTime::parse_from_str(text, pattern) {
        return Some(instant.timestamp_micros());
    }
    if let Ok(local) = NaiveDateTime::parse_from_str(text, pattern) {
        return in_zone(local, zone);
    }
    in_zone(NaiveDate::parse_from_str(text, pattern).ok()?.and_time(NaiveTime::MIN), zone)
}

fn in_zone(local: NaiveDateTime, zone: Tz) -> Option<i64> {
    Some(zone.from_local_datetime(&local).earliest()?.timestamp_micros())
}

/// `2017-10-09 07:01:55`, `2023/07/14T10:12:46.4830001+02:00`, `2021-02-05`.
fn iso(text: &str, zone: Tz) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = bytes.get(from..to)?;
        digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
    };
    let separator = *bytes.get(4)?;
    if !matches!(separator, b'-' | b'/') || bytes.get(7) != Some(&separator) {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(5, 7)?, number(8, 10)?)?;
    if bytes.len() == 10 {
        return in_zone(date.and_time(NaiveTime::MIN), zone);
    }
    if !matches!(bytes.get(10), Some(b' ' | b'T' | b't')) || bytes.get(13) != Some(&b':') {
        return None;
    }
    let (mut seconds, mut at) = (0, 16);
    if bytes.get(at) == Some(&b':') {
        (seconds, at) = (number(17, 19)?, 19);
    }
    let mut micros = 0;
    if matches!(bytes.get(at), Some(b'.' | b',')) {
        let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let kept = digits.min(6);
        micros = number(at + 1, at + 1 + kept)? * 10_u32.pow(6 - u32::try_from(kept).ok()?);
        at += 1 + digits;
    }
    let local = date.and_time(NaiveTime::from_hms_micro_opt(number(11, 13)?, number(14, 16)?, seconds, micros)?);
    match text.get(at..)?.trim_start() {
        "" => in_zone(local, zone),
        "Z" | "z" | "UTC" => Some(local.and_utc().timestamp_micros()),
        offset => local.and_utc().timestamp_micros().checked_sub(offset_micros(offset)?),
    }
}

/// `+02:00`, `-0730`, `+09`.
fn offset_micros(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let hours: i64 = digits[..2].parse().ok()?;
    let minutes: i64 = digits.get(2..).filter(|m| !m.is_empty()).map_or(Some(0), |m| m.parse().ok())?;
    Some(sign * (hours * 3600 + minutes * 60) * 1_000_000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(format: &str, text: &str, zone: &str, expected: Option<&str>) {
        let found = Format::parse(format).unwrap().read(text, zone.parse().unwrap());
        let expected = expected.map(|e| DateTime::parse_from_rfc3339(e).unwrap().timestamp_micros());
        assert_eq!(found, expected, "{text:?} as {format} in {zone}");
    }

    #[test]
    fn instants() {
        check("unix_seconds", "1662858720.0", "UTC", Some("2022-09-11T01:12:00Z"));
        check("unix_seconds", "1662858720.1234567", "UTC", Some("2022-09-11T01:12:00.123456Z"));
        check("unix_nanos", "1662858720123456999", "UTC", Some("2022-09-11T01:12:00.123456Z"));
        check("unix_millis", "-1", "UTC", Some("1969-12-31T23:59:59.999Z"));
        check("unix_seconds", "soon", "UTC", None);
        check("rfc3339", "2024-02-29T10:00:00+02:00", "UTC", Some("2024-02-29T08:00:00Z"));
        check("rfc3339", "2024-02-29 10:00", "UTC", None);
        check("iso", "2017-10-09 07:01:55", "UTC", Some("2017-10-09T07:01:55Z"));
        check("iso", "2017-10-09 07:01:55", "America/Los_Angeles", Some("2017-10-09T14:01:55Z"));
        check("iso", "2023/07/14 10:12:46.483", "UTC", Some("2023-07-14T10:12:46.483Z"));
        check("iso", "2023-11-16 18:15:46.6805900", "UTC", Some("2023-11-16T18:15:46.68059Z"));
        check("iso", "2021-02-05T01:02:03.4-0730", "UTC", Some("2021-02-05T08:32:03.4Z"));
        check("iso", "2021-02-05T01:02Z", "Europe/Berlin", Some("2021-02-05T01:02:00Z"));
        check("iso", "2021-02-05", "UTC", Some("2021-02-05T00:00:00Z"));
        check("%d.%m.%Y %H:%M", "05.02.2021 13:30", "Europe/Berlin", Some("2021-02-05T12:30:00Z"));
        check("%d.%m.%Y", "05.02.2021", "UTC", Some("2021-02-05T00:00:00Z"));
        check("%Y-%m-%dT%H:%M:%S%z", "2021-02-05T13:30:00+0100", "UTC", Some("2021-02-05T12:30:00Z"));
        for bad in
            ["", "2021", "2021-13-01", "2021-02-30 00:00", "2021-02-05x", "2021-02-05 25:00", "2021-02-05 10:00 PST"]
        {
            check("iso", bad, "UTC", None);
        }
    }

    #[test]
    fn a_text_without_a_zone_is_known() {
        for (text, is_zoneless) in [("2021-02-05 10:00", true), ("2021-02-05T10:00:00Z", false), ("soon", false)] {
            assert_eq!(Format::Iso.is_zoneless(text), is_zoneless, "{text}");
        }
        assert!(!Format::Unix { places: 0 }.is_zoneless("5"));
    }

    #[test]
    fn clock_changes() {
        check("iso", "2017-11-05 01:30:00", "America/Los_Angeles", Some("2017-11-05T08:30:00Z"));
        check("iso", "2017-03-12 02:30:00", "America/Los_Angeles", None);
    }

    #[test]
    fn only_known_formats() {
        for bad in ["", "epoch", "RFC3339", "%Q%Q%!"] {
            assert_eq!(Format::parse(bad), None, "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}", digits in "[0-9T:/ .+-]{0,40}") {
            for format in ["unix_seconds", "unix_nanos", "rfc3339", "iso", "%d.%m.%Y"] {
                let format = Format::parse(format).unwrap();
                for text in [&text, &digits] {
                    std::hint::black_box(format.read(text, Tz::UTC));
                    std::hint::black_box(super::super::number::Decimal::parse(text));
                    std::hint::black_box(super::super::number::split_unit(text));
                }
            }
        }
    }
}
