//! How jobs are told: phases, times, costs. Pure.

use crate::format;
use contract::answers::{JobDetail, JobPhase, JobRow};

/// Class of its badge.
pub(crate) fn phase_class(phase: JobPhase) -> &'static str {
    match phase {
        JobPhase::Waiting => "badge",
        JobPhase::Running => "badge open",
        JobPhase::Ended => "badge done",
        JobPhase::Failed => "badge failed",
    }
}

/// How long it ran, or runs by now, in microseconds.
pub(crate) fn length(job: &JobRow, now_micros: i64) -> Option<i64> {
    job.started_unix_micros.map(|from| (job.ended_unix_micros.unwrap_or(now_micros) - from).max(0))
}

/// How long it waited, or waits by now, in microseconds.
pub(crate) fn wait(job: &JobRow, now_micros: i64) -> Option<i64> {
    let until = job.started_unix_micros.or((job.phase == JobPhase::Waiting).then_some(now_micros))?;
    job.submitted_unix_micros.map(|submitted| (until - submitted).max(0))
}

/// Length of the steps of its series: they are equal, one alone is the whole window.
pub(crate) fn bucket_seconds(found: &JobDetail) -> i64 {
    let micros = match found.times_unix_micros.as_slice() {
        [first, second, ..] => second - first,
        _ => found.window.to_unix_micros - found.window.from_unix_micros,
    };
    micros / 1_000_000
}

/// Of one that runs, by now.
pub(crate) fn gpu_hours(job: &JobRow, now_micros: i64) -> Option<f64> {
    match (job.phase, job.gpus, length(job, now_micros)) {
        (JobPhase::Running, Some(gpus), Some(length)) => Some(gpus as f64 * length as f64 / 3.6e9),
        _ => job.gpu_seconds.map(|seconds| seconds / 3600.0),
    }
}

/// `1–100 of 2,345`.
pub(crate) fn page_of(offset: u64, shown: u64, total: u64) -> String {
    match shown {
        0 => format!("none of {}", format::count(total)),
        _ => format!("{}–{} of {}", format::count(offset + 1), format::count(offset + shown), format::count(total)),
    }
}

/// Cost of all parts that have a price, and whether some have none.
pub(crate) fn cost(detail: &JobDetail) -> (Option<i64>, bool) {
    let known: Vec<i64> = detail.costs.iter().filter_map(|cost| cost.cost_micros).collect();
    let has_unpriced = detail.costs.iter().any(|cost| cost.cost_micros.is_none() && cost.quantity > 0.0);
    ((!known.is_empty()).then(|| known.iter().sum()), has_unpriced)
}

/// What goes beside a headline cost.
pub(crate) fn cost_note(detail: &JobDetail) -> String {
    match (cost(detail), &detail.team) {
        ((None, true), _) => "its hours have no price".to_owned(),
        ((None, false), _) => "not in the ledger yet".to_owned(),
        ((Some(_), true), _) => "some of its hours have no price".to_owned(),
        ((Some(_), false), Some(team)) if team == "unowned" => "nobody owns it".to_owned(),
        ((Some(_), false), Some(team)) => format!("paid by {team}"),
        ((Some(_), false), None) => String::new(),
    }
}

/// Steps of the scale by which a ratio is coloured.
const STEPS: f64 = 5.0;

/// Runs of cells of the same step: its class, first cell and number of cells.
pub(crate) fn runs(cells: &[Option<f64>]) -> Vec<(String, usize, usize)> {
    let mut runs: Vec<(String, usize, usize)> = Vec::new();
    for (at, cell) in cells.iter().enumerate() {
        let class = match cell {
            Some(ratio) => format!("heat-{}", ((ratio * STEPS).floor().clamp(0.0, STEPS - 1.0)) as u8),
            None => "part unknown".to_owned(),
        };
        match runs.last_mut() {
            Some((before, _, length)) if *before == class => *length += 1,
            _ => runs.push((class, at, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::answers::JobCost;

    #[test]
    fn runs_join_cells_of_one_step_and_gaps_are_gaps() {
        let cells = [Some(0.0), Some(0.1), None, None, Some(1.0), Some(0.2)];
        let runs = runs(&cells);
        let words: Vec<String> = runs.iter().map(|(class, at, length)| format!("{class} {at} {length}")).collect();
        assert_eq!(words, ["heat-0 0 2", "part unknown 2 2", "heat-4 4 1", "heat-1 5 1"]);
    }

    #[test]
    fn times_go_on_until_now_and_unknown_is_not_zero() {
        let waiting = JobRow { submitted_unix_micros: Some(5), ..JobRow::default() };
        assert_eq!((wait(&waiting, 25), length(&waiting, 25)), (Some(20), None));
        let running = JobRow { phase: JobPhase::Running, started_unix_micros: Some(10), ..JobRow::default() };
        assert_eq!((wait(&running, 25), length(&running, 25)), (None, Some(15)));
        let one = JobRow { gpus: Some(2), started_unix_micros: Some(0), gpu_seconds: Some(7200.0), ..running };
        assert_eq!(gpu_hours(&one, 3_600_000_000), Some(2.0), "an hour of two");
        assert_eq!(gpu_hours(&JobRow { phase: JobPhase::Ended, ..one }, 0), Some(2.0));
        assert_eq!(page_of(100, 45, 145), "101–145 of 145");
        assert_eq!(page_of(0, 0, 0), "none of 0");
    }

    #[test]
    fn a_cost_tells_what_is_missing() {
        let part = |cost_micros| JobCost { quantity: 1.0, cost_micros, ..JobCost::default() };
        let of = |costs: Vec<JobCost>| JobDetail { costs, team: Some("a".to_owned()), ..JobDetail::default() };
        assert_eq!(cost_note(&of(vec![])), "not in the ledger yet");
        assert_eq!(cost_note(&of(vec![part(None)])), "its hours have no price");
        assert_eq!(cost_note(&of(vec![part(Some(1)), part(None)])), "some of its hours have no price");
        assert_eq!(
            (cost(&of(vec![part(Some(1)), part(Some(2))])), cost_note(&of(vec![part(Some(1))]))),
            ((Some(3), false), "paid by a".to_owned())
        );
    }
}
