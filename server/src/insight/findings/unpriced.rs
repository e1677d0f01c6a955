//! GPUs are used and nobody has said what they cost.

use super::super::facts::{Text, Window};
use super::{Finding, Looking, Owner, Place};
use contract::answers::Severity;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
struct Sum<'a> {
    gpu_hours: f64,
    gpus: BTreeSet<&'a str>,
    hours: Window,
}

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let mut models: BTreeMap<(&Text, &str), Sum<'_>> = BTreeMap::new();
    for cell in looking.facts.cells.iter().filter(|cell| cell.unpriced_gpu_hours > 0.0) {
        let sum =
            models.entry((&cell.cluster, cell.gpu_model.as_deref().unwrap_or("GPUs of no known model"))).or_default();
        let first = if sum.gpus.is_empty() { cell.hours.from_micros } else { sum.hours.from_micros };
        sum.gpu_hours += cell.unpriced_gpu_hours;
        sum.gpus.insert(&cell.gpu_uuid);
        sum.hours = Window {
            from_micros: first.min(cell.hours.from_micros),
            to_micros: sum.hours.to_micros.max(cell.hours.to_micros),
        };
    }
    let finding = |((cluster, model), sum): ((&Text, &str), Sum<'_>)| Finding {
        kind: "unpriced_use",
        severity: Severity::Warning,
        title: format!("{model} in {cluster} has no price"),
        detail: format!("{:.0} GPU-hours of {} are in no sum of money", sum.gpu_hours, sum.gpus.len()),
        action: "State a price for this model, cluster or pool: `coulomb import prices FILE`.".to_owned(),
        place: Place { cluster: cluster.clone(), ..Place::default() },
        owner: Owner::default(),
        seen: sum.hours,
        confidence: 1.0,
        why: "no price of the book fits these hours",
        gpu_hours: Some(sum.gpu_hours),
        cost: None,
        is_waste: false,
        evidence: vec![("gpus", sum.gpus.len() as f64)],
    };
    models.into_iter().map(finding).collect()
}
