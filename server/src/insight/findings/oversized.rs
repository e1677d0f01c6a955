//! A job holds GPUs that it never used, beside others that it did use.

use super::super::facts::{Cell, Text, counted};
use super::{Finding, GPU_HOURS_MIN, Looking};
use contract::GpuState;
use contract::answers::Severity;
use std::collections::{BTreeMap, BTreeSet};

/// A GPU that is busy for less of its time than this did nothing: monitoring alone wakes it for some milliseconds.
const UNUSED_BUSY_RATIO: f64 = 0.01;
/// One that is busy for more was used.
const USED_BUSY_RATIO: f64 = 0.05;
/// Jobs that begin load for a while, on one GPU after the other.
const SAMPLED_HOURS_MIN: f64 = 1.0;

#[derive(Default)]
struct Gpus<'a> {
    unused: BTreeSet<&'a str>,
    used: usize,
    all: usize,
}

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let facts = looking.facts;
    let mut jobs: BTreeMap<(&Text, &Text), Gpus<'_>> = BTreeMap::new();
    for used in &facts.uses {
        let (Some(job), Some(busy)) = (&used.job_id, used.busy) else { continue };
        let gpus = jobs.entry((&used.cluster, job)).or_default();
        gpus.all += 1;
        gpus.used += usize::from(busy >= USED_BUSY_RATIO);
        if busy < UNUSED_BUSY_RATIO && used.sampled_hours >= SAMPLED_HOURS_MIN {
            gpus.unused.insert(&used.gpu_uuid);
        }
    }
    jobs.retain(|_, gpus| !gpus.unused.is_empty() && gpus.used > 0);
    let of_unused = |cell: &Cell| {
        let gpus = cell.job_id.as_ref().and_then(|job| jobs.get(&(&cell.cluster, job)));
        let held = matches!(cell.state, GpuState::Active | GpuState::HeldIdle | GpuState::HeldEmpty);
        held && gpus.is_some_and(|gpus| gpus.unused.contains(&*cell.gpu_uuid))
    };
    let groups = looking.claims.groups(of_unused, |cell| (&cell.cluster, cell.job_id.as_ref()));
    let mut found = Vec::new();
    for ((cluster, job), places) in groups {
        let Some((job, gpus)) = job.and_then(|job| Some((job, jobs.get(&(cluster, job))?))) else { continue };
        if looking.claims.sum(&places, 1.0).gpu_hours < GPU_HOURS_MIN {
            continue;
        }
        let (place, owner) = looking.claims.about(&places);
        let claimed = looking.claims.take(&places, 1.0);
        let (unused, all) = (gpus.unused.len(), gpus.all);
        found.push(Finding {
            kind: "oversized_gpus",
            severity: if claimed.hours.to_micros >= facts.window.to_micros {
                Severity::Warning
            } else {
                Severity::Notice
            },
            title: format!("Job {job} never used {unused} of its {all} GPUs"),
            detail: format!("{} stayed below 1 % busy while others of the job worked", counted(unused, "GPU")),
            action: format!(
                "Ask for {} instead of {all}, or see why the program uses no more.",
                counted(all - unused, "GPU")
            ),
            place,
            owner,
            seen: claimed.hours,
            confidence: 0.95,
            why: "busy ratios of whole hours, measured on each GPU",
            gpu_hours: Some(claimed.gpu_hours),
            cost: claimed.cost,
            is_waste: true,
            evidence: vec![("gpus_unused", unused as f64), ("gpus_held", all as f64)],
        });
    }
    found
}
