//! What is done to a vector as a whole. Pure.

use super::super::QueryError;
use super::budget::Budget;
use super::functions::histogram::{self, Bucket};
use super::functions::window::nan_first;
use super::labels::Labels;
use super::series::Line;
use promql_parser::label::BUCKET_LABEL;
use std::cmp::Ordering;
use std::collections::HashMap;

/// Lines of the same labels become one; at no step may two of them have a value.
pub(super) fn unique(lines: Vec<Line>) -> Result<Vec<Line>, QueryError> {
    let clash = || "vector cannot contain metrics with the same labelset".to_owned();
    merged(lines, clash)
}

pub(super) fn merged(lines: Vec<Line>, clash: impl Fn() -> String) -> Result<Vec<Line>, QueryError> {
    let mut places: HashMap<Labels, usize> = HashMap::with_capacity(lines.len());
    let mut merged: Vec<Line> = Vec::with_capacity(lines.len());
    for line in lines {
        let Some(place) = places.get(&line.labels) else {
            places.insert(line.labels.clone(), merged.len());
            merged.push(line);
            continue;
        };
        for (mine, theirs) in merged[*place].values.iter_mut().zip(line.values) {
            if mine.is_some() && theirs.is_some() {
                return Err(QueryError::Evaluation(clash()));
            }
            *mine = mine.or(theirs);
        }
    }
    Ok(merged)
}

/// What was computed from a metric is no longer that metric.
pub(super) fn without_names(mut lines: Vec<Line>) -> Result<Vec<Line>, QueryError> {
    lines.iter_mut().for_each(|line| line.labels = line.labels.without_name());
    unique(lines)
}

/// A function of the place of a step and of the value there.
pub(super) fn each_value(
    mut lines: Vec<Line>,
    mut function: impl FnMut(usize, f64) -> Option<f64>,
) -> Result<Vec<Line>, QueryError> {
    for line in &mut lines {
        for (step, value) in line.values.iter_mut().enumerate() {
            *value = value.and_then(|value| function(step, value));
        }
    }
    lines.retain(|line| !line.is_empty());
    without_names(lines)
}

/// The value of the only series; NaN when there is none or more than one.
pub(super) fn scalar(lines: &[Line], steps: usize) -> Vec<f64> {
    let at = |step: usize| {
        let mut values = lines.iter().filter_map(|line| line.values[step]);
        match (values.next(), values.next()) {
            (Some(value), None) => value,
            _ => f64::NAN,
        }
    };
    (0..steps).map(at).collect()
}

/// 1 where no series has a value.
pub(super) fn absent(lines: &[Line], labels: &Labels, steps: usize) -> Vec<Line> {
    let at = |step: usize| lines.iter().all(|line| line.values[step].is_none()).then_some(1.0);
    let line = Line { labels: labels.clone(), values: (0..steps).map(at).collect() };
    if line.is_empty() { Vec::new() } else { vec![line] }
}

/// By the value at the only step. Over several steps there is no order.
pub(super) fn sorted(mut lines: Vec<Line>, descending: bool) -> Vec<Line> {
    if lines.iter().all(|line| line.values.len() == 1) {
        lines.sort_by(|a, b| nan_last(a.values[0], b.values[0], descending));
    }
    lines
}

pub(super) fn nan_last(a: Option<f64>, b: Option<f64>, descending: bool) -> Ordering {
    let (a, b) = (a.unwrap_or(f64::NAN), b.unwrap_or(f64::NAN));
    match (a.is_nan(), b.is_nan()) {
        (false, false) if descending => nan_first(b, a),
        (false, false) => nan_first(a, b),
        (a, b) => a.cmp(&b),
    }
}

/// Of the histograms whose buckets are series that differ in `le` only.
pub(super) fn histogram_quantile(quantile: &[f64], lines: &[Line], budget: &Budget) -> Result<Vec<Line>, QueryError> {
    let mut histograms: Vec<(Labels, Vec<(f64, &Line)>)> = Vec::new();
    let mut places: HashMap<Labels, usize> = HashMap::new();
    for line in lines {
        let Ok(bound) = line.labels.get(BUCKET_LABEL).parse::<f64>() else { continue };
        let labels = line.labels.without_name().without(&[BUCKET_LABEL.to_owned()]);
        let place = *places.entry(labels.clone()).or_insert(histograms.len());
        if place == histograms.len() {
            histograms.push((labels, Vec::new()));
        }
        histograms[place].1.push((bound, line));
    }
    budget.lines(histograms.len(), quantile.len())?;
    let of = |(labels, lines): (Labels, Vec<(f64, &Line)>)| {
        let at = |(step, q): (usize, &f64)| {
            let buckets =
                lines.iter().filter_map(|(bound, line)| line.values[step].map(|count| Bucket { bound: *bound, count }));
            let buckets: Vec<Bucket> = buckets.collect();
            (!buckets.is_empty()).then(|| histogram::quantile(*q, buckets))
        };
        Line { values: quantile.iter().enumerate().map(at).collect(), labels }
    };
    Ok(histograms.into_iter().map(of).collect())
}
