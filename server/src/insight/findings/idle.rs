//! Processes are on GPUs and do nothing.

use super::super::facts::{Cell, Facts, Text, counted, percent};
use super::{Finding, GPU_HOURS_MIN, Looking};
use contract::GpuState;
use contract::answers::Severity;
use std::collections::BTreeMap;

/// Loading, compiling and checkpoints take some of each job's time.
const PART_MIN: f64 = 0.1;
/// So many hours are worth a look whatever part of a job they are.
const GPU_HOURS_MANY: f64 = 50.0;

/// A cluster and a job; none is whoever holds GPUs without one.
pub(super) type Holder<'a> = (&'a Text, Option<&'a Text>);

/// GPU-hours that each holder has held GPUs.
pub(super) fn held_hours(facts: &Facts) -> BTreeMap<Holder<'_>, f64> {
    let mut held = BTreeMap::new();
    let states = [GpuState::Active, GpuState::HeldIdle, GpuState::HeldEmpty];
    for cell in facts.cells.iter().filter(|cell| states.contains(&cell.state)) {
        *held.entry((&cell.cluster, cell.job_id.as_ref())).or_insert(0.0) += cell.gpu_hours;
    }
    held
}

pub(super) fn is_large(gpu_hours: f64, of_all: f64) -> bool {
    gpu_hours >= GPU_HOURS_MANY || (gpu_hours >= GPU_HOURS_MIN && gpu_hours >= of_all * PART_MIN)
}

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let window = looking.facts.window;
    let held = held_hours(looking.facts);
    let idle = |cell: &Cell| cell.state == GpuState::HeldIdle;
    let mut found = Vec::new();
    for (holder, places) in looking.claims.groups(idle, |cell| (&cell.cluster, cell.job_id.as_ref())) {
        let sum = looking.claims.sum(&places, 1.0);
        let of_all = held.get(&holder).copied().unwrap_or(sum.gpu_hours);
        if !is_large(sum.gpu_hours, of_all) {
            continue;
        }
        let (place, owner) = looking.claims.about(&places);
        let claimed = looking.claims.take(&places, 1.0);
        let ongoing = claimed.hours.to_micros >= window.to_micros;
        let part = claimed.gpu_hours / of_all.max(claimed.gpu_hours);
        let (gpus, verb) = (counted(claimed.gpus, "GPU"), if ongoing { "holds" } else { "held" });
        found.push(Finding {
            kind: "idle_gpus",
            severity: if ongoing { Severity::Warning } else { Severity::Notice },
            title: match holder.1 {
                Some(job) => format!("Job {job} {verb} {gpus} that do nothing"),
                None => format!("Processes without a job sit on {gpus} and do nothing"),
            },
            detail: format!("{} of the time that it held GPUs its processes did not use them", percent(part)),
            action: match (holder.1, ongoing) {
                (None, _) => "Find whose processes these are, and end them.".to_owned(),
                (_, true) => "Ask its owner whether it still needs them; give idle sessions a time limit.".to_owned(),
                _ => "Load data ahead of the work, and end sessions that nobody uses.".to_owned(),
            },
            place,
            owner,
            seen: claimed.hours,
            confidence: 0.9,
            why: "the driver saw a process and no work; short bursts between two looks are not seen",
            gpu_hours: Some(claimed.gpu_hours),
            cost: claimed.cost,
            is_waste: true,
            evidence: vec![("held_idle_ratio", part), ("gpus", claimed.gpus as f64)],
        });
    }
    found
}
