//! Answers about findings, incidents and what device events mean. Times are Unix microseconds, UTC.

use contract::answers::{Range, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /api/v1/findings`: the worst first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FindingList {
    /// The hours of what was asked for that the ledger has.
    pub range: Range,
    /// ISO 4217 code of all amounts.
    pub currency: String,
    pub computed_unix_micros: i64,
    /// What is wasted in all; no hour of a GPU counts twice.
    pub waste: FindingSum,
    /// The same by kind, and kinds that are no waste.
    pub kinds: Vec<FindingSum>,
    pub findings: Vec<FindingEntry>,
    pub findings_left_out: u64,
}

/// What findings amount to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FindingSum {
    pub kind: String,
    /// Otherwise the amounts are what the time costs that they are about.
    pub is_waste: bool,
    pub findings: u64,
    pub gpu_hours: f64,
    /// None where nothing has a price.
    pub cost_micros: Option<i64>,
    /// Of 30 days like the range.
    pub cost_micros_per_month: Option<i64>,
}

/// Something that somebody should do something about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingEntry {
    /// The same as long as it is about the same.
    pub id: String,
    pub kind: String,
    pub severity: Severity,
    pub title: String,
    pub detail: String,
    /// The one next thing to do.
    pub action: String,
    pub cluster: String,
    pub node: Option<String>,
    pub gpu_uuid: Option<String>,
    pub job_id: Option<String>,
    pub team: Option<String>,
    pub user: Option<String>,
    pub since_unix_micros: i64,
    pub until_unix_micros: i64,
    /// Whether it was so in the last hour of the range.
    pub is_ongoing: bool,
    /// 0 to 1.
    pub confidence: f64,
    /// Why not more.
    pub confidence_reason: String,
    pub is_waste: bool,
    pub gpu_hours: Option<f64>,
    /// None where it has no price, or where no time is lost.
    pub cost_micros: Option<i64>,
    /// Of 30 days like the range.
    pub cost_micros_per_month: Option<i64>,
    /// The numbers behind it.
    pub evidence: BTreeMap<String, f64>,
}

/// `GET /api/v1/incidents`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IncidentList {
    /// The hours of what was asked for that the ledger has.
    pub range: Range,
    /// ISO 4217 code of all amounts.
    pub currency: String,
    pub computed_unix_micros: i64,
    /// All of them but planned work.
    pub all: FailureSum,
    /// What was taken out of service on purpose; it is in no other sum.
    pub planned: FailureSum,
    pub by_category: Vec<FailureSum>,
    pub by_month: Vec<FailureMonth>,
    pub by_node: Vec<FailureSum>,
    /// Without a name: time of GPUs that no job had.
    pub by_user: Vec<FailureSum>,
    /// Nodes on which something failed, lemons first.
    pub nodes: Vec<NodeFailures>,
    /// The latest first.
    pub incidents: Vec<IncidentEntry>,
    pub incidents_left_out: u64,
}

/// What some incidents took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FailureSum {
    pub name: Option<String>,
    pub incidents: u64,
    /// Attempts that they ended.
    pub jobs: u64,
    pub gpu_hours_lost: f64,
    /// None where nothing has a price.
    pub cost_micros: Option<i64>,
}

/// What one category took in a month.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FailureMonth {
    /// Such as 2026-11.
    pub month: String,
    pub category: String,
    pub incidents: u64,
    pub gpu_hours_lost: f64,
    /// None where nothing has a price.
    pub cost_micros: Option<i64>,
}

/// A node and what failed on it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeFailures {
    pub cluster: String,
    pub node: String,
    /// Attempts of jobs that ended in the range.
    pub attempts: u64,
    /// Of these, the ones that a failure of node, link or driver ended.
    pub failed: u64,
    /// Lower bound of the 95 % interval of the rate at which attempts fail here.
    pub failed_ratio_at_least: f64,
    /// The rate over all nodes.
    pub fleet_ratio: f64,
    /// Of node, link or driver.
    pub incidents: u64,
    pub gpu_hours_lost: f64,
    /// None where nothing has a price.
    pub cost_micros: Option<i64>,
    /// It fails more often than the others, and more often than chance explains.
    pub is_lemon: bool,
}

/// What failed, what it hit and what that cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentEntry {
    pub id: String,
    /// One of hardware, link, driver, out_of_memory, timeout, preempted, user_code, planned, unknown.
    pub category: String,
    pub severity: Severity,
    pub title: String,
    pub meaning: String,
    /// The one next thing to do.
    pub action: String,
    pub cluster: String,
    pub node: Option<String>,
    pub gpu_uuids: Vec<String>,
    pub since_unix_micros: i64,
    pub until_unix_micros: i64,
    /// A GPU of it is still away at the end of the range.
    pub is_ongoing: bool,
    pub events: Vec<IncidentEvent>,
    pub jobs: Vec<IncidentJob>,
    /// Of jobs and of GPUs that were down.
    pub gpu_hours_lost: f64,
    pub down_gpu_hours: f64,
    /// None where nothing has a price.
    pub cost_micros: Option<i64>,
    /// The part of GPUs that were down.
    pub down_cost_micros: Option<i64>,
    /// 0 to 1.
    pub confidence: f64,
    /// Why not more.
    pub confidence_reason: String,
}

/// Events of the same kind of the same GPU that came within minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentEvent {
    pub kind: String,
    pub code: Option<i64>,
    pub gpu_uuid: Option<String>,
    pub count: u64,
    pub first_unix_micros: i64,
    pub last_unix_micros: i64,
    pub severity: Severity,
    /// Of the last one.
    pub message: String,
    pub meaning: String,
    pub action: String,
}

/// An attempt that ended too early.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IncidentJob {
    pub cluster: String,
    pub job_id: String,
    pub attempt: i64,
    pub name: Option<String>,
    pub user: Option<String>,
    /// The scheduler's own word.
    pub state: Option<String>,
    pub ended_unix_micros: i64,
    /// Its start, or its last checkpoint.
    pub lost_from_unix_micros: i64,
    pub has_checkpoint: bool,
    pub gpu_hours_lost: f64,
    /// None without a price.
    pub cost_micros: Option<i64>,
}

/// `GET /api/v1/event-meanings`: what kinds of device events and numbers of Xids mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventMeaning {
    pub kind: String,
    /// None is any event of the kind.
    pub code: Option<i64>,
    /// NVIDIA's name of the number; empty where it is not known.
    pub mnemonic: String,
    /// One of app, memory, hardware, power, link, driver, repair, collector.
    pub class: String,
    pub severity: Severity,
    pub meaning: String,
    /// What to do.
    pub action: String,
}

/// As JSON spells it, for commands.
pub fn severity_text(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
    }
}
