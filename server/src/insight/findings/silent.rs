//! Nodes that are paid for and send no telemetry.

use super::super::facts::{Text, Window, counted, span};
use super::{Finding, Looking, Owner, Place};
use crate::cost::Micros;
use contract::GpuState;
use contract::answers::Severity;
use std::collections::{BTreeMap, BTreeSet};

/// A restart of a node or of its collector takes less.
const GPU_HOURS_MIN: f64 = 2.0;

#[derive(Default)]
struct Sum<'a> {
    gpu_hours: f64,
    cost: Option<Micros>,
    gpus: BTreeSet<&'a str>,
    hours: Window,
}

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let window = looking.facts.window;
    let mut nodes: BTreeMap<(&Text, &Text), Sum<'_>> = BTreeMap::new();
    for cell in looking.facts.cells.iter().filter(|cell| cell.state == GpuState::Unknown) {
        let Some(node) = &cell.node else { continue };
        let sum = nodes.entry((&cell.cluster, node)).or_default();
        let first = if sum.gpus.is_empty() { cell.hours.from_micros } else { sum.hours.from_micros };
        sum.gpu_hours += cell.gpu_hours;
        sum.cost = sum.cost.into_iter().chain(cell.cost).reduce(|a, b| a + b);
        sum.gpus.insert(&cell.gpu_uuid);
        sum.hours = Window {
            from_micros: first.min(cell.hours.from_micros),
            to_micros: sum.hours.to_micros.max(cell.hours.to_micros),
        };
    }
    nodes.retain(|_, sum| sum.gpu_hours >= GPU_HOURS_MIN);
    let finding = |((cluster, node), sum): ((&Text, &Text), Sum<'_>)| {
        let ongoing = sum.hours.to_micros >= window.to_micros;
        let gpus = counted(sum.gpus.len(), "GPU");
        Finding {
            kind: "silent_node",
            severity: if ongoing { Severity::Critical } else { Severity::Notice },
            title: if ongoing { format!("{node} is silent") } else { format!("{node} was silent for a while") },
            detail: format!(
                "{gpus} sent nothing for {} in all",
                span((sum.gpu_hours / sum.gpus.len() as f64 * 3.6e9) as i64)
            ),
            action: match ongoing {
                true => "See whether the node is up and `coulomb-collector check` on it succeeds.".to_owned(),
                false => "See in the node's log whether it was down or only its collector was away.".to_owned(),
            },
            place: Place { cluster: cluster.clone(), node: Some(node.clone()), ..Place::default() },
            owner: Owner::default(),
            seen: sum.hours,
            confidence: 0.9,
            why: "no rows; whether the GPUs worked meanwhile is not known",
            gpu_hours: Some(sum.gpu_hours),
            cost: sum.cost,
            is_waste: false,
            evidence: vec![("gpus", sum.gpus.len() as f64), ("unknown_gpu_hours", sum.gpu_hours)],
        }
    };
    nodes.into_iter().map(finding).collect()
}
