//! `from` and `to` of a request: RFC 3339, a date, or `now` with an offset. Pure; the clock is an argument.

use chrono::{DateTime, NaiveDate};
use contract::answers::Range;

/// What a page shows when nothing is said: a day.
const DEFAULT_FROM: &str = "now-24h";
const DEFAULT_TO: &str = "now";

/// The half-open window that a request means.
pub(super) fn parse_range(from: Option<&str>, to: Option<&str>, now_micros: i64) -> Result<Range, String> {
    let range = Range {
        from_unix_micros: parse_instant("from", from.unwrap_or(DEFAULT_FROM), now_micros)?,
        to_unix_micros: parse_instant("to", to.unwrap_or(DEFAULT_TO), now_micros)?,
    };
    if range.from_unix_micros >= range.to_unix_micros {
        return Err("from is not before to, ask for a range that has a length".to_owned());
    }
    Ok(range)
}

pub(super) fn parse_instant(name: &str, text: &str, now_micros: i64) -> Result<i64, String> {
    let usage = || format!("{name} {text:?} is not a time, give RFC 3339, a date or a form like now, now-24h, now-7d");
    // In a query string an unescaped `+` of an offset arrives as a space.
    let text = text.trim().replace(' ', "+");
    let Some(offset) = text.strip_prefix("now") else {
        if let Some(date) = parse_date(&text) {
            return Ok(date);
        }
        return DateTime::parse_from_rfc3339(&text).map(|t| t.timestamp_micros()).map_err(|_| usage());
    };
    if offset.is_empty() {
        return Ok(now_micros);
    }
    let (sign, rest) = match offset.split_at_checked(1) {
        Some(("-", rest)) => (-1, rest),
        Some(("+", rest)) => (1, rest),
        _ => return Err(usage()),
    };
    let digits = rest.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_seconds: i64 = match &rest[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(usage()),
    };
    let count: u32 = digits.parse().map_err(|_| usage())?;
    let offset_micros = i64::from(count).checked_mul(sign * unit_seconds * 1_000_000);
    offset_micros.and_then(|offset| now_micros.checked_add(offset)).ok_or_else(usage)
}

/// Midnight of a day like 2017-09-01, UTC.
fn parse_date(text: &str) -> Option<i64> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10)?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000_000;

    #[test]
    fn instants() {
        for (text, expected) in [
            ("now", NOW),
            ("now-24h", NOW - 86_400_000_000),
            ("now-90s", NOW - 90_000_000),
            ("now+1m", NOW + 60_000_000),
            ("now-2w", NOW - 14 * 86_400_000_000),
            ("2023-11-14T22:13:20Z", NOW),
            ("2023-11-14", NOW - 80_000_000_000),
            ("2023-11-14T23:13:20+01:00", NOW),
            ("2023-11-14T23:13:20 01:00", NOW),
            ("2023-11-14T22:13:20.000001Z", NOW + 1),
        ] {
            assert_eq!(parse_instant("from", text, NOW), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "yesterday",
            "now-",
            "now-h",
            "now-5",
            "now-5y",
            "now*5h",
            "now-99999999999h",
            "now-é",
            "2023",
            "2023-11",
            "2023-11-31",
            "2023-1-01",
        ] {
            assert!(parse_instant("from", bad, NOW).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_day_until_now_is_the_default_and_empty_ranges_are_refused() {
        let day = parse_range(None, None, NOW).expect("the defaults are good");
        assert_eq!((day.from_unix_micros, day.to_unix_micros), (NOW - 86_400_000_000, NOW));
        assert!(parse_range(Some("now"), Some("now-1h"), NOW).is_err());
        assert!(parse_range(Some("now"), None, NOW).is_err());
    }
}
