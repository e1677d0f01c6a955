//! What the cells of a bill say: nulls, decimals, times, JSON of tags. **Invariant:** no cell is guessed at.

use super::super::money::parse_decimal;
use chrono::NaiveDateTime;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Digits of an exponent; beyond it no decimal of 28 digits has a value other than 0.
const EXPONENT_MAX: i64 = 28;
/// Characters of a cell that a fault repeats.
const SHOWN_CHARS_MAX: usize = 40;

/// Text of a cell, or null: an empty cell and the bare word `NULL` are none.
pub(super) fn text(cell: Option<&[u8]>) -> Result<Option<&str>, String> {
    let Some(cell) = cell else { return Ok(None) };
    let text = std::str::from_utf8(cell).map_err(|_| format!("{:?} is not UTF-8", shown(&lossy(cell))))?;
    Ok((!text.is_empty() && text != "NULL").then_some(text))
}

fn lossy(cell: &[u8]) -> String {
    String::from_utf8_lossy(&cell[..cell.len().min(4 * SHOWN_CHARS_MAX)]).into_owned()
}

pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

/// A number as FOCUS has it: digits with at most one point, a minus maybe, `E` and a whole exponent maybe.
pub(super) fn decimal(text: &str) -> Result<Decimal, String> {
    let wrong = || format!("{:?} is not a decimal number of up to 28 digits", shown(text));
    let (digits, exponent) = match text.split_once('E') {
        Some((digits, exponent)) => (digits, exponent_of(exponent).ok_or_else(wrong)?),
        None => (text, 0),
    };
    // Zeros at the end of a fraction say nothing, and would count as digits.
    let digits = match digits.contains('.') && digits.len() > 28 {
        true => digits.trim_end_matches('0'),
        false => digits,
    };
    let whole = digits.strip_suffix('.').filter(|_| digits != text).unwrap_or(digits);
    let mantissa = parse_decimal(whole).map_err(|_| wrong())?;
    if exponent == 0 || mantissa.is_zero() {
        return Ok(mantissa);
    }
    scaled(mantissa.normalize(), exponent).ok_or_else(wrong)
}

fn exponent_of(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit());
    let exponent: i64 = plain.then(|| text.parse().ok()).flatten()?;
    (exponent.abs() <= EXPONENT_MAX).then_some(exponent)
}

/// `mantissa` × 10^`exponent`, or none where it does not fit exactly.
fn scaled(mantissa: Decimal, exponent: i64) -> Option<Decimal> {
    let scale = i64::from(mantissa.scale()) - exponent;
    let (digits, scale) = match u32::try_from(scale) {
        Ok(scale) => (mantissa.mantissa(), scale),
        Err(_) => (mantissa.mantissa().checked_mul(10_i128.checked_pow(u32::try_from(-scale).ok()?)?)?, 0),
    };
    Decimal::try_from_i128_with_scale(digits, scale).ok()
}

/// Unix microseconds of `2024-09-01T00:00:00Z` or `2024-09-01 00:00:00`, both UTC, with a fraction of a second maybe.
pub(super) fn time_micros(text: &str) -> Result<i64, String> {
    let wrong = || format!("{:?} is not a time like 2024-09-01T00:00:00Z", shown(text));
    let bytes = text.as_bytes();
    // The pattern alone would also take signs, short numbers and spaces.
    let shaped = bytes.len() >= 19
        && bytes.iter().take(19).enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            10 => *byte == b'T' || *byte == b' ',
            13 | 16 => *byte == b':',
            _ => byte.is_ascii_digit(),
        });
    let rest = if shaped { text.get(19..).ok_or_else(wrong)? } else { return Err(wrong()) };
    let fraction = rest.strip_suffix('Z').unwrap_or(rest);
    let digits = fraction.strip_prefix('.').unwrap_or(fraction);
    let good = fraction.is_empty()
        || (fraction.starts_with('.') && (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()));
    if !good {
        return Err(wrong());
    }
    let pattern = if bytes[10] == b'T' { "%Y-%m-%dT%H:%M:%S%.f" } else { "%Y-%m-%d %H:%M:%S%.f" };
    let stamp = text.strip_suffix('Z').unwrap_or(text);
    NaiveDateTime::parse_from_str(stamp, pattern).map(|t| t.and_utc().timestamp_micros()).map_err(|_| wrong())
}

/// Tags of a JSON object. Values that are no text (`true` of a tag without a value, numbers) keep their JSON.
pub(super) fn tags(text: &str) -> Result<BTreeMap<String, String>, String> {
    let parsed: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|e| format!("{:?} is not a JSON object of tags: {e}", shown(text)))?;
    let plain = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(parsed.into_iter().map(|(key, value)| (key, plain(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_standard_writes_them() {
        for (text, expected) in [
            ("0.00000080000", "0.00000080000"),
            ("-2.61370000000", "-2.61370000000"),
            ("35.2E-7", "0.00000352"),
            ("1E3", "1000"),
            ("-1.5E0", "-1.5"),
            ("0E-20", "0"),
            ("0.1000000000000000000000000000000000", "0.1"),
            ("7.000000000000000000000000000000000000", "7"),
            ("1E-28", "0.0000000000000000000000000001"),
        ] {
            assert_eq!(decimal(text).expect(text).to_string(), expected, "{text}");
        }
        for text in [
            "1e3",
            "1E+3",
            "E3",
            "1E",
            "1E1.5",
            "1E29",
            "1E-29",
            "9E28",
            "+1",
            "1,000",
            "$1",
            "1.",
            ".5",
            " 1",
            "NaN",
            "0.12345678901234567890123456789",
            "1E9999999999999999999",
            "--1",
            "1E--1",
        ] {
            assert!(decimal(text).is_err(), "{text:?}: {:?}", decimal(text));
        }
    }

    #[test]
    fn times_are_utc_in_both_spellings() {
        let micros = 1_725_148_800_000_000;
        for text in ["2024-09-01T00:00:00Z", "2024-09-01 00:00:00", "2024-09-01T00:00:00", "2024-09-01 00:00:00.000Z"] {
            assert_eq!(time_micros(text), Ok(micros), "{text}");
        }
        assert_eq!(time_micros("2024-09-01T00:00:00.25Z"), Ok(micros + 250_000));
        for text in [
            "",
            "2024-09-01",
            "2024-13-01T00:00:00Z",
            "2024-09-01T00:00:00+02:00",
            "+024-09-01T00:00:00Z",
            "2024-09-01T00:00:00.Z",
            "2024-09-01T00:00:00ZZ",
            "2024-09-01T24:00:00Z",
            "2024-09-01T00:00:0٣",
        ] {
            assert!(time_micros(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn null_is_an_empty_cell_or_the_bare_word() {
        assert_eq!((text(None), text(Some(b"")), text(Some(b"NULL"))), (Ok(None), Ok(None), Ok(None)));
        assert_eq!(text(Some(b"null")), Ok(Some("null")));
        assert!(text(Some(b"\xff")).is_err());
    }
}
