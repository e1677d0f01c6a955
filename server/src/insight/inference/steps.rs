//! Equal steps of time over a range, few enough to draw. Pure.

const SECOND: i64 = 1_000_000;
/// Lengths that people read easily, in seconds; ranges too long for the last get whole days.
const LADDER: [i64; 9] = [10, 30, 60, 300, 900, 3600, 10_800, 21_600, 86_400];
/// A chart of a laptop's width has room for about so many.
pub(super) const STEPS_MAX: i64 = 160;

/// Steps that begin at whole multiples of their length since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps {
    first: i64,
    pub(super) micros: i64,
    pub(super) count: usize,
}

impl Steps {
    /// Over `[from, to)`, Unix microseconds; an empty range has none.
    pub(super) fn over(from: i64, to: i64) -> Self {
        if from >= to {
            return Self { first: from, micros: SECOND, count: 0 };
        }
        let count_of = |step: i64| (to - 1).div_euclid(step) - from.div_euclid(step) + 1;
        let lengths =
            LADDER.into_iter().map(|seconds| seconds * SECOND).chain((2..).map(|days| days * 86_400 * SECOND));
        let micros = lengths.into_iter().find(|step| count_of(*step) <= STEPS_MAX).unwrap_or(i64::MAX);
        Self { first: from.div_euclid(micros) * micros, micros, count: count_of(micros) as usize }
    }

    /// Of a length that is given, in seconds.
    pub(super) fn of_seconds(from: i64, to: i64, seconds: i64) -> Self {
        let micros = seconds.max(1) * SECOND;
        let first = from.div_euclid(micros) * micros;
        Self { first, micros, count: ((to - 1).div_euclid(micros) - from.div_euclid(micros) + 1).max(0) as usize }
    }

    pub(super) fn seconds(&self) -> i64 {
        self.micros / SECOND
    }

    pub(super) fn start(&self, at: usize) -> i64 {
        self.first + at as i64 * self.micros
    }

    /// The step in which an instant lies.
    pub(super) fn at(&self, micros: i64) -> Option<usize> {
        usize::try_from((micros - self.first).div_euclid(self.micros)).ok().filter(|at| *at < self.count)
    }

    /// The engine's words for the step of a time, in Unix microseconds.
    pub(super) fn sql(&self) -> String {
        format!("cast(floor(extract(epoch from time) / {}) as bigint) * {}", self.seconds(), self.micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_has_few_steps_and_each_instant_is_in_one() {
        let from = 1_790_000_123 * SECOND;
        for (length, seconds) in
            [(60, 10), (3600, 30), (86_400, 900), (30 * 86_400, 21_600), (400 * 86_400, 3 * 86_400)]
        {
            let steps = Steps::over(from, from + length * SECOND);
            assert_eq!(steps.seconds(), seconds, "{length} s");
            assert!(steps.count as i64 <= STEPS_MAX);
            assert_eq!(steps.at(from), Some(0));
            assert_eq!(steps.at(from + length * SECOND - 1), Some(steps.count - 1));
            assert_eq!(steps.at(steps.start(0) - 1), None);
            assert_eq!(steps.at(steps.start(steps.count)), None);
        }
        assert_eq!(Steps::over(5, 5).count, 0);
        assert_eq!(Steps::of_seconds(0, 3600 * SECOND, 600).count, 6);
    }
}
