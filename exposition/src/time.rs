//! Times of samples, to the microsecond.

/// As seconds the year 5138, as milliseconds 1973: which of the two a time is, its size says.
const SECONDS_MAX: i128 = 100_000_000_000;
/// Digits before the point; more are no time, and fit 128 bits by far.
const DIGITS_MAX: usize = 18;

/// Milliseconds in the text format, seconds in OpenMetrics, with or without a fraction; as Unix microseconds, rounded
/// down.
pub(crate) fn micros(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.contains(['e', 'E']) {
        return scientific(text);
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if !are_digits || whole.len() > DIGITS_MAX || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let number: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let places = if number < SECONDS_MAX { 6 } else { 3 };
    let kept: i128 = format!("{:0<places$}", &fraction[..fraction.len().min(places)]).parse().ok()?;
    let is_cut = fraction.bytes().skip(places).any(|b| b != b'0');
    let magnitude = number * 10_i128.pow(u32::try_from(places).ok()?) + kept;
    let micros = if is_negative { -magnitude - i128::from(is_cut) } else { magnitude };
    i64::try_from(micros).ok()
}

/// `1.7e9`, as some libraries write whole seconds.
fn scientific(text: &str) -> Option<i64> {
    let is_decimal = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E');
    let number: f64 = text.bytes().all(is_decimal).then(|| text.parse().ok())??;
    let factor = if number.abs() < SECONDS_MAX as f64 { 1e6 } else { 1e3 };
    let micros = (number * factor).floor();
    (micros.abs() < i64::MAX as f64).then_some(micros as i64)
}
