//! A selector's matchers: which metrics they leave, which of them the scan can check, and the check itself.

use super::super::QueryError;
use super::super::ask::{instant, text};
use super::catalog::{Metric, Sampled, metrics};
use super::labels::{Labels, NAME};
use contract::{Column, Kind};
use datafusion::common::ScalarValue;
use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::VectorSelector;

/// All matchers must match.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Selector {
    matchers: Vec<Matcher>,
}

impl Selector {
    pub(super) fn of(selector: &VectorSelector) -> Result<Self, QueryError> {
        if !selector.matchers.or_matchers.is_empty() {
            return Err(QueryError::Invalid("`or` between label matchers is not supported".to_owned()));
        }
        let name = selector.name.iter().map(|name| Matcher::new(MatchOp::Equal, NAME, name));
        Ok(Self { matchers: name.chain(selector.matchers.matchers.iter().cloned()).collect() })
    }

    /// Whether a matcher is about this label.
    pub(super) fn names(&self, label: &str) -> bool {
        self.matchers.iter().any(|m| m.name == label)
    }

    fn wants(&self, label: &str, value: &str) -> bool {
        self.matchers.iter().filter(|m| m.name == label).all(|m| m.is_match(value))
    }

    /// The metrics of one table after another that can have series; a label that a table lacks is empty in it.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let has = |sampled: &Sampled, label: &str| label == NAME || sampled.label(label).is_some();
        let possible = |metric: &Metric| {
            self.wants(NAME, &metric.name)
                && self.matchers.iter().all(|m| has(metric.sampled, &m.name) || m.is_match(""))
        };
        metrics().into_iter().filter(possible).collect()
    }

    /// Whether a row's labels match, in the order of the columns.
    pub(super) fn matches<'a>(&self, columns: &[&Column], values: impl IntoIterator<Item = Option<&'a str>>) -> bool {
        columns.iter().zip(values).all(|(column, value)| self.wants(column.name, value.unwrap_or("")))
    }

    /// Adds conditions that every row of these labels meets which matches.
    pub(super) fn conditions(&self, labels: &[&Column], conditions: &mut Conditions) {
        for matcher in &self.matchers {
            let Some(column) = labels.iter().find(|c| c.name == matcher.name) else { continue };
            match &matcher.op {
                MatchOp::Equal if !matcher.value.is_empty() => conditions.one_of(column, &[&matcher.value]),
                MatchOp::Re(_) => {
                    if let Some(values) = alternatives(&matcher.value) {
                        conditions.one_of(column, &values);
                    }
                }
                _ => {}
            }
        }
    }

    /// What `absent` says of a selector without series: its equalities, of labels that are named once.
    pub(super) fn absent_labels(&self) -> Labels {
        let mut labels = Labels::default();
        let mut seen: Vec<&str> = Vec::new();
        for matcher in self.matchers.iter().filter(|m| m.name != NAME) {
            let first = matches!(matcher.op, MatchOp::Equal) && !seen.contains(&matcher.name.as_str());
            labels.set(&matcher.name, if first { &matcher.value } else { "" });
            seen.push(&matcher.name);
        }
        labels
    }
}

/// The values of `a|b|c`, the form in which dashboards ask for several; none of a real pattern.
fn alternatives(pattern: &str) -> Option<Vec<&str>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' ' | '/' | ':' | '|');
    let values: Vec<&str> = pattern.split('|').collect();
    (pattern.chars().all(plain) && values.iter().all(|value| !value.is_empty())).then_some(values)
}

/// The conditions of a scan and the values of their parameters.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<ScalarValue>,
}

impl Conditions {
    /// Rows between two times, Unix milliseconds, both included.
    pub(super) fn between(from: i64, to: i64) -> Self {
        let values = vec![instant(from.saturating_mul(1000)), instant(to.saturating_mul(1000).saturating_add(999))];
        Self { sql: "time >= $1 and time <= $2".to_owned(), values }
    }

    /// Likewise, and also rows of up to `earlier` whose interval is longer than `seconds`.
    pub(super) fn standing_between(earlier: i64, from: i64, to: i64, seconds: f64) -> Self {
        let mut conditions = Self::between(earlier, to);
        conditions.values.push(instant(from.saturating_mul(1000)));
        conditions.values.push(ScalarValue::Float64(Some(seconds)));
        conditions.sql.push_str(" and (time >= $3 or interval_seconds > $4)");
        conditions
    }

    pub(super) fn one_of(&mut self, column: &Column, values: &[&str]) {
        let mut places = Vec::new();
        for value in values {
            match column.kind {
                Kind::Int => match value.parse::<i64>() {
                    Ok(number) => self.values.push(ScalarValue::Int64(Some(number))),
                    Err(_) => continue,
                },
                _ => self.values.push(text(value)),
            }
            places.push(format!("${}", self.values.len()));
        }
        self.sql.push_str(&match places.is_empty() {
            true => " and false".to_owned(),
            false => format!(" and {} in ({})", column.name, places.join(", ")),
        });
    }

    pub(super) fn not_null(&mut self, column: &Column) {
        self.sql.push_str(&format!(" and {} is not null", column.name));
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    pub(super) fn values(&self) -> Vec<ScalarValue> {
        self.values.clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::text::parse_selector;
    use super::*;

    fn selector(text: &str) -> Selector {
        Selector::of(&parse_selector(text).unwrap()).unwrap()
    }

    #[test]
    fn metrics_follow_the_name_and_the_labels_that_a_table_has() {
        let names = |text: &str| selector(text).metrics().into_iter().map(|m| m.name).collect::<Vec<_>>();
        assert_eq!(names("coulomb_gpu_power_watts"), ["coulomb_gpu_power_watts"]);
        assert_eq!(names("{__name__=~\"coulomb_.*_power_watts\"}").len(), 2);
        assert_eq!(names("{__name__=~\"coulomb_.*_power_watts\", gpu_uuid!=\"\"}").len(), 1);
        assert_eq!(names("coulomb_host_load_1m{pid=\"\"}").len(), 1);
        assert!(names("up").is_empty() && names("coulomb_host_load_1m{pid=\"1\"}").is_empty());
    }

    #[test]
    fn values_reach_the_scan_as_parameters_only() {
        let selector = selector(
            "coulomb_gpu_power_watts{node=\"n' or 1=1\", gpu_index=\"1\", cluster=~\"a|b\", job_id!=\"x\", gpu_model=~\"H.*\"}",
        );
        let mut conditions = Conditions::between(1, 2);
        selector.conditions(&selector.metrics()[0].sampled.labels(), &mut conditions);
        assert_eq!(
            conditions.sql(),
            "time >= $1 and time <= $2 and node in ($3) and gpu_index in ($4) and cluster in ($5, $6)"
        );
        assert_eq!(conditions.values()[3], ScalarValue::Int64(Some(1)));
    }

    #[test]
    fn absent_says_what_was_asked_for() {
        let labels = selector("x{a=\"1\", b=~\"2\", c=\"3\", c=\"4\"}").absent_labels();
        assert_eq!(labels.to_string(), "{a=\"1\"}");
    }
}
