//! Sums of decimal amounts of any size, without rounding: finance adds a bill up in any order and gets the same.

use rust_decimal::Decimal;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};

/// Digits after the point that a [`Decimal`] can have.
const SCALE: u32 = 28;
/// One unit in steps of the last digit.
const ONE: i128 = 10_i128.pow(SCALE);

/// A sum of decimals, kept as whole units and steps of 10^-28.
///
/// A [`Decimal`] has 96 bits, so adding a very small amount to a large one rounds, and the order decides how. Here a
/// billion amounts of any size sum exactly; beyond that the whole units stay at their limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExactSum {
    whole: i128,
    /// Always from 0 to below [`ONE`], so that equal sums are equal values.
    steps: i128,
}

impl ExactSum {
    pub const ZERO: Self = Self { whole: 0, steps: 0 };

    fn of(whole: i128, steps: i128) -> Self {
        Self { whole: whole.saturating_add(steps.div_euclid(ONE)), steps: steps.rem_euclid(ONE) }
    }

    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    pub fn is_negative(self) -> bool {
        self.whole < 0
    }

    pub fn abs(self) -> Self {
        if self.is_negative() { -self } else { self }
    }

    /// None where it has more digits than a [`Decimal`] holds.
    pub fn decimal(self) -> Option<Decimal> {
        Decimal::from_str_exact(&self.to_string()).ok()
    }
}

impl From<Decimal> for ExactSum {
    fn from(amount: Decimal) -> Self {
        let unit = 10_i128.pow(amount.scale().min(SCALE));
        let (whole, rest) = (amount.mantissa().div_euclid(unit), amount.mantissa().rem_euclid(unit));
        Self { whole, steps: rest * (ONE / unit) }
    }
}

impl Add for ExactSum {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::of(self.whole.saturating_add(other.whole), self.steps + other.steps)
    }
}

impl AddAssign for ExactSum {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Neg for ExactSum {
    type Output = Self;
    fn neg(self) -> Self {
        Self::of(self.whole.saturating_neg(), -self.steps)
    }
}

impl Sub for ExactSum {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Sum for ExactSum {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// All digits that matter, with a point where there is a fraction.
impl fmt::Display for ExactSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let positive = self.abs();
        let sign = if self.is_negative() { "-" } else { "" };
        write!(f, "{sign}{}", positive.whole)?;
        let digits = format!("{:028}", positive.steps);
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() { Ok(()) } else { write!(f, ".{digits}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(texts: &[&str]) -> ExactSum {
        texts.iter().map(|t| ExactSum::from(Decimal::from_str_exact(t).expect("a decimal"))).sum()
    }

    #[test]
    fn the_smallest_and_the_largest_add_up() {
        let (tiny, huge) = ("0.0000000000000000000000000001", "79228162514264337593543950335");
        assert_eq!(sum(&[huge, tiny, huge]).to_string(), "158456325028528675187087900670.0000000000000000000000000001");
        assert_eq!(sum(&[huge, tiny, "-79228162514264337593543950335"]).to_string(), tiny);
        assert_eq!(sum(&["-0.25", "0.1"]).to_string(), "-0.15");
        assert_eq!(sum(&["-1", "-0.5"]).to_string(), "-1.5");
        assert_eq!(sum(&["-0.5", "0.5"]), ExactSum::ZERO);
        assert_eq!(sum(&["2.50", "0"]).decimal(), Some(Decimal::new(25, 1)));
        assert_eq!(sum(&[huge, huge]).decimal(), None);
    }

    proptest! {
        #[test]
        fn sums_agree_with_integers(steps in prop::collection::vec(any::<i64>(), 0..50), scale in 0_u32..=18) {
            let total: i128 = steps.iter().map(|s| i128::from(*s)).sum();
            let exact: ExactSum = steps.iter().map(|s| ExactSum::from(Decimal::new(*s, scale))).sum();
            let expected = Decimal::try_from_i128_with_scale(total, scale).expect("small");
            prop_assert_eq!(exact, ExactSum::from(expected));
            prop_assert_eq!(exact.to_string(), expected.normalize().to_string());
            prop_assert!((exact - exact).is_zero());
            prop_assert_eq!(-(-exact), exact);
        }
    }
}
