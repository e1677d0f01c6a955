//! Values of an answer as they are read on a page; the exact ones are in hovers and exports. Pure.

use super::answer::Kind;

const DIGITS: i32 = 6;
/// So long a number is read as it is.
const CHARS_MAX: usize = 10;

pub(crate) fn shown(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Float => float(text),
        Kind::Time => time(text),
        _ => text.to_owned(),
    }
}

/// Six significant digits; whole numbers whole.
fn float(text: &str) -> String {
    let plain = text.strip_suffix(".0").unwrap_or(text);
    let Some(value) = text.parse::<f64>().ok().filter(|v| v.is_finite() && *v != 0.0) else {
        return plain.to_owned();
    };
    let magnitude = value.abs().log10().floor() as i32;
    if plain.len() <= CHARS_MAX || !(-6..15).contains(&magnitude) {
        return plain.to_owned();
    }
    let decimals = (DIGITS - 1 - magnitude).clamp(0, 12) as usize;
    let rounded = format!("{value:.decimals$}");
    if rounded.contains('.') { rounded.trim_end_matches('0').trim_end_matches('.').to_owned() } else { rounded }
}

/// `2026-11-24 01:02:03.5`, without zeros of a second's parts.
fn time(text: &str) -> String {
    let text = text.strip_suffix('Z').unwrap_or(text).replacen('T', " ", 1);
    match text.split_once('.') {
        Some((whole, part)) if part.bytes().all(|b| b == b'0') => whole.to_owned(),
        Some((whole, part)) => format!("{whole}.{}", part.trim_end_matches('0')),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_whole_numbers_exact() {
        for (kind, text, expected) in [
            (Kind::Whole, "9007199254740993", "9007199254740993"),
            (Kind::Float, "10837.999999999989", "10838"),
            (Kind::Float, "0.123456789012", "0.123457"),
            (Kind::Float, "-123456789.987654", "-123456790"),
            (Kind::Float, "2.0", "2"),
            (Kind::Float, "1.5", "1.5"),
            (Kind::Float, "0.0", "0"),
            (Kind::Float, "1e-300", "1e-300"),
            (Kind::Float, "1.2345678901e-9", "1.2345678901e-9"),
            (Kind::Float, "NaN", "NaN"),
            (Kind::Time, "2026-11-24T01:02:03.000000Z", "2026-11-24 01:02:03"),
            (Kind::Time, "2026-11-24T01:02:03.250000Z", "2026-11-24 01:02:03.25"),
            (Kind::Time, "2026-11-24", "2026-11-24"),
            (Kind::Text, "a T b", "a T b"),
        ] {
            assert_eq!(shown(kind, text), expected, "{text}");
        }
    }
}
