//! Nodes on which jobs fail more often than elsewhere, and more often than chance explains.

use super::super::facts::percent;
use super::super::incidents::NodeRecord;
use super::{Finding, Looking, Owner, Place};
use contract::answers::Severity;

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let window = looking.facts.window;
    let finding = |node: &NodeRecord| Finding {
        kind: "lemon_node",
        severity: Severity::Critical,
        title: format!("{} fails more often than other nodes", node.node),
        detail: format!(
            "{} of {} attempts on it ended by a failure of node, link or driver, and it had {} incidents; \
             of the whole fleet's attempts {} end so",
            node.failed,
            node.attempts,
            node.incidents,
            percent(node.fleet_ratio)
        ),
        action: "Drain it and test it under load; swap the GPU that its incidents name before it takes jobs again."
            .to_owned(),
        place: Place { cluster: node.cluster.clone(), node: Some(node.node.clone()), ..Place::default() },
        owner: Owner::default(),
        seen: node.seen,
        confidence: 0.9,
        why: "the lower bound of a 95 % interval of its rate lies above the rate of the fleet",
        gpu_hours: Some(node.gpu_hours_lost),
        cost: node.cost,
        is_waste: false,
        evidence: vec![
            ("attempts", node.attempts as f64),
            ("failed", node.failed as f64),
            ("failed_ratio_at_least", node.ratio_at_least),
            ("fleet_ratio", node.fleet_ratio),
            ("incidents", node.incidents as f64),
            ("days", window.micros() as f64 / 8.64e10),
        ],
    };
    looking.failures.nodes.iter().filter(|node| node.is_lemon).map(finding).collect()
}
