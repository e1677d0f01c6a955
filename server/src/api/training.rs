//! What a job trained: where its time went, and the trace of a step.

use super::error::Refusal;
use super::serve::State;
use super::texts::on_shelf;
use crate::insight;
use crate::shelf::Shelf;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

type Answer = Result<HttpResponse, Refusal>;

/// `GET /api/v1/jobs/{cluster}/{job_id}/training`.
pub(super) async fn training(path: web::Path<(String, String)>, state: web::Data<State>) -> Answer {
    let (cluster, job_id) = path.into_inner();
    let peaks = on_shelf(&state.peaks, Shelf::all).await?;
    let mut found = insight::training(&state.engine, &peaks, (&cluster, &job_id), (state.clock)()).await?;
    found.currency = state.ledger.statements().currency.to_string();
    Ok(HttpResponse::Ok().json(found))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TraceAsked {
    /// The latest unless it is given.
    step: Option<i64>,
    /// Numbers with commas; the slowest ones unless it is given.
    #[serde(default)]
    ranks: String,
}

/// `GET /api/v1/jobs/{cluster}/{job_id}/trace`.
pub(super) async fn trace(
    path: web::Path<(String, String)>,
    asked: web::Query<TraceAsked>,
    state: web::Data<State>,
) -> Answer {
    let (cluster, job_id) = path.into_inner();
    let number = |text: &str| {
        let refused = |_| Refusal::invalid(format!("ranks: {text:?} is no number; give some like 0,3,7"));
        text.trim().parse::<i64>().map_err(refused)
    };
    let ranks = asked.ranks.split(',').filter(|text| !text.trim().is_empty()).map(number);
    let ranks = ranks.collect::<Result<Vec<i64>, Refusal>>()?;
    Ok(HttpResponse::Ok().json(insight::trace(&state.engine, (&cluster, &job_id), asked.step, &ranks).await?))
}
