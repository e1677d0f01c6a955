//! The nodes of a fleet as rows: filtered, summed and sorted. Pure.

use crate::charts::share;
use crate::order;
use contract::answers::FleetNode;
use contract::{ByState, GpuState};
use std::cmp::Ordering;

/// One node in the table; null where none of its GPUs reported.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NodeRow {
    /// Position in the answer.
    pub(crate) at: usize,
    pub(crate) cluster: String,
    pub(crate) node: String,
    pub(crate) rack: Option<String>,
    pub(crate) model: String,
    pub(crate) gpus: ByState<u64>,
    pub(crate) busy_ratio: Option<f64>,
    /// Sum over the GPUs that report it.
    pub(crate) power_watts: Option<f64>,
    pub(crate) temperature_celsius_max: Option<f64>,
    pub(crate) memory_ratio: Option<f64>,
    /// Who holds GPUs now, each once, in order of GPU.
    pub(crate) users: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) key: &'static str,
    pub(crate) head: &'static str,
    pub(crate) numeric: bool,
}

const fn text(key: &'static str, head: &'static str) -> Column {
    Column { key, head, numeric: false }
}

const fn number(key: &'static str, head: &'static str) -> Column {
    Column { key, head, numeric: true }
}

pub(crate) const COLUMNS: [Column; 10] = [
    text("node", "Node"),
    text("rack", "Rack"),
    text("model", "Model"),
    number("gpus", "GPUs"),
    text("state", "State now"),
    number("busy", "Busy, %"),
    number("power", "Power, W"),
    number("temperature", "Hottest, °C"),
    number("memory", "Memory, %"),
    text("users", "Held by"),
];

impl NodeRow {
    pub(crate) fn of(at: usize, n: &FleetNode) -> Self {
        let mut gpus = ByState::<u64>::default();
        let mut users: Vec<String> = Vec::new();
        for gpu in &n.gpus {
            *gpus.get_mut(gpu.state) += 1;
            if let Some(user) = gpu.user.as_ref().filter(|u| !users.contains(u)) {
                users.push(user.clone());
            }
        }
        let reported =
            |f: fn(&contract::answers::FleetGpu) -> Option<f64>| n.gpus.iter().filter_map(f).collect::<Vec<_>>();
        let sum = |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>());
        let busy = reported(|g| g.gpu_busy_ratio);
        let memory =
            reported(|g| Some(g.memory_used_bytes? as f64 / (g.memory_total_bytes.filter(|t| *t > 0)? as f64)));
        Self {
            at,
            cluster: n.cluster.clone(),
            node: n.node.clone(),
            rack: n.rack.clone(),
            model: n.gpus.first().map(|g| g.gpu_model.clone()).unwrap_or_default(),
            gpus,
            busy_ratio: sum(&busy).map(|s| s / busy.len() as f64),
            power_watts: sum(&reported(|g| g.power_watts)),
            temperature_celsius_max: reported(|g| g.temperature_celsius).into_iter().reduce(f64::max),
            memory_ratio: sum(&memory).map(|s| s / memory.len() as f64),
            users,
        }
    }

    pub(crate) fn gpu_count(&self) -> u64 {
        GpuState::ALL.into_iter().map(|s| self.gpus.get(s)).sum()
    }

    /// Sorts the state column: the worse a node, the larger.
    fn badness(&self) -> f64 {
        let g = share::to_floats(&self.gpus);
        let total = share::total(&g).max(1.0);
        (g.down * 1000.0 + g.unknown * 100.0 + g.held_empty * 10.0 + g.held_idle * 5.0 + g.unallocated) / total
    }
}

/// Whether every word of the filter is in a name on the node: cluster, node, rack, model, GPU, job, user or state.
pub(crate) fn matches(node: &FleetNode, filter: &str) -> bool {
    let has = |text: &str, word: &str| text.to_lowercase().contains(word);
    filter.to_lowercase().split_whitespace().all(|word| {
        has(&node.cluster, word)
            || has(&node.node, word)
            || node.rack.as_deref().is_some_and(|r| has(r, word))
            || node.gpus.iter().any(|g| {
                let named = [g.job_id.as_deref(), g.user.as_deref()];
                has(&g.gpu_model, word)
                    || has(&g.gpu_uuid, word)
                    || g.state.as_str() == word
                    || named.into_iter().flatten().any(|t| has(t, word))
            })
    })
}

/// Sorts by a column's key, downwards with a leading `-`. An unknown key, or none, keeps the order. Null is last.
pub(crate) fn sort(rows: &mut [NodeRow], by: &str) {
    let (key, down) = by.strip_prefix('-').map_or((by, false), |key| (key, true));
    let compare: fn(&NodeRow, &NodeRow) -> (Ordering, bool) = match key {
        "node" => |a, b| (natural(&a.node, &b.node), false),
        "rack" => |a, b| text_order(a.rack.as_deref(), b.rack.as_deref()),
        "model" => |a, b| (a.model.cmp(&b.model), false),
        "gpus" => |a, b| (a.gpu_count().cmp(&b.gpu_count()), false),
        "state" => |a, b| (a.badness().total_cmp(&b.badness()), false),
        "busy" => |a, b| number_order(a.busy_ratio, b.busy_ratio),
        "power" => |a, b| number_order(a.power_watts, b.power_watts),
        "temperature" => |a, b| number_order(a.temperature_celsius_max, b.temperature_celsius_max),
        "memory" => |a, b| number_order(a.memory_ratio, b.memory_ratio),
        "users" => |a, b| text_order(a.users.first().map(String::as_str), b.users.first().map(String::as_str)),
        _ => return,
    };
    order::sort_by(rows, |a, b| match compare(a, b) {
        (order, null) if null || !down => order,
        (order, _) => order.reverse(),
    });
}

/// An order, and whether it is due to a null, which direction does not turn.
fn ordered<T>(a: Option<T>, b: Option<T>, by: fn(&T, &T) -> Ordering) -> (Ordering, bool) {
    match (a, b) {
        (Some(a), Some(b)) => (by(&a, &b), false),
        (a, b) => (b.is_some().cmp(&a.is_some()), true),
    }
}

fn number_order(a: Option<f64>, b: Option<f64>) -> (Ordering, bool) {
    ordered(a, b, f64::total_cmp)
}

fn text_order(a: Option<&str>, b: Option<&str>) -> (Ordering, bool) {
    ordered(a, b, |a, b| natural(a, b))
}

/// `n9` before `n10`: runs of digits compare as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let mut left = a.chars().peekable();
    let mut right = b.chars().peekable();
    loop {
        match (left.peek().copied(), right.peek().copied()) {
            (None, None) => return a.cmp(b),
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let order = take_number(&mut left).cmp(&take_number(&mut right));
                if order != Ordering::Equal {
                    return order;
                }
            }
            (Some(x), Some(y)) if x == y => {
                left.next();
                right.next();
            }
            (Some(x), Some(y)) => return x.cmp(&y),
        }
    }
}

/// Longer numbers are larger; leading zeros do not count.
fn take_number(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> (usize, String) {
    let mut digits = String::new();
    while let Some(c) = chars.next_if(char::is_ascii_digit) {
        if c != '0' || !digits.is_empty() {
            digits.push(c);
        }
    }
    (digits.len(), digits)
}

#[cfg(test)]
mod tests;
