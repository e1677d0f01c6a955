//! What the API answers. Times are Unix microseconds, UTC; ratios are 0 to 1; null is "not reported".

use crate::state::{ByState, GpuState};
pub use crate::{costs::*, jobs::*};
use serde::{Deserialize, Serialize};

/// `POST /v1/ingest/{table}`, 200.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IngestAnswer {
    /// Rows that are on disk now; for a duplicate, 0.
    pub accepted: u64,
    /// The sequence was kept before; nothing was stored again.
    pub duplicate: bool,
    /// The first of the rows that were not kept.
    pub rejected: Vec<Rejection>,
    /// All of them; more than `rejected` lists when there are very many.
    #[serde(default)]
    pub rejected_rows: u64,
}

/// A row that was not kept, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rejection {
    /// Position in the posted stream, from 0.
    pub row: u64,
    pub column: String,
    /// The same words for the same cause.
    pub reason: String,
}

/// Every answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorAnswer {
    pub error: ErrorBody,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// One of `invalid`, `unauthorized`, `forbidden`, `not_found`, `limit`, `unavailable`, `corrupt`, `internal`.
    pub kind: String,
    /// What failed, on which thing, what to do.
    pub message: String,
    /// Finds the request in the server's log.
    pub request_id: String,
    /// Names that would have been accepted, where a name was not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<String>,
}

/// A half-open window of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    pub from_unix_micros: i64,
    pub to_unix_micros: i64,
}

/// `POST /api/v1/session`: exchanges a token, or the code of a one-time link, for a session cookie.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoginRequest {
    #[serde(default)]
    pub token: Option<String>,
    #[serde(default)]
    pub code: Option<String>,
}

/// `GET /api/v1/session`: who is asking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub name: String,
    /// `admin`, `writer`, `finance` or `viewer`.
    pub role: String,
}

/// `GET /api/v1/status`: what the frame of every page shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub now_unix_micros: i64,
    /// Latest time of any GPU or host sample; null when there is none.
    pub data_time_unix_micros: Option<i64>,
    pub clusters: Vec<String>,
    /// Rows that collectors had to drop, as they reported it.
    pub rows_lost_total: u64,
    pub rows_rejected_total: u64,
    pub tables: Vec<TableStatus>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableStatus {
    pub name: String,
    pub rows: u64,
    pub files: u64,
    pub stored_bytes: u64,
    pub time_min_unix_micros: Option<i64>,
    pub time_max_unix_micros: Option<i64>,
}

/// `GET /api/v1/overview?from&to&cluster`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    pub range: Range,
    /// GPUs by state at the end of the range.
    pub gpus_now: ByState<u64>,
    pub nodes_now: u64,
    pub gpu_hours: ByState<f64>,
    /// The same length of time just before; null when there is no telemetry in it.
    pub gpu_hours_before: Option<ByState<f64>>,
    pub gpu_busy_ratio_mean: Option<f64>,
    pub energy_joules: Option<f64>,
    pub jobs: JobCounts,
    pub bucket_seconds: i64,
    /// Mean number of GPUs in each state, one entry a bucket, in order of time, none missing.
    pub over_time: Vec<StateBucket>,
    /// Worst first.
    pub attention: Vec<Attention>,
    /// One cell a node.
    pub nodes: Vec<NodeCell>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCounts {
    pub running: u64,
    pub waiting: u64,
    pub ended: u64,
    /// Of those ended, the ones whose state says that they failed.
    pub failed: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateBucket {
    pub time_unix_micros: i64,
    pub gpus: ByState<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeCell {
    pub cluster: String,
    pub node: String,
    pub rack: Option<String>,
    pub gpus: ByState<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Critical,
    Warning,
    Notice,
}

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    pub severity: Severity,
    pub title: String,
    pub detail: String,
    pub since_unix_micros: i64,
    pub cluster: String,
    pub node: Option<String>,
    pub gpu_uuid: Option<String>,
    pub job_id: Option<String>,
    /// GPU-hours that it cost within the range, where that can be said.
    pub gpu_hours: Option<f64>,
}

/// `GET /api/v1/fleet?from&to&cluster&metric`: rack × GPU × time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    pub range: Range,
    /// `state`, or the name of a gauge column of `gpu_samples`.
    pub metric: String,
    pub bucket_seconds: i64,
    pub times_unix_micros: Vec<i64>,
    /// In order of cluster, rack and node.
    pub nodes: Vec<FleetNode>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FleetNode {
    pub cluster: String,
    pub node: String,
    pub rack: Option<String>,
    pub gpus: Vec<FleetGpu>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FleetGpu {
    pub gpu_uuid: String,
    pub gpu_index: i64,
    pub gpu_model: String,
    pub mig_profile: Option<String>,
    /// At the end of the range, like the values that follow.
    pub state: GpuState,
    pub job_id: Option<String>,
    pub user: Option<String>,
    pub gpu_busy_ratio: Option<f64>,
    pub power_watts: Option<f64>,
    pub temperature_celsius: Option<f64>,
    pub memory_used_bytes: Option<i64>,
    pub memory_total_bytes: Option<i64>,
    /// One cell a bucket: the metric's mean, or for `state` the position of the longest-held state in
    /// [`GpuState::ALL`]. Null is "not reported". Empty in answers that have no heat map.
    pub cells: Vec<Option<f64>>,
    /// The jobs that held it within the range, in order of time.
    pub jobs: Vec<JobSpan>,
}

/// A job on a GPU or node for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpan {
    pub job_id: String,
    pub name: Option<String>,
    pub user: Option<String>,
    pub from_unix_micros: i64,
    pub to_unix_micros: i64,
}

/// A series over `times_unix_micros` of the answer that holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Column name; a counter becomes `<base>_per_second`.
    pub name: String,
    pub unit: String,
    /// Null where nothing was reported; all null is "not reported".
    pub values: Vec<Option<f64>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceEvent {
    pub time_unix_micros: i64,
    pub gpu_uuid: Option<String>,
    pub kind: String,
    pub code: Option<i64>,
    pub job_id: Option<String>,
    pub severity: String,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSpan {
    pub state: GpuState,
    pub from_unix_micros: i64,
    pub to_unix_micros: i64,
}

/// `GET /api/v1/nodes/{cluster}/{node}?from&to`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeDetail {
    pub range: Range,
    pub cluster: String,
    pub node: String,
    pub rack: Option<String>,
    pub gpus: Vec<FleetGpu>,
    pub bucket_seconds: i64,
    pub times_unix_micros: Vec<i64>,
    /// Of `host_samples`, and sums over the node's GPUs named `gpu_power_watts` and `gpu_busy_ratio`.
    pub series: Vec<Series>,
    pub events: Vec<DeviceEvent>,
    pub jobs: Vec<JobSpan>,
}

/// `GET /api/v1/gpus/{gpu_uuid}?from&to`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuDetail {
    pub range: Range,
    pub cluster: String,
    pub node: String,
    pub gpu: FleetGpu,
    pub bucket_seconds: i64,
    pub times_unix_micros: Vec<i64>,
    pub series: Vec<Series>,
    pub states: Vec<StateSpan>,
    pub events: Vec<DeviceEvent>,
}
