//! `[[case.eval]]`: a time, and all that should not be over then.

use super::super::labels::Labels;
use super::super::state::{Instance, Phase};
use super::load::{json, number};
use super::offset;
use crate::cost::{TomlDocument, TomlFields};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use toml::de::DeValue;

/// Sentences that an alert may be held against.
const SENTENCES: [&str; 4] = ["summary", "description", "runbook", "owner"];
const PHASES: [Phase; 3] = [Phase::Pending, Phase::Firing, Phase::Missing];
/// Two numbers that differ by less, as a part of them, are the same.
const NEAR: f64 = 1e-9;

#[derive(Debug, Clone, PartialEq)]
pub struct Eval {
    /// From the start of the case.
    pub at_micros: i64,
    pub alerts: Vec<Expected>,
    pub line: usize,
}

/// An alert that should be there; what it does not name is not compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    pub rule: Arc<str>,
    pub phase: Phase,
    pub labels: Labels,
    pub sentences: BTreeMap<&'static str, Arc<str>>,
    pub value: Option<f64>,
}

impl Eval {
    pub(super) fn read<'t>(document: &mut TomlDocument<'t>, mut table: TomlFields<'t>) -> Self {
        let line = document.line_of(table.at);
        let at = table.at_of("at").unwrap_or(table.at);
        let text = document.needed_text(&mut table, "at");
        let read = offset(&text).filter(|micros| *micros >= 0);
        if read.is_none() {
            document.fault(at, "at is a time from the start, like \"5m\"".to_owned());
        }
        if !table.has("alerts") {
            document.fault(table.at, "alerts is missing: a list, which may be empty".to_owned());
        }
        let mut alerts = Vec::new();
        if let Some(value) = table.take_spanned("alerts") {
            let at = value.span().start;
            match value.into_inner() {
                DeValue::Array(list) => {
                    for value in list {
                        let at = value.span().start;
                        alerts.extend(Expected::read(document, at, value.get_ref()));
                    }
                }
                _ => document.fault(at, "alerts is a list like [{ rule = \"GpuLost\" }]".to_owned()),
            }
        }
        document.finish(table);
        Self { at_micros: read.unwrap_or_default(), alerts, line }
    }
}

impl Expected {
    fn read(document: &mut TomlDocument<'_>, at: usize, value: &DeValue<'_>) -> Option<Self> {
        let DeValue::Table(table) = value else {
            document.fault(at, "an alert is a table like { rule = \"GpuLost\" }".to_owned());
            return None;
        };
        let mut expected = Self {
            rule: "".into(),
            phase: Phase::Firing,
            labels: Labels::new(),
            sentences: BTreeMap::new(),
            value: None,
        };
        for (name, value) in table.iter() {
            let (name, value) = (&**name.get_ref(), value.get_ref());
            let text = value.as_str();
            let sentence = SENTENCES.into_iter().find(|known| *known == name);
            let is_right = match (name, sentence, text) {
                ("rule", _, Some(text)) => {
                    expected.rule = text.into();
                    true
                }
                ("state", _, Some(text)) => {
                    let phase = PHASES.into_iter().find(|phase| phase.as_str() == text);
                    expected.phase = phase.unwrap_or(expected.phase);
                    phase.is_some()
                }
                ("value", _, _) => {
                    expected.value = number(value);
                    expected.value.is_some()
                }
                ("labels", _, _) => expected.read_labels(value),
                (_, Some(sentence), Some(text)) => {
                    expected.sentences.insert(sentence, text.into());
                    true
                }
                _ => false,
            };
            if !is_right {
                let what = "an alert has rule, state (pending, firing or missing), labels, value, summary, \
                    description, runbook and owner";
                document.fault(at, format!("{name}: {what}"));
            }
        }
        if expected.rule.is_empty() {
            document.fault(at, "rule is missing".to_owned());
        }
        Some(expected)
    }

    fn read_labels(&mut self, value: &DeValue<'_>) -> bool {
        let serde_json::Value::Object(labels) = json(value) else { return false };
        let texts = labels.iter().map(|(name, value)| Some((name.as_str().into(), value.as_str()?.into())));
        let read: Option<Labels> = texts.collect();
        let is_right = read.is_some();
        self.labels = read.unwrap_or_default();
        is_right
    }

    /// Whether an alert of this rule is the one that should be there.
    pub fn is_met(&self, rule: &str, instance: &Instance) -> bool {
        let is_near = |ours: f64, theirs: f64| (ours - theirs).abs() <= NEAR * ours.abs().max(theirs.abs()).max(1.0);
        *self.rule == *rule
            && self.phase == instance.phase
            && self.labels.iter().all(|(name, value)| instance.labels.get(name) == Some(value))
            && self.sentences.iter().all(|(name, text)| instance.annotations.get(*name).is_some_and(|t| **t == **text))
            && self.value.is_none_or(|value| instance.value.is_some_and(|theirs| is_near(value, theirs)))
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rule, self.phase.as_str())?;
        for (name, value) in &self.labels {
            write!(f, " {name}={:?}", &**value)?;
        }
        if let Some(value) = self.value {
            write!(f, " value {value}")?;
        }
        self.sentences.iter().try_for_each(|(name, text)| write!(f, ", {name} {:?}", &**text))
    }
}
