//! Device events that come together, as one incident each.

use super::super::facts::{Event, Facts, MINUTE, Text, Window, counted};
use super::{Category, Incident, Repeat};
use crate::query::{EventClass, Meanings};
use contract::answers::Severity;
use std::collections::HashMap;

/// The same event of the same GPU within this is the same trouble told again.
const REPEATS_WITHIN: i64 = 5 * MINUTE;
/// What happens on a node so shortly one after the other has one cause.
const TOGETHER_WITHIN: i64 = 2 * MINUTE;

/// Incidents of the events that are trouble, in order of time.
pub(super) fn incidents(facts: &Facts, outages: &[Event], meanings: &Meanings) -> Vec<Incident> {
    let before = outages.iter().filter(|event| event.time < facts.window.from_micros);
    let mut all: Vec<&Event> = before.chain(&facts.events).filter(|event| is_trouble(event, meanings)).collect();
    all.sort_by_key(|event| event.time);
    let mut open: HashMap<(&Text, &Text), usize> = HashMap::new();
    let mut groups: Vec<Vec<(Repeat, EventClass)>> = Vec::new();
    let mut places: Vec<(&Text, &Text)> = Vec::new();
    for event in all {
        let place = (&event.cluster, &event.node);
        let at = open.get(&place).copied().filter(|at| event.time <= last(&groups[*at]) + wait(event, &groups[*at]));
        let at = at.unwrap_or_else(|| {
            groups.push(Vec::new());
            places.push(place);
            groups.len() - 1
        });
        open.insert(place, at);
        hear(&mut groups[at], event, meanings);
    }
    let incident = |(group, (cluster, node)): (Vec<_>, (&Text, &Text))| of_group(group, cluster, node);
    groups.into_iter().zip(places).map(incident).collect()
}

fn last(group: &[(Repeat, EventClass)]) -> i64 {
    group.iter().map(|(repeat, _)| repeat.seen.to_micros).max().unwrap_or(i64::MIN)
}

fn is_same(event: &Event, repeat: &Repeat) -> bool {
    (&event.kind, event.code, &event.gpu_uuid) == (&repeat.kind, repeat.code, &repeat.gpu_uuid)
}

/// How long after the last event of a group this one still belongs to it.
fn wait(event: &Event, group: &[(Repeat, EventClass)]) -> i64 {
    let again = group.iter().any(|(repeat, _)| is_same(event, repeat));
    if again { REPEATS_WITHIN } else { TOGETHER_WITHIN }
}

/// What is no repair, no count of what was repaired, and no lost row.
fn is_trouble(event: &Event, meanings: &Meanings) -> bool {
    match &*event.kind {
        "xid" => meanings.of("xid", event.code).is_none_or(|m| m.class != EventClass::Repair && event.code != Some(45)),
        "lost" | "link" => true,
        "ecc" | "remap" => matches!(&*event.severity, "error" | "critical"),
        _ => false,
    }
}

fn hear(group: &mut Vec<(Repeat, EventClass)>, event: &Event, meanings: &Meanings) {
    if let Some((repeat, _)) = group.iter_mut().find(|(repeat, _)| is_same(event, repeat)) {
        repeat.count += 1;
        repeat.seen.to_micros = event.time;
        repeat.message = event.message.clone();
        return;
    }
    let meaning = meanings.of(&event.kind, event.code);
    let is_planned = &*event.kind == "lost" && &*event.severity == "info";
    let repeat = Repeat {
        kind: event.kind.clone(),
        code: event.code,
        gpu_uuid: event.gpu_uuid.clone(),
        count: 1,
        seen: Window { from_micros: event.time, to_micros: event.time },
        severity: if is_planned { Severity::Notice } else { meaning.map_or(Severity::Warning, |m| m.severity) },
        message: event.message.clone(),
        meaning: if is_planned {
            "It was taken out of service on purpose.".to_owned()
        } else {
            meaning.map(|m| m.meaning.clone()).unwrap_or_default()
        },
        action: if is_planned {
            "Nothing to do.".to_owned()
        } else {
            meaning.map(|m| m.action.clone()).unwrap_or_default()
        },
    };
    group.push((repeat, meaning.map_or(EventClass::Hardware, |m| m.class)));
}

/// The gravest event says what it is; an Xid says more than that the GPU is gone.
fn of_group(group: Vec<(Repeat, EventClass)>, cluster: &Text, node: &Text) -> Incident {
    let rank = |(repeat, _): &&(Repeat, EventClass)| (repeat.severity, &*repeat.kind != "xid", repeat.seen.from_micros);
    let (head, class) = group.iter().min_by_key(rank).cloned().expect("a group has an event");
    let is_planned = group.iter().all(|(repeat, _)| &*repeat.kind == "lost" && repeat.severity == Severity::Notice);
    let mut gpu_uuids: Vec<Text> = group.iter().filter_map(|(repeat, _)| repeat.gpu_uuid.clone()).collect();
    gpu_uuids.sort();
    gpu_uuids.dedup();
    let gpus =
        if gpu_uuids.is_empty() { node.to_string() } else { format!("{} of {node}", counted(gpu_uuids.len(), "GPU")) };
    let title = match (is_planned, &*head.kind, head.code) {
        (true, ..) => format!("{gpus} out of service"),
        (_, "xid", Some(code)) => format!("Xid {code} on {gpus}"),
        (_, "lost", _) => format!("{gpus} lost"),
        (_, kind, _) => format!("{kind} errors on {gpus}"),
    };
    let events: Vec<Repeat> = group.into_iter().map(|(repeat, _)| repeat).collect();
    let from_micros = events.iter().map(|event| event.seen.from_micros).min().unwrap_or_default();
    let to_micros = events.iter().map(|event| event.seen.to_micros).max().unwrap_or_default();
    Incident {
        category: if is_planned { Category::Planned } else { Category::of_class(class) },
        severity: head.severity,
        title,
        meaning: head.meaning,
        action: head.action,
        cluster: cluster.clone(),
        node: Some(node.clone()),
        gpu_uuids,
        seen: Window { from_micros, to_micros },
        is_ongoing: false,
        events,
        jobs: Vec::new(),
        down_gpu_hours: 0.0,
        down_cost: None,
        confidence: 0.9,
        why: "the driver or the collector reported it",
    }
}
