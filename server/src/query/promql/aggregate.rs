//! Aggregations: the series of a group, step by step, into one or into some of them. Pure.

use super::super::QueryError;
use super::budget::Budget;
use super::eval::Value;
use super::functions::{relabel::is_label, window::quantile};
use super::labels::Labels;
use super::node::{Aggregate, Aggregation};
use super::series::{Line, number_text};
use super::vectors::{nan_last, unique};
use std::collections::HashMap;

/// The lines of each group, in the order in which they came.
type Groups = Vec<(Labels, Vec<Line>)>;

pub(super) fn apply(
    aggregate: &Aggregate,
    lines: Vec<Line>,
    parameter: Option<Value>,
    budget: &Budget,
    steps: usize,
) -> Result<Vec<Line>, QueryError> {
    let groups = groups(aggregate, lines);
    budget.lines(groups.len(), steps)?;
    let missing = || QueryError::Invalid("an aggregation lacks its parameter".to_owned());
    match (aggregate.aggregation, parameter) {
        (Aggregation::TopK, Some(Value::Scalar(k))) => best(groups, &k, true, budget),
        (Aggregation::BottomK, Some(Value::Scalar(k))) => best(groups, &k, false, budget),
        (Aggregation::Quantile, Some(Value::Scalar(q))) => quantiles(groups, &q, budget),
        (Aggregation::CountValues, Some(Value::Text(label))) => count_values(groups, &label, budget, steps),
        (Aggregation::TopK | Aggregation::BottomK | Aggregation::Quantile | Aggregation::CountValues, _) => {
            Err(missing())
        }
        (aggregation, _) => Ok(folded(aggregation, groups, steps)),
    }
}

fn groups(aggregate: &Aggregate, lines: Vec<Line>) -> Groups {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Groups = Vec::new();
    for line in lines {
        let labels = aggregate.by.of(&line.labels);
        let place = *places.entry(labels.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push((labels, Vec::new()));
        }
        groups[place].1.push(line);
    }
    groups
}

/// What is known of the values of a group at one step so far.
#[derive(Clone, Copy, Default)]
struct Fold {
    count: f64,
    /// The sum, least, greatest or mean.
    value: f64,
    /// Squared distances from the mean.
    squares: f64,
}

impl Fold {
    fn add(&mut self, aggregation: Aggregation, v: f64) {
        self.count += 1.0;
        match aggregation {
            Aggregation::Sum => self.value += v,
            Aggregation::Min if self.count == 1.0 || v < self.value || self.value.is_nan() => self.value = v,
            Aggregation::Max if self.count == 1.0 || v > self.value || self.value.is_nan() => self.value = v,
            Aggregation::Avg => self.add_to_mean(v),
            Aggregation::Stddev | Aggregation::Stdvar => {
                let delta = v - self.value;
                self.value += delta / self.count;
                self.squares += delta * (v - self.value);
            }
            _ => {}
        }
    }

    fn add_to_mean(&mut self, v: f64) {
        if self.value.is_infinite() {
            let same = v.is_infinite() && (self.value > 0.0) == (v > 0.0);
            if same || v.is_finite() {
                return;
            }
        }
        // Divided one by one, so that large values do not overflow.
        self.value += v / self.count - self.value / self.count;
    }

    fn result(&self, aggregation: Aggregation) -> Option<f64> {
        let value = match aggregation {
            Aggregation::Count => self.count,
            Aggregation::Group => 1.0,
            Aggregation::Stdvar => self.squares / self.count,
            Aggregation::Stddev => (self.squares / self.count).sqrt(),
            _ => self.value,
        };
        (self.count > 0.0).then_some(value)
    }
}

fn folded(aggregation: Aggregation, groups: Groups, steps: usize) -> Vec<Line> {
    let fold = |(labels, lines): (Labels, Vec<Line>)| {
        let mut folds = vec![Fold::default(); steps];
        for line in &lines {
            for (fold, value) in folds.iter_mut().zip(&line.values) {
                if let Some(value) = value {
                    fold.add(aggregation, *value);
                }
            }
        }
        Line { labels, values: folds.iter().map(|fold| fold.result(aggregation)).collect() }
    };
    groups.into_iter().map(fold).collect()
}

fn quantiles(groups: Groups, q: &[f64], budget: &Budget) -> Result<Vec<Line>, QueryError> {
    let of = |(labels, lines): (Labels, Vec<Line>)| {
        let at = |(step, q): (usize, &f64)| {
            budget.check()?;
            let values: Vec<f64> = lines.iter().filter_map(|line| line.values[step]).collect();
            Ok((!values.is_empty()).then(|| quantile(*q, values)))
        };
        Ok(Line { values: q.iter().enumerate().map(at).collect::<Result<_, QueryError>>()?, labels })
    };
    groups.into_iter().map(of).collect()
}

/// The `k` largest or smallest of each group, with their own labels.
fn best(groups: Groups, k: &[f64], largest: bool, budget: &Budget) -> Result<Vec<Line>, QueryError> {
    if let Some(bad) = k.iter().find(|k| k.is_nan() || k.abs() >= i64::MAX as f64) {
        return Err(QueryError::Evaluation(format!("Scalar value {} overflows int64", number_text(*bad))));
    }
    let mut results = Vec::new();
    for (_, mut lines) in groups {
        let mut order: Vec<usize> = (0..lines.len()).collect();
        for (step, k) in k.iter().enumerate() {
            budget.check()?;
            let k = *k as usize;
            order.sort_unstable();
            order.sort_by(|a, b| match (lines[*a].values[step], lines[*b].values[step]) {
                (None, None) => std::cmp::Ordering::Equal,
                (None, _) => std::cmp::Ordering::Greater,
                (_, None) => std::cmp::Ordering::Less,
                (a, b) => nan_last(a, b, largest),
            });
            order.iter().skip(k).for_each(|worse| lines[*worse].values[step] = None);
        }
        if k.len() == 1 {
            let mut places = vec![0; order.len()];
            order.iter().enumerate().for_each(|(place, line)| places[*line] = place);
            let mut placed: Vec<(usize, Line)> = places.into_iter().zip(lines).collect();
            placed.sort_by_key(|(place, _)| *place);
            lines = placed.into_iter().map(|(_, line)| line).collect();
        }
        results.extend(lines.into_iter().filter(|line| !line.is_empty()));
    }
    Ok(results)
}

/// How many series of a group have each value, which becomes a label.
fn count_values(groups: Groups, label: &str, budget: &Budget, steps: usize) -> Result<Vec<Line>, QueryError> {
    if !is_label(label) {
        return Err(QueryError::Evaluation(format!("invalid label name {label:?}")));
    }
    let mut results = Vec::new();
    for (labels, lines) in groups {
        let mut counts: HashMap<String, Vec<Option<f64>>> = HashMap::new();
        for (step, value) in lines.iter().flat_map(|line| line.values.iter().enumerate()) {
            budget.check()?;
            let Some(value) = value.map(number_text) else { continue };
            if !counts.contains_key(&value) {
                budget.lines(1, steps)?;
            }
            let counts = counts.entry(value).or_insert_with(|| vec![None; steps]);
            counts[step] = Some(counts[step].unwrap_or(0.0) + 1.0);
        }
        let mut counted: Vec<(String, Vec<Option<f64>>)> = counts.into_iter().collect();
        counted.sort_by(|a, b| a.0.cmp(&b.0));
        for (value, values) in counted {
            let mut labels = labels.clone();
            labels.set(label, &value);
            results.push(Line { labels, values });
        }
    }
    unique(results)
}
