//! Equal steps of time over a range, few enough to draw.
//!
//! **Invariant:** steps start at whole multiples of their length since the epoch, and every part of the range
//! is in exactly one of them.

use super::QueryError;
use contract::answers::Range;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// Lengths that people read easily. Ranges too long for the last get whole days.
const LADDER_SECONDS: [i64; 9] = [10, 30, 60, 300, 900, 3600, 10_800, 21_600, 86_400];
/// A heat map of a laptop's width shows about so many cells; more would be drawn over each other.
pub(super) const BUCKETS_MAX: i64 = 160;
/// Longest range: 30 years. A longer one is a mistake in units.
const RANGE_MAX: i64 = 30 * 366 * DAY;

#[derive(Debug, Clone, Copy)]
pub(super) struct Buckets {
    pub(super) range: Range,
    first: i64,
    step: i64,
    pub(super) count: usize,
}

impl Buckets {
    pub(super) fn over(range: Range) -> Result<Self, QueryError> {
        let (from, to) = (range.from_unix_micros, range.to_unix_micros);
        let length = to.saturating_sub(from);
        if length <= 0 {
            return Err(QueryError::Invalid(format!("the range from {from} to {to} is empty; `to` must be later")));
        }
        if length > RANGE_MAX || from < 0 {
            let text = format!("the range from {from} to {to} is too long or too early; times are unix microseconds");
            return Err(QueryError::Invalid(text));
        }
        let count_of = |step: i64| (to - 1).div_euclid(step) - from.div_euclid(step) + 1;
        let steps = LADDER_SECONDS.iter().map(|s| s * SECOND).chain((2..).map(|days| days * DAY));
        let step = steps.into_iter().find(|step| count_of(*step) <= BUCKETS_MAX).expect("the ladder has no end");
        Ok(Self { range, first: from.div_euclid(step) * step, step, count: count_of(step) as usize })
    }

    /// One step that no time is outside of.
    pub(super) fn of_all_time() -> Self {
        let (from_unix_micros, to_unix_micros) = (i64::MIN / 4, i64::MAX / 4);
        let range = Range { from_unix_micros, to_unix_micros };
        Self { range, first: from_unix_micros, step: to_unix_micros - from_unix_micros, count: 1 }
    }

    pub(super) fn seconds(&self) -> i64 {
        self.step / SECOND
    }

    pub(super) fn times(&self) -> Vec<i64> {
        (0..self.count).map(|i| self.first + i as i64 * self.step).collect()
    }

    /// The part of a bucket that is within the range, in microseconds.
    pub(super) fn length(&self, bucket: usize) -> i64 {
        let start = self.first + bucket as i64 * self.step;
        (start + self.step).min(self.range.to_unix_micros) - start.max(self.range.from_unix_micros)
    }

    /// Splits `[from, to)` among the buckets; what is outside of the range falls away.
    pub(super) fn spread(&self, from: i64, to: i64, mut each: impl FnMut(usize, i64)) {
        let mut at = from.max(self.range.from_unix_micros);
        let end = to.min(self.range.to_unix_micros);
        while at < end {
            let bucket = (at - self.first) / self.step;
            let next = (self.first + (bucket + 1) * self.step).min(end);
            each(bucket as usize, next - at);
            at = next;
        }
    }
}

/// Means over buckets, each value weighted by the time for which it held.
#[derive(Debug, Clone)]
pub(super) struct Means(Vec<(f64, f64)>);

impl Means {
    pub(super) fn new(buckets: &Buckets) -> Self {
        Self(vec![(0.0, 0.0); buckets.count])
    }

    pub(super) fn add(&mut self, buckets: &Buckets, from: i64, to: i64, value: f64) {
        if value.is_finite() {
            buckets.spread(from, to, |bucket, micros| {
                self.0[bucket].0 += value * micros as f64;
                self.0[bucket].1 += micros as f64;
            });
        }
    }

    /// Adds a value's integral over some microseconds, all in the bucket of `time`.
    pub(super) fn add_integral(&mut self, buckets: &Buckets, time: i64, integral: f64, micros: f64) {
        if let Some(mean) =
            usize::try_from((time - buckets.first) / buckets.step).ok().and_then(|at| self.0.get_mut(at))
        {
            mean.0 += integral;
            mean.1 += micros;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            mine.0 += theirs.0;
            mine.1 += theirs.1;
        }
    }

    pub(super) fn values(&self) -> Vec<Option<f64>> {
        self.0.iter().map(|(sum, weight)| (*weight > 0.0).then(|| sum / weight)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(from_seconds: i64, to_seconds: i64) -> Buckets {
        let range = Range { from_unix_micros: from_seconds * SECOND, to_unix_micros: to_seconds * SECOND };
        Buckets::over(range).expect("a good range")
    }

    #[test]
    fn every_range_has_few_buckets() {
        for (length, step) in [
            (60, 10),
            (1600, 10),
            (1700, 30),
            (3600, 30),
            (86_400, 900),
            (30 * 86_400, 21_600),
            (365 * 86_400, 259_200),
        ] {
            let buckets = over(86_400 * 20_000, 86_400 * 20_000 + length);
            assert_eq!(buckets.seconds(), step, "{length} s");
            assert!(buckets.count as i64 <= BUCKETS_MAX);
        }
        assert!(Buckets::over(Range { from_unix_micros: 5, to_unix_micros: 5 }).is_err());
        assert!(Buckets::over(Range { from_unix_micros: 0, to_unix_micros: i64::MAX }).is_err());
        assert!(Buckets::over(Range { from_unix_micros: i64::MIN, to_unix_micros: i64::MAX }).is_err());
    }

    #[test]
    fn a_span_is_split_without_loss() {
        let buckets = over(1005, 2015);
        let mut parts = Vec::new();
        buckets.spread(0, 1025 * SECOND, |bucket, micros| parts.push((bucket, micros / SECOND)));
        assert_eq!(parts, [(0, 5), (1, 10), (2, 5)]);
        let mut all = 0;
        buckets.spread(0, i64::MAX, |_, micros| all += micros);
        assert_eq!(all, 1010 * SECOND);
        assert_eq!((0..buckets.count).map(|b| buckets.length(b)).sum::<i64>(), 1010 * SECOND);
    }
}
