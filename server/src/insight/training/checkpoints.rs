//! How often to save a checkpoint: rarely enough to lose little time to it, and often enough to lose little work. Pure.
//!
//! By Young and Daly: an interval t costs `save / t` of the time for saves and, as a failure falls anywhere into it,
//! `t / (2 × time between failures)` for work that is done again. Both together are least at
//! `sqrt(2 × save × time between failures)`.

use crate::answers::TrainingCheckpoints;

/// What spans and schedulers say of checkpoints.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) saves: u64,
    pub(super) save_seconds: Option<f64>,
    pub(super) interval_seconds: Option<f64>,
    pub(super) restores: u64,
    pub(super) restore_seconds: Option<f64>,
    /// Attempts that failed, and launches after the first of one.
    pub(super) failures: u64,
    /// In which the job held GPUs.
    pub(super) held_seconds: f64,
    /// Time between failures of jobs like it in its cluster, where there were enough of them.
    pub(super) cluster_failure_seconds: Option<f64>,
}

fn overhead(interval: f64, save: f64, failure: f64) -> f64 {
    save / interval + interval / (2.0 * failure)
}

/// None where there are no checkpoints to speak of.
pub(super) fn checkpoints(seen: &Seen) -> Option<TrainingCheckpoints> {
    if seen.saves + seen.restores == 0 {
        return None;
    }
    let own = (seen.failures > 0 && seen.held_seconds > 0.0).then(|| seen.held_seconds / seen.failures as f64);
    let (failure, of) = match (own, seen.cluster_failure_seconds) {
        (Some(own), _) => (Some(own), Some("job")),
        (None, Some(cluster)) => (Some(cluster), Some("cluster")),
        (None, None) => (None, None),
    };
    let both = seen.save_seconds.filter(|save| *save > 0.0).zip(failure);
    let suggested = both.map(|(save, failure)| (2.0 * save * failure).sqrt());
    let expected = |interval: Option<f64>| {
        let (interval, (save, failure)) = interval.filter(|interval| *interval > 0.0).zip(both)?;
        Some(overhead(interval, save, failure).min(1.0))
    };
    Some(TrainingCheckpoints {
        saves: seen.saves,
        save_seconds: seen.save_seconds,
        interval_seconds: seen.interval_seconds,
        restores: seen.restores,
        restore_seconds: seen.restore_seconds,
        failures: seen.failures,
        failure_seconds: failure,
        failures_of: of.map(str::to_owned),
        suggested_seconds: suggested,
        overhead_ratio: expected(seen.interval_seconds),
        suggested_overhead_ratio: expected(suggested),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        Seen {
            saves: 10,
            save_seconds: Some(60.0),
            interval_seconds: Some(7_200.0),
            failures: 2,
            held_seconds: 86_400.0,
            ..Seen::default()
        }
    }

    #[test]
    fn the_suggested_interval_costs_least() {
        let found = checkpoints(&seen()).expect("it saved");
        let (best, at_best) = (found.suggested_seconds.expect("all is known"), found.suggested_overhead_ratio);
        assert!((best - (2.0 * 60.0 * 43_200.0_f64).sqrt()).abs() < 1e-9);
        for factor in [0.5, 0.9, 1.1, 2.0] {
            let other = Seen { interval_seconds: Some(best * factor), ..seen() };
            assert!(checkpoints(&other).expect("it saved").overhead_ratio > at_best, "{factor}");
        }
        assert_eq!(found.overhead_ratio, Some(60.0 / 7_200.0 + 7_200.0 / 86_400.0));
        assert_eq!(found.failures_of.as_deref(), Some("job"));
    }

    #[test]
    fn without_a_failure_the_cluster_s_count_and_without_any_nothing_is_said() {
        let none = Seen { failures: 0, ..seen() };
        let found = checkpoints(&none).expect("it saved");
        assert_eq!((found.suggested_seconds, found.failure_seconds, found.overhead_ratio), (None, None, None));
        let cluster = Seen { cluster_failure_seconds: Some(86_400.0), ..none };
        let found = checkpoints(&cluster).expect("it saved");
        assert_eq!((found.failures_of.as_deref(), found.failure_seconds), (Some("cluster"), Some(86_400.0)));
        assert_eq!(checkpoints(&Seen { saves: 0, ..seen() }), None);
    }
}
