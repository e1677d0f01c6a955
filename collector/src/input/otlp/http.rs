//! OTLP over HTTP: `POST /v1/traces`, `/v1/logs`, `/v1/metrics`, in protobuf and JSON.
//!
//! **Invariant:** every answer is in the encoding of its request; a refusal is a `google.rpc.Status`.

use super::answer::{Refused, Reply};
use super::export::Exports;
use super::service::signal;
use coulomb_otlp::{Encoding, Packing, Refusal, Signal, refused};
use std::sync::Arc;
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

const PATHS: [&str; 3] = ["/v1/traces", "/v1/logs", "/v1/metrics"];
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

pub(super) async fn answer(exports: &Arc<Exports>, request: Request<Body>, admitted: bool) -> Response<Body> {
    // Who does not say what it speaks gets protobuf.
    let spoken = encoding(request.headers());
    let encoding = spoken.unwrap_or(Encoding::Protobuf);
    let Some(signal) = signal(PATHS, request.uri().path()) else {
        let message = format!("nothing is here, send OTLP to {}", PATHS.join(", "));
        return refuse(encoding, StatusCode::NOT_FOUND, Code::NotFound, message, None);
    };
    if request.method() != Method::POST {
        let message = "send it with POST".to_owned();
        let mut refused = refuse(encoding, StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, message, None);
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return refused;
    }
    let answered = match admitted {
        true => export(exports, signal, spoken, request).await,
        false => Err(Refused::Token),
    };
    match answered {
        Ok(body) => respond(StatusCode::OK, encoding, body),
        Err(why) => {
            exports.count_refused();
            // A body of another kind is a bad request, whatever gRPC calls it.
            let code = if matches!(why, Refused::Unsupported(_)) { Code::InvalidArgument } else { why.code() };
            refuse(encoding, why.status(), code, why.to_string(), why.retry_after_seconds())
        }
    }
}

async fn export(
    exports: &Arc<Exports>,
    signal: Signal,
    spoken: Option<Encoding>,
    request: Request<Body>,
) -> Result<Vec<u8>, Refused> {
    let unspoken = || Refused::Unsupported(format!("send the body with Content-Type: {PROTOBUF} or {JSON}"));
    let encoding = spoken.ok_or_else(unspoken)?;
    let named = request.headers().get(header::CONTENT_ENCODING).map_or(Ok(""), |value| value.to_str());
    let packing = named.ok().and_then(Packing::parse);
    let unknown = || Refused::Unsupported(format!("Content-Encoding is none of {}", Packing::ACCEPTED));
    let packing = packing.ok_or_else(unknown)?;
    let arrived = exports.read(request.into_body()).await?;
    Arc::clone(exports).export(signal, encoding, packing, arrived, 0).await
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

fn respond(status: StatusCode, encoding: Encoding, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Reply::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(mime(encoding)));
    response
}

fn refuse(
    encoding: Encoding,
    status: StatusCode,
    code: Code,
    message: String,
    retry_after_seconds: Option<u64>,
) -> Response<Body> {
    let body = refused(encoding, &Refusal { code: code as i32, message, retry_after_seconds });
    let mut response = respond(status, encoding, body);
    if let Some(seconds) = retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
