//! `histogram_quantile` of classic histograms: series that differ in `le`, the upper bound of a bucket. Pure.

/// A bucket: its upper bound, and how many observations are not above it.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Bucket {
    pub(in super::super) bound: f64,
    pub(in super::super) count: f64,
}

/// The value below which a share `q` of the observations is; within a bucket they are taken to be spread evenly.
pub(in super::super) fn quantile(q: f64, mut buckets: Vec<Bucket>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&q) {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    let buckets = monotonic(merged(buckets));
    let Some(last) = buckets.last().filter(|last| last.bound == f64::INFINITY && buckets.len() > 1) else {
        return f64::NAN;
    };
    if last.count == 0.0 || last.count.is_nan() {
        return f64::NAN;
    }
    let mut rank = q * last.count;
    let at = buckets[..buckets.len() - 1].partition_point(|bucket| bucket.count < rank);
    if at == buckets.len() - 1 {
        return buckets[buckets.len() - 2].bound;
    }
    let Bucket { bound: end, mut count } = buckets[at];
    if at == 0 && end <= 0.0 {
        return end;
    }
    let mut start = 0.0;
    if at > 0 {
        start = buckets[at - 1].bound;
        count -= buckets[at - 1].count;
        rank -= buckets[at - 1].count;
    }
    start + (end - start) * (rank / count)
}

/// One bucket for each bound.
fn merged(buckets: Vec<Bucket>) -> Vec<Bucket> {
    let mut merged: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        match merged.last_mut().filter(|last| last.bound == bucket.bound) {
            Some(last) => last.count += bucket.count,
            None => merged.push(bucket),
        }
    }
    merged
}

/// Counts that were read at different times may fall; they are held at the greatest.
fn monotonic(mut buckets: Vec<Bucket>) -> Vec<Bucket> {
    let mut greatest = f64::NEG_INFINITY;
    for bucket in &mut buckets {
        greatest = greatest.max(bucket.count);
        bucket.count = greatest;
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let buckets =
            |pairs: &[(f64, f64)]| pairs.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect();
        let of = |q: f64| quantile(q, buckets(&[(f64::INFINITY, 10.0), (1.0, 4.0), (2.0, 8.0)]));
        assert_eq!((of(0.2), of(0.4), of(0.6), of(1.0)), (0.5, 1.0, 1.5, 2.0));
        assert_eq!((of(-1.0), of(2.0)), (f64::NEG_INFINITY, f64::INFINITY));
        assert!(quantile(0.5, buckets(&[(1.0, 4.0)])).is_nan(), "without +Inf nothing is known");
        assert!(quantile(0.5, buckets(&[(1.0, 0.0), (f64::INFINITY, 0.0)])).is_nan());
        assert_eq!(quantile(0.5, buckets(&[(-1.0, 4.0), (f64::INFINITY, 5.0)])), -1.0);
    }
}
