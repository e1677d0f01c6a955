//! Records of logs, how many there are, and what comes.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /api/v1/logs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Logs {
    /// Newest first.
    pub records: Vec<LogRecord>,
    /// `before` of the next page, where there are older records.
    pub before: Option<String>,
    /// With the first page.
    pub counts: Option<LogCounts>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    pub time_unix_micros: i64,
    /// Beyond the microsecond.
    pub time_nanos: i64,
    pub severity_number: Option<i64>,
    pub severity: Option<String>,
    pub body: String,
    pub service: Option<String>,
    pub scope_name: Option<String>,
    pub trace_id: Option<String>,
    pub span_id: Option<String>,
    pub cluster: Option<String>,
    pub node: Option<String>,
    pub job_id: Option<String>,
    pub resource: BTreeMap<String, String>,
    pub attributes: BTreeMap<String, String>,
}

/// How many records there are over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LogCounts {
    /// All records from here on to the end of the range were counted; how many are older is not known.
    pub from_unix_micros: i64,
    /// Whether that is the whole range.
    pub complete: bool,
    pub bucket_seconds: i64,
    /// Those that have any, in order of time.
    pub buckets: Vec<LogBucket>,
    pub total: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBucket {
    pub time_unix_micros: i64,
    /// Records without a severity, of trace and debug, info, warn, error, fatal.
    pub counts: [u64; 6],
}

/// A line of `GET /api/v1/logs/tail`; one without anything only says that the server is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LogTailLine {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<LogRecord>,
    /// So many were left out, because they came too fast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<u64>,
}
