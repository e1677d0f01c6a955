//! Where the ticks of a time axis are.

use crate::instant::{DAY, HOUR, MINUTE, SECOND};

/// Distances between ticks that people read easily.
const STEPS: [i64; 18] = [
    SECOND,
    5 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    5 * DAY,
    7 * DAY,
];

/// Instants in `[from, to]` on round times, at most `at_most` of them, and the distance between them.
pub(crate) fn ticks(from: i64, to: i64, at_most: i64) -> (Vec<i64>, i64) {
    let span = (to - from).max(1);
    let wide_enough = |step: &&i64| span / **step < at_most.max(1);
    let last = STEPS[STEPS.len() - 1];
    let step = STEPS.iter().find(wide_enough).copied().unwrap_or_else(|| {
        let weeks = span / last / at_most.max(1) + 1;
        weeks * last
    });
    let first = (from + step - 1).div_euclid(step) * step;
    let found = (0..=at_most).map(|i| first + i * step).take_while(|t| *t <= to).collect();
    (found, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for (span, step) in
            [(HOUR, 10 * MINUTE), (6 * HOUR, HOUR), (DAY, 3 * HOUR), (7 * DAY, DAY), (30 * DAY, 5 * DAY)]
        {
            let from = 1_700_000_000 * SECOND;
            let (found, each) = ticks(from, from + span, 9);
            assert_eq!(each, step, "{span}");
            assert!(found.len() <= 9 && found.len() >= 3, "{found:?}");
            assert!(found.iter().all(|t| t % each == 0 && *t >= from && *t <= from + span));
        }
    }

    #[test]
    fn any_span_has_an_answer() {
        for span in [0, 1, -5, 40 * 365 * DAY] {
            assert!(ticks(0, span, 8).0.len() <= 9);
        }
    }
}
