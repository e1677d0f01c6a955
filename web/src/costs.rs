//! What costs can be grouped by, and how an answer about them is laid out: order, shares, bands, steps. Pure.
//!
//! **Invariant:** the server computes money; here are only parts of a whole and what a rate is of two given numbers.

pub(crate) mod flow;
pub(crate) mod lines;
pub(crate) mod slice;
pub(crate) mod table;

use crate::charts::colours::{OTHER, SERIES, colours};
use crate::format::{self, money};
use contract::answers::{CostGroup, Costs, WaterfallStep};

#[derive(Debug, PartialEq)]
pub(crate) struct Dimension {
    /// As the API knows it.
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    /// Of rows that have no such name.
    pub(crate) none: &'static str,
}

const fn dimension(name: &'static str, label: &'static str, none: &'static str) -> Dimension {
    Dimension { name, label, none }
}

pub(crate) static DIMENSIONS: [Dimension; 17] = [
    dimension("team", "Team", "no team"),
    dimension("cost_centre", "Cost centre", "no cost centre"),
    dimension("project", "Project", "no project"),
    dimension("user", "User", "no user"),
    dimension("account", "Account", "no account"),
    dimension("queue", "Queue", "no queue"),
    dimension("job", "Job", "no job"),
    dimension("gpu_model", "GPU model", "no model known"),
    dimension("gpu", "GPU", "no GPU known"),
    dimension("pool", "Pool", "no pool"),
    dimension("provider", "Provider", "no provider"),
    dimension("region", "Region", "no region"),
    dimension("node", "Node", "no node known"),
    dimension("cluster", "Cluster", "no cluster"),
    dimension("category", "Category", "no category"),
    dimension("state", "State", "by accounting"),
    dimension("period", "Month", "no month"),
];

impl Dimension {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        DIMENSIONS.iter().find(|d| d.name == name)
    }

    /// Within a sentence; what is written large stays so.
    pub(crate) fn word(&self) -> String {
        match self.label.starts_with("GPU") {
            true => self.label.to_owned(),
            false => self.label.to_lowercase(),
        }
    }

    /// The page's words for a group.
    pub(crate) fn label_of(&self, name: Option<&str>) -> String {
        match name {
            None => self.none.to_owned(),
            Some(period) if self.name == "period" => money::month(period),
            Some(state) if self.name == "state" => state_label(state).to_owned(),
            Some(name) => name.to_owned(),
        }
    }
}

/// The page's words for one of the six states; others stay as they are.
pub(crate) fn state_label(state: &str) -> &str {
    match state {
        "held_idle" => "held, idle",
        "held_empty" => "held, empty",
        other => other,
    }
}

/// Part of a whole, 0 to 1; nothing where there is no whole.
pub(crate) fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64).clamp(0.0, 1.0))
}

/// Hours below this are rounding.
const NO_HOURS: f64 = 1e-6;

/// How much of some use has a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priced {
    All,
    Partly,
    Nothing,
}

pub(crate) fn priced(gpu_hours: f64, unpriced_gpu_hours: f64) -> Priced {
    match unpriced_gpu_hours {
        hours if hours < NO_HOURS => Priced::All,
        hours if hours > gpu_hours - NO_HOURS => Priced::Nothing,
        _ => Priced::Partly,
    }
}

/// Cost of a GPU-hour that has a price, in micros; nothing where none has.
pub(crate) fn rate(cost_micros: i64, gpu_hours: f64, unpriced_gpu_hours: f64) -> Option<i64> {
    let hours = gpu_hours - unpriced_gpu_hours;
    (hours > NO_HOURS).then(|| (cost_micros as f64 / hours).round() as i64)
}

/// Groups of a chart that have a colour of their own.
pub(crate) const BANDS_MAX: usize = SERIES.len();

/// A group, or all further ones, over the days.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Band {
    pub(crate) label: String,
    /// Token of its colour.
    pub(crate) colour: &'static str,
    pub(crate) by_day_micros: Vec<i64>,
}

/// The most costly groups, then the rest as one; groups without any cost are left out.
pub(crate) fn bands(costs: &Costs, by: &Dimension) -> Vec<Band> {
    let days = costs.days_unix_micros.len();
    let filled = |g: &CostGroup| (0..days).map(|i| g.by_day_micros.get(i).copied().unwrap_or(0)).collect::<Vec<_>>();
    let some: Vec<&CostGroup> = costs.groups.iter().filter(|g| g.by_day_micros.iter().any(|c| *c != 0)).collect();
    let (top, rest) = some.split_at(some.len().min(BANDS_MAX));
    let labels: Vec<String> = top.iter().map(|g| by.label_of(g.name.as_deref())).collect();
    let colours = colours(&labels);
    let band = |((group, label), colour): ((&&CostGroup, String), &'static str)| Band {
        label,
        colour,
        by_day_micros: filled(group),
    };
    let mut out: Vec<Band> = top.iter().zip(labels).zip(colours).map(band).collect();
    if !rest.is_empty() {
        let mut sums = vec![0i64; days];
        for group in rest {
            for (sum, cost) in sums.iter_mut().zip(filled(group)) {
                *sum = sum.saturating_add(cost);
            }
        }
        let label = format!("{} more", format::count(rest.len() as u64));
        out.push(Band { label, colour: OTHER, by_day_micros: sums });
    }
    out
}

/// Upper edges of bands that lie one on the other, in whole currency. Below zero is drawn as nothing.
pub(crate) fn edges(bands: &[&Band]) -> Vec<Vec<Option<f64>>> {
    let mut below: Vec<f64> = Vec::new();
    let mut edge = |band: &&Band| {
        below.resize(band.by_day_micros.len(), 0.0);
        for (sum, cost) in below.iter_mut().zip(&band.by_day_micros) {
            *sum += (*cost).max(0) as f64 / 1e6;
        }
        below.iter().copied().map(Some).collect()
    };
    bands.iter().map(&mut edge).collect()
}

/// A step of the waterfall as it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) meaning: &'static str,
    /// Of what was paid.
    pub(crate) known: Option<f64>,
    pub(crate) unknown: f64,
}

pub(crate) fn bar(step: &WaterfallStep, paid_micros: i64) -> Bar {
    let (label, meaning) = match step.stage.as_str() {
        "paid" => ("Paid", "all GPU-hours that have a price"),
        "allocated" => ("Allocated", "a job had the GPU"),
        "held_by_a_process" => ("Held by a process", "a process of the job was on the GPU"),
        "sm_active" => ("SM active", "its multiprocessors worked"),
        "tensor_active" => ("Tensor active", "its tensor cores worked"),
        "goodput" => ("Goodput", "the work was neither lost nor repeated"),
        _ => ("", ""),
    };
    let label = if label.is_empty() { step.stage.replace('_', " ") } else { label.to_owned() };
    let known = step.cost_micros.and_then(|cost| share(cost, paid_micros));
    let room = 1.0 - known.unwrap_or(0.0);
    let unknown = share(step.unknown_micros, paid_micros).unwrap_or(0.0).min(room);
    Bar { label, meaning, known, unknown }
}

#[cfg(test)]
mod tests;
