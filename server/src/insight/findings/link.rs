//! Links between GPUs, or to the bus, that report errors again and again.

use super::super::facts::{Event, Text, Window};
use super::{Finding, Looking, Owner, Place};
use contract::answers::Severity;
use std::collections::BTreeMap;

/// Xids that are about NVLink or PCIe: a damaged command, a link, its training, its units.
const LINK_XIDS: [i64; 6] = [32, 74, 121, 136, 137, 155];
const NVLINK5_XIDS: std::ops::RangeInclusive<i64> = 144..=150;
/// One error of a link may be a program's end at a bad moment.
const EVENTS_MIN: usize = 2;

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let is_link = |event: &&Event| match event.code {
        _ if &*event.kind == "link" => true,
        Some(code) => &*event.kind == "xid" && (LINK_XIDS.contains(&code) || NVLINK5_XIDS.contains(&code)),
        None => false,
    };
    let mut nodes: BTreeMap<(&Text, &Text), Vec<&Event>> = BTreeMap::new();
    for event in looking.facts.events.iter().filter(is_link) {
        nodes.entry((&event.cluster, &event.node)).or_default().push(event);
    }
    nodes.retain(|_, events| events.len() >= EVENTS_MIN);
    let finding = |((cluster, node), events): ((&Text, &Text), Vec<&Event>)| {
        let first = events[0];
        let same = events.iter().all(|event| event.gpu_uuid == first.gpu_uuid);
        let times = events.iter().map(|event| event.time);
        let from_micros = times.clone().min().unwrap_or_default();
        Finding {
            kind: "link_errors",
            severity: Severity::Warning,
            title: format!("Links of {node} fail again and again"),
            detail: format!(
                "{} errors of NVLink or PCIe; the last: {}",
                events.len(),
                events[events.len() - 1].message
            ),
            action: "Keep jobs of many GPUs off this node until its bridges, cables and slots were looked at."
                .to_owned(),
            place: Place {
                cluster: cluster.clone(),
                node: Some(node.clone()),
                gpu_uuid: first.gpu_uuid.clone().filter(|_| same),
                job_id: None,
            },
            owner: Owner::default(),
            seen: Window { from_micros, to_micros: times.max().unwrap_or_default() },
            confidence: 0.8,
            why: "several events of the driver; which end of a link is at fault it does not say",
            gpu_hours: None,
            cost: None,
            is_waste: false,
            evidence: vec![("events", events.len() as f64)],
        }
    };
    nodes.into_iter().map(finding).collect()
}
