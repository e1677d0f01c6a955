//! What counters and histograms of several processes have grown by, whatever restarts there were. Pure.

use std::collections::BTreeMap;

/// The growth of one counter; its first value is where it begins.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Growth {
    last: Option<f64>,
    pub(super) grown: f64,
}

impl Growth {
    /// Values in order of time; one below the last is a counter that began again from nothing.
    pub(super) fn see(&mut self, value: f64) {
        if !value.is_finite() || value < 0.0 {
            return;
        }
        if let Some(last) = self.last {
            self.grown += if value < last { value } else { value - last };
        }
        self.last = Some(value);
    }
}

/// The growth of one histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct HistogramGrowth {
    bounds: Vec<f64>,
    last: Vec<f64>,
    pub(super) grown: Vec<f64>,
}

impl HistogramGrowth {
    /// Counts of each bucket, one more than bounds, in order of time.
    pub(super) fn see(&mut self, bounds: &[f64], counts: &[f64]) {
        if counts.len() != bounds.len() + 1 {
            return;
        }
        let restarted = bounds != self.bounds.as_slice() || counts.iter().sum::<f64>() < self.last.iter().sum::<f64>();
        if self.last.is_empty() {
            self.grown = vec![0.0; counts.len()];
        } else if bounds != self.bounds.as_slice() {
            // Another shape: what the old one had grown by cannot be added to it.
            self.grown = counts.to_vec();
        } else {
            for ((grown, count), last) in self.grown.iter_mut().zip(counts).zip(&self.last) {
                *grown += if restarted { *count } else { (count - last).max(0.0) };
            }
        }
        (self.bounds, self.last) = (bounds.to_vec(), counts.to_vec());
    }

    pub(super) fn bounds(&self) -> &[f64] {
        &self.bounds
    }
}

/// Bounds and counts not above them, of all series together, as a quantile is taken from; the last bound is infinite.
pub(super) fn cumulative<'h>(all: impl Iterator<Item = &'h HistogramGrowth>, scale: f64) -> Vec<(f64, f64)> {
    let mut at: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for one in all {
        let mut sum = 0.0;
        let bounds = one.bounds().iter().map(|bound| bound * scale).chain([f64::INFINITY]);
        for (bound, grown) in bounds.zip(&one.grown) {
            sum += grown;
            // Positive numbers have the order of their bits.
            at.entry(bound.max(0.0).to_bits()).or_insert((bound, 0.0)).1 += sum;
        }
    }
    at.into_values().collect()
}

/// Numbers that are written one after the other.
pub(super) fn numbers(text: &str) -> Option<Vec<f64>> {
    text.split(',').filter(|part| !part.is_empty()).map(|part| part.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_restart_is_no_loss() {
        let mut growth = Growth::default();
        [100.0, 130.0, f64::NAN, 5.0, 25.0, 25.0].into_iter().for_each(|value| growth.see(value));
        assert_eq!(growth.grown, 30.0 + 5.0 + 20.0);
    }

    #[test]
    fn histograms_of_processes_are_one() {
        let mut one = HistogramGrowth::default();
        one.see(&[0.1, 1.0], &[5.0, 5.0, 0.0]);
        one.see(&[0.1, 1.0], &[7.0, 9.0, 1.0]);
        one.see(&[0.1, 1.0], &[1.0, 0.0, 0.0]);
        one.see(&[0.1], &[1.0]);
        assert_eq!(one.grown, [3.0, 4.0, 1.0]);
        let mut other = HistogramGrowth::default();
        other.see(&[0.1, 1.0], &[0.0, 0.0, 0.0]);
        other.see(&[0.1, 1.0], &[1.0, 0.0, 2.0]);
        let all = cumulative([&one, &other].into_iter(), 1000.0);
        assert_eq!(all, [(100.0, 4.0), (1000.0, 8.0), (f64::INFINITY, 11.0)]);
        assert_eq!(numbers("0.1,1,2.5"), Some(vec![0.1, 1.0, 2.5]));
        assert_eq!((numbers(""), numbers("a")), (Some(vec![]), None));
    }

    proptest! {
        #[test]
        fn growth_is_never_negative(values in prop::collection::vec(-1e6..1e6_f64, 0..50), text in ".{0,30}") {
            let mut growth = Growth::default();
            values.iter().for_each(|value| growth.see(*value));
            prop_assert!(growth.grown >= 0.0);
            let mut histogram = HistogramGrowth::default();
            values.windows(3).for_each(|counts| histogram.see(&[1.0, 2.0], counts));
            let read = numbers(&text);
            prop_assert!(read.is_none_or(|read| read.len() <= text.len()));
        }
    }
}
