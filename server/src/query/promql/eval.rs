//! A [`Node`] and the samples of its selectors → values at steps. Pure but for its budget.

use super::super::QueryError;
use super::budget::Budget;
use super::functions::{date, relabel, window::Window};
use super::labels::Labels;
use super::node::{Node, Range, Select, Source};
use super::series::{Line, Raw, Sample, Steps};
use super::{aggregate, binary, vectors};
use std::borrow::Cow;

/// A value at each step.
pub(super) enum Value {
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vec<Line>),
}

impl Value {
    fn bytes(&self) -> usize {
        match self {
            Self::Scalar(values) => size_of_val(values.as_slice()),
            Self::Text(text) => text.len(),
            Self::Vector(lines) => lines.iter().map(|line| size_of_val(line.values.as_slice())).sum(),
        }
    }
}

pub(super) struct Evaluation<'a> {
    /// The series of each request, sorted by labels.
    pub(super) sources: &'a [Vec<Raw>],
    pub(super) budget: &'a Budget,
}

impl Evaluation<'_> {
    pub(super) fn value(&self, node: &Node, steps: Steps) -> Result<Value, QueryError> {
        let before = self.budget.bytes();
        self.budget.check()?;
        let value = self.value_of(node, steps)?;
        self.budget.settle(before, value.bytes())?;
        Ok(value)
    }

    fn value_of(&self, node: &Node, steps: Steps) -> Result<Value, QueryError> {
        Ok(Value::Vector(match node {
            Node::Number(number) => return self.scalar(steps, |_| *number),
            Node::Text(text) => return Ok(Value::Text(text.clone())),
            Node::Time => return self.scalar(steps, seconds),
            Node::Scalar(of) => return Ok(Value::Scalar(vectors::scalar(&self.vector(of, steps)?, steps.count()))),
            Node::Negate(of) => return self.negated(of, steps),
            Node::Binary(binary) => {
                let (left, right) = (self.value(&binary.left, steps)?, self.value(&binary.right, steps)?);
                return binary::apply(binary, left, right, self.budget, steps.count());
            }
            Node::Range(_) => return Err(QueryError::Invalid("a range vector has no value by itself".to_owned())),
            Node::Select(select) => self.selected(*select, steps, |sample| sample.value)?,
            Node::Aggregate(aggregate) => {
                let of = self.vector(&aggregate.of, steps)?;
                let parameter = aggregate.parameter.as_ref().map(|p| self.value(p, steps)).transpose()?;
                aggregate::apply(aggregate, of, parameter, self.budget, steps.count())?
            }
            Node::Window { .. } => self.window(node, steps)?,
            Node::Point { function, vector, parameters } => {
                let parameters: Vec<Vec<f64>> =
                    parameters.iter().map(|parameter| self.scalars(parameter, steps)).collect::<Result<_, _>>()?;
                let mut at_step = vec![0.0; parameters.len()];
                vectors::each_value(self.vector(vector, steps)?, |step, value| {
                    at_step.iter_mut().zip(&parameters).for_each(|(at, values)| *at = values[step]);
                    function(value, &at_step)
                })?
            }
            Node::Date { function, of } => match of {
                Some(of) => vectors::each_value(self.vector(of, steps)?, |_, value| date::part(*function, value))?,
                None => vec![line(Labels::default(), steps.times().map(|t| date::part(*function, seconds(t))))],
            },
            Node::Absent { of, labels } => vectors::absent(&self.vector(of, steps)?, labels, steps.count()),
            Node::AbsentOverTime { range, labels } => self.absent_over_time(range, labels, steps)?,
            Node::Vector(of) => vec![line(Labels::default(), self.scalars(of, steps)?.into_iter().map(Some))],
            Node::Timestamp(of) => match &**of {
                Node::Select(select) => {
                    vectors::without_names(self.selected(*select, steps, |sample| seconds(sample.time))?)?
                }
                of => {
                    let times: Vec<i64> = steps.times().collect();
                    vectors::each_value(self.vector(of, steps)?, |step, _| Some(seconds(times[step])))?
                }
            },
            Node::Sort { of, descending } => vectors::sorted(self.vector(of, steps)?, *descending),
            Node::Relabel { of, how } => {
                let mut lines = self.vector(of, steps)?;
                lines.iter_mut().for_each(|line| line.labels = relabel::apply(how, &line.labels));
                vectors::unique(lines)?
            }
            Node::HistogramQuantile { quantile, of } => {
                let quantile = self.scalars(quantile, steps)?;
                vectors::histogram_quantile(&quantile, &self.vector(of, steps)?, self.budget)?
            }
        }))
    }

    fn vector(&self, node: &Node, steps: Steps) -> Result<Vec<Line>, QueryError> {
        match self.value(node, steps)? {
            Value::Vector(lines) => Ok(lines),
            _ => Err(QueryError::Invalid("an instant vector is expected where the query has a scalar".to_owned())),
        }
    }

    fn scalars(&self, node: &Node, steps: Steps) -> Result<Vec<f64>, QueryError> {
        match self.value(node, steps)? {
            Value::Scalar(values) => Ok(values),
            _ => Err(QueryError::Invalid("a scalar is expected where the query has a vector or a text".to_owned())),
        }
    }

    /// A scalar that nothing was computed from.
    fn scalar(&self, steps: Steps, at: impl Fn(i64) -> f64) -> Result<Value, QueryError> {
        self.budget.lines(1, steps.count())?;
        Ok(Value::Scalar(steps.times().map(at).collect()))
    }

    fn negated(&self, of: &Node, steps: Steps) -> Result<Value, QueryError> {
        Ok(match self.value(of, steps)? {
            Value::Scalar(values) => Value::Scalar(values.into_iter().map(|value| -value).collect()),
            Value::Vector(lines) => Value::Vector(vectors::each_value(lines, |_, value| Some(-value))?),
            Value::Text(_) => return Err(QueryError::Invalid("a text has no negative".to_owned())),
        })
    }

    fn selected(&self, select: Select, steps: Steps, value: fn(Sample) -> f64) -> Result<Vec<Line>, QueryError> {
        let series = &self.sources[select.source];
        let mut lines = Vec::new();
        for raw in series {
            self.budget.lines(1, steps.count())?;
            let line = line(raw.labels.clone(), raw.at_steps(steps, select.when).map(|sample| sample.map(value)));
            if !line.is_empty() {
                lines.push(line);
            }
        }
        Ok(lines)
    }

    /// The samples that a range vector's windows are cut from.
    pub(super) fn samples(&self, range: &Range) -> Result<Cow<'_, [Raw]>, QueryError> {
        let (node, steps) = match &range.source {
            Source::Selector(source) => return Ok(Cow::Borrowed(&self.sources[*source])),
            Source::Subquery(node, steps) => (node, *steps),
        };
        let mut series = Vec::new();
        for line in self.vector(node, steps)? {
            let found = line.values.iter().zip(steps.times()).filter_map(|(value, time)| Some(((*value)?, time)));
            let samples: Vec<Sample> = found.map(|(value, time)| Sample { time, value, stands: 0 }).collect();
            self.budget.load(samples.len() as u64)?;
            series.push(Raw { labels: line.labels, samples });
        }
        Ok(Cow::Owned(series))
    }

    fn window(&self, node: &Node, steps: Steps) -> Result<Vec<Line>, QueryError> {
        let Node::Window { function, range, parameter } = node else { return Ok(Vec::new()) };
        let parameter = parameter.as_ref().map(|parameter| self.scalars(parameter, steps)).transpose()?;
        let series = self.samples(range)?;
        let mut lines = Vec::new();
        for raw in series.iter() {
            self.budget.lines(1, steps.count())?;
            let mut values = Vec::with_capacity(steps.count());
            let windows = raw.windows(steps, range.when, range.length).zip(steps.times());
            for (step, (samples, now)) in windows.enumerate() {
                // A window may hold every sample of a long range.
                self.budget.check()?;
                let end = range.when.time(now);
                let parameter = parameter.as_ref().map_or(f64::NAN, |values| values[step]);
                let window = Window { samples, start: end - range.length, end, now, parameter };
                values.push(if samples.is_empty() { None } else { (function.of)(&window) });
            }
            let line = Line { labels: raw.labels.clone(), values };
            if !line.is_empty() {
                lines.push(line);
            }
        }
        if function.keeps_name { Ok(lines) } else { vectors::without_names(lines) }
    }

    fn absent_over_time(&self, range: &Range, labels: &Labels, steps: Steps) -> Result<Vec<Line>, QueryError> {
        let mut present = vec![false; steps.count()];
        for raw in self.samples(range)?.iter() {
            let windows = raw.windows(steps, range.when, range.length);
            present.iter_mut().zip(windows).for_each(|(present, samples)| *present |= !samples.is_empty());
        }
        let line = line(labels.clone(), present.into_iter().map(|present| (!present).then_some(1.0)));
        Ok(if line.is_empty() { Vec::new() } else { vec![line] })
    }
}

fn line(labels: Labels, values: impl Iterator<Item = Option<f64>>) -> Line {
    Line { labels, values: values.collect() }
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1e3
}
