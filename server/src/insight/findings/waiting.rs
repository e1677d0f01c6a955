//! GPUs were free while jobs waited for GPUs: fragmentation, partitions that are closed to each other, or reservations.

use super::super::facts::{Cell, HOUR, Text, Window};
use super::{Finding, Looking, Owner, Place};
use contract::GpuState;
use contract::answers::Severity;
use std::collections::BTreeMap;

/// Schedulers place jobs each minute or so; free for so long is no accident.
const GPU_HOURS_MIN: f64 = 8.0;

/// GPUs that were asked for by jobs that waited all of an hour, and the smallest of them.
#[derive(Default, Clone, Copy)]
struct Asked {
    gpus: f64,
    smallest: f64,
}

#[derive(Default)]
struct Sum {
    spare: f64,
    wanted: f64,
    fitting: f64,
    hours: Window,
}

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let facts = looking.facts;
    let asked = asked_by_hour(looking);
    let mut clusters: BTreeMap<&Text, Sum> = BTreeMap::new();
    for spare in &facts.spare {
        let sum = clusters.entry(&spare.cluster).or_default();
        sum.spare += spare.gpu_hours;
        let Some(asked) = asked.get(&(&spare.cluster, spare.hour)) else { continue };
        let wanted = asked.gpus.min(spare.gpu_hours);
        if wanted <= 0.0 {
            continue;
        }
        sum.wanted += wanted;
        sum.fitting += if asked.smallest <= spare.gpu_hours { wanted } else { 0.0 };
        let first = if sum.hours == Window::default() { spare.hour } else { sum.hours.from_micros };
        sum.hours =
            Window { from_micros: first.min(spare.hour), to_micros: sum.hours.to_micros.max(spare.hour + HOUR) };
    }
    let mut found = Vec::new();
    for (cluster, sum) in clusters.into_iter().filter(|(_, sum)| sum.wanted >= GPU_HOURS_MIN) {
        let free = |cell: &Cell| cell.state == GpuState::Unallocated && cell.cluster == *cluster;
        let places = looking.claims.free(free);
        let claimed = looking.claims.take(&places, sum.wanted / sum.spare);
        let fits = sum.fitting / sum.wanted;
        found.push(Finding {
            kind: "free_while_jobs_wait",
            severity: if sum.hours.to_micros >= facts.window.to_micros { Severity::Warning } else { Severity::Notice },
            title: format!("{:.0} GPU-hours of {cluster} were free while jobs waited", claimed.gpu_hours),
            detail: format!(
                "in {:.0} % of this time a waiting job asked for no more GPUs than were free, so partitions, \
                 limits or the shape of what is free kept it out; otherwise what was free was too little",
                fits * 100.0
            ),
            action: match fits >= 0.5 {
                true => {
                    "Compare the limits of partitions and accounts with what waits; pack small jobs onto few nodes."
                }
                false => "Pack small jobs onto few nodes, so that whole nodes come free, and let small jobs fill gaps.",
            }
            .to_owned(),
            place: Place { cluster: cluster.clone(), ..Place::default() },
            owner: Owner::default(),
            seen: sum.hours,
            confidence: 0.5,
            why: "which GPUs a waiting job may use is not known, and some are kept free for larger jobs",
            gpu_hours: Some(claimed.gpu_hours),
            cost: claimed.cost,
            is_waste: true,
            evidence: vec![("free_gpu_hours", sum.spare), ("wanted_gpu_hours", sum.wanted), ("fitting_ratio", fits)],
        });
    }
    found
}

fn asked_by_hour<'a>(looking: &Looking<'a>) -> BTreeMap<(&'a Text, i64), Asked> {
    let facts = looking.facts;
    let mut asked: BTreeMap<(&Text, i64), Asked> = BTreeMap::new();
    for job in &facts.jobs {
        let (Some(submitted), Some(gpus)) = (job.submitted, job.gpus.filter(|gpus| *gpus > 0)) else { continue };
        let began = job.started.or(job.ended).unwrap_or(facts.window.to_micros).min(facts.window.to_micros);
        // Whole hours only.
        let mut hour = submitted.max(facts.window.from_micros);
        hour = -(-hour).div_euclid(HOUR) * HOUR;
        while hour + HOUR <= began {
            let known = asked.entry((&job.cluster, hour)).or_insert(Asked { gpus: 0.0, smallest: f64::MAX });
            known.gpus += gpus as f64;
            known.smallest = known.smallest.min(gpus as f64);
            hour += HOUR;
        }
    }
    asked
}
