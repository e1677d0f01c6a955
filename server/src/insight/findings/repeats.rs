//! The same program of the same user fails again and again, by itself.

use super::super::facts::{Job, Text, Window};
use super::super::incidents::{Category, category_of_job};
use super::{Finding, Looking, Owner, Place};
use crate::cost::Micros;
use contract::answers::Severity;
use std::collections::BTreeMap;

/// Three times is no accident.
const FAILURES_MIN: usize = 3;
/// Of all attempts of that name; a program that mostly works is being worked at.
const FAILED_PART_MIN: f64 = 0.5;

#[derive(Default)]
struct Tried<'a> {
    failed: Vec<&'a Job>,
    ended: usize,
}

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let mut tried: BTreeMap<(&Text, &Text, String), Tried<'_>> = BTreeMap::new();
    for job in looking.facts.jobs.iter() {
        let (Some(user), Some(name), Some(_)) = (&job.user, &job.name, job.ended) else { continue };
        let tries = tried.entry((&job.cluster, user, stem(name))).or_default();
        tries.ended += 1;
        let own = category_of_job(job).filter(|of| matches!(of.category, Category::UserCode | Category::OutOfMemory));
        if own.is_some() {
            tries.failed.push(job);
        }
    }
    tried.retain(|_, tries| {
        tries.failed.len() >= FAILURES_MIN && tries.failed.len() as f64 >= tries.ended as f64 * FAILED_PART_MIN
    });
    let lost = lost_by_attempt(looking);
    let finding = |((cluster, user, name), tries): ((&Text, &Text, String), Tried<'_>)| {
        let ended = |pick: fn(i64, i64) -> i64| tries.failed.iter().filter_map(|job| job.ended).reduce(pick);
        let hits = || tries.failed.iter().filter_map(|job| lost.get(&(cluster, &job.job_id, job.attempt)));
        let last = tries.failed.iter().max_by_key(|job| job.ended);
        Finding {
            kind: "repeat_failures",
            severity: Severity::Warning,
            title: format!("{name} of {user} failed {} times of {}", tries.failed.len(), tries.ended),
            detail: "by itself, not by its node or its GPUs".to_owned(),
            action: "Look at the log of the last attempt before it is submitted again; try it on one GPU first."
                .to_owned(),
            place: Place { cluster: cluster.clone(), job_id: last.map(|job| job.job_id.clone()), ..Place::default() },
            owner: Owner { team: None, user: Some(user.clone()) },
            seen: Window {
                from_micros: ended(i64::min).unwrap_or_default(),
                to_micros: ended(i64::max).unwrap_or_default(),
            },
            confidence: 0.85,
            why: "jobs are taken for the same by their user and their name without its digits",
            gpu_hours: Some(hits().map(|(hours, _)| hours).sum()),
            cost: hits().filter_map(|(_, cost)| *cost).reduce(|a, b| a + b),
            is_waste: false,
            evidence: vec![("failed", tries.failed.len() as f64), ("ended", tries.ended as f64)],
        }
    };
    tried.into_iter().map(finding).collect()
}

/// GPU-hours and money that each failed attempt lost.
fn lost_by_attempt<'a>(looking: &Looking<'a>) -> BTreeMap<(&'a Text, &'a Text, i64), (f64, Option<Micros>)> {
    let hits = looking.failures.incidents.iter().flat_map(|incident| &incident.jobs);
    hits.map(|hit| ((&hit.cluster, &hit.job_id, hit.attempt), (hit.gpu_hours_lost, hit.cost))).collect()
}

/// A name without the numbers that people count their tries by.
fn stem(name: &str) -> String {
    let stem: String = name.chars().filter(|c| !c.is_ascii_digit()).collect();
    stem.trim_end_matches(['-', '_', '.']).to_owned()
}
