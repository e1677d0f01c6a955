//! What a rule is once its text has been read.

use super::labels::Labels;
use super::template::Template;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Critical,
    Error,
    Warning,
    Info,
}

impl Severity {
    pub const ALL: [Self; 4] = [Self::Critical, Self::Error, Self::Warning, Self::Info];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// What is asked at each look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// `$1` and `$2` are the start and the end of the time that is looked at.
    Sql(Arc<str>),
    /// At the end of it.
    PromQl(Arc<str>),
}

impl Asks {
    pub fn text(&self) -> &str {
        match self {
            Self::Sql(text) | Self::PromQl(text) => text,
        }
    }
}

/// When a value is one to speak of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    Above(f64),
    Below(f64),
}

impl Threshold {
    /// None where the value is no number.
    pub fn is_crossed(self, value: f64) -> Option<bool> {
        match self {
            _ if value.is_nan() => None,
            Self::Above(limit) => Some(value > limit),
            Self::Below(limit) => Some(value < limit),
        }
    }
}

/// What is thought of something whose value is not known any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// What fired goes on as `missing`; nothing begins.
    Keep,
    /// As if it were well.
    Resolve,
    /// As if it were not well.
    Alert,
}

impl Missing {
    pub const ALL: [(&'static str, Self); 3] =
        [("keep", Self::Keep), ("resolve", Self::Resolve), ("alert", Self::Alert)];
}

/// Spans are in microseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// A CamelCase name, as the Prometheus family has them.
    pub name: Arc<str>,
    pub asks: Asks,
    /// Without one each row is something to speak of.
    pub threshold: Option<Threshold>,
    /// How much time is looked at.
    pub over_micros: i64,
    /// From one look to the next.
    pub every_micros: i64,
    /// So long it has to be true before it fires.
    pub for_micros: i64,
    /// So long it has to be untrue before it is over.
    pub keep_firing_micros: i64,
    pub missing: Missing,
    pub severity: Severity,
    /// Beside those of the rows, which come first.
    pub labels: Labels,
    /// At least `summary`.
    pub annotations: BTreeMap<Arc<str>, Template>,
    /// Tables that the rule cannot see anything without.
    pub needs: Vec<Arc<str>>,
    /// Line of its document, from 1.
    pub line: usize,
}

impl Rule {
    /// All labels of what a row with these is about.
    pub fn labels_of(&self, row: &Labels) -> Labels {
        let mut labels = self.labels.clone();
        labels.extend(
            row.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.clone(), value.clone())),
        );
        labels.insert(super::labels::ALERTNAME.into(), Arc::clone(&self.name));
        labels.insert(super::labels::SEVERITY.into(), self.severity.as_str().into());
        labels
    }

    /// Whether a value is one to speak of; none where that is not known.
    pub fn is_true(&self, value: Option<f64>) -> Option<bool> {
        match self.threshold {
            None => Some(true),
            Some(threshold) => value.and_then(|value| threshold.is_crossed(value)),
        }
    }
}
