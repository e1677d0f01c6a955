//! What the server and its commands say to each other and no page asks for; the rest is in `contract::answers`.

mod alerts;
mod boards;
mod findings;
mod inference;
mod logs;
mod pivot;
mod planning;
mod schedules;
mod training;

pub use alerts::*;
pub use boards::*;
pub use findings::*;
pub use inference::*;
pub use logs::*;
pub use pivot::*;
pub use planning::*;
pub use schedules::*;
pub use training::*;

use contract::answers::CostMonth;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

/// `GET /api/v1/ledger/months`: all that have rows, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LedgerMonths {
    /// ISO 4217 code.
    pub currency: String,
    pub months: Vec<CostMonth>,
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

/// A bill, as its last import has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BillEntry {
    pub name: String,
    /// Name of the token that imported it.
    pub author: String,
    pub stated_unix_micros: i64,
    /// What its rows have in the column `import`.
    pub import: String,
    /// Digest of the file.
    pub sha256: String,
    /// Oldest version of FOCUS that has all of the file's columns.
    pub focus_version: String,
    pub rows: u64,
    pub kept: u64,
    pub rejected: u64,
    /// Exact sums of what is invoiced, as decimals by currency.
    pub billed: BTreeMap<String, String>,
}

/// `PUT /api/v1/bills/{name}`: `kept + rejected = rows`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BillImported {
    pub bill: BillEntry,
    /// The same file is the bill already: nothing was added.
    pub already_imported: bool,
    /// Of rows that were rejected, in order of lines; the first thousand.
    pub faults: Vec<BillRowFault>,
    pub faults_total: u64,
    /// Columns of the file that are not kept.
    pub unknown_columns: Vec<String>,
}

/// What is wrong with a row of a bill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BillRowFault {
    /// Line of the file where the row starts, from 1.
    pub line: u64,
    /// None where it is about the whole row.
    pub column: Option<String>,
    pub what: String,
}

/// `GET /api/v1/reconciliation`: amounts are exact decimals.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReconciliationAnswer {
    pub period: String,
    /// Of the ledger, and of every amount that says nothing else.
    pub currency: String,
    pub bills: Vec<String>,
    /// Name of the map; none where no map was stated.
    pub map: Option<String>,
    pub bill: String,
    pub ledger: String,
    /// `bill - ledger`: the sum of the parts that are not outside of it.
    pub difference: String,
    /// What both have, at the ledger's prices.
    pub matched: String,
    pub parts: Vec<ReconciliationPart>,
    pub rules: Vec<ReconciliationRule>,
    pub converted: Vec<ReconciliationCurrency>,
    /// Lines of the bill that were compared.
    pub lines: u64,
    /// Lines whose charge begins in another month.
    pub lines_outside: u64,
}

/// One part of the difference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReconciliationPart {
    /// Rule of the map, from 1; none of what no rule takes.
    pub rule: Option<u64>,
    /// Such as `price`, `billed_not_seen`, `tax`.
    pub reason: String,
    /// Service, cluster or currency that it is about.
    pub about: Option<String>,
    /// What the reason means.
    pub text: String,
    /// Bill minus ledger.
    pub amount: String,
    pub currency: String,
    /// In another currency, for which there is no rate: no part of the difference.
    pub outside: bool,
    pub gpu_hours: Option<String>,
    /// Lines of the bill behind it, the first hundred.
    pub lines: Vec<u64>,
    pub lines_total: u64,
}

/// What one rule of the map takes of both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReconciliationRule {
    /// From 1.
    pub rule: u64,
    pub cluster: String,
    pub pool: Option<String>,
    pub region: Option<String>,
    pub gpu_model: Option<String>,
    pub bill: String,
    pub bill_gpu_hours: String,
    pub bill_lines: u64,
    pub ledger: String,
    pub ledger_gpu_hours: String,
    pub unpriced_gpu_hours: String,
}

/// Amounts of another currency, and what they are in the ledger's by the rates of their days.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReconciliationCurrency {
    pub currency: String,
    pub amount: String,
    pub in_ledger_currency: String,
    pub lines: u64,
}

/// `POST /api/v1/login-links`: a path that logs a browser in once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoginLink {
    /// Path and query, to be put behind the server's address.
    pub path: String,
    pub expires_unix_micros: i64,
}

/// `POST /api/v1/tokens` asks for a token, `GET` lists them, `DELETE /api/v1/tokens/{id}` revokes one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRequest {
    pub name: String,
    pub role: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    pub id: String,
    pub name: String,
    pub role: String,
    pub created_unix_micros: i64,
    /// Present once, in the answer to the request that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}
