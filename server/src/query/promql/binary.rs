//! Operators between scalars, between a vector and a scalar, and between the matching series of two vectors. Pure.

use super::super::QueryError;
use super::budget::Budget;
use super::eval::Value;
use super::labels::Labels;
use super::node::{Binary, By, Many, Operator};
use super::series::Line;
use super::vectors::{merged, unique, without_names};
use std::collections::HashMap;

impl Operator {
    fn is_comparison(self) -> bool {
        use Operator::*;
        matches!(self, Equal | NotEqual | Greater | GreaterOrEqual | Less | LessOrEqual)
    }

    fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// The value of an arithmetic operator; 1 or 0 of a comparison.
    fn compute(self, a: f64, b: f64) -> f64 {
        let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Modulo => a % b,
            Self::Power => a.powf(b),
            Self::Atan2 => a.atan2(b),
            Self::Equal => truth(a == b),
            Self::NotEqual => truth(a != b),
            Self::Greater => truth(a > b),
            Self::GreaterOrEqual => truth(a >= b),
            Self::Less => truth(a < b),
            Self::LessOrEqual => truth(a <= b),
            // Of vectors only, which the parser has checked.
            Self::And | Self::Or | Self::Unless => f64::NAN,
        }
    }
}

impl Binary {
    /// What is left of two values; `kept` is what a comparison that holds leaves.
    fn combine(&self, a: f64, b: f64, kept: f64) -> Option<f64> {
        let value = self.operator.compute(a, b);
        match self.operator.is_comparison() && !self.as_bool {
            true => (value != 0.0).then_some(kept),
            false => Some(value),
        }
    }

    /// A comparison lets values through as they are; all else makes others of them. `atan2` is of Prometheus' making.
    fn keeps_names(&self) -> bool {
        (self.operator.is_comparison() && !self.as_bool) || self.operator == Operator::Atan2
    }
}

pub(super) fn apply(
    binary: &Binary,
    left: Value,
    right: Value,
    budget: &Budget,
    steps: usize,
) -> Result<Value, QueryError> {
    Ok(match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            Value::Scalar(left.iter().zip(&right).map(|(a, b)| binary.operator.compute(*a, *b)).collect())
        }
        (Value::Vector(lines), Value::Scalar(scalars)) => {
            Value::Vector(with_scalar(binary, lines, |step, value| binary.combine(value, scalars[step], value))?)
        }
        (Value::Scalar(scalars), Value::Vector(lines)) => {
            Value::Vector(with_scalar(binary, lines, |step, value| binary.combine(scalars[step], value, value))?)
        }
        (Value::Vector(left), Value::Vector(right)) if binary.operator.is_set() => {
            Value::Vector(set(binary, left, right, steps)?)
        }
        (Value::Vector(left), Value::Vector(right)) => Value::Vector(matched(binary, &left, &right, budget, steps)?),
        _ => return Err(QueryError::Invalid("a text is no operand".to_owned())),
    })
}

fn with_scalar(
    binary: &Binary,
    mut lines: Vec<Line>,
    combine: impl Fn(usize, f64) -> Option<f64>,
) -> Result<Vec<Line>, QueryError> {
    for line in &mut lines {
        for (step, value) in line.values.iter_mut().enumerate() {
            *value = value.and_then(|value| combine(step, value));
        }
    }
    lines.retain(|line| !line.is_empty());
    if binary.keeps_names() { Ok(lines) } else { without_names(lines) }
}

/// Where any of the lines with the same matching labels has a value.
fn presence(by: &By, lines: &[Line], steps: usize) -> HashMap<Labels, Vec<bool>> {
    let mut presence: HashMap<Labels, Vec<bool>> = HashMap::new();
    for line in lines {
        let present = presence.entry(by.of(&line.labels)).or_insert_with(|| vec![false; steps]);
        present.iter_mut().zip(&line.values).for_each(|(present, value)| *present |= value.is_some());
    }
    presence
}

fn set(binary: &Binary, mut left: Vec<Line>, mut right: Vec<Line>, steps: usize) -> Result<Vec<Line>, QueryError> {
    let by = &binary.matching.by;
    let keep_where = |lines: &mut Vec<Line>, others: HashMap<Labels, Vec<bool>>, wanted: bool| {
        for line in &mut *lines {
            let present = others.get(&by.of(&line.labels));
            for (step, value) in line.values.iter_mut().enumerate() {
                if present.is_some_and(|present| present[step]) != wanted {
                    *value = None;
                }
            }
        }
        lines.retain(|line| !line.is_empty());
    };
    match binary.operator {
        Operator::And => keep_where(&mut left, presence(by, &right, steps), true),
        Operator::Unless => keep_where(&mut left, presence(by, &right, steps), false),
        _ => {
            keep_where(&mut right, presence(by, &left, steps), false);
            left.extend(right);
            return unique(left);
        }
    }
    Ok(left)
}

/// The one line of a side that each set of matching labels has at each step.
struct Ones<'a> {
    lines: Vec<&'a Line>,
    /// Which of the lines, at each step.
    at: Vec<Option<usize>>,
}

fn matched(
    binary: &Binary,
    left: &[Line],
    right: &[Line],
    budget: &Budget,
    steps: usize,
) -> Result<Vec<Line>, QueryError> {
    let matching = &binary.matching;
    if left.is_empty() || right.is_empty() {
        return Ok(Vec::new());
    }
    let (many, one, side) = match matching.many {
        Many::Right => (right, left, "left"),
        Many::Left | Many::Neither => (left, right, "right"),
    };
    let ones = ones(&matching.by, one, side, steps)?;
    // With one series on each side, each set of matching labels gives one value at most.
    let mut taken: HashMap<Labels, Vec<bool>> = HashMap::new();
    let mut results = Vec::new();
    for line in many {
        budget.check()?;
        let key = matching.by.of(&line.labels);
        let Some(ones) = ones.get(&key) else { continue };
        // Most of the other side's lines have no value where this one has.
        let mut parts: Vec<Vec<Option<f64>>> = vec![Vec::new(); ones.lines.len()];
        for (step, value) in line.values.iter().enumerate() {
            let (Some(value), Some(other)) = (*value, ones.at[step]) else { continue };
            let Some(opposite) = ones.lines[other].values[step] else { continue };
            let (a, b) = if matching.many == Many::Right { (opposite, value) } else { (value, opposite) };
            if parts[other].is_empty() {
                budget.lines(1, steps)?;
                parts[other] = vec![None; steps];
            }
            parts[other][step] = binary.combine(a, b, a);
        }
        if matching.many == Many::Neither {
            take(taken.entry(key).or_insert_with(|| vec![false; steps]), &parts)?;
        }
        let lines = ones.lines.iter().zip(parts).map(|(one, values)| {
            let labels = result_labels(binary, &line.labels, &one.labels);
            Line { labels, values }
        });
        results.extend(lines.filter(|line| !line.is_empty()));
    }
    merged(results, || "multiple matches for labels: grouping labels must ensure unique matches".to_owned())
}

/// Marks the steps that have a value; none may have been marked before.
fn take(taken: &mut [bool], parts: &[Vec<Option<f64>>]) -> Result<(), QueryError> {
    for (step, taken) in taken.iter_mut().enumerate() {
        let has = parts.iter().any(|part| part.get(step).is_some_and(Option::is_some));
        if has && *taken {
            return Err(QueryError::Evaluation(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                    .to_owned(),
            ));
        }
        *taken |= has;
    }
    Ok(())
}

fn ones<'a>(by: &By, lines: &'a [Line], side: &str, steps: usize) -> Result<HashMap<Labels, Ones<'a>>, QueryError> {
    let mut found: HashMap<Labels, Ones> = HashMap::new();
    for line in lines {
        let key = by.of(&line.labels);
        let ones = found.entry(key).or_insert_with(|| Ones { lines: Vec::new(), at: vec![None; steps] });
        let here = ones.lines.len();
        ones.lines.push(line);
        for step in (0..steps).filter(|step| line.values[*step].is_some()) {
            if let Some(other) = ones.at[step].replace(here) {
                let (key, other) = (by.of(&line.labels), &ones.lines[other].labels);
                return Err(QueryError::Evaluation(format!(
                    "found duplicate series for the match group {key} on the {side} hand-side of the operation: \
                     [{}, {other}];many-to-many matching not allowed: matching labels must be unique on one side",
                    line.labels
                )));
            }
        }
    }
    Ok(found)
}

fn result_labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &binary.matching;
    let mut labels = if binary.keeps_names() { many.clone() } else { many.without_name() };
    if matching.many == Many::Neither {
        labels = match &matching.by {
            By::Only(names) => labels.only(names),
            By::Without(names) => labels.without(names),
        };
    }
    for name in &matching.include {
        labels.set(name, one.get(name));
    }
    labels
}
