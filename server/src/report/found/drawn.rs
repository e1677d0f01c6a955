//! The chart: waste by whom it is of and kind, failures over time by category.

use super::super::ask::{Kind, Request};
use super::super::document::{Chart, Series};
use super::super::figures::units;
use super::super::gather::{SERIES_MAX, bucket};
use super::super::shape::{ALONG_TIME, COLOURS, REST_COLOUR, buckets};
use super::super::words::{NAMELESS, every};
use super::Found;
use super::figures::{parts, spoken};
use super::sums::{Group, name};
use chrono::DateTime;
use std::collections::BTreeMap;

/// Bars whose names fit below each other side by side, with that of the others.
const BARS_MAX: usize = 8;
/// A name below a bar, in letters: so many fit when all bars are there.
const NAME_CHARS_MAX: usize = 13;
const OTHERS: &str = "others";

/// Values by key, then by bar.
type Bars = BTreeMap<String, BTreeMap<String, f64>>;

pub(super) fn chart(request: &Request, found: &Found, groups: &[Group], currency: &str) -> Option<Chart> {
    if found.entries.is_empty() {
        return None;
    }
    match request.kind {
        Kind::Waste => Some(of_waste(request, found, groups, currency)),
        _ => Some(of_failures(request, found)),
    }
}

fn of_waste(request: &Request, found: &Found, groups: &[Group], currency: &str) -> Chart {
    let has_money = groups.iter().any(|(_, sum)| sum.cost.is_some());
    let value = |cost: Option<i64>, gpu_hours: f64| if has_money { units(cost.unwrap_or_default()) } else { gpu_hours };
    let along = &request.by[0];
    let mut whole: BTreeMap<String, f64> = BTreeMap::new();
    for (names, sum) in groups {
        *whole.entry(shown(names[0].as_deref())).or_default() += value(sum.cost, sum.gpu_hours);
    }
    let mut names: Vec<(String, f64)> = whole.into_iter().collect();
    names.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let has_rest = names.len() > BARS_MAX;
    let mut bars: Vec<String> = names.into_iter().take(BARS_MAX).map(|(name, _)| name).collect();
    if has_rest {
        bars.push(OTHERS.to_owned());
    }
    let mut values = Bars::new();
    for (entry, part) in parts(found) {
        let bar = shown(name(along, found, entry, part).as_deref());
        let bar = if bars.contains(&bar) { bar } else { OTHERS.to_owned() };
        *values.entry(spoken(&entry.kind)).or_default().entry(bar).or_default() +=
            value(part.cost_micros, part.gpu_hours);
    }
    let unit = if has_money { currency } else { "GPU-hours" };
    let title = along.title().to_lowercase().replace("gpu", "GPU");
    let title = if title == "kind" { "Waste by kind".to_owned() } else { format!("Waste by {title} and kind") };
    Chart {
        title,
        unit: unit.to_owned(),
        along: along.plain_title(),
        remark: None,
        series: series(values, &bars),
        buckets: bars.iter().map(|bar| cut(bar)).collect(),
    }
}

fn of_failures(request: &Request, found: &Found) -> Chart {
    let form = bucket(request.period);
    let mut values = Bars::new();
    for (entry, part) in parts(found) {
        let time = DateTime::from_timestamp_micros(entry.from_micros.max(found.from_micros)).unwrap_or_default();
        *values.entry(spoken(&entry.kind)).or_default().entry(time.format(form).to_string()).or_default() +=
            part.gpu_hours;
    }
    let bars = buckets(request);
    Chart {
        title: format!("GPU-hours lost by {} and category", every(form)),
        unit: "GPU-hours".to_owned(),
        along: ALONG_TIME,
        remark: Some("By when an incident began."),
        series: series(values, &bars),
        buckets: bars,
    }
}

/// The keys that have most, the others together.
fn series(values: Bars, bars: &[String]) -> Vec<Series> {
    let mut keys: Vec<(String, BTreeMap<String, f64>)> = values.into_iter().collect();
    let sum = |of: &BTreeMap<String, f64>| of.values().sum::<f64>();
    keys.sort_by(|a, b| sum(&b.1).total_cmp(&sum(&a.1)).then_with(|| a.0.cmp(&b.0)));
    let rest = keys.split_off(keys.len().min(SERIES_MAX));
    let mut all: Vec<Series> = Vec::new();
    let of_bars = |of: &BTreeMap<String, f64>| -> Vec<f64> {
        bars.iter().map(|bar| of.get(bar).copied().unwrap_or_default()).collect()
    };
    for ((key, of), colour) in keys.iter().zip(COLOURS) {
        all.push(Series { name: key.clone(), colour, values: of_bars(of) });
    }
    if !rest.is_empty() {
        let values: Vec<Vec<f64>> = rest.iter().map(|(_, of)| of_bars(of)).collect();
        let values = (0..bars.len()).map(|at| values.iter().map(|of| of[at]).sum()).collect();
        all.push(Series { name: OTHERS.to_owned(), colour: REST_COLOUR, values });
    }
    all
}

fn shown(name: Option<&str>) -> String {
    name.unwrap_or(NAMELESS).to_owned()
}

fn cut(name: &str) -> String {
    match name.chars().count() {
        0..=NAME_CHARS_MAX => name.to_owned(),
        _ => name.chars().take(NAME_CHARS_MAX - 1).chain(['…']).collect(),
    }
}
