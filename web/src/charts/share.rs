//! Parts of a whole as percentages of a bar, in the order of the states.

use contract::{ByState, GpuState};

/// The states that have a part, with start and width in percent. Parts sum to 100 unless there are none.
pub(crate) fn parts(values: &ByState<f64>) -> Vec<(GpuState, f64, f64)> {
    let of = |state| values.get(state).max(0.0);
    let total: f64 = GpuState::ALL.into_iter().map(of).sum();
    let mut start = 0.0;
    let mut out = Vec::new();
    for state in GpuState::ALL {
        let width = if total > 0.0 { of(state) / total * 100.0 } else { 0.0 };
        if width > 0.0 {
            out.push((state, start, width));
        }
        start += width;
    }
    out
}

pub(crate) fn total(values: &ByState<f64>) -> f64 {
    GpuState::ALL.into_iter().map(|state| values.get(state)).sum()
}

/// Active of all that is known: unknown hours are neither.
pub(crate) fn active_ratio(values: &ByState<f64>) -> Option<f64> {
    let known = total(values) - values.unknown;
    (known > 0.0).then(|| values.active / known)
}

/// The period before, if it is fit for a comparison: with telemetry for at least half of its hours.
pub(crate) fn comparable(before: Option<&ByState<f64>>) -> Option<&ByState<f64>> {
    before.filter(|b| total(b) > 0.0 && b.unknown <= total(b) / 2.0)
}

/// Held by a job, and not working.
pub(crate) fn held_in_vain(values: &ByState<f64>) -> f64 {
    values.held_idle + values.held_empty
}

pub(crate) fn to_floats(values: &ByState<u64>) -> ByState<f64> {
    let mut out = ByState::default();
    for state in GpuState::ALL {
        *out.get_mut(state) = *values.get(state) as f64;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_the_bar() {
        let values = ByState { active: 6.0, down: 2.0, ..ByState::default() };
        assert_eq!(parts(&values), vec![(GpuState::Active, 0.0, 75.0), (GpuState::Down, 75.0, 25.0)]);
        assert!(parts(&ByState::default()).is_empty());
    }

    #[test]
    fn a_period_mostly_without_telemetry_is_no_comparison() {
        let known = ByState { active: 6.0, unknown: 5.0, ..ByState::default() };
        let silent = ByState { active: 1.0, unknown: 99.0, ..ByState::default() };
        assert_eq!(comparable(Some(&known)), Some(&known));
        assert_eq!(comparable(Some(&silent)), None);
        assert_eq!(comparable(Some(&ByState::default())), None);
        assert_eq!(comparable(None), None);
    }

    #[test]
    fn unknown_is_neither_active_nor_idle() {
        let values = ByState { active: 6.0, held_idle: 1.0, held_empty: 1.0, unknown: 92.0, ..ByState::default() };
        assert_eq!(active_ratio(&values), Some(0.75));
        assert_eq!(held_in_vain(&values), 2.0);
        assert_eq!(active_ratio(&ByState { unknown: 5.0, ..ByState::default() }), None);
    }
}
