//! GPUs are held and no process is on them.

use super::super::facts::{Cell, counted, percent};
use super::idle::{held_hours, is_large};
use super::{Finding, Looking};
use contract::GpuState;
use contract::answers::Severity;

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let window = looking.facts.window;
    let held = held_hours(looking.facts);
    let empty = |cell: &Cell| cell.state == GpuState::HeldEmpty;
    let mut found = Vec::new();
    for (holder, places) in looking.claims.groups(empty, |cell| (&cell.cluster, cell.job_id.as_ref())) {
        let sum = looking.claims.sum(&places, 1.0);
        let of_all = held.get(&holder).copied().unwrap_or(sum.gpu_hours);
        if !is_large(sum.gpu_hours, of_all) {
            continue;
        }
        let (place, owner) = looking.claims.about(&places);
        let claimed = looking.claims.take(&places, 1.0);
        let ongoing = claimed.hours.to_micros >= window.to_micros;
        let who = holder.1.map_or_else(|| "Somebody".to_owned(), |job| format!("Job {job}"));
        let (part, verb) = (claimed.gpu_hours / of_all.max(claimed.gpu_hours), if ongoing { "holds" } else { "held" });
        found.push(Finding {
            kind: "empty_allocation",
            severity: if ongoing { Severity::Warning } else { Severity::Notice },
            title: format!("{who} {verb} {} with no process on them", counted(claimed.gpus, "GPU")),
            detail: format!("{} of the time that it held GPUs nothing ran on them", percent(part)),
            action: match ongoing {
                true => "Ask its owner whether it still needs them, and end it if not.".to_owned(),
                false => "Prepare data and packages in a job without GPUs, and end the job with its work.".to_owned(),
            },
            place,
            owner,
            seen: claimed.hours,
            confidence: 0.95,
            why: "the scheduler gave the GPUs away and the driver saw no process",
            gpu_hours: Some(claimed.gpu_hours),
            cost: claimed.cost,
            is_waste: true,
            evidence: vec![("held_empty_ratio", part), ("gpus", claimed.gpus as f64)],
        });
    }
    found
}
