//! Alerts, the rules behind them, silences, and who is told.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /api/v1/alerts`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Alerts {
    /// Those that are not over, worst first.
    pub alerts: Vec<AlertState>,
    pub rules: Vec<AlertRule>,
    pub receivers: Vec<AlertReceiver>,
    pub silences: Vec<AlertSilence>,
    /// Sentences about texts that do not go together.
    pub problems: Vec<String>,
}

/// An alert as it stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertState {
    pub rule: String,
    pub fingerprint: String,
    /// `pending`, `firing` or `missing`.
    pub state: String,
    pub severity: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// None where the rule has none, or it was never known.
    pub value: Option<f64>,
    /// Since when it has its state.
    pub since_unix_micros: i64,
    /// When it began to fire.
    pub started_unix_micros: Option<i64>,
    pub flapping: bool,
    /// What keeps it unsaid: a silence, a window of maintenance, another alert.
    pub muted_by: Option<String>,
    pub acknowledged: bool,
    /// Receivers that routes lead it to.
    pub receivers: Vec<String>,
    /// Those of them that know that it fires.
    pub told: Vec<String>,
}

/// A rule and how its looks go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertRule {
    pub name: String,
    /// Name of the text that it is of.
    pub text: String,
    /// Line of it, from 1.
    pub line: u64,
    pub severity: String,
    /// `sql` or `promql`.
    pub language: String,
    pub statement: String,
    /// Fires where the value is above this.
    pub above: Option<f64>,
    /// Fires where the value is below this.
    pub below: Option<f64>,
    pub over_seconds: f64,
    pub every_seconds: f64,
    pub for_seconds: f64,
    /// Its sentence, with names in braces.
    pub summary: String,
    /// `waiting`, `well`, `no_data` or `failing`.
    pub health: String,
    /// Why it is failing.
    pub error: Option<String>,
    pub looked_unix_micros: Option<i64>,
    pub took_seconds: f64,
    /// Alerts of it that are not over.
    pub alerts: u64,
}

/// Somebody who is told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertReceiver {
    pub name: String,
    /// `webhook`, `alertmanager`, `slack`, `pagerduty` or `email`.
    pub kind: String,
    /// Why it cannot be told.
    pub problem: Option<String>,
    pub told_unix_micros: Option<i64>,
    /// Tries of messages that it has not taken yet.
    pub attempts: i64,
}

/// A silence or an acknowledgement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertSilence {
    pub id: String,
    /// `silence` or `acknowledgement`.
    pub kind: String,
    /// Such as `node="n1"`.
    pub matchers: Vec<String>,
    pub starts_unix_micros: i64,
    pub ends_unix_micros: i64,
    /// Name of the token that stated it.
    pub author: String,
    pub comment: String,
}

/// `POST /api/v1/silences`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SilenceRequest {
    /// Such as `node="n1"`; all of them have to fit.
    pub matchers: Vec<String>,
    /// None is now.
    #[serde(default)]
    pub starts_unix_micros: Option<i64>,
    pub ends_unix_micros: i64,
    /// Why.
    pub comment: String,
}

/// `POST /api/v1/alerts/{fingerprint}/acknowledge`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeRequest {
    #[serde(default)]
    pub comment: String,
}

/// A text of rules, receivers and routes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertText {
    pub name: String,
    /// `shipped` or `own`.
    pub origin: String,
    /// Whether it stands in place of one of the product.
    pub hides_shipped: bool,
    pub text: String,
    pub rules: u64,
    pub receivers: u64,
    pub routes: u64,
    /// With their lines; while there are some, the last good version holds.
    pub faults: Vec<AlertFault>,
    /// What a rule file of Prometheus says otherwise, by its lines; only told when one is taken over.
    pub notes: Vec<AlertFault>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertFault {
    /// From 1.
    pub line: u64,
    pub text: String,
}

/// A message that was given up because its receiver took nothing for a day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub id: String,
    pub receiver: String,
    /// What its alerts have in common.
    pub group_labels: BTreeMap<String, String>,
    pub given_up_unix_micros: i64,
    pub attempts: i64,
    /// Alerts that fired by it.
    pub firing: u64,
    /// Alerts that were over by it.
    pub resolved: u64,
    pub error: String,
}

/// `POST /api/v1/rules/preview`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulePreviewRequest {
    /// Name of a rule that is watched, or of one of the text.
    pub rule: String,
    /// A text with the rule, in place of the one that is watched.
    #[serde(default)]
    pub text: Option<String>,
    /// None is thirty days before the end.
    #[serde(default)]
    pub from_unix_micros: Option<i64>,
    /// None is now.
    #[serde(default)]
    pub to_unix_micros: Option<i64>,
}

/// What a rule would have done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RulePreview {
    pub rule: String,
    pub from_unix_micros: i64,
    pub to_unix_micros: i64,
    /// From one look to the next; more than the rule's own pace where that would be too often.
    pub step_seconds: f64,
    pub every_seconds: f64,
    /// Whether time sufficed for all looks.
    pub complete: bool,
    /// Fires where the value is above this.
    pub above: Option<f64>,
    /// Fires where the value is below this.
    pub below: Option<f64>,
    /// When it was looked at.
    pub times_unix_micros: Vec<i64>,
    /// The worst value of each look; none where there was none.
    pub values: Vec<Option<f64>>,
    /// The latest, 200 at most.
    pub firings: Vec<RuleFiring>,
    /// How often it would have begun to fire.
    pub count: u64,
    /// How long something would have fired, all alerts together.
    pub firing_seconds: f64,
}

/// From the beginning of an alert to its end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleFiring {
    pub labels: BTreeMap<String, String>,
    pub summary: String,
    pub started_unix_micros: i64,
    /// None while it fires.
    pub ended_unix_micros: Option<i64>,
}
