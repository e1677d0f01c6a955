//! What a dashboard is once its text has been read: variables and panels, all of them good.

use crate::query::Statement;
use serde::Deserialize;

/// Points of a line: more than a panel has pixels for are neither asked nor drawn.
pub const BUCKETS_MAX: i64 = 300;
/// What a variable of the kind `step` can be, in seconds. Nodes report about once a minute.
const STEPS_SECONDS: [i64; 11] = [60, 120, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800];

#[derive(Debug, Clone, PartialEq)]
pub struct Dashboard {
    pub title: String,
    pub description: String,
    /// What must have arrived for the dashboard to be offered by itself.
    pub needs: Vec<Need>,
    /// The values of `$3`, `$4` and so on, in this order.
    pub variables: Vec<Variable>,
    pub panels: Vec<Panel>,
}

/// A table that has rows, or a column that has values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    pub table: String,
    pub column: Option<String>,
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.column {
            Some(column) => write!(f, "{}.{column}", self.table),
            None => f.write_str(&self.table),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    pub name: String,
    pub label: String,
    pub choices: Choices,
    pub default: Option<String>,
    /// What the choice of nothing is called; its value is the empty text.
    pub all: Option<String>,
    /// Line of its text, for faults that are found later.
    pub line: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Choices {
    /// How long a bucket of time is; chosen by the range unless somebody chooses.
    Step,
    Fixed(Vec<String>),
    /// The first column of its rows.
    Sql(Statement),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Timeseries,
    Stacked,
    Bar,
    Table,
    Stat,
    Heatmap,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeseries => "timeseries",
            Self::Stacked => "stacked",
            Self::Bar => "bar",
            Self::Table => "table",
            Self::Stat => "stat",
            Self::Heatmap => "heatmap",
        }
    }

    /// Whether it needs a column of times.
    pub fn is_over_time(self) -> bool {
        matches!(self, Self::Timeseries | Self::Stacked | Self::Heatmap)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Count,
    Ratio,
    Watts,
    Celsius,
    Bytes,
    BytesPerSecond,
    PerSecond,
    Hertz,
    Joules,
    Seconds,
    Hours,
    /// Of the ledger's currency.
    Micros,
}

impl Unit {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Ratio => "ratio",
            Self::Watts => "watts",
            Self::Celsius => "celsius",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "bytes_per_second",
            Self::PerSecond => "per_second",
            Self::Hertz => "hertz",
            Self::Joules => "joules",
            Self::Seconds => "seconds",
            Self::Hours => "hours",
            Self::Micros => "micros",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Warning,
    Critical,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    pub title: String,
    pub description: Option<String>,
    /// Title of the row that begins with it.
    pub row: Option<String>,
    pub kind: Kind,
    pub unit: Unit,
    /// Of twelve columns.
    pub width: u8,
    pub sql: Statement,
    /// The same for a data source of the type Prometheus, where PromQL can say it.
    pub promql: Option<String>,
    /// What a series is called there.
    pub legend: Option<String>,
    pub thresholds: Vec<(f64, Severity)>,
    /// Line where its statement stands.
    pub line: usize,
}

impl Variable {
    /// The values that are known without asking.
    pub fn known(&self) -> Vec<String> {
        match &self.choices {
            Choices::Step => STEPS_SECONDS.map(step_text).to_vec(),
            Choices::Fixed(values) => values.clone(),
            Choices::Sql(_) => Vec::new(),
        }
    }

    /// Its value where nobody chose one; none where only its statement can tell.
    pub fn unchosen(&self, span_seconds: i64) -> Option<String> {
        if let Some(default) = &self.default {
            return Some(default.clone());
        }
        match &self.choices {
            Choices::Step => Some(step_text(step_of(span_seconds))),
            _ if self.all.is_some() => Some(String::new()),
            Choices::Fixed(values) => values.first().cloned(),
            Choices::Sql(_) => None,
        }
    }
}

fn step_text(seconds: i64) -> String {
    format!("{seconds} seconds")
}

/// The shortest step that gives a range no more than [`BUCKETS_MAX`] buckets.
fn step_of(span_seconds: i64) -> i64 {
    let last = STEPS_SECONDS[STEPS_SECONDS.len() - 1];
    STEPS_SECONDS.into_iter().find(|step| span_seconds <= step * BUCKETS_MAX).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_follows_the_range() {
        const HOUR: i64 = 3600;
        for (span, step) in
            [(0, 60), (HOUR, 60), (6 * HOUR, 120), (24 * HOUR, 300), (168 * HOUR, 3600), (90 * 24 * HOUR, 43_200)]
        {
            assert_eq!(step_of(span), step, "{span}");
        }
        assert_eq!(step_of(i64::MAX), 604_800);
    }
}
