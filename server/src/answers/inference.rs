//! Services of inference: how they do, what their tokens cost, how many replicas they need.

use contract::answers::Range;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/inference`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceServices {
    pub range: Range,
    /// ISO 4217 code.
    pub currency: String,
    /// Those with most requests first.
    pub services: Vec<InferenceService>,
    pub services_left_out: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceService {
    pub service: String,
    pub figures: InferenceFigures,
    pub models: Vec<InferenceModel>,
    /// What its jobs cost in the hours that begin in the range; none where nothing has a price.
    pub bill_micros: Option<i64>,
    pub unpriced_gpu_hours: f64,
    /// Of all that is paid, idle time too.
    pub unit_cost: InferenceUnitCost,
    /// None where the last hours say nothing.
    pub scaling: Option<InferenceScaling>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceModel {
    pub model: String,
    pub figures: InferenceFigures,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceFigures {
    /// `requests`, `engine` where only metrics of engines are known, or `nothing`.
    pub source: String,
    pub requests: u64,
    pub failed: u64,
    /// From the first request to the last.
    pub requests_per_second: Option<f64>,
    pub input_tokens: u64,
    /// None where no request says.
    pub cached_tokens: Option<u64>,
    pub output_tokens: u64,
    /// Generated, from the first request to the last.
    pub tokens_per_second: Option<f64>,
    pub time_to_first_token_seconds: InferenceQuantiles,
    pub time_per_output_token_seconds: InferenceQuantiles,
    pub queue_seconds: InferenceQuantiles,
    pub duration_seconds: InferenceQuantiles,
    pub input_length_tokens: InferenceQuantiles,
    pub output_length_tokens: InferenceQuantiles,
}

/// Of requests that did not fail, linear between neighbours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceQuantiles {
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
}

/// Micros for a million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceUnitCost {
    /// Of prompts that were computed.
    pub input_micros_per_million_tokens: Option<i64>,
    /// Of prompts that a cache served.
    pub cached_micros_per_million_tokens: Option<i64>,
    pub output_micros_per_million_tokens: Option<i64>,
    /// Of any kind.
    pub micros_per_million_tokens: Option<i64>,
}

/// `GET /api/v1/inference/{service}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceDetail {
    pub range: Range,
    pub service: String,
    /// ISO 4217 code.
    pub currency: String,
    pub figures: InferenceFigures,
    pub models: Vec<InferenceModel>,
    pub bucket_seconds: i64,
    pub over_time: Vec<InferenceBucket>,
    pub engine: InferenceEngine,
    pub bill: InferenceBill,
    /// `tenant`, `user` or `model`.
    pub by: String,
    /// They sum to the bill, on either basis.
    pub lines: Vec<InferenceLine>,
    pub lines_left_out: u64,
    /// Jobs that served it, as `cluster/job_id`, the latest first.
    pub jobs: Vec<String>,
    pub jobs_left_out: u64,
    pub scaling: Option<InferenceScaling>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceBucket {
    pub time_unix_micros: i64,
    pub requests: u64,
    pub failed: u64,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub output_tokens: u64,
    pub time_to_first_token_p50_seconds: Option<f64>,
    pub time_to_first_token_p95_seconds: Option<f64>,
    pub time_per_output_token_p50_seconds: Option<f64>,
    pub time_per_output_token_p95_seconds: Option<f64>,
    pub queue_p95_seconds: Option<f64>,
}

/// What engines report of themselves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceEngine {
    /// Such as `vLLM`; empty where none reports.
    pub engines: Vec<String>,
    pub requests_running: Option<f64>,
    pub requests_waiting: Option<f64>,
    pub kv_cache_used_ratio: Option<f64>,
    pub prefix_hit_ratio: Option<f64>,
    pub over_time: Vec<InferenceEngineBucket>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceEngineBucket {
    pub time_unix_micros: i64,
    pub requests_running: Option<f64>,
    pub requests_waiting: Option<f64>,
    pub kv_cache_used_ratio: Option<f64>,
}

/// What the jobs that serve cost in the hours that begin in the range.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceBill {
    /// None where nothing has a price.
    pub bill_micros: Option<i64>,
    /// While GPUs worked.
    pub used_micros: i64,
    /// While they were held and did not work.
    pub idle_micros: i64,
    /// Of what was used, in hours from which no request is known.
    pub unattributed_micros: i64,
    /// Of what was used for requests: until the first token, and from it on.
    pub prefill_micros: i64,
    pub decode_micros: i64,
    /// Hours whose prompts and answers were told apart by time, and by tokens.
    pub hours_by_time: u64,
    pub hours_by_tokens: u64,
    pub gpu_hours: f64,
    pub unpriced_gpu_hours: f64,
    /// Requests of hours that are not in the bill.
    pub unbilled_requests: u64,
    /// All that is paid, idle time too.
    pub on_allocation: InferenceUnitCost,
    /// Only what was used for requests.
    pub on_use: InferenceUnitCost,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceLine {
    /// `named`, `unnamed` (requests that do not say), `others` (not listed), `idle` or `unattributed`.
    pub kind: String,
    pub name: Option<String>,
    pub requests: u64,
    pub failed: u64,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub output_tokens: u64,
    pub time_to_first_token_p95_seconds: Option<f64>,
    /// With its part of idle time.
    pub allocated_micros: i64,
    pub used_micros: i64,
    /// For a million tokens of any kind, in hours that are in the bill.
    pub allocated_micros_per_million_tokens: Option<i64>,
    pub used_micros_per_million_tokens: Option<i64>,
}

/// `GET /api/v1/inference/scaling`: what each service needs, by the last look.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceScalings {
    pub services: Vec<InferenceScaling>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InferenceScaling {
    pub service: String,
    /// When it was looked.
    pub at_unix_micros: i64,
    /// None where nobody knows.
    pub replicas: Option<u64>,
    /// None where too little is known to say.
    pub replicas_wanted: Option<u64>,
    /// `high`, `medium` or `low`.
    pub confidence: Option<String>,
    /// Why, in a sentence.
    pub text: String,
    /// Whether somebody asked within a quarter of an hour.
    pub is_active: bool,
    pub requests_per_second: f64,
    /// Generated tokens, and those of prompts by their weight.
    pub work_tokens_per_second: f64,
    /// What a replica can do within the objective, or did at least.
    pub capacity_tokens_per_second: Option<f64>,
    /// Whether it was seen that it can do no more.
    pub is_saturated: bool,
    pub utilisation_ratio: Option<f64>,
    /// Requests that are worked at together, by Little's law.
    pub concurrency: f64,
    pub requests_waiting: Option<f64>,
    pub time_to_first_token_p95_seconds: Option<f64>,
    pub queue_p95_seconds: Option<f64>,
    /// Periods of ten minutes that were judged.
    pub periods: u64,
    /// What shall hold for 95 of 100 requests, and how full replicas may be.
    pub objective_time_to_first_token_seconds: f64,
    pub objective_queue_seconds: f64,
    pub objective_utilisation_ratio: f64,
}
