//! OTLP over gRPC: `Export` of the three services, answered by the status codes that OTLP asks for.

use super::answer::{Refused, Reply};
use super::export::Exports;
use super::service::signal;
use coulomb_otlp::{Encoding, FRAME_BYTES, Packing, Refusal, refused, unframed};
use std::sync::Arc;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use tonic::{Code, Status};

/// What all addresses of OTLP begin with.
pub(super) const PREFIX: &str = "/opentelemetry.proto.collector.";
const METHODS: [&str; 3] =
    ["trace.v1.TraceService/Export", "logs.v1.LogsService/Export", "metrics.v1.MetricsService/Export"];
const GRPC: &str = "application/grpc";
const ENCODING: &str = "grpc-encoding";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// Whether a request says that it is gRPC: `application/grpc`, with or without what its messages are.
pub(super) fn is_spoken(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_of = |rest: &str| rest.is_empty() || rest.starts_with(['+', ';']);
    kind.strip_prefix(GRPC).is_some_and(is_of)
}

pub(super) async fn answer(exports: &Arc<Exports>, request: Request<Body>, admitted: bool) -> Response<Body> {
    if !is_spoken(request.headers()) {
        let mut response = Response::new(Reply::whole(Vec::new()));
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let answered = match admitted {
        true => export(exports, request).await,
        false => Err(Refused::Token),
    };
    answered.map_or_else(
        |why| {
            exports.count_refused();
            refuse(&why)
        },
        respond,
    )
}

async fn export(exports: &Arc<Exports>, request: Request<Body>) -> Result<Vec<u8>, Refused> {
    let signal = request.uri().path().strip_prefix(PREFIX).and_then(|method| signal(METHODS, method));
    let signal = signal.ok_or_else(|| Refused::Unsupported("this method is not known here".to_owned()))?;
    let named = request.headers().get(ENCODING).map_or(Ok(""), |value| value.to_str()).unwrap_or("?");
    let packing = Packing::parse(named).ok_or_else(|| {
        let named: String = named.chars().take(40).collect();
        Refused::Unsupported(format!("grpc-encoding {named:?} is not known here, use {}", Packing::ACCEPTED))
    })?;
    let arrived = exports.read(request.into_body()).await?;
    let framed = unframed(&arrived.bytes, packing).map(|(_, packing)| packing);
    let packing = framed.map_err(|why| Refused::Invalid(format!("not one message in gRPC's frame: {why}")))?;
    Arc::clone(exports).export(signal, Encoding::Protobuf, packing, arrived, FRAME_BYTES).await
}

fn respond(message: Vec<u8>) -> Response<Body> {
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).expect("an answer is a sentence at most").to_be_bytes());
    framed.extend(message);
    let mut trailers = HeaderMap::new();
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(Reply::with_trailers(framed, trailers));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(GRPC));
    response
}

/// With details where the sender should come back, because without them it gives up.
fn refuse(why: &Refused) -> Response<Body> {
    let (code, message) = (why.code(), why.to_string());
    let told = Refusal { code: code as i32, message: message.clone(), retry_after_seconds: why.retry_after_seconds() };
    let details = refused(Encoding::Protobuf, &told);
    let mut status = Status::with_details(code, message, details.into());
    if code == Code::Unimplemented {
        let accepted = Packing::ACCEPTED.parse().expect("a list of names is ASCII");
        status.metadata_mut().insert(ACCEPT_ENCODING, accepted);
    }
    status.into_http()
}
