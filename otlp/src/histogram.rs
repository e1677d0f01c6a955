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
        if let Some((index, _)) = side(point.negative.as_ref()).next_back() {
            made.up_to(-bound(index + 1), 0)?;
        }
        for (index, count) in side(point.negative.as_ref()).rev() {
            made.up_to(-bound(index), count)?;
        }
        if point.zero_threshold > 0.0 {
            made.up_to(-point.zero_threshold, 0)?;
        }
        made.up_to(point.zero_threshold, point.zero_count)?;
        if let Some((index, _)) = side(point.positive.as_ref()).next() {
            made.up_to(bound(index), 0)?;
        }
        for (index, count) in side(point.positive.as_ref()) {
            made.up_to(bound(index + 1), count)?;
        }
        Ok(made.finish())
    }
}

/// The buckets of one side by their index. Empty ones at the ends say nothing; within they do, they keep the bounds
/// evenly spaced.
fn side(buckets: Option<&metrics::Buckets>) -> impl DoubleEndedIterator<Item = (i64, u64)> {
    let (offset, counts) = buckets.map_or((0, &[][..]), |side| (i64::from(side.offset), side.bucket_counts.as_slice()));
    let first = counts.iter().position(|count| *count > 0).unwrap_or(counts.len());
    let end = counts.iter().rposition(|count| *count > 0).map_or(first, |last| last + 1);
    (first..end).map(move |at| (offset + at as i64, counts[at]))
}

/// Buckets in rising order while they are made.
#[derive(Default)]
struct Rising {
    bounds: Vec<f64>,
    counts: Vec<i64>,
    /// Of what lies below the least number, until there is a bound that it lies below.
    below: i64,
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
            _ if bound == f64::NEG_INFINITY => add(&mut self.below),
            // Also of a zero bucket that is wider than the ones beside it.
            Some(last) if *last >= bound => self.counts.last_mut().map_or(Ok(()), add),
            _ => {
                // The first bucket holds everything up to its bound.
                add(&mut self.below)?;
                self.counts.push(std::mem::take(&mut self.below));
                // Where both are zero, the one without a sign.
                self.bounds.push(bound + 0.0);
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

    fn sent(offset: i32, bucket_counts: &[u64]) -> Option<metrics::Buckets> {
        Some(metrics::Buckets { offset, bucket_counts: bucket_counts.to_vec() })
    }

    #[test]
    fn scale_and_offset_become_bounds() {
        let point = ExponentialHistogramDataPoint {
            scale: 0,
            zero_count: 3,
            positive: sent(1, &[0, 2, 0, 5, 0]),
            negative: sent(-1, &[7, 1]),
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
            positive: sent(2, &[6]),
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
            positive: sent(-1, &[2, 3, 4]),
            negative: sent(0, &[5]),
            ..Default::default()
        };
        let made = Buckets::exponential(&point).unwrap();
        // From 2^-4096, which is 0, to 1, and beyond the largest number.
        assert_eq!((made.bounds.as_slice(), made.counts.as_slice()), (&[-1.0, 0.0, 1.0][..], &[5, 0, 2, 7][..]));
    }

    #[test]
    fn what_lies_beyond_the_numbers_of_64_bits_is_in_the_first_and_the_last_bucket() {
        let point = ExponentialHistogramDataPoint {
            scale: 0,
            // From 2^1023 to 2^1026; 2^1024 is none any more.
            positive: sent(1_023, &[2, 3, 4]),
            negative: sent(1_023, &[5, 6, 7]),
            ..Default::default()
        };
        let made = Buckets::exponential(&point).unwrap();
        let large = 1_023_f64.exp2();
        assert_eq!(made.bounds, [-large, 0.0, large]);
        assert_eq!(made.counts, [18, 0, 0, 9]);
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
                positive: sent(offset, &positive),
                negative: sent(-offset, &negative),
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
