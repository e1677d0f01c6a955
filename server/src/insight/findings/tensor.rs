//! A job keeps GPUs busy and leaves their tensor cores alone.

use super::super::facts::{Text, Use, percent};
use super::{Finding, Looking};
use contract::answers::Severity;
use std::collections::BTreeMap;

/// Work that keeps a GPU busy with its tensor cores below this is not in a type that they compute.
const TENSOR_MAX: f64 = 0.05;
const BUSY_MIN: f64 = 0.5;
const GPU_HOURS_MIN: f64 = 8.0;

#[derive(Default)]
struct Sum {
    hours: f64,
    busy: f64,
    tensor: f64,
}

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let facts = looking.facts;
    let mut jobs: BTreeMap<(&Text, &Text), Sum> = BTreeMap::new();
    for used in &facts.uses {
        let Use { busy: Some(busy), tensor_active: Some(tensor), job_id: Some(job), sampled_hours, .. } = used else {
            continue;
        };
        let sum = jobs.entry((&used.cluster, job)).or_default();
        sum.hours += sampled_hours;
        sum.busy += busy * sampled_hours;
        sum.tensor += tensor * sampled_hours;
    }
    jobs.retain(|_, sum| {
        sum.hours >= GPU_HOURS_MIN && sum.busy >= BUSY_MIN * sum.hours && sum.tensor < TENSOR_MAX * sum.hours
    });
    let mut found = Vec::new();
    for ((cluster, job), sum) in jobs {
        let places = looking.claims.active_of_job(cluster, job);
        let at_stake = looking.claims.sum(&places, 1.0);
        if at_stake.gpu_hours < GPU_HOURS_MIN {
            continue;
        }
        let (place, owner) = looking.claims.about(&places);
        let (busy, tensor) = (sum.busy / sum.hours, sum.tensor / sum.hours);
        found.push(Finding {
            kind: "no_tensor_cores",
            severity: Severity::Notice,
            title: format!("Job {job} leaves its tensor cores unused"),
            detail: format!("its GPUs are busy {} of the time, their tensor cores {}", percent(busy), percent(tensor)),
            action: "If it multiplies matrices, let it do so in bf16, fp16, tf32 or fp8.".to_owned(),
            place,
            owner,
            seen: at_stake.hours,
            confidence: 0.5,
            why: "what it computes is not known; not all work is made of matrix products",
            gpu_hours: Some(at_stake.gpu_hours),
            cost: at_stake.cost,
            is_waste: false,
            evidence: vec![("gpu_busy_ratio", busy), ("tensor_active_ratio", tensor)],
        });
    }
    found
}
