//! Numbers as text for people. Pure.

use crate::cost::Micros;

/// Digits with a comma between thousands.
fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with so many decimals and a true minus.
pub(super) fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let text = format!("{:.decimals$}", value.abs());
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let sign = if value < 0.0 && !is_zero { "\u{2212}" } else { "" };
    let point = if decimals > 0 { "." } else { "" };
    format!("{sign}{}{point}{fraction}", grouped(whole))
}

/// An amount to the cent, rounded half to even.
pub(super) fn money(micros: i64) -> String {
    let cents = Micros(micros).decimal().round_dp(2);
    let text = format!("{:.2}", cents.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "00"));
    let sign = if cents.is_sign_negative() && !cents.is_zero() { "\u{2212}" } else { "" };
    format!("{sign}{}.{fraction}", grouped(whole))
}

pub(super) fn hours(value: f64) -> String {
    number(value, 1)
}

pub(super) fn percent(ratio: f64) -> String {
    format!("{} %", number(ratio * 100.0, 1))
}

/// A change against what was, with its sign; none against nothing, or against a credit.
pub(super) fn change(now: f64, before: f64) -> Option<String> {
    if before <= 0.0 {
        return None;
    }
    let ratio = (now - before) / before.abs();
    let sign = if ratio > 0.0 { "+" } else { "" };
    Some(format!("{sign}{}", percent(ratio)))
}

/// Currency units of an amount, for drawing and for spreadsheets.
pub(super) fn units(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// At most six decimals, none that say nothing.
pub(super) fn plain(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A length of time: `12 s`, `3.4 min`, `2.1 h`, `3.0 d`.
pub(super) fn span(seconds: f64) -> String {
    match seconds.abs() {
        s if s < 99.5 => format!("{} s", number(seconds, 0)),
        s if s < 99.5 * 60.0 => format!("{} min", number(seconds / 60.0, 1)),
        s if s < 48.0 * 3600.0 => format!("{} h", number(seconds / 3600.0, 1)),
        _ => format!("{} d", number(seconds / 86_400.0, 1)),
    }
}

/// A round number near `span / steps`: 1, 2 or 5 times a power of ten.
pub(super) fn round_step(span: f64, steps: f64) -> f64 {
    let rough = (span / steps).max(1e-6);
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| rough <= factor * power);
    factor.unwrap_or(10.0) * power
}

/// A short form for an axis: `12k`, `1.5M`.
pub(super) fn short(value: f64) -> String {
    let (scaled, suffix) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, "B"),
        v if v >= 1e6 => (value / 1e6, "M"),
        v if v >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    format!("{}{suffix}", plain((scaled * 100.0).round() / 100.0).replace('-', "\u{2212}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(money(87_694_930_000), "87,694.93");
        assert_eq!(money(-1_234_565_000), "\u{2212}1,234.56");
        assert_eq!((money(-1_000).as_str(), money(0).as_str()), ("0.00", "0.00"));
        assert_eq!(hours(1_234_567.89), "1,234,567.9");
        assert_eq!((number(-0.04, 1).as_str(), number(999.95, 1).as_str()), ("0.0", "1,000.0"));
        assert_eq!(percent(0.1234), "12.3 %");
        assert_eq!((change(110.0, 100.0).as_deref(), change(1.0, 0.0)), (Some("+10.0 %"), None));
        assert_eq!(
            [0.0, 99.0, 100.0, 5_400.0, 7_200.0, 200_000.0].map(span),
            ["0 s", "99 s", "1.7 min", "90.0 min", "2.0 h", "2.3 d"]
        );
        assert_eq!((plain(1.5).as_str(), plain(2.0).as_str(), plain(-1e-9).as_str()), ("1.5", "2", "0"));
        assert_eq!(
            (short(1_500_000.0).as_str(), short(12_000.0).as_str(), short(0.25).as_str()),
            ("1.5M", "12k", "0.25")
        );
        assert_eq!((round_step(97.0, 4.0), round_step(0.0, 4.0) > 0.0), (50.0, true));
    }
}
