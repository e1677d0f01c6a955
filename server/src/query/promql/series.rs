//! Samples as they were read, values at steps, and the steps.

use super::labels::Labels;

/// One value that a device reported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Unix milliseconds.
    pub time: i64,
    pub value: f64,
    /// For how many milliseconds an instant selector finds it.
    pub(super) stands: u32,
}

/// A series as it was read, in order of time; no two samples are of the same time.
#[derive(Debug, Clone)]
pub struct Raw {
    pub labels: Labels,
    pub samples: Vec<Sample>,
}

/// A series at the steps of an evaluation; none where it has no value.
#[derive(Debug, Clone)]
pub struct Line {
    pub labels: Labels,
    pub values: Vec<Option<f64>>,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }
}

/// The times at which a query is evaluated, Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    pub start: i64,
    /// Not before `start`.
    pub end: i64,
    /// Positive.
    pub step: i64,
}

impl Steps {
    /// The one time of an instant query.
    pub fn instant(time: i64) -> Self {
        Self { start: time, end: time, step: 1 }
    }

    pub fn count(&self) -> usize {
        usize::try_from((self.end - self.start) / self.step + 1).unwrap_or(0)
    }

    pub fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let Self { start, step, .. } = *self;
        (0..self.count() as i64).map(move |i| start + i * step)
    }
}

/// `offset` and `@`: which time a selector looks at when the evaluation is at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct When {
    /// Milliseconds into the past.
    pub(super) offset: i64,
    /// The fixed time of `@`.
    pub(super) at: Option<i64>,
}

impl When {
    pub(super) fn time(&self, step: i64) -> i64 {
        self.at.unwrap_or(step) - self.offset
    }
}

impl Raw {
    /// The sample that stands at each step.
    pub(super) fn at_steps(&self, steps: Steps, when: When) -> impl Iterator<Item = Option<Sample>> + '_ {
        let mut next = 0;
        steps.times().map(move |step| {
            let time = when.time(step);
            while self.samples.get(next).is_some_and(|sample| sample.time <= time) {
                next += 1;
            }
            let sample = self.samples.get(next.checked_sub(1)?)?;
            (sample.time + i64::from(sample.stands) >= time).then_some(*sample)
        })
    }

    /// The samples of the window that ends at each step; both ends belong to it.
    pub(super) fn windows(&self, steps: Steps, when: When, length: i64) -> impl Iterator<Item = &[Sample]> {
        let (mut from, mut to) = (0, 0);
        steps.times().map(move |step| {
            let end = when.time(step);
            while self.samples.get(to).is_some_and(|sample| sample.time <= end) {
                to += 1;
            }
            while from < to && self.samples[from].time < end - length {
                from += 1;
            }
            &self.samples[from..to]
        })
    }
}

/// As Prometheus writes a value: the shortest decimal without an exponent, `NaN`, `+Inf` or `-Inf`.
pub fn number_text(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(times: &[i64], stands: u32) -> Raw {
        let samples = times.iter().map(|t| Sample { time: *t, value: *t as f64, stands }).collect();
        Raw { labels: Labels::default(), samples }
    }

    #[test]
    fn a_sample_stands_until_the_next_and_no_longer_than_it_may() {
        let raw = raw(&[10, 20, 100], 30);
        let steps = Steps { start: 0, end: 140, step: 10 };
        let found: Vec<Option<i64>> = raw.at_steps(steps, When::default()).map(|s| s.map(|s| s.time)).collect();
        let (a, b, c) = (Some(10), Some(20), Some(100));
        assert_eq!(found, [None, a, b, b, b, b, None, None, None, None, c, c, c, c, None]);
        let back = When { offset: 10, at: None };
        assert_eq!(raw.at_steps(steps, back).nth(2), Some(Some(raw.samples[0])));
        let fixed = When { offset: 0, at: Some(25) };
        assert!(raw.at_steps(steps, fixed).all(|s| s == Some(raw.samples[1])));
    }

    #[test]
    fn windows_hold_both_their_ends() {
        let raw = raw(&[10, 20, 30, 40], 0);
        let steps = Steps { start: 20, end: 60, step: 20 };
        let counts: Vec<usize> = raw.windows(steps, When::default(), 20).map(<[Sample]>::len).collect();
        assert_eq!(counts, [2, 3, 1]);
    }

    #[test]
    fn numbers_are_written_as_prometheus_writes_them() {
        for (value, text) in [
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e21, "1000000000000000000000"),
            (-0.0, "-0"),
            (1.5e-7, "0.00000015"),
        ] {
            assert_eq!(number_text(value), text);
        }
    }
}
