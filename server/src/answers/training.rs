//! What a training job's time was for, and the trace of one of its steps.

use contract::answers::{JobAdvice, Range};
use serde::{Deserialize, Serialize};

/// `GET /api/v1/jobs/{cluster}/{job_id}/training`: over all attempts of the job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobTraining {
    pub cluster: String,
    pub job_id: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Where steps are known from: `measured` by spans, or `inferred` from samples of GPUs. Null where from neither.
    pub source: Option<String>,
    /// Spans that senders had to drop, as they say.
    pub spans_dropped: u64,
    /// Null without spans.
    pub goodput: Option<TrainingGoodput>,
    /// Null without spans.
    pub mfu: Option<TrainingMfu>,
    /// Null without spans of steps.
    pub steps: Option<TrainingSteps>,
    /// Ranks that are slower than the others of the same step, most costly first.
    pub stragglers: Vec<TrainingStraggler>,
    /// Steps in which a rank took far longer than it usually does, the longest first.
    pub slow_steps: Vec<TrainingSlowStep>,
    /// Null where no checkpoint is known.
    pub checkpoints: Option<TrainingCheckpoints>,
    /// A period of its GPUs; only without spans.
    pub inferred: Option<TrainingPeriod>,
    /// In their order.
    pub attempts: Vec<TrainingAttempt>,
    /// What costs most first.
    pub advice: Vec<JobAdvice>,
}

/// Parts sum to all, in GPU-seconds and to the micro.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingGoodput {
    /// Productive part of the time in which the job held GPUs; null where it held none yet.
    pub ratio: Option<f64>,
    pub gpu_seconds: f64,
    /// What the ledger has of the job so far; null without a price.
    pub cost_micros: Option<i64>,
    /// In a fixed order, without those that are nothing.
    pub parts: Vec<TrainingPart>,
    /// Between attempts, when the job held nothing; in no part.
    pub waiting_seconds: f64,
    /// Launches after the first.
    pub restarts: u64,
    /// Steps that were computed again, or broke off.
    pub lost_steps: u64,
}

/// What time was for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingPart {
    /// One of `productive`, `initialization`, `data_loading`, `checkpoint_save`, `checkpoint_restore`, `evaluation`,
    /// `lost_work`, `restart`, `stalled`, `other`, `unknown`.
    pub category: String,
    pub gpu_seconds: f64,
    pub cost_micros: Option<i64>,
}

/// Model FLOPs against what the GPUs could do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingMfu {
    /// In the time of steps; null where something of it is not known.
    pub ratio: Option<f64>,
    /// In all time in which GPUs were held.
    pub overall_ratio: Option<f64>,
    /// What is missing, where the ratio is null.
    pub missing: Option<String>,
    /// Of steps that counted.
    pub flops: Option<f64>,
    /// `flops`, as steps say, or `parameters`: 6 × parameters × tokens.
    pub flops_by: Option<String>,
    pub tokens: Option<f64>,
    /// In the time of steps.
    pub tokens_per_second: Option<f64>,
    pub parameters: Option<f64>,
    pub dtype: Option<String>,
    pub gpu_model: Option<String>,
    /// Of one GPU, dense.
    pub peak_flops_per_second: Option<f64>,
    /// Who says so.
    pub peak_source: Option<String>,
}

/// How long steps took, the slowest rank of each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingSteps {
    pub count: u64,
    pub ranks: u64,
    pub mean_seconds: f64,
    pub p50_seconds: f64,
    pub p90_seconds: f64,
    pub p99_seconds: f64,
    /// Last quarter against the first; null with too few steps.
    pub trend_ratio: Option<f64>,
    /// Stragglers are looked for in one step of so many.
    pub sampled_every: u64,
    pub buckets: Vec<TrainingBucket>,
}

/// Steps that follow each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingBucket {
    pub first_step: i64,
    pub last_step: i64,
    /// Start of the first of them.
    pub time_unix_micros: i64,
    pub count: u64,
    pub p50_seconds: f64,
    pub max_seconds: f64,
    /// The median rank's work, without waiting for others.
    pub work_seconds: Option<f64>,
    /// Of these, computed again later.
    pub lost: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingStraggler {
    pub rank: i64,
    pub node: Option<String>,
    /// Steps that were looked at, and those in which it was slow.
    pub steps: u64,
    pub slow_steps: u64,
    /// Mean of its work against the median of the same step.
    pub work_ratio: f64,
    /// What the others waited for it.
    pub lost_gpu_seconds: f64,
    pub cost_micros: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingSlowStep {
    pub step: i64,
    pub time_unix_micros: i64,
    pub rank: i64,
    pub node: Option<String>,
    pub work_seconds: f64,
    /// Median of the same rank.
    pub usual_seconds: f64,
    pub lost_gpu_seconds: f64,
    pub cost_micros: Option<i64>,
}

/// What checkpoints cost, and how often to save one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingCheckpoints {
    pub saves: u64,
    /// Mean time of one save.
    pub save_seconds: Option<f64>,
    /// Between saves.
    pub interval_seconds: Option<f64>,
    pub restores: u64,
    pub restore_seconds: Option<f64>,
    /// Of the job so far.
    pub failures: u64,
    /// Mean time between failures of a job of its size.
    pub failure_seconds: Option<f64>,
    /// Whose failures: of the `job`, or of its `cluster`.
    pub failures_of: Option<String>,
    /// Square root of 2 × time of a save × time between failures.
    pub suggested_seconds: Option<f64>,
    /// Part of the time that saves and work done again take, expected at the present interval and at the suggested.
    pub overhead_ratio: Option<f64>,
    pub suggested_overhead_ratio: Option<f64>,
}

/// A repeated pattern of the GPUs, which probably is a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingPeriod {
    pub seconds: f64,
    /// Correlation of the pattern with itself one period later: 1 is the same again.
    pub confidence_ratio: f64,
    /// Column of `gpu_samples`.
    pub metric: String,
    pub samples: u64,
}

/// One attempt of the job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingAttempt {
    pub attempt: i64,
    pub state: Option<String>,
    pub started_unix_micros: Option<i64>,
    pub ended_unix_micros: Option<i64>,
    pub first_step: Option<i64>,
    pub last_step: Option<i64>,
    /// Steps that were computed again, or broke off, and their time.
    pub lost_steps: u64,
    pub lost_gpu_seconds: f64,
    pub lost_micros: Option<i64>,
    /// Why it ended early; null where it did not.
    pub cause: Option<TrainingCause>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingCause {
    /// One of `gpu`, `out_of_memory`, `time_limit`, `node`, `preempted`, `cancelled`, `exception`, `exit_code`, `unknown`.
    pub kind: String,
    /// In a sentence.
    pub text: String,
    /// What was seen in the last minutes, the latest first.
    pub evidence: Vec<TrainingEvidence>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingEvidence {
    pub time_unix_micros: i64,
    /// Table that has it: `device_events`, `spans` or `logs`.
    pub source: String,
    pub place: String,
    pub text: String,
}

/// `GET /api/v1/jobs/{cluster}/{job_id}/trace`: spans of one step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobTrace {
    /// Null where the job has no spans.
    pub step: Option<i64>,
    /// Steps before and after it that have spans.
    pub previous_step: Option<i64>,
    pub next_step: Option<i64>,
    /// From the first start to the last end.
    pub range: Range,
    /// Ranks shown, and all that the step has.
    pub ranks: Vec<i64>,
    pub ranks_total: u64,
    /// By rank and start.
    pub spans: Vec<TraceSpan>,
    pub spans_left_out: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceSpan {
    pub trace_id: String,
    pub span_id: String,
    pub parent_span_id: Option<String>,
    pub name: String,
    pub rank: Option<i64>,
    pub node: Option<String>,
    /// After the start of the range.
    pub start_seconds: f64,
    pub duration_seconds: f64,
    pub is_error: bool,
    pub message: Option<String>,
}
