//! Entries by group, and the table of that.

use super::super::ask::{Dimension, Kind, Request};
use super::super::document::{Cell, CellKind, Column, Table};
use super::super::table::column;
use super::{Entry, Found, Part};
use crate::cost::{DAY_MICROS, Micros};
use chrono::DateTime;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

const MONTH_MICROS: i64 = 30 * DAY_MICROS;

/// Of parts of entries.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sum {
    /// Places of the entries, each of which counts once.
    pub(super) entries: BTreeSet<usize>,
    pub(super) jobs: i64,
    pub(super) gpu_hours: f64,
    pub(super) cost: Option<i64>,
    pub(super) down_gpu_hours: f64,
    pub(super) down_cost: Option<i64>,
    pub(super) unpriced_gpu_hours: f64,
}

/// Names and what they sum to.
pub(super) type Group = (Vec<Option<String>>, Sum);

fn plus(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).reduce(i64::saturating_add)
}

impl Sum {
    fn add(&mut self, place: usize, part: &Part) {
        self.entries.insert(place);
        self.jobs += i64::from(part.job.is_some());
        self.gpu_hours += part.gpu_hours;
        self.cost = plus(self.cost, part.cost_micros);
        if part.is_down {
            self.down_gpu_hours += part.gpu_hours;
            self.down_cost = plus(self.down_cost, part.cost_micros);
        }
        if part.cost_micros.is_none() {
            self.unpriced_gpu_hours += part.gpu_hours;
        }
    }

    pub(super) fn with(mut self, other: &Self) -> Self {
        self.entries.extend(&other.entries);
        self.jobs += other.jobs;
        self.gpu_hours += other.gpu_hours;
        self.cost = plus(self.cost, other.cost);
        self.down_gpu_hours += other.down_gpu_hours;
        self.down_cost = plus(self.down_cost, other.down_cost);
        self.unpriced_gpu_hours += other.unpriced_gpu_hours;
        self
    }
}

fn day(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap_or_default().format("%Y-%m-%d").to_string()
}

/// What a part is called by a dimension.
pub(super) fn name(dimension: &Dimension, found: &Found, entry: &Entry, part: &Part) -> Option<String> {
    match dimension.name().as_str() {
        "kind" | "category" => Some(entry.kind.clone()),
        "severity" => Some(entry.severity.clone()),
        "finding" | "incident" => Some(entry.title.clone()),
        "cluster" => Some(entry.cluster.clone()),
        "node" => entry.node.clone(),
        "gpu" => part.gpu.clone(),
        "job" => part.job.clone(),
        "team" => part.team.clone(),
        "user" => part.user.clone(),
        // What began before is told with the first day that is looked at.
        "day" => Some(day(entry.from_micros.max(found.from_micros))),
        _ => None,
    }
}

/// The costliest first.
pub(super) fn grouped(request: &Request, found: &Found) -> Vec<Group> {
    let mut groups: BTreeMap<Vec<Option<String>>, Sum> = BTreeMap::new();
    for (place, entry) in found.entries.iter().enumerate() {
        for part in &entry.parts {
            let names = request.by.iter().map(|dimension| name(dimension, found, entry, part)).collect();
            groups.entry(names).or_default().add(place, part);
        }
    }
    let mut groups: Vec<Group> = groups.into_iter().collect();
    groups.sort_by(|(_, a), (_, b)| b.cost.cmp(&a.cost).then(b.gpu_hours.total_cmp(&a.gpu_hours)));
    groups
}

/// What 30 days like the known hours cost.
pub(super) fn per_month(found: &Found, cost: i64) -> Option<i64> {
    let known = Decimal::from((found.to_micros - found.from_micros).max(0));
    let months = Decimal::from(MONTH_MICROS).checked_div(known)?;
    Micros::of(Micros(cost).decimal(), months).ok().map(|cost| cost.0)
}

fn columns(request: &Request) -> Vec<Column> {
    let of_dimension = |d: &Dimension| column(&d.name(), &d.title(), CellKind::Text, true, true);
    let mut columns: Vec<Column> = request.by.iter().map(of_dimension).collect();
    columns.extend(match request.kind {
        Kind::Waste => vec![
            column("findings", "Findings", CellKind::Count, true, true),
            column("gpu_hours", "GPU-hours", CellKind::Hours, true, true),
            column("cost", "Cost", CellKind::Micros, true, true),
            column("share", "Share", CellKind::Ratio, false, true),
            column("cost_per_month", "Per month", CellKind::Micros, true, true),
        ],
        _ => vec![
            column("incidents", "Incidents", CellKind::Count, true, true),
            column("jobs", "Jobs hit", CellKind::Count, true, true),
            column("gpu_hours_lost", "GPU-hours lost", CellKind::Hours, true, true),
            column("down_gpu_hours", "Of it down", CellKind::Hours, true, true),
            column("cost", "Cost", CellKind::Micros, true, true),
            column("share", "Share", CellKind::Ratio, false, true),
            column("down_cost", "Of it down", CellKind::Micros, true, true),
        ],
    });
    columns
}

/// The table with at most `shown` groups in rows; those after them are summed.
pub(super) fn table(request: &Request, found: &Found, groups: &[Group], whole: &Sum, shown: usize) -> Table {
    let micros = |value: Option<i64>| value.map_or(Cell::Empty, Cell::Micros);
    // Parts of the month sum to it, to the micro.
    let month = whole.cost.and_then(|cost| per_month(found, cost));
    let weights: Vec<u64> = groups.iter().map(|(_, sum)| sum.cost.unwrap_or_default().max(0).unsigned_abs()).collect();
    let months = month.map(|month| Micros(month).split(&weights)).unwrap_or_default();
    let month_of = |at: usize, sum: &Sum| sum.cost.and(months.get(at)).map(|part| part.0);
    let cells = |sum: &Sum, month: Option<i64>| {
        let count = i64::try_from(sum.entries.len()).unwrap_or(i64::MAX);
        let share = match (sum.cost, whole.cost) {
            (Some(cost), Some(whole)) if whole != 0 => Cell::Ratio(cost as f64 / whole as f64),
            _ => Cell::Empty,
        };
        match request.kind {
            Kind::Waste => {
                vec![Cell::Count(count), Cell::Hours(sum.gpu_hours), micros(sum.cost), share, micros(month)]
            }
            _ => vec![
                Cell::Count(count),
                Cell::Count(sum.jobs),
                Cell::Hours(sum.gpu_hours),
                Cell::Hours(sum.down_gpu_hours),
                micros(sum.cost),
                share,
                micros(sum.down_cost),
            ],
        }
    };
    let row = |(at, (names, sum)): (usize, &Group)| -> Vec<Cell> {
        let names = names.iter().map(|name| name.clone().map_or(Cell::Empty, Cell::Text));
        names.chain(cells(sum, month_of(at, sum))).collect()
    };
    let under = |sum: &Sum, month| -> Vec<Cell> {
        vec![Cell::Empty; request.by.len()].into_iter().chain(cells(sum, month)).collect()
    };
    let left_out = groups.len().saturating_sub(shown);
    let rest = (left_out > 0).then(|| {
        let sum = groups.iter().skip(shown).fold(Sum::default(), |rest, (_, sum)| rest.with(sum));
        let month = (shown..groups.len()).filter_map(|at| month_of(at, &groups[at].1)).reduce(|a, b| a + b);
        (left_out, under(&sum, month))
    });
    Table {
        columns: columns(request),
        rows: groups.iter().enumerate().take(shown).map(row).collect(),
        rest,
        total: under(whole, month),
    }
}
