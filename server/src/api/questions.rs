//! Health, and the questions that the pages ask.

use super::error::Refusal;
use super::serve::State;
use crate::error::ErrorKind;
use actix_web::{HttpResponse, web};
use serde_json::json;
use std::sync::atomic::Ordering;

type Answer = Result<HttpResponse, Refusal>;

/// `GET /health/live`: the process answers.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

/// `GET /health/ready`: what was in the log has been replayed, and nobody has asked it to stop.
pub(super) async fn ready(state: web::Data<State>) -> Answer {
    if state.ready.load(Ordering::Relaxed) {
        return Ok(HttpResponse::Ok().json(json!({ "status": "ready" })));
    }
    Err(Refusal::of_kind(ErrorKind::Unavailable, "the server is shutting down"))
}
