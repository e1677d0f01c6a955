//! Documents by schedule, and what became of them.

use serde::{Deserialize, Serialize};

/// `GET /api/v1/schedules`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Schedules {
    /// In the order of their documents.
    pub schedules: Vec<ScheduleState>,
}

/// A schedule as it stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScheduleState {
    pub name: String,
    /// The document that states it.
    pub document: String,
    pub cron: String,
    pub time_zone: String,
    /// As in `chargeback`.
    pub report: String,
    pub by: Vec<String>,
    /// Such as `previous_month`.
    pub period: String,
    pub format: String,
    /// Of an address the host only, of mail the first addresses.
    pub to: String,
    /// Name of the secret that requests are signed with, or that holds the password of the mail server.
    pub secret: Option<String>,
    pub next_unix_micros: Option<i64>,
    /// What of the server's settings keeps its documents from being delivered.
    pub problem: Option<String>,
    /// The latest first.
    pub runs: Vec<ScheduleRun>,
}

/// A slot and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRun {
    pub schedule: String,
    /// When it was due, or was asked for.
    pub slot_unix_micros: i64,
    /// `due`, `running`, `delivered`, `failed`, `given_up` or `missed`.
    pub state: String,
    pub attempts: i64,
    /// Name of the token that asked for it; none where it was due.
    pub asked_by: Option<String>,
    pub period_from_unix_micros: Option<i64>,
    pub period_to_unix_micros: Option<i64>,
    pub to: String,
    pub file: Option<String>,
    pub bytes: Option<i64>,
    /// When it was first tried.
    pub started_unix_micros: Option<i64>,
    pub delivered_unix_micros: Option<i64>,
    /// When it is tried next.
    pub next_unix_micros: Option<i64>,
    /// Why it is not delivered, or was not at once.
    pub error: Option<String>,
}
