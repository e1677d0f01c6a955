//! Memory that is about to fail: errors that could not be repaired, rows that were replaced, repairs that become many.

use super::super::facts::{Text, Use, Window};
use super::{Finding, Looking, Owner, Place};
use contract::answers::Severity;
use std::collections::BTreeMap;

/// Cosmic rays flip a bit of a GPU now and then; more than this in a month is its memory.
const CORRECTED_PER_DAY_MAX: f64 = 5.0;
const CORRECTED_MIN: f64 = 20.0;
const DAY_HOURS: f64 = 24.0;

#[derive(Default)]
struct Errors<'a> {
    seen: Option<&'a Use>,
    hours: Window,
    corrected: f64,
    uncorrected: f64,
    remapped: f64,
}

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let facts = looking.facts;
    let days = facts.window.micros() as f64 / 3.6e9 / DAY_HOURS;
    let mut gpus: BTreeMap<&Text, Errors<'_>> = BTreeMap::new();
    for used in &facts.uses {
        let errors = gpus.entry(&used.gpu_uuid).or_default();
        let has_some = used.ecc_corrected + used.ecc_uncorrected + used.remapped_rows > 0.0;
        if has_some {
            let first =
                if errors.hours == Window::default() { used.hours.from_micros } else { errors.hours.from_micros };
            errors.hours = Window {
                from_micros: first.min(used.hours.from_micros),
                to_micros: errors.hours.to_micros.max(used.hours.to_micros),
            };
        }
        errors.seen = Some(used);
        errors.corrected += used.ecc_corrected;
        errors.uncorrected += used.ecc_uncorrected;
        errors.remapped += used.remapped_rows;
    }
    let is_failing = |errors: &Errors<'_>| {
        let many = errors.corrected >= CORRECTED_MIN && errors.corrected >= CORRECTED_PER_DAY_MAX * days.max(1.0);
        errors.uncorrected > 0.0 || errors.remapped > 0.0 || many
    };
    let failing = gpus.into_values().filter(is_failing);
    failing.filter_map(|errors| Some(finding(errors.seen?, &errors))).collect()
}

fn finding(used: &Use, errors: &Errors<'_>) -> Finding {
    let is_lost = errors.uncorrected > 0.0;
    let node = &used.node;
    Finding {
        kind: "memory_errors",
        severity: if is_lost { Severity::Critical } else { Severity::Warning },
        title: match (is_lost, errors.remapped > 0.0) {
            (true, _) => format!("The memory of a GPU of {node} fails"),
            (_, true) => format!("A GPU of {node} had to replace rows of memory"),
            _ => format!("A GPU of {node} repairs many memory errors"),
        },
        detail: format!(
            "{:.0} errors that could not be repaired, {:.0} rows replaced, {:.0} errors repaired",
            errors.uncorrected, errors.remapped, errors.corrected
        ),
        action: match is_lost || errors.remapped > 0.0 {
            true => "Drain the node and reset the GPU when its job ends; have it replaced if errors go on.".to_owned(),
            false => "Watch it, and reset it when its job ends; have it replaced if errors grow.".to_owned(),
        },
        place: Place {
            cluster: used.cluster.clone(),
            node: Some(node.clone()),
            gpu_uuid: Some(used.gpu_uuid.clone()),
            job_id: None,
        },
        owner: Owner::default(),
        seen: errors.hours,
        confidence: if is_lost { 0.95 } else { 0.7 },
        why: if is_lost { "counted by the GPU itself" } else { "many GPUs with repaired errors live on for years" },
        gpu_hours: None,
        cost: None,
        is_waste: false,
        evidence: vec![
            ("ecc_uncorrected", errors.uncorrected),
            ("remapped_rows", errors.remapped),
            ("ecc_corrected", errors.corrected),
        ],
    }
}
