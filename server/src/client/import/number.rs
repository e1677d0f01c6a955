//! Texts of numbers with units, converted to the contract's units without a rounding that can be avoided.
//!
//! **Invariant:** a decimal text is kept as an integer and a power of ten until its unit is applied, so
//! `0.1 GHz` is 100,000,000 Hz and 44 % is the double nearest to 0.44.

/// What a quantity counts; a unit converts only within one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    Seconds,
    Bytes,
    Watts,
    Joules,
    Celsius,
    Hertz,
    Ratio,
    /// A count, a mask or an index: no unit converts to it.
    Pure,
}

/// A unit as `numerator / denominator × 10^exponent` of the quantity's base unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) name: &'static str,
    pub(super) quantity: Quantity,
    factor: i128,
    exponent: i32,
}

const fn unit(name: &'static str, quantity: Quantity, factor: i128, exponent: i32) -> Unit {
    Unit { name, quantity, factor, exponent }
}

use Quantity::{Bytes, Celsius, Hertz, Joules, Pure, Ratio, Seconds, Watts};

/// Every unit that a map, a header or a cell may name. The first of a quantity is its base unit.
pub(super) const UNITS: &[Unit] = &[
    unit("seconds", Seconds, 1, 0),
    unit("s", Seconds, 1, 0),
    unit("milliseconds", Seconds, 1, -3),
    unit("ms", Seconds, 1, -3),
    unit("microseconds", Seconds, 1, -6),
    unit("us", Seconds, 1, -6),
    unit("nanoseconds", Seconds, 1, -9),
    unit("ns", Seconds, 1, -9),
    unit("minutes", Seconds, 60, 0),
    unit("hours", Seconds, 3600, 0),
    unit("days", Seconds, 86_400, 0),
    unit("bytes", Bytes, 1, 0),
    unit("B", Bytes, 1, 0),
    unit("kB", Bytes, 1, 3),
    unit("MB", Bytes, 1, 6),
    unit("GB", Bytes, 1, 9),
    unit("TB", Bytes, 1, 12),
    unit("KiB", Bytes, 1 << 10, 0),
    unit("MiB", Bytes, 1 << 20, 0),
    unit("GiB", Bytes, 1 << 30, 0),
    unit("TiB", Bytes, 1 << 40, 0),
    unit("PiB", Bytes, 1 << 50, 0),
    unit("watts", Watts, 1, 0),
    unit("W", Watts, 1, 0),
    unit("mW", Watts, 1, -3),
    unit("kW", Watts, 1, 3),
    unit("joules", Joules, 1, 0),
    unit("J", Joules, 1, 0),
    unit("mJ", Joules, 1, -3),
    unit("kJ", Joules, 1, 3),
    unit("MJ", Joules, 1, 6),
    unit("Wh", Joules, 3600, 0),
    unit("kWh", Joules, 3600, 3),
    unit("celsius", Celsius, 1, 0),
    unit("C", Celsius, 1, 0),
    unit("hertz", Hertz, 1, 0),
    unit("Hz", Hertz, 1, 0),
    unit("kHz", Hertz, 1, 3),
    unit("MHz", Hertz, 1, 6),
    unit("GHz", Hertz, 1, 9),
    unit("ratio", Ratio, 1, 0),
    unit("percent", Ratio, 1, -2),
    unit("%", Ratio, 1, -2),
    unit("count", Pure, 1, 0),
];

impl Unit {
    pub(super) fn parse(name: &str) -> Option<Self> {
        UNITS.iter().copied().find(|u| u.name == name)
    }

    /// The unit in which a column of the contract is kept, by its `unit`.
    pub(super) fn of_column(unit: &str) -> Self {
        Self::parse(unit).unwrap_or(unit_pure())
    }

    /// The names that convert to `quantity`.
    pub(super) fn names(quantity: Quantity) -> Vec<&'static str> {
        UNITS.iter().filter(|u| u.quantity == quantity).map(|u| u.name).collect()
    }
}

const fn unit_pure() -> Unit {
    unit("count", Pure, 1, 0)
}

/// `digits × 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: i128,
    exponent: i32,
}

/// More digits than this cannot be multiplied by the largest factor within 128 bits.
const DIGITS_MAX: usize = 21;
/// No quantity that a GPU or job has needs a larger power of ten.
const EXPONENT_MAX: i32 = 60;

impl Decimal {
    /// Parses `-12.50e3`; nothing else is a number.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, plain) = match mantissa.as_bytes().first()? {
            b'-' => (true, &mantissa[1..]),
            b'+' => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        // Zeros at the end say nothing, and doubles of 1e15 in text carry them.
        let fraction = fraction.trim_end_matches('0');
        let whole = whole.trim_start_matches('0');
        if whole.len() + fraction.len() > DIGITS_MAX {
            return Self::rounded(text);
        }
        let mut digits: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            digits = digits * 10 + i128::from(byte - b'0');
        }
        let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        if digits != 0 && exponent.abs() > EXPONENT_MAX {
            return None;
        }
        Some(Self { digits: if negative { -digits } else { digits }, exponent: if digits == 0 { 0 } else { exponent } })
    }

    /// A text with more digits than a double can tell apart: what the double can tell is kept.
    fn rounded(text: &str) -> Option<Self> {
        if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E')) {
            return None;
        }
        let value: f64 = text.parse().ok().filter(|v: &f64| v.is_finite())?;
        Self::parse(&format!("{value:e}"))
    }

    pub(super) fn times(self, unit: Unit) -> Option<Self> {
        Some(Self { digits: self.digits.checked_mul(unit.factor)?, exponent: self.exponent + unit.exponent })
    }

    /// The nearest double.
    pub(super) fn to_f64(self) -> Option<f64> {
        // The standard parser rounds correctly, whatever the power of ten.
        format!("{}e{}", self.digits, self.exponent).parse().ok().filter(|v: &f64| v.is_finite())
    }

    /// The nearest integer of `10^-places`, half away from zero.
    pub(super) fn to_i64(self, places: i32) -> Option<i64> {
        let exponent = self.exponent + places;
        if exponent >= 0 {
            return i64::try_from(self.digits.checked_mul(power_of_ten(exponent)?)?).ok();
        }
        let Some(divisor) = power_of_ten(-exponent) else { return Some(0) };
        let half = if self.digits < 0 { -(divisor / 2) } else { divisor / 2 };
        i64::try_from(self.digits.checked_add(half)? / divisor).ok()
    }

    /// The integer of `10^-places` below or at it.
    pub(super) fn floor_i64(self, places: i32) -> Option<i64> {
        let exponent = self.exponent + places;
        if exponent >= 0 {
            return self.to_i64(places);
        }
        let Some(divisor) = power_of_ten(-exponent) else { return Some(if self.digits < 0 { -1 } else { 0 }) };
        i64::try_from(self.digits.div_euclid(divisor)).ok()
    }

    pub(super) fn is_integer(self) -> bool {
        self.exponent >= 0 || power_of_ten(-self.exponent).is_some_and(|p| self.digits % p == 0)
    }
}

fn power_of_ten(exponent: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(exponent).ok()?)
}

/// Splits `56.12 W` or `40GiB` into the number's text and the unit's.
pub(super) fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let is_number = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+');
    let bytes = text.as_bytes();
    let mut end = bytes.iter().take_while(|b| is_number(b)).count();
    // An exponent belongs to the number only when digits follow it.
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let digits = bytes[(end + 1 + sign).min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits > 0 {
            end += 1 + sign + digits;
        }
    }
    (&text[..end], text[end..].trim_start())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn float(text: &str, unit: &str) -> f64 {
        Decimal::parse(text).unwrap().times(Unit::parse(unit).unwrap()).unwrap().to_f64().unwrap()
    }

    fn int(text: &str, unit: &str) -> i64 {
        Decimal::parse(text).unwrap().times(Unit::parse(unit).unwrap()).unwrap().to_i64(0).unwrap()
    }

    #[test]
    fn units_are_exact() {
        assert_eq!(float("44", "percent"), 0.44);
        assert_eq!(float("56.12", "mW"), 0.05612);
        assert_eq!(float("0.1", "kWh"), 360_000.0);
        assert_eq!(float("1.5", "hours"), 5400.0);
        assert_eq!(float("24.733333333333334", "%"), 0.24733333333333334);
        assert_eq!(int("12.5", "MiB"), 13_107_200);
        assert_eq!(int("1410", "MHz"), 1_410_000_000);
        assert_eq!(int("0.1", "GHz"), 100_000_000);
        assert_eq!(int("3.387949056e10", "bytes"), 33_879_490_560);
        assert_eq!(int("-0", "count"), 0);
    }

    #[test]
    fn rounding_is_to_the_nearest_and_floor_goes_down() {
        let at = |text: &str| (Decimal::parse(text).unwrap().to_i64(0), Decimal::parse(text).unwrap().floor_i64(0));
        assert_eq!(at("2.5"), (Some(3), Some(2)));
        assert_eq!(at("-2.5"), (Some(-3), Some(-3)));
        assert_eq!(at("1e-50"), (Some(0), Some(0)));
        assert_eq!(at("9223372036854775808"), (None, None));
        assert_eq!(Decimal::parse("1662858720.1234567").unwrap().floor_i64(6), Some(1_662_858_720_123_456));
    }

    #[test]
    fn only_numbers_are_numbers() {
        for bad in
            ["", "-", ".", "1.2.3", "0x10", "1,5", "nan", "inf", "1e", "e5", "1e99999999999", "1e400", "--1", "½"]
        {
            assert_eq!(Decimal::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Decimal::parse("+.5"), Decimal::parse("0.50"));
        assert!(Decimal::parse("16051200000000.0").unwrap().is_integer());
        assert!(Decimal::parse("123456789012345678901234567890").is_some());
    }

    #[test]
    fn a_unit_in_the_cell_is_told_from_the_number() {
        for (text, number, unit) in [
            ("56.12 W", "56.12", "W"),
            ("40GiB", "40", "GiB"),
            ("1e3 s", "1e3", "s"),
            ("12 eV", "12", "eV"),
            ("5e", "5", "e"),
            ("37 %", "37", "%"),
            ("abc", "", "abc"),
            ("-3", "-3", ""),
        ] {
            assert_eq!(split_unit(text), (number, unit), "{text:?}");
        }
    }
}
