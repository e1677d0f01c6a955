//! What a million tokens cost, by what they were spent on. Pure.

use super::split::{CACHED_WEIGHT, PROMPT_WEIGHT, Phased, Tokens};
use crate::cost::Micros;

const MILLION: i128 = 1_000_000;

/// Micros for a million tokens of each kind; none where there were no such tokens, or nothing is known to be paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerMillion {
    /// Of prompts that had to be computed.
    pub input: Option<i64>,
    /// Of prompts that a cache served.
    pub cached: Option<i64>,
    pub output: Option<i64>,
    /// All alike.
    pub any: Option<i64>,
}

/// What is neither spent on prompts nor on answers is carried by both, in proportion.
pub(super) fn per_million(spent: Phased, tokens: Tokens) -> PerMillion {
    let weights = [spent.prefill.0.unsigned_abs(), spent.decode.0.unsigned_abs()];
    if weights == [0, 0] {
        return PerMillion::default();
    }
    let parts = spent.total().split(&weights);
    let prompt = tokens.prompt_weight();
    let of_weight = |weight: u64| quotient(i128::from(parts[0].0) * MILLION * i128::from(weight), i128::from(prompt));
    PerMillion {
        input: of_weight(PROMPT_WEIGHT),
        cached: of_weight(CACHED_WEIGHT).filter(|_| tokens.cached > 0),
        output: quotient(i128::from(parts[1].0) * MILLION, i128::from(tokens.output)),
        any: blended(spent.total(), tokens),
    }
}

/// An amount for a million tokens of any kind.
pub(super) fn blended(amount: Micros, tokens: Tokens) -> Option<i64> {
    quotient(i128::from(amount.0) * MILLION, i128::from(tokens.input) + i128::from(tokens.output))
}

/// Rounded half to even; none without a divisor, or beyond what an amount can be.
fn quotient(dividend: i128, divisor: i128) -> Option<i64> {
    if divisor <= 0 {
        return None;
    }
    let (whole, rest) = (dividend.div_euclid(divisor), dividend.rem_euclid(divisor));
    let up = match (rest * 2).cmp(&divisor) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => whole.rem_euclid(2),
        std::cmp::Ordering::Greater => 1,
    };
    i64::try_from(whole + up).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn phased(prefill: i64, decode: i64, other: i64) -> Phased {
        Phased { prefill: Micros(prefill), decode: Micros(decode), other: Micros(other) }
    }

    #[test]
    fn a_million_tokens_cost_what_was_paid_for_them() {
        let tokens = Tokens { requests: 1, failed: 0, input: 2_000_000, cached: 1_000_000, output: 500_000 };
        // A million computed and a million cached tokens weigh 1.1 million.
        let cost = per_million(phased(2_200_000, 1_000_000, 0), tokens);
        assert_eq!((cost.input, cost.cached, cost.output), (Some(2_000_000), Some(200_000), Some(2_000_000)));
        assert_eq!(cost.any, Some(1_280_000), "3.2 for 2.5 million tokens");
        let idle = per_million(phased(2_200_000, 1_000_000, 3_200_000), tokens);
        assert_eq!((idle.input, idle.output), (Some(4_000_000), Some(4_000_000)));
    }

    #[test]
    fn what_is_not_known_is_none() {
        let tokens = Tokens { requests: 1, failed: 0, input: 10, cached: 0, output: 0 };
        assert_eq!(per_million(phased(0, 0, 5), tokens), PerMillion::default());
        let cost = per_million(phased(5, 0, 0), tokens);
        assert_eq!((cost.input, cost.cached, cost.output), (Some(500_000), None, None));
        assert_eq!((quotient(5, 2), quotient(7, 2), quotient(-5, 2)), (Some(2), Some(4), Some(-2)));
    }

    proptest! {
        #[test]
        fn tokens_at_their_rates_give_the_amount_back(
            prefill in 1..1_000_000_000_i64,
            decode in 1..1_000_000_000_i64,
            other in 0..1_000_000_000_i64,
            input in 1..1_000_000_000_u64,
            share in 0..=100_u64,
            output in 1..1_000_000_000_u64,
        ) {
            let tokens = Tokens { requests: 1, failed: 0, input, cached: input * share / 100, output };
            let cost = per_million(phased(prefill, decode, other), tokens);
            let at = |rate: Option<i64>, tokens: u64| rate.unwrap_or(0) as f64 * tokens as f64 / 1e6;
            let computed = tokens.input - tokens.cached;
            let sum = at(cost.input, computed) + at(cost.cached, tokens.cached) + at(cost.output, output);
            // Each rate is within half a micro of a million tokens.
            let off = (input + output) as f64 / 1e6 + 2.0;
            prop_assert!((sum - (prefill + decode + other) as f64).abs() <= off, "{} {}", sum, off);
        }
    }
}
