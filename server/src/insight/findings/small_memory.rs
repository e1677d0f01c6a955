//! A job would do with a slice of the GPU that it has, or with a smaller one.

use super::super::facts::{Text, Use, percent};
use super::{Finding, Looking};
use contract::answers::Severity;
use std::collections::BTreeMap;

/// Less of the memory of a large GPU is what small GPUs have.
const MEMORY_PART_MAX: f64 = 0.2;
/// Only large GPUs are cut into instances, and are dear enough.
const LARGE_BYTES: f64 = 36e9;
const GPU_HOURS_MIN: f64 = 8.0;
/// Room that a slice should leave above what was seen.
const HEADROOM: f64 = 1.25;
/// Slices of a GPU: their part of its SMs, and of its memory.
const SLICES: [(f64, f64, &str); 3] = [
    (1.0 / 7.0, 1.0 / 8.0, "one seventh"),
    (2.0 / 7.0, 2.0 / 8.0, "two sevenths"),
    (3.0 / 7.0, 4.0 / 8.0, "three sevenths"),
];

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let facts = looking.facts;
    let mut jobs: BTreeMap<(&Text, &Text), Vec<&Use>> = BTreeMap::new();
    for used in facts.uses.iter().filter(|used| !used.is_mig) {
        if let Some(job) = &used.job_id {
            jobs.entry((&used.cluster, job)).or_default().push(used);
        }
    }
    let mut found = Vec::new();
    for ((cluster, job), uses) in jobs {
        let Some((memory, work)) = needs(&uses) else { continue };
        // Instances do not talk to each other, so a job of several GPUs has no use for them.
        let slice = SLICES.iter().find(|(sms, bytes, _)| work * HEADROOM <= *sms && memory * HEADROOM <= *bytes);
        let slice = slice.filter(|_| uses.len() == 1);
        let places = looking.claims.active_of_job(cluster, job);
        let sum = looking.claims.sum(&places, 1.0);
        if sum.gpu_hours < GPU_HOURS_MIN {
            continue;
        }
        let (place, owner) = looking.claims.about(&places);
        let claimed = match slice {
            Some((sms, ..)) => looking.claims.take(&places, 1.0 - sms),
            None => sum,
        };
        let action = match slice {
            Some((_, _, name)) => format!("Run it on a MIG instance of {name} of the GPU."),
            None => {
                "Run it on GPUs with less memory, or use what there is: a larger batch, longer sequences.".to_owned()
            }
        };
        found.push(Finding {
            kind: "small_memory",
            severity: Severity::Notice,
            title: format!("Job {job} uses {} of the memory of its GPUs", percent(memory)),
            detail: format!("its peak on any GPU; its SMs are active {} of the time", percent(work)),
            action,
            place,
            owner,
            seen: claimed.hours,
            confidence: if slice.is_some() { 0.8 } else { 0.6 },
            why: "its peak in this window; another phase of the program may need more",
            gpu_hours: Some(claimed.gpu_hours),
            cost: claimed.cost,
            is_waste: slice.is_some(),
            evidence: vec![("memory_peak_ratio", memory), ("sm_active_ratio", work)],
        });
    }
    found
}

/// Largest part of memory and of SMs that the job has used of any of its GPUs, if it is a small one on large GPUs.
fn needs(uses: &[&Use]) -> Option<(f64, f64)> {
    let mut needs = (0.0_f64, 0.0_f64);
    for used in uses {
        let (peak, total) = (used.memory_peak_bytes?, used.memory_total_bytes.filter(|total| *total >= LARGE_BYTES)?);
        needs.0 = needs.0.max(peak / total);
        needs.1 = needs.1.max(used.sm_active.or(used.busy)?);
    }
    (needs.0 < MEMORY_PART_MAX).then_some(needs)
}
