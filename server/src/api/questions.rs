//! Health, and the questions that the pages ask.

use super::error::Refusal;
use super::range::parse_range;
use super::serve::State;
use crate::error::ErrorKind;
use actix_web::{HttpResponse, web};
use contract::answers::{Range, Status};
use serde::Deserialize;
use serde_json::json;
use std::sync::atomic::Ordering;

type Answer = Result<HttpResponse, Refusal>;

/// `GET /health/live`: the process answers.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

/// `GET /health/ready`: what was in the log has been replayed, rows can be kept, and nobody has asked it to stop.
pub(super) async fn ready(state: web::Data<State>) -> Answer {
    if !state.ready.load(Ordering::Relaxed) {
        return Err(Refusal::of_kind(ErrorKind::Unavailable, "the server is shutting down"));
    }
    state.store.ready().map_err(|error| Refusal::of_kind(error.kind(), error.to_string()))?;
    Ok(HttpResponse::Ok().json(json!({ "status": "ready" })))
}

/// `from` and `to`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    from: Option<String>,
    to: Option<String>,
}

/// Likewise, with `cluster`; an empty one means all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterWindow {
    from: Option<String>,
    to: Option<String>,
    cluster: Option<String>,
}

/// Likewise, with the `metric` of the heat map.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FleetWindow {
    from: Option<String>,
    to: Option<String>,
    cluster: Option<String>,
    metric: Option<String>,
}

/// The metric that the heat map shows unless it is told.
const FLEET_METRIC: &str = "state";

fn range(from: &Option<String>, to: &Option<String>, state: &State) -> Result<Range, Refusal> {
    parse_range(from.as_deref(), to.as_deref(), (state.clock)()).map_err(Refusal::invalid)
}

fn chosen(cluster: &Option<String>) -> Option<&str> {
    cluster.as_deref().filter(|name| !name.is_empty())
}

/// `GET /api/v1/status`.
pub(super) async fn status(state: web::Data<State>) -> Answer {
    let found = state.engine.status().await?;
    Ok(HttpResponse::Ok().json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now_unix_micros: (state.clock)(),
        data_time_unix_micros: found.data_time_unix_micros,
        clusters: found.clusters,
        rows_lost_total: found.rows_lost_total,
        rows_rejected_total: state.ingest.counters().rejected_rows.load(Ordering::Relaxed),
        tables: found.tables,
    }))
}

/// `GET /api/v1/overview`.
pub(super) async fn overview(asked: web::Query<ClusterWindow>, state: web::Data<State>) -> Answer {
    let range = range(&asked.from, &asked.to, &state)?;
    Ok(HttpResponse::Ok().json(state.engine.overview(range, chosen(&asked.cluster)).await?))
}

/// `GET /api/v1/fleet`.
pub(super) async fn fleet(asked: web::Query<FleetWindow>, state: web::Data<State>) -> Answer {
    let range = range(&asked.from, &asked.to, &state)?;
    let metric = asked.metric.as_deref().unwrap_or(FLEET_METRIC);
    Ok(HttpResponse::Ok().json(state.engine.fleet(range, chosen(&asked.cluster), metric).await?))
}

/// `GET /api/v1/nodes/{cluster}/{node}`.
pub(super) async fn node(
    path: web::Path<(String, String)>,
    asked: web::Query<Window>,
    state: web::Data<State>,
) -> Answer {
    let range = range(&asked.from, &asked.to, &state)?;
    let (cluster, node) = path.into_inner();
    Ok(HttpResponse::Ok().json(state.engine.node(&cluster, &node, range).await?))
}

/// `GET /api/v1/gpus/{gpu_uuid}`.
pub(super) async fn gpu(path: web::Path<String>, asked: web::Query<Window>, state: web::Data<State>) -> Answer {
    let range = range(&asked.from, &asked.to, &state)?;
    Ok(HttpResponse::Ok().json(state.engine.gpu(&path, range).await?))
}
