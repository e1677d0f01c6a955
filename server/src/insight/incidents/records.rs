//! How often what runs on a node fails, held against the fleet.

use super::super::facts::{DAY, Facts, Text, Window};
use super::Incident;
use crate::cost::Micros;
use std::collections::{BTreeMap, BTreeSet};

/// The two-sided 95 % quantile of a normal distribution.
const Z: f64 = 1.96;
/// Below this nobody can tell a bad node from bad luck.
const FAILURES_MIN: u64 = 3;

/// A node and what failed on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeRecord {
    pub cluster: Text,
    pub node: Text,
    /// That ended within the window.
    pub attempts: u64,
    /// Of these, the ones that a failure of node, link or driver ended.
    pub failed: u64,
    /// Lower bound of the 95 % interval (Wilson) of the rate at which attempts fail here.
    pub ratio_at_least: f64,
    /// The rate over all nodes.
    pub fleet_ratio: f64,
    /// Of node, link or driver.
    pub incidents: u64,
    /// From the first of them to the end of the last.
    pub seen: Window,
    pub gpu_hours_lost: f64,
    pub cost: Option<Micros>,
    /// It fails more often than the others, and more often than chance explains.
    pub is_lemon: bool,
}

/// Lower bound of the interval in which the true rate lies, by Wilson; 0 without any try.
pub(super) fn at_least(failed: u64, tries: u64) -> f64 {
    if tries == 0 {
        return 0.0;
    }
    let (n, p) = (tries as f64, failed as f64 / tries as f64);
    let middle = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half) / (1.0 + Z * Z / n)).max(0.0)
}

/// Records of all nodes that had attempts or incidents, those that cost most first.
pub(super) fn of(facts: &Facts, incidents: &[Incident]) -> Vec<NodeRecord> {
    let mut nodes: BTreeMap<(Text, Text), (NodeRecord, BTreeSet<i64>)> = BTreeMap::new();
    for job in facts.jobs.iter().filter(|job| job.ended.is_some_and(|end| end >= facts.window.from_micros)) {
        for node in &job.nodes {
            nodes.entry((job.cluster.clone(), node.clone())).or_default().0.attempts += 1;
        }
    }
    for incident in incidents.iter().filter(|incident| incident.category.is_of_nodes()) {
        let Some(node) = &incident.node else { continue };
        let (record, days) = nodes.entry((incident.cluster.clone(), node.clone())).or_default();
        let first = if record.incidents == 0 { incident.seen.from_micros } else { record.seen.from_micros };
        record.seen = Window {
            from_micros: first.min(incident.seen.from_micros),
            to_micros: record.seen.to_micros.max(incident.seen.to_micros),
        };
        record.incidents += 1;
        record.failed += incident.jobs.len() as u64;
        record.gpu_hours_lost += incident.gpu_hours_lost();
        record.cost = record.cost.into_iter().chain(incident.cost()).reduce(|a, b| a + b);
        days.insert(incident.seen.from_micros.div_euclid(DAY));
    }
    let days_each = (facts.window.micros() as u64).div_ceil(DAY as u64);
    let total = |pick: fn(&(NodeRecord, BTreeSet<i64>)) -> u64| nodes.values().map(pick).sum::<u64>() as f64;
    let ratio = |part: f64, all: f64| if all > 0.0 { part / all } else { 0.0 };
    let fleet_ratio = ratio(total(|(record, _)| record.failed), total(|(record, _)| record.attempts));
    let fleet_days = ratio(total(|(_, days)| days.len() as u64), (nodes.len() as u64 * days_each) as f64);
    let finish = |((cluster, node), (record, days)): ((Text, Text), (NodeRecord, BTreeSet<i64>))| {
        // A node that was moved may have failures of jobs that are not known as attempts on it.
        let ratio_at_least = at_least(record.failed, record.attempts.max(record.failed));
        let by_attempts = record.failed >= FAILURES_MIN && ratio_at_least > fleet_ratio;
        let bad_days = days.len() as u64;
        let by_days = bad_days >= FAILURES_MIN && at_least(bad_days, days_each.max(bad_days)) > fleet_days;
        NodeRecord { cluster, node, ratio_at_least, fleet_ratio, is_lemon: by_attempts || by_days, ..record }
    };
    let mut records: Vec<NodeRecord> = nodes.into_iter().map(finish).collect();
    records.sort_by(|a, b| {
        let worse = b.is_lemon.cmp(&a.is_lemon).then(b.cost.cmp(&a.cost));
        worse.then(b.gpu_hours_lost.total_cmp(&a.gpu_hours_lost)).then(b.incidents.cmp(&a.incidents))
    });
    records
}
