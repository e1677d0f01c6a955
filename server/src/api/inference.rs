//! Services of inference, one of them, and how many replicas they need.

use super::error::Refusal;
use super::range::parse_range;
use super::serve::State;
use crate::answers::{
    InferenceBill, InferenceBucket, InferenceDetail, InferenceEngine, InferenceEngineBucket, InferenceFigures,
    InferenceLine, InferenceModel, InferenceQuantiles, InferenceScaling, InferenceScalings, InferenceService,
    InferenceServices, InferenceUnitCost,
};
use crate::insight::inference::{
    Bill, By, EngineFigures, EngineStep, Figures, InferenceError, KeyLine, Model, Objective, PerMillion, Quantiles,
    Scaling, Service, ServiceDetail, Step,
};
use actix_web::{HttpResponse, web};
use contract::answers::Range;
use serde::Deserialize;

type Answer = Result<HttpResponse, Refusal>;

/// What requests are told apart by unless it is told.
const DEFAULT_BY: &str = "tenant";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    from: Option<String>,
    to: Option<String>,
}

/// Likewise, with the objective that replicas are counted for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneAsked {
    from: Option<String>,
    to: Option<String>,
    by: Option<String>,
    time_to_first_token_seconds: Option<f64>,
    queue_seconds: Option<f64>,
    utilisation_ratio: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScalingAsked {
    service: Option<String>,
    time_to_first_token_seconds: Option<f64>,
    queue_seconds: Option<f64>,
    utilisation_ratio: Option<f64>,
}

fn range(from: &Option<String>, to: &Option<String>, state: &State) -> Result<Range, Refusal> {
    parse_range(from.as_deref(), to.as_deref(), (state.clock)()).map_err(Refusal::invalid)
}

/// `GET /api/v1/inference`.
pub(super) async fn services(asked: web::Query<Window>, state: web::Data<State>) -> Answer {
    let range = range(&asked.from, &asked.to, &state)?;
    let found = state.inference.services(range).await?;
    Ok(HttpResponse::Ok().json(InferenceServices {
        range,
        currency: state.ledger.statements().currency.to_string(),
        services: found.services.into_iter().map(service).collect(),
        services_left_out: found.left_out,
    }))
}

/// `GET /api/v1/inference/{service}`.
pub(super) async fn one(path: web::Path<String>, asked: web::Query<OneAsked>, state: web::Data<State>) -> Answer {
    let by = By::parse(asked.by.as_deref().unwrap_or(DEFAULT_BY))?;
    let objective = Objective::of(asked.time_to_first_token_seconds, asked.queue_seconds, asked.utilisation_ratio)?;
    let range = range(&asked.from, &asked.to, &state)?;
    let found = state.inference.service(&path, range, by, &objective).await?;
    let ServiceDetail { service, figures: of_all, models, step_seconds, over_time, engine, bill, .. } = found;
    Ok(HttpResponse::Ok().json(InferenceDetail {
        range,
        service,
        currency: state.ledger.statements().currency.to_string(),
        figures: figures(of_all),
        models: models.into_iter().map(model).collect(),
        bucket_seconds: step_seconds,
        over_time: over_time.into_iter().map(bucket).collect(),
        engine: reported(engine),
        bill: billed(bill),
        by: found.by.as_str().to_owned(),
        lines: found.lines.into_iter().map(line).collect(),
        lines_left_out: found.lines_left_out,
        jobs: found.jobs,
        jobs_left_out: found.jobs_left_out,
        scaling: found.scaling.map(scaled),
    }))
}

/// `GET /api/v1/inference/scaling`.
pub(super) async fn scaling(asked: web::Query<ScalingAsked>, state: web::Data<State>) -> Answer {
    let objective = Objective::of(asked.time_to_first_token_seconds, asked.queue_seconds, asked.utilisation_ratio)?;
    let services = match &asked.service {
        None => state.inference.scalings(&objective),
        Some(service) => {
            let found = state.inference.scaling(service, &objective);
            vec![found.ok_or_else(|| InferenceError::NotObserved { service: service.chars().take(200).collect() })?]
        }
    };
    Ok(HttpResponse::Ok().json(InferenceScalings { services: services.into_iter().map(scaled).collect() }))
}

impl From<InferenceError> for Refusal {
    fn from(error: InferenceError) -> Self {
        match error {
            InferenceError::Query(error) => error.into(),
            other => Self::of_kind(other.kind(), other.to_string()),
        }
    }
}

fn quantiles(of: Quantiles) -> InferenceQuantiles {
    InferenceQuantiles { p50: of.p50, p90: of.p90, p95: of.p95, p99: of.p99 }
}

fn figures(of: Figures) -> InferenceFigures {
    InferenceFigures {
        source: of.source.as_str().to_owned(),
        requests: of.requests,
        failed: of.failed,
        requests_per_second: of.requests_per_second,
        input_tokens: of.input_tokens,
        cached_tokens: of.cached_tokens,
        output_tokens: of.output_tokens,
        tokens_per_second: of.tokens_per_second,
        time_to_first_token_seconds: quantiles(of.first_token),
        time_per_output_token_seconds: quantiles(of.per_token),
        queue_seconds: quantiles(of.queue),
        duration_seconds: quantiles(of.duration),
        input_length_tokens: quantiles(of.input_length),
        output_length_tokens: quantiles(of.output_length),
    }
}

fn model(of: Model) -> InferenceModel {
    InferenceModel { model: of.model, figures: figures(of.figures) }
}

fn unit_cost(of: PerMillion) -> InferenceUnitCost {
    InferenceUnitCost {
        input_micros_per_million_tokens: of.input,
        cached_micros_per_million_tokens: of.cached,
        output_micros_per_million_tokens: of.output,
        micros_per_million_tokens: of.any,
    }
}

fn service(of: Service) -> InferenceService {
    InferenceService {
        service: of.service,
        figures: figures(of.figures),
        models: of.models.into_iter().map(model).collect(),
        bill_micros: of.bill_micros,
        unpriced_gpu_hours: of.unpriced_gpu_hours,
        unit_cost: unit_cost(of.per_million),
        scaling: of.scaling.map(scaled),
    }
}

fn bucket(of: Step) -> InferenceBucket {
    InferenceBucket {
        time_unix_micros: of.time_micros,
        requests: of.requests,
        failed: of.failed,
        input_tokens: of.input_tokens,
        cached_tokens: of.cached_tokens,
        output_tokens: of.output_tokens,
        time_to_first_token_p50_seconds: of.first_token_p50,
        time_to_first_token_p95_seconds: of.first_token_p95,
        time_per_output_token_p50_seconds: of.per_token_p50,
        time_per_output_token_p95_seconds: of.per_token_p95,
        queue_p95_seconds: of.queue_p95,
    }
}

fn reported(of: EngineFigures) -> InferenceEngine {
    let step = |step: EngineStep| InferenceEngineBucket {
        time_unix_micros: step.time_micros,
        requests_running: step.running,
        requests_waiting: step.waiting,
        kv_cache_used_ratio: step.kv_cache_used_ratio,
    };
    InferenceEngine {
        engines: of.engines,
        requests_running: of.running,
        requests_waiting: of.waiting,
        kv_cache_used_ratio: of.kv_cache_used_ratio,
        prefix_hit_ratio: of.prefix_hit_ratio,
        over_time: of.over_time.into_iter().map(step).collect(),
    }
}

fn billed(of: Bill) -> InferenceBill {
    InferenceBill {
        bill_micros: of.total_micros,
        used_micros: of.used_micros,
        idle_micros: of.idle_micros,
        unattributed_micros: of.unattributed_micros,
        prefill_micros: of.prefill_micros,
        decode_micros: of.decode_micros,
        hours_by_time: of.hours_by_time,
        hours_by_tokens: of.hours_by_tokens,
        gpu_hours: of.gpu_hours,
        unpriced_gpu_hours: of.unpriced_gpu_hours,
        unbilled_requests: of.unbilled_requests,
        on_allocation: unit_cost(of.on_allocation),
        on_use: unit_cost(of.on_use),
    }
}

fn line(of: KeyLine) -> InferenceLine {
    InferenceLine {
        kind: of.kind.as_str().to_owned(),
        name: of.name,
        requests: of.requests,
        failed: of.failed,
        input_tokens: of.input_tokens,
        cached_tokens: of.cached_tokens,
        output_tokens: of.output_tokens,
        time_to_first_token_p95_seconds: of.first_token_p95,
        allocated_micros: of.allocated_micros,
        used_micros: of.used_micros,
        allocated_micros_per_million_tokens: of.allocated_per_million,
        used_micros_per_million_tokens: of.used_per_million,
    }
}

fn scaled(of: Scaling) -> InferenceScaling {
    let sizing = of.sizing;
    InferenceScaling {
        service: of.service,
        at_unix_micros: of.at_micros,
        replicas: sizing.replicas,
        replicas_wanted: sizing.wanted,
        confidence: sizing.confidence.map(|confidence| confidence.as_str().to_owned()),
        text: sizing.text,
        is_active: of.is_active,
        requests_per_second: sizing.requests_per_second,
        work_tokens_per_second: sizing.work_per_second,
        capacity_tokens_per_second: sizing.capacity,
        is_saturated: sizing.is_saturated,
        utilisation_ratio: sizing.utilisation_ratio,
        concurrency: sizing.concurrency,
        requests_waiting: of.waiting,
        time_to_first_token_p95_seconds: of.first_token_p95,
        queue_p95_seconds: of.queue_p95,
        periods: sizing.periods,
        objective_time_to_first_token_seconds: of.objective.first_token_seconds,
        objective_queue_seconds: of.objective.queue_seconds,
        objective_utilisation_ratio: of.objective.utilisation_ratio,
    }
}
