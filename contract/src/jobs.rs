//! What the API answers about jobs. Times are Unix microseconds, UTC; ratios are 0 to 1; null is "not reported".

use crate::answers::{DeviceEvent, FleetGpu, Range, Series};
use crate::state::ByState;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobPhase {
    #[default]
    Waiting,
    Running,
    Ended,
    /// Ended by a failure of its own, of its memory or of its node; neither cancelled nor out of time.
    Failed,
}

impl JobPhase {
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Running, Self::Ended, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Failed => "failed",
        }
    }
}

/// `GET /api/v1/jobs?from&to&cluster&filter&phase&sort&offset&limit`: jobs that waited or ran within the range.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobList {
    pub range: Range,
    /// Jobs by phase that the filter lets through, in the order of [`JobPhase::ALL`].
    pub counts: [u64; 4],
    /// Those of the phase that was asked for; `jobs` is a page of them.
    pub total: u64,
    /// Of costs.
    pub currency: String,
    pub jobs: Vec<JobRow>,
}

/// One attempt of a job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobRow {
    pub cluster: String,
    pub job_id: String,
    pub attempt: i64,
    pub phase: JobPhase,
    /// The scheduler's own word.
    pub state: Option<String>,
    pub name: Option<String>,
    pub user: Option<String>,
    pub account: Option<String>,
    pub project: Option<String>,
    pub queue: Option<String>,
    pub gpus: Option<i64>,
    pub nodes: Vec<String>,
    pub submitted_unix_micros: Option<i64>,
    pub started_unix_micros: Option<i64>,
    pub ended_unix_micros: Option<i64>,
    /// GPUs times time, until the end or the latest event.
    pub gpu_seconds: Option<f64>,
    /// What the ledger has of it so far; null where nothing has a price.
    pub cost_micros: Option<i64>,
    /// Part of the time in which its GPUs worked, of all attempts; null without telemetry.
    pub active_ratio: Option<f64>,
}

/// `GET /api/v1/jobs/{cluster}/{job_id}?attempt&from&to`: without an attempt the latest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobDetail {
    pub job: JobRow,
    /// Numbers of all attempts.
    pub attempts: Vec<i64>,
    pub labels: BTreeMap<String, String>,
    pub exit_code: Option<i64>,
    /// Who pays; null before the ledger has it.
    pub team: Option<String>,
    pub currency: String,
    /// From start to end, or to now.
    pub range: Range,
    /// The part of it that series and cells are of; all unless another was asked for.
    pub window: Range,
    pub times_unix_micros: Vec<i64>,
    /// The GPUs that it held, with their busy ratio in each bucket.
    pub gpus: Vec<FleetGpu>,
    /// Where each of them is.
    pub gpu_nodes: Vec<String>,
    /// GPU-hours of the time in which samples name the job.
    pub gpu_hours: ByState<f64>,
    pub energy_joules: Option<f64>,
    /// Over its GPUs: means of ratios, sums of power and memory.
    pub series: Vec<Series>,
    pub costs: Vec<JobCost>,
    pub events: Vec<DeviceEvent>,
    /// What costs most first.
    pub advice: Vec<JobAdvice>,
}

/// A part of a job's cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobCost {
    /// One of the six states; null where only accounting knows of the job.
    pub state: Option<String>,
    pub category: String,
    pub quantity: f64,
    pub unit: String,
    /// Null without a price.
    pub cost_micros: Option<i64>,
}

/// Something that the owner of a job can do better.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobAdvice {
    pub title: String,
    /// What was seen, and what to do.
    pub detail: String,
    pub gpu_hours: Option<f64>,
    /// Those at the job's mean price.
    pub cost_micros: Option<i64>,
}
