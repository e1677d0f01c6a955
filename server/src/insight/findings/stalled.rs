//! A job that worked has stopped working and goes on holding its GPUs.

use super::super::facts::{Cell, HOUR, Text, Window, counted, span};
use super::{Finding, Looking};
use contract::GpuState;
use contract::answers::Severity;
use std::collections::BTreeMap;

/// An evaluation, a checkpoint to slow storage or a pause takes less.
const SILENT_MICROS_MIN: i64 = 2 * HOUR;
/// Somebody who works at a screen pauses for longer; a job of several GPUs that was at work does not.
const GPUS_MIN: usize = 2;
const ACTIVE_PART_MIN: f64 = 0.5;

#[derive(Default)]
struct Life {
    active_until: i64,
    active_hours: f64,
    idle_hours_before: f64,
    idle_until: i64,
}

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let facts = looking.facts;
    let mut lives: BTreeMap<(&Text, &Text), Life> = BTreeMap::new();
    for cell in &facts.cells {
        let Some(job) = &cell.job_id else { continue };
        let life = lives.entry((&cell.cluster, job)).or_default();
        match cell.state {
            GpuState::Active => {
                life.active_until = life.active_until.max(cell.hours.to_micros);
                life.active_hours += cell.gpu_hours;
            }
            GpuState::HeldIdle => {
                life.idle_until = life.idle_until.max(cell.hours.to_micros);
                life.idle_hours_before += cell.gpu_hours;
            }
            _ => {}
        }
    }
    let end = facts.window.to_micros;
    lives.retain(|_, life| {
        let silent = end - life.active_until;
        life.idle_until >= end && life.active_hours > 0.0 && silent >= SILENT_MICROS_MIN
    });
    let idle = |cell: &Cell| {
        let is_stalled = cell.job_id.as_ref().is_some_and(|job| lives.contains_key(&(&cell.cluster, job)));
        cell.state == GpuState::HeldIdle && is_stalled
    };
    let mut found = Vec::new();
    for ((cluster, job), places) in looking.claims.groups(idle, |cell| (&cell.cluster, cell.job_id.as_ref())) {
        let Some((job, life)) = job.and_then(|job| Some((job, lives.get(&(cluster, job))?))) else { continue };
        let silent = end - life.active_until;
        let sum = looking.claims.sum(&places, 1.0);
        // What it idled since it stopped is no measure of how it worked before.
        let idle_before = life.idle_hours_before - sum.gpus as f64 * silent as f64 / HOUR as f64;
        let is_at_work = life.active_hours / (life.active_hours + idle_before.max(0.0)) >= ACTIVE_PART_MIN;
        if sum.gpus < GPUS_MIN || !is_at_work {
            continue;
        }
        let (place, owner) = looking.claims.about(&places);
        let claimed = looking.claims.take(&places, 1.0);
        let seen = Window { from_micros: life.active_until, to_micros: end };
        found.push(Finding {
            kind: "stalled_job",
            severity: Severity::Critical,
            title: format!("Job {job} stopped working {} ago", span(silent)),
            detail: format!(
                "{} had worked and have done nothing since; a hang, or a wait for one rank",
                counted(claimed.gpus, "GPU")
            ),
            action: "Look at the last lines of its log and at its slowest rank; end it if it does not come back."
                .to_owned(),
            place,
            owner,
            seen,
            confidence: 0.7,
            why: "whole hours without work after hours of work; a long evaluation on CPUs looks alike",
            gpu_hours: Some(claimed.gpu_hours),
            cost: claimed.cost,
            is_waste: true,
            evidence: vec![
                ("silent_hours", silent as f64 / HOUR as f64),
                ("active_gpu_hours_before", life.active_hours),
            ],
        });
    }
    found
}
