//! Amounts of the ledger's one currency, and the one way from a quantity to money.

use super::period::HOUR_MICROS;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use std::iter::Sum;
use std::ops::{Add, Neg, Sub};

/// More than any fleet costs in a year, and far from where sums of `i64` overflow.
const AMOUNT_MICROS_MAX: i64 = 1_000_000_000_000_000_000;

/// Why an amount is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("{0:?} is not a decimal amount like 2.50")]
    NotDecimal(String),
    #[error("the amount is beyond what a ledger can hold")]
    TooLarge,
}

/// Millionths of the ledger's currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

impl Micros {
    pub const ZERO: Self = Self(0);

    /// What `quantity` units cost at `rate` units of currency each, rounded half to even.
    pub fn of(rate: Decimal, quantity: Decimal) -> Result<Self, MoneyError> {
        let amount = rate.checked_mul(quantity).and_then(|amount| amount.checked_mul(Decimal::from(1_000_000)));
        let rounded = amount.map(|a| a.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven));
        let micros = rounded.and_then(|a| a.to_i64()).filter(|m| m.unsigned_abs() <= AMOUNT_MICROS_MAX as u64);
        micros.map(Self).ok_or(MoneyError::TooLarge)
    }

    /// What `units` for `micros` of an hour cost at `rate` units of currency a unit and hour. The product is exact
    /// before it is divided, so that an amount that is a half is seen as one.
    pub(super) fn of_time(rate: Decimal, units: Decimal, micros: u64) -> Result<Self, MoneyError> {
        let product = rate.checked_mul(units).and_then(|rate| rate.checked_mul(Decimal::from(micros)));
        let hours = product.and_then(|product| product.checked_div(Decimal::from(HOUR_MICROS)));
        Self::of(hours.ok_or(MoneyError::TooLarge)?, Decimal::ONE)
    }

    /// Parts in proportion to the weights, which sum to the whole: each gets its share rounded down, and what is left
    /// goes by single micros to the largest remainders, at a tie to the first. Without any weight the first part gets
    /// all; without parts there is nothing to split.
    pub fn split(self, weights: &[u64]) -> Vec<Self> {
        let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        if total == 0 {
            let mut parts = vec![Self::ZERO; weights.len()];
            if let Some(first) = parts.first_mut() {
                *first = self;
            }
            return parts;
        }
        let (sign, whole) = (self.0.signum(), u128::from(self.0.unsigned_abs()));
        // whole < 2^63 and a weight < 2^64, so the product fits.
        let shares: Vec<(u128, u128)> =
            weights.iter().map(|w| (whole * u128::from(*w) / total, whole * u128::from(*w) % total)).collect();
        let left = whole - shares.iter().map(|(share, _)| share).sum::<u128>();
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by_key(|at| (std::cmp::Reverse(shares[*at].1), *at));
        let mut parts: Vec<Self> = shares.iter().map(|(share, _)| Self(*share as i64 * sign)).collect();
        for at in order.into_iter().take(left as usize) {
            parts[at].0 += sign;
        }
        parts
    }

    /// As a decimal amount with six digits after the point.
    pub fn decimal(self) -> Decimal {
        Decimal::new(self.0, 6)
    }
}

impl Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Micros {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Micros {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Micros {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Digits with at most one point, a sign maybe; neither exponents nor separators of thousands.
pub fn parse_decimal(text: &str) -> Result<Decimal, MoneyError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    let parsed = plain.then(|| Decimal::from_str_exact(text).ok()).flatten();
    parsed.ok_or_else(|| MoneyError::NotDecimal(text.chars().take(40).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        parse_decimal(text).expect("a decimal")
    }

    #[test]
    fn three_equal_jobs_share_an_hour_to_the_micro() {
        let whole = Micros::of(decimal("2.50"), Decimal::ONE).expect("small");
        assert_eq!(whole.split(&[1200, 1200, 1200]), [Micros(833_334), Micros(833_333), Micros(833_333)]);
    }

    #[test]
    fn amounts_are_read_strictly() {
        assert_eq!(decimal("-0.10").to_string(), "-0.10");
        for text in [
            "",
            ".",
            "-",
            "1.",
            ".5",
            "1e3",
            "1,000",
            "+1",
            "0x1",
            "1.2.3",
            " 1",
            "٣",
            "9999999999999999999999999999999",
        ] {
            assert!(parse_decimal(text).is_err(), "{text:?}");
        }
        assert_eq!(Micros::of(decimal("79228162514264337593543950335"), decimal("2")), Err(MoneyError::TooLarge));
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole_and_are_fair(
            whole in -AMOUNT_MICROS_MAX..=AMOUNT_MICROS_MAX,
            weights in prop::collection::vec(prop_oneof![Just(0), 0..10_000_u64, any::<u64>()], 1..40),
        ) {
            let parts = Micros(whole).split(&weights);
            prop_assert_eq!(parts.iter().copied().sum::<Micros>(), Micros(whole));
            let total: u128 = weights.iter().map(|w| u128::from(*w)).sum();
            if total > 0 {
                for (part, weight) in parts.iter().zip(&weights) {
                    let exact = whole.unsigned_abs() as u128 * u128::from(*weight);
                    let off = (u128::from(part.0.unsigned_abs()) * total).abs_diff(exact);
                    prop_assert!(off < total, "a part is within one micro of its share");
                    prop_assert!(*weight > 0 || part.0 == 0);
                }
            }
        }
    }
}
