//! Parameters of a query string and of a form, as Prometheus reads them: times and durations in two spellings each.

use super::super::error::Refusal;
use super::bad_data;
use actix_web::HttpRequest;
use chrono::DateTime;
use std::borrow::Cow;
use url::form_urlencoded;

/// The times that are told apart, Unix milliseconds: those of four-digit years. What is beyond is the same as these.
pub(super) const TIME_MIN: i64 = -62_135_596_800_000;
pub(super) const TIME_MAX: i64 = 253_402_300_799_999;
/// More selectors than any request has.
const MATCHES_MAX: usize = 100;

/// The form's values come before those of the query string.
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    pub(super) fn of(request: &HttpRequest, body: &[u8]) -> Self {
        let query = form_urlencoded::parse(request.query_string().as_bytes());
        let owned = |(name, value): (Cow<str>, Cow<str>)| (name.into_owned(), value.into_owned());
        Self { pairs: form_urlencoded::parse(body).chain(query).map(owned).collect() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every `match[]`.
    pub(super) fn selectors(&self) -> Result<Vec<String>, Refusal> {
        let given = self.pairs.iter().filter(|(name, _)| name == "match[]").map(|(_, value)| value.clone());
        let given: Vec<String> = given.collect();
        match given.len() {
            ..=MATCHES_MAX => Ok(given),
            count => Err(bad("match[]", format!("there are {count}, at most {MATCHES_MAX} are possible"))),
        }
    }

    /// Unix milliseconds; none when it is not given.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let time = parse_time(text);
        time.map(Some).ok_or_else(|| bad(name, format!("cannot parse {text:?} to a valid timestamp")))
    }

    pub(super) fn required_time(&self, name: &str) -> Result<i64, Refusal> {
        let text = self.get(name).unwrap_or_default();
        self.time(name)?.ok_or_else(|| bad(name, format!("cannot parse {text:?} to a valid timestamp")))
    }

    /// Milliseconds; none when it is not given.
    pub(super) fn duration(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let duration = parse_duration(text);
        duration.map(Some).ok_or_else(|| bad(name, format!("cannot parse {text:?} to a valid duration")))
    }

    /// How many series or names are wanted; none, or 0, are all.
    pub(super) fn limit(&self) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.get("limit").filter(|text| !text.is_empty()) else { return Ok(None) };
        let limit = text.parse::<usize>().map_err(|_| bad("limit", format!("{text:?} is not a number of results")))?;
        Ok(Some(limit).filter(|limit| *limit > 0))
    }
}

pub(super) fn bad(name: &str, reason: impl AsRef<str>) -> Refusal {
    bad_data(format!("invalid parameter {name:?}: {}", reason.as_ref()))
}

pub(super) fn missing(name: &str) -> Refusal {
    bad(name, "cannot parse \"\" to a valid duration")
}

/// Seconds since the epoch, or RFC 3339.
fn parse_time(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then(|| ((seconds * 1e3).round() as i64).clamp(TIME_MIN, TIME_MAX));
    }
    match text {
        // The bounds that clients of Prometheus write when they have none.
        "-292273086-05-16T16:47:06Z" => return Some(TIME_MIN),
        "+292277025-08-18T07:12:54.999999999Z" => return Some(TIME_MAX),
        _ => {}
    }
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis().clamp(TIME_MIN, TIME_MAX))
}

/// Seconds, or whole numbers with units from large to small such as `1h30m`.
fn parse_duration(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = seconds * 1e3;
        return (millis.abs() < i64::MAX as f64).then_some(millis as i64);
    }
    let units = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let (mut rest, mut total, mut first) = (text, 0i64, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let at = units.iter().position(|(name, _)| *name == unit).filter(|at| *at >= first)?;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(units[at].1)?)?;
        (rest, first) = (after, at + 1);
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_and_durations_have_two_spellings() {
        for (text, millis) in [
            ("1435781451.781", Some(1_435_781_451_781)),
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            ("2015-07-01T22:10:51.781+02:00", Some(1_435_781_451_781)),
            ("0", Some(0)),
            ("-9223372036854775", Some(TIME_MIN)),
            ("+292277025-08-18T07:12:54.999999999Z", Some(TIME_MAX)),
            ("NaN", None),
            ("yesterday", None),
            ("2015-07-01", None),
        ] {
            assert_eq!(parse_time(text), millis, "{text}");
        }
        for (text, millis) in [
            ("15", Some(15_000)),
            ("0.5", Some(500)),
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("1d1ms", Some(86_400_001)),
            ("-1", Some(-1_000)),
            ("30m1h", None),
            ("5x", None),
            ("m", None),
            ("1e300", None),
            ("9999999999999y", None),
            ("", None),
        ] {
            assert_eq!(parse_duration(text), millis, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            parse_time(&text);
            parse_duration(&text);
        }
    }
}
