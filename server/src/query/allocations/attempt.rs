//! One attempt of a job: what its events say, and what it held from when to when.

use std::collections::BTreeMap;

/// Beyond so many suspensions an attempt counts as running.
const SUSPENSIONS_MAX: usize = 100;

/// What one event says, in the order in which events count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    pub(super) time: i64,
    /// Of its kind, among events of the same time.
    pub(super) rank: u8,
    pub(super) kind: Box<str>,
    pub(super) started_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
    pub(super) suspended: Option<bool>,
    pub(super) nodes: Vec<Box<str>>,
    /// Empty where it says nothing.
    pub(super) gpus: Vec<Box<str>>,
}

/// Whether a scheduler's state means that the job's GPUs are free for others.
pub(super) fn is_suspended(state: &str) -> bool {
    state.trim().to_ascii_uppercase().starts_with("SUSPEND")
}

/// A GPU as a scheduler names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gpu {
    Uuid(Box<str>),
    Index { node: Box<str>, index: i64 },
}

impl Gpu {
    /// The GPU, and whether it is a share of it: `GPU-…`, `MIG-…`, `GPU-…::3`, `node/3`, `node/3::1`. What else there
    /// is counts as a UUID, a PCI path with its node too.
    pub(super) fn parse(text: &str) -> (Self, bool) {
        let digits = |text: &str| !text.is_empty() && text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit());
        let (device, shared) = match text.rsplit_once("::") {
            Some((device, replica)) if !device.is_empty() && digits(replica) => (device, true),
            _ => (text, false),
        };
        match device.rsplit_once('/') {
            Some((node, index)) if !node.is_empty() && digits(index) => {
                // Six digits fit.
                (Self::Index { node: node.into(), index: index.parse().unwrap_or_default() }, shared)
            }
            _ => (Self::Uuid(device.into()), shared),
        }
    }
}

/// A GPU, or shares of it, for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) gpu: Gpu,
    /// None where it holds all of it.
    pub(super) shares: Option<i64>,
    pub(super) from: i64,
    pub(super) to: Option<i64>,
}

/// The first time of which its events speak; a later attempt ends an earlier one there.
pub(super) fn begins(events: &[Event]) -> Option<i64> {
    let told = events.iter().filter(|event| event.rank <= 1).map(|event| event.time);
    told.chain(events.iter().filter_map(|event| event.started_at)).min()
}

/// Start and end; `next` is where a later attempt begins.
fn life(events: &[Event], next: Option<i64>) -> Option<(i64, Option<i64>)> {
    let of_kind = |kind: &'static str| events.iter().filter(move |event| &*event.kind == kind).map(|event| event.time);
    let started = events.iter().rev().find_map(|event| event.started_at).or_else(|| of_kind("started").min())?;
    let ended = events.iter().rev().find_map(|event| event.ended_at).or_else(|| of_kind("ended").max());
    Some((started, ended.or(next.filter(|next| *next >= started))))
}

/// When it is suspended, from its events in their order.
fn suspensions(events: &[Event], start: i64) -> Vec<(i64, i64)> {
    let mut found: Vec<(i64, i64)> = Vec::new();
    let mut since = None;
    for event in events {
        match (event.suspended, since) {
            (Some(true), None) if found.len() < SUSPENSIONS_MAX => since = Some(event.time.max(start)),
            (Some(false), Some(from)) => {
                found.push((from, event.time));
                since = None;
            }
            _ => (),
        }
    }
    found.extend(since.map(|from| (from, i64::MAX)));
    found
}

/// By GPU and shares, disjoint and in order.
type Times = BTreeMap<(Gpu, Option<i64>), Vec<(i64, i64)>>;

/// What an attempt held; its events are in their order.
pub(super) fn held(events: &[Event], next: Option<i64>) -> Vec<Held> {
    let Some((start, end)) = life(events, next) else { return Vec::new() };
    let end = end.unwrap_or(i64::MAX);
    if end <= start {
        return Vec::new();
    }
    let lists: Vec<&Event> = events.iter().filter(|event| !event.gpus.is_empty()).collect();
    let mut times = Times::new();
    for (at, list) in lists.iter().enumerate() {
        let from = if at == 0 { start } else { list.time.clamp(start, end) };
        let to = lists.get(at + 1).map_or(end, |next| next.time.clamp(start, end));
        if from >= to {
            continue;
        }
        for gpu in of_list(&list.gpus) {
            let times = times.entry(gpu).or_default();
            match times.last_mut() {
                Some(before) if before.1 == from => before.1 = to,
                _ => times.push((from, to)),
            }
        }
    }
    let suspended = suspensions(events, start);
    let mut rows = Vec::new();
    for ((gpu, shares), times) in times {
        for (from, to) in times.into_iter().flat_map(|time| without(time, &suspended)) {
            rows.push(Held { gpu: gpu.clone(), shares, from, to: Some(to).filter(|to| *to < i64::MAX) });
        }
    }
    rows
}

/// Each GPU of a list once, with its shares.
fn of_list(gpus: &[Box<str>]) -> Vec<(Gpu, Option<i64>)> {
    let mut found: BTreeMap<Gpu, Option<i64>> = BTreeMap::new();
    for text in gpus {
        let (gpu, shared) = Gpu::parse(text);
        found
            .entry(gpu)
            .and_modify(|shares| *shares = shares.filter(|_| shared).map(|count| count + 1))
            .or_insert(shared.then_some(1));
    }
    found.into_iter().collect()
}

/// The parts of a time outside of gaps that are in order.
fn without((from, to): (i64, i64), gaps: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let (mut at, mut parts) = (from, Vec::new());
    for (open, close) in gaps {
        if at < (*open).min(to) {
            parts.push((at, (*open).min(to)));
        }
        at = at.max(*close);
    }
    if at < to {
        parts.push((at, to));
    }
    parts
}
