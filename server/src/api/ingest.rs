//! `POST /v1/ingest/{table}`.

use super::body::read_ingest_body;
use super::error::Refusal;
use super::prices;
use super::serve::State;
use crate::access::Identity;
use crate::ingest::BODY_BYTES_MAX;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};

/// The one table whose rows are a statement about money.
const PRICES: &str = "prices";

pub(super) async fn ingest(
    request: HttpRequest,
    table: web::Path<String>,
    payload: web::Payload,
    identity: web::ReqData<Identity>,
    state: web::Data<State>,
) -> Result<HttpResponse, Refusal> {
    let answer = post(&request, &table, payload, &identity, &state).await?;
    Ok(HttpResponse::Ok().json(answer))
}

async fn post(
    request: &HttpRequest,
    table: &str,
    payload: web::Payload,
    identity: &Identity,
    state: &web::Data<State>,
) -> Result<contract::answers::IngestAnswer, Refusal> {
    let body = read_ingest_body(request, payload, state, BODY_BYTES_MAX).await?;
    let writer = text_header(request.headers(), contract::WRITER_HEADER)?;
    let sequence = text_header(request.headers(), contract::SEQUENCE_HEADER)?;
    if table != PRICES {
        return Ok(state.ingest.post(table, writer, sequence, body, (state.clock)()).await?);
    }
    let read = state.ingest.read(table, writer, sequence, body, (state.clock)()).await?;
    prices::state_sent(&read, identity, state).await?;
    Ok(state.ingest.keep(read).await?)
}

fn text_header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let text = headers.get(name).map(|value| value.to_str()).transpose();
    text.map_err(|_| Refusal::invalid(format!("header {name} is not plain text")))
}
