//! Buckets with explicit bounds, of histograms that have them and of exponential ones.

use crate::proto::metrics::{self, ExponentialHistogramDataPoint};

/// One count more than bounds; a bucket holds what is above the bound before it, up to its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Buckets {
    pub bounds: Vec<f64>,
    pub counts: Vec<i64>,
}

/// Where `2^scale` is still a number of 64 bits.
const SCALE_MAX: i32 = 1_000;
const TOO_LARGE: &str = "a count is larger than 2^63-1";

impl Buckets {
    /// None where a sender leaves buckets out.
    pub(crate) fn explicit(bounds: &[f64], counts: &[u64]) -> Result<Option<Self>, &'static str> {
        if counts.is_empty() {
            return if bounds.is_empty() { Ok(None) } else { Err("its histogram has bounds and no buckets") };
        }
        if counts.len() != bounds.len() + 1 {
            return Err("its histogram does not have one bucket more than bounds");
        }
        let rise = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if !rise || !bounds.iter().all(|bound| bound.is_finite()) {
            return Err("the bounds of its histogram do not rise, or are not finite");
        }
        let counts = counts.iter().map(|count| i64::try_from(*count)).collect::<Result<_, _>>();
        Ok(Some(Self { bounds: bounds.to_vec(), counts: counts.map_err(|_| TOO_LARGE)? }))
    }

    /// The bounds that scale and offset stand for: bucket `i` ends at `2^((i + 1) / 2^scale)`. Bounds that are the
    /// same number of 64 bits make one bucket, and what lies beyond the largest number is in the last one.
    pub(crate) fn exponential(point: &ExponentialHistogramDataPoint) -> Result<Self, &'static str> {
        if !(point.zero_threshold >= 0.0 && point.zero_threshold.is_finite()) {
            return Err("the zero threshold of its histogram is no positive number");
        }
        let mut made = Rising::default();
        // Beyond that, bounds are 0, 1 or infinite.
        let width = (-f64::from(point.scale.clamp(-SCALE_MAX, SCALE_MAX))).exp2();
        let bound = |index: i64| (index as f64 * width).exp2();
        let side = |buckets: &Option<metrics::Buckets>| -> Vec<(i64, u64)> {
            let buckets = buckets.clone().unwrap_or_default();
            let numbered = buckets.bucket_counts.into_iter().enumerate();
            let all: Vec<_> = numbered.map(|(at, count)| (i64::from(buckets.offset) + at as i64, count)).collect();
            // Empty buckets at the ends say nothing; within they do, they keep the bounds evenly spaced.
            let first = all.iter().position(|(_, count)| *count > 0).unwrap_or(all.len());
            let last = all.iter().rposition(|(_, count)| *count > 0).map_or(first, |last| last + 1);
            all.get(first..last).map(<[_]>::to_vec).unwrap_or_default()
        };
        let (negative, positive) = (side(&point.negative), side(&point.positive));
        if let Some((index, _)) = negative.last() {
            made.up_to(-bound(index + 1), 0)?;
        }
        for (index, count) in negative.iter().rev() {
            made.up_to(-bound(*index), *count)?;
        }
        if point.zero_threshold > 0.0 {
            made.up_to(-point.zero_threshold, 0)?;
        }
        made.up_to(point.zero_threshold, point.zero_count)?;
        if let Some((index, _)) = positive.first() {
            made.up_to(bound(*index), 0)?;
        }
        for (index, count) in &positive {
            made.up_to(bound(index + 1), *count)?;
        }
        Ok(made.finish())
    }
}

/// Buckets in rising order while they are made.
#[derive(Default)]
struct Rising {
    bounds: Vec<f64>,
    counts: Vec<i64>,
    /// Of what lies above the last bound.
    beyond: i64,
}

impl Rising {
    /// A bucket that ends at a bound.
    fn up_to(&mut self, bound: f64, count: u64) -> Result<(), &'static str> {
        let count = i64::try_from(count).map_err(|_| TOO_LARGE)?;
        let add = |to: &mut i64| to.checked_add(count).map(|sum| *to = sum).ok_or(TOO_LARGE);
        match self.bounds.last() {
            _ if bound == f64::INFINITY => add(&mut self.beyond),
            // What lies below the least number is above no bound.
            _ if bound == f64::NEG_INFINITY => Ok(()),
            // Also of a zero bucket that is wider than the ones beside it.
            Some(last) if *last >= bound => self.counts.last_mut().map_or(Ok(()), add),
            _ => {
                self.bounds.push(bound);
                self.counts.push(count);
                Ok(())
            }
        }
    }

    fn finish(mut self) -> Buckets {
        self.counts.push(self.beyond);
        Buckets { bounds: self.bounds, counts: self.counts }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn side(offset: i32, bucket_counts: &[u64]) -> Option<metrics::Buckets> {
        Some(metrics::Buckets { offset, bucket_counts: bucket_counts.to_vec() })
    }

    #[test]
    fn scale_and_offset_become_bounds() {
        let point = ExponentialHistogramDataPoint {
            scale: 0,
            zero_count: 3,
            positive: side(1, &[0, 2, 0, 5, 0]),
            negative: side(-1, &[7, 1]),
            ..Default::default()
        };
        let made = Buckets::exponential(&point).unwrap();
        assert_eq!(made.bounds, [-2.0, -1.0, -0.5, 0.0, 4.0, 8.0, 16.0, 32.0]);
        assert_eq!(made.counts, [0, 1, 7, 3, 0, 2, 0, 5, 0]);
    }

    #[test]
    fn a_finer_scale_and_a_zero_threshold_have_bounds_too() {
        let point = ExponentialHistogramDataPoint {
            scale: 1,
            zero_count: 4,
            zero_threshold: 0.25,
            positive: side(2, &[6]),
            ..Default::default()
        };
        let made = Buckets::exponential(&point).unwrap();
        assert_eq!(made.bounds, [-0.25, 0.25, 2.0, 1.5_f64.exp2()]);
        assert_eq!(made.counts, [0, 4, 0, 6, 0]);
    }

    #[test]
    fn what_64_bits_cannot_tell_apart_is_one_bucket() {
        let point = ExponentialHistogramDataPoint {
            scale: -12,
            positive: side(-1, &[2, 3, 4]),
            negative: side(0, &[5]),
            ..Default::default()
        };
        let made = Buckets::exponential(&point).unwrap();
        // From 2^-4096, which is 0, to 1, and beyond the largest number.
        assert_eq!((made.bounds.as_slice(), made.counts.as_slice()), (&[-1.0, 0.0, 1.0][..], &[5, 0, 2, 7][..]));
    }

    #[test]
    fn buckets_that_do_not_fit_their_bounds_are_refused() {
        assert_eq!(Buckets::explicit(&[], &[]), Ok(None));
        assert!(Buckets::explicit(&[], &[3]).unwrap().is_some());
        for (bounds, counts) in [
            (&[1.0][..], &[1_u64][..]),
            (&[1.0], &[]),
            (&[2.0, 1.0], &[1, 1, 1]),
            (&[1.0, 1.0], &[1, 1, 1]),
            (&[f64::NAN], &[1, 1]),
            (&[f64::INFINITY], &[1, 1]),
            (&[1.0], &[1, u64::MAX]),
        ] {
            assert!(Buckets::explicit(bounds, counts).is_err(), "{bounds:?} {counts:?}");
        }
    }

    proptest! {
        #[test]
        fn no_observation_is_lost(
            scale in -15..30_i32,
            offset in -2_000..2_000_i32,
            positive in proptest::collection::vec(0..1_000_u64, 0..40),
            negative in proptest::collection::vec(0..1_000_u64, 0..40),
            zero_count in 0..100_u64,
            zero_threshold in prop_oneof![Just(0.0), 0.0..10.0_f64],
        ) {
            let all: u64 = positive.iter().chain(&negative).sum::<u64>() + zero_count;
            let point = ExponentialHistogramDataPoint {
                scale,
                zero_count,
                zero_threshold,
                positive: side(offset, &positive),
                negative: side(-offset, &negative),
                ..Default::default()
            };
            let made = Buckets::exponential(&point).unwrap();
            prop_assert_eq!(made.counts.iter().sum::<i64>() as u64, all);
            prop_assert_eq!(made.counts.len(), made.bounds.len() + 1);
            prop_assert!(made.bounds.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", made.bounds);
            prop_assert!(made.bounds.iter().all(|bound| bound.is_finite()));
        }
    }
}
