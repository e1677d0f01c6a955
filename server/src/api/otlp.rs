//! `POST /v1/traces`, `/v1/logs`, `/v1/metrics`: OTLP over HTTP, in protobuf and JSON.
//!
//! **Invariant:** every answer is in the encoding of its request; a refusal is a `google.rpc.Status`.

use super::body::read_packed_body;
use super::error::Refusal;
use super::serve::State;
use crate::error::ErrorKind;
use crate::ingest::BODY_BYTES_MAX;
use crate::otlp::{ExportError, Packing};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use coulomb_otlp::{Encoding, Signal, refused};

type Answer = Result<HttpResponse, Refusal>;

const PATHS: [&str; 3] = ["/v1/traces", "/v1/logs", "/v1/metrics"];
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

pub(super) async fn traces(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> Answer {
    export(Signal::Traces, &request, payload, &state).await
}

pub(super) async fn logs(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> Answer {
    export(Signal::Logs, &request, payload, &state).await
}

pub(super) async fn metrics(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> Answer {
    export(Signal::Metrics, &request, payload, &state).await
}

async fn export(signal: Signal, request: &HttpRequest, payload: web::Payload, state: &web::Data<State>) -> Answer {
    let headers = request.headers();
    let encoding = encoding(headers)
        .ok_or_else(|| Refusal::unsupported_body(format!("send the body with Content-Type: {PROTOBUF} or {JSON}")))?;
    let packing = packing(headers)?;
    let body = read_packed_body(request, payload, state, BODY_BYTES_MAX).await?;
    let answer = state.otlp.export(signal, encoding, packing, body).await?;
    Ok(HttpResponse::Ok().content_type(mime(encoding)).body(answer))
}

fn mime(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Protobuf => PROTOBUF,
        Encoding::Json => JSON,
    }
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = text.split(';').next().unwrap_or_default().trim();
    [Encoding::Protobuf, Encoding::Json].into_iter().find(|encoding| kind.eq_ignore_ascii_case(mime(*encoding)))
}

fn packing(headers: &HeaderMap) -> Result<Packing, Refusal> {
    let named = headers.get(header::CONTENT_ENCODING).map_or(Ok(""), |value| value.to_str());
    named
        .ok()
        .and_then(Packing::parse)
        .ok_or_else(|| Refusal::unsupported_body(format!("Content-Encoding is none of {}", Packing::ACCEPTED)))
}

impl From<ExportError> for Refusal {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Ingest(error) => error.into(),
            error if error.kind() == ErrorKind::Limit => Self::too_large(error.to_string()),
            error => Self::of_kind(error.kind(), error.to_string()),
        }
    }
}

/// Whether a path is answered with `google.rpc.Status`.
pub(super) fn is_here(path: &str) -> bool {
    PATHS.contains(&path)
}

/// The body of a refusal, whichever room it comes from, and its type. Who does not say what it speaks gets protobuf.
pub(super) fn error_body(headers: &HeaderMap, refusal: &Refusal) -> (&'static str, Vec<u8>) {
    let encoding = encoding(headers).unwrap_or(Encoding::Protobuf);
    let told = coulomb_otlp::Refusal {
        code: code(refusal.status),
        message: refusal.message.clone(),
        retry_after_seconds: refusal.retry_after_seconds,
    };
    (mime(encoding), refused(encoding, &told))
}

/// gRPC's code for a status of HTTP.
fn code(status: StatusCode) -> i32 {
    match status {
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::FORBIDDEN => 7,
        StatusCode::METHOD_NOT_ALLOWED => 12,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS => 8,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        status if status.is_client_error() => 3,
        _ => 13,
    }
}
