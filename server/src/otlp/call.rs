//! One call of gRPC: its token, its body, its answer, by the status codes that OTLP asks for.
//!
//! Read here and not by tonic's codec, because that answers codes which tell a sender to try for ever what can never
//! be kept, and knows no bound for all calls at once.

use super::error::ExportError;
use super::export::Otlp;
use super::frame::{self, Reply};
use crate::access::{Access, Action};
use crate::error::ErrorKind;
use crate::grpc;
use crate::ingest::{BODY_BYTES_MAX, Unpacking};
use bytes::{Bytes, BytesMut};
use coulomb_otlp::{Encoding, FRAME_BYTES, Packing, Refusal, Signal, refused};
use std::convert::Infallible;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use tonic::codegen::{Body as _, BoxFuture, Service};
use tonic::server::NamedService;
use tonic::{Code, Status};

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
/// What memory is reserved in while a body arrives: a sender that sends a byte at a time has no more of it than others.
const PIECE_BYTES: usize = 32 << 10;
/// A sender that pauses this long is gone.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A service of OTLP.
pub(super) trait Receives: Clone + Send + Sync + 'static {
    const NAME: &'static str;
    const SIGNAL: Signal;
}

macro_rules! receives {
    ($name:ident, $service:literal) => {
        #[derive(Clone)]
        pub(super) enum $name {}

        impl Receives for $name {
            const NAME: &'static str = $service;
            const SIGNAL: Signal = Signal::$name;
        }
    };
}
receives!(Traces, "opentelemetry.proto.collector.trace.v1.TraceService");
receives!(Logs, "opentelemetry.proto.collector.logs.v1.LogsService");
receives!(Metrics, "opentelemetry.proto.collector.metrics.v1.MetricsService");

#[derive(Clone)]
pub(super) struct Exports<R> {
    otlp: Otlp,
    access: Access,
    receives: PhantomData<R>,
}

impl<R> Exports<R> {
    pub(super) fn new(otlp: Otlp, access: Access) -> Self {
        Self { otlp, access, receives: PhantomData }
    }
}

impl<R: Receives> NamedService for Exports<R> {
    const NAME: &'static str = R::NAME;
}

impl<R: Receives> Service<Request<Body>> for Exports<R> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (otlp, access) = (self.otlp.clone(), self.access.clone());
        Box::pin(async move {
            if !is_grpc(request.headers()) {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                return Ok(response);
            }
            let admitted = admit::<R>(&access, &request);
            let answered = match admitted {
                Ok(packing) => export(&otlp, R::SIGNAL, packing, request.into_body()).await,
                Err(refused) => Err(refused),
            };
            Ok(answered.map_or_else(Status::into_http, |message| respond(&message)))
        })
    }
}

/// `application/grpc`, with or without what its messages are.
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_of = |rest: &str| rest.is_empty() || rest.starts_with(['+', ';']);
    kind.strip_prefix("application/grpc").is_some_and(is_of)
}

/// Whether a call may go on, decided before anything of its body is read; gives how that is compressed.
fn admit<R: Receives>(access: &Access, request: &Request<Body>) -> Result<Packing, Status> {
    let headers = request.headers();
    let token = grpc::token(headers).ok_or_else(unauthenticated)?;
    let identity = access.identify_token(&token).map_err(|error| status(error.kind(), error.to_string(), None))?;
    let identity = identity.ok_or_else(unauthenticated)?;
    if !identity.role.may(Action::Ingest) {
        let role = identity.role.as_str();
        return Err(Status::permission_denied(format!("a token of role {role} may not send rows, use another one")));
    }
    if request.uri().path().strip_prefix('/').and_then(|path| path.strip_suffix("/Export")) != Some(R::NAME) {
        return Err(Status::unimplemented(format!("{} has no method but Export", R::NAME)));
    }
    packing(headers)
}

fn unauthenticated() -> Status {
    Status::unauthenticated("no valid token, send it as metadata `authorization: Bearer TOKEN`")
}

fn packing(headers: &HeaderMap) -> Result<Packing, Status> {
    let named = headers.get(ENCODING).map_or(Ok(""), |value| value.to_str()).unwrap_or("?");
    Packing::parse(named).ok_or_else(|| {
        let named: String = named.chars().take(40).collect();
        let accepted = Packing::ACCEPTED;
        let mut refused = Status::unimplemented(format!("grpc-encoding {named:?} is not known here, use {accepted}"));
        refused.metadata_mut().insert(ACCEPT_ENCODING, accepted.parse().expect("a list of names is ASCII"));
        refused
    })
}

async fn export(otlp: &Otlp, signal: Signal, packing: Packing, body: Body) -> Result<Vec<u8>, Status> {
    let mut memory = otlp.memory();
    let body = read(body, &mut memory).await?;
    let (message, packing) = frame::message(body, packing)?;
    otlp.export(signal, Encoding::Protobuf, packing, message).await.map_err(of_export)
}

/// All of a call's body, which counts against the memory for unpacking.
async fn read(mut body: Body, memory: &mut Unpacking) -> Result<Bytes, Status> {
    let (mut all, mut reserved) = (BytesMut::new(), 0);
    loop {
        let next = timeout(PAUSE_MAX, poll_fn(|context| Pin::new(&mut body).poll_frame(context))).await;
        let next = next.map_err(|_| Status::cancelled(format!("the body stopped for {} s", PAUSE_MAX.as_secs())))?;
        let Some(frame) = next.transpose()? else { return Ok(all.freeze()) };
        let Ok(part) = frame.into_data() else { continue };
        if all.len() + part.len() > FRAME_BYTES + BODY_BYTES_MAX {
            let message = format!("the message is larger than {BODY_BYTES_MAX} bytes, send fewer records at once");
            return Err(status(ErrorKind::Limit, message, None));
        }
        while reserved < all.len() + part.len() {
            // Twice, because a buffer that grows is there twice for a moment.
            memory.grow(2 * PIECE_BYTES as u64).map_err(|error| of_export(error.into()))?;
            reserved += PIECE_BYTES;
        }
        all.extend_from_slice(&part);
    }
}

fn respond(message: &[u8]) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(Body::new(Reply::new(message, trailers)));
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response
}

fn of_export(error: ExportError) -> Status {
    status(error.kind(), error.to_string(), error.retry_after_seconds())
}

/// `kind` → code. With details where the sender should come back, because without them it gives up.
fn status(kind: ErrorKind, message: String, retry_after_seconds: Option<u64>) -> Status {
    let code = match kind {
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Limit => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Corrupt | ErrorKind::Internal => Code::Internal,
    };
    let message = match code {
        Code::Internal => {
            let id = uuid::Uuid::new_v4().to_string();
            tracing::error!(request_id = id, error = message, "a call of OTLP failed");
            format!("internal error, the server's log has it under the request's id {id}")
        }
        _ => message,
    };
    let retry_after_seconds = retry_after_seconds.or((code == Code::Unavailable).then_some(1));
    let details =
        refused(Encoding::Protobuf, &Refusal { code: code as i32, message: message.clone(), retry_after_seconds });
    Status::with_details(code, message, details.into())
}
