//! What the server and its commands say to each other and no page asks for; the rest is in `contract::answers`.

mod planning;

pub use planning::*;

use serde::{Deserialize, Serialize};

/// A version of a document about money.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentEntry {
    pub kind: String,
    pub name: String,
    pub version: String,
    /// Name of the token that stated it.
    pub author: String,
    pub stated_unix_micros: i64,
    pub bytes: u64,
}

/// `POST /api/v1/ledger/close`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosingRequest {
    /// Such as `2026-10`.
    pub period: String,
    /// Close it although some hours have no price.
    #[serde(default)]
    pub unpriced: bool,
}

/// The closing of a month.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closing {
    pub period: String,
    pub closing: String,
    pub rows: u64,
    pub cost_micros: i64,
}

/// `POST /api/v1/ledger/reopen`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReopeningRequest {
    pub period: String,
    /// Kept for auditors.
    pub why: String,
}

/// `POST /api/v1/policies/compare`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparisonRequest {
    /// Such as `2026-10`.
    pub period: String,
    /// Policies as TOML.
    pub a: String,
    pub b: String,
}

/// What each owner would pay under two policies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyComparison {
    pub period: String,
    /// ISO 4217 code.
    pub currency: String,
    pub a_micros: i64,
    pub b_micros: i64,
    pub owners: Vec<ComparedOwner>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ComparedOwner {
    pub team: String,
    pub project: Option<String>,
    pub cost_centre: String,
    pub a_micros: i64,
    pub b_micros: i64,
}
