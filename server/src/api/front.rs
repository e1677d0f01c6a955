//! What every request passes: its id, the host, the route, the identity; and on the way out the error's body,
//! headers, counters and the log.

use super::error::Refusal;
use super::routes::{Found, Needs, find};
use super::serve::State;
use super::sessions::SESSION_COOKIE;
use super::{credentials, origin, otlp, prometheus};
use crate::access::Identity;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use contract::answers::{ErrorAnswer, ErrorBody};
use std::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// An asker's own id is taken over when it is no longer than this; it goes into our log.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Own scripts and WebAssembly only; charts set style attributes, hence the inline styles.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'";

const SECURE_HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// The middleware around everything.
pub(super) async fn front(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let id = request_id(request.headers());
    let pattern = request.match_pattern();
    let found = find(request.method(), pattern.as_deref(), request.path());
    let label = match &found {
        Found::Route(route) => route.pattern,
        Found::Page => "page",
        Found::OtherMethods(_) | Found::Nothing => "none",
    };
    let state = request.app_data::<web::Data<State>>().expect("every app is made with a state").clone();
    let span = span(&request, label);
    let answer = match admit(&request, &found, &state) {
        Err(refusal) => request.error_response(refusal),
        Ok(identity) => {
            if let Some(identity) = identity {
                request.extensions_mut().insert(identity);
            }
            next.call(request).instrument(span.clone()).await?.map_into_boxed_body()
        }
    };
    let mut answer = if answer.status().is_client_error() || answer.status().is_server_error() {
        with_error_body(answer, &id)
    } else {
        answer
    };
    for (name, value) in SECURE_HEADERS {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if label != "page" {
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(REQUEST_ID, value);
    }
    span.record("http.response.status_code", answer.status().as_u16());
    if answer.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let seconds = started.elapsed().as_secs_f64();
    let method = answer.request().method().as_str();
    state.metrics.count_request(method, label, answer.status().as_u16(), seconds);
    tracing::debug!(request_id = id, method, route = label, status = answer.status().as_u16(), seconds, "answered");
    Ok(answer)
}

/// The request as OpenTelemetry tells of it, which goes on with the trace of the asker.
fn span(request: &ServiceRequest, route: &'static str) -> Span {
    let method = request.method().as_str();
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    if let Some(traceparent) = text_of(request.headers(), &TRACEPARENT) {
        coulomb_telemetry::continue_trace(&span, traceparent);
    }
    span
}

/// Decides whether the request may go on, and as whom.
fn admit(request: &ServiceRequest, found: &Found, state: &State) -> Result<Option<Identity>, Refusal> {
    let host = text_of(request.headers(), &header::HOST);
    if state.loopback_only && host.is_some_and(|host| !origin::is_loopback_host(host)) {
        return Err(Refusal::forbidden("this server answers to localhost, 127.0.0.1 and [::1] only"));
    }
    let needs = match found {
        Found::Route(route) => route.needs,
        Found::Page => Needs::Nothing,
        Found::OtherMethods(allow) => return Err(Refusal::wrong_method(request.method(), allow.clone())),
        Found::Nothing => {
            let shown: String = request.path().chars().take(200).collect();
            return Err(Refusal::not_found(format!("there is no {shown:?}, see /api/openapi.json for what there is")));
        }
    };
    if needs == Needs::Nothing {
        return Ok(None);
    }
    let identity = identify(request, host, state)?.ok_or_else(Refusal::unauthorized)?;
    match needs {
        Needs::May(action) if !identity.role.may(action) => {
            let role = identity.role.as_str();
            Err(Refusal::forbidden(format!("a token of role {role} may not do this, use another one")))
        }
        _ => Ok(Some(identity)),
    }
}

/// By token, else by cookie. A wrong token does not fall back to the cookie.
fn identify(request: &ServiceRequest, host: Option<&str>, state: &State) -> Result<Option<Identity>, Refusal> {
    let headers = request.headers();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = value.to_str().unwrap_or_default();
        // promtool knows no other scheme. Elsewhere a browser could be led to send a password that it remembers.
        let password = || credentials::password(value).filter(|_| prometheus::is_here(request.path()));
        let token = credentials::bearer_token(value).map(str::to_owned).or_else(password);
        let Some(token) = token else { return Ok(None) };
        return Ok(state.access.identify_token(&token)?);
    }
    let Some(cookie) = request.cookie(SESSION_COOKIE) else { return Ok(None) };
    let foreign = text_of(headers, &header::ORIGIN).is_some_and(|o| !origin::is_same_origin(o, host.unwrap_or("")));
    if foreign && !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Refusal::forbidden("a page of another origin may not use this session"));
    }
    Ok(state.access.identify_session(cookie.value(), (state.clock)())?)
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn request_id(headers: &HeaderMap) -> String {
    let usable = |id: &&str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.bytes().all(known)
    };
    let given = text_of(headers, &REQUEST_ID).filter(usable).map(str::to_owned);
    given.unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
}

/// Replaces the body of a refusal, whoever refused, by the contract's error.
fn with_error_body(answer: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let status = answer.status();
    let error = answer.response().error();
    let fallback;
    let refusal = match error.and_then(|e| e.as_error::<Refusal>()) {
        Some(refusal) => refusal,
        None => {
            let text = error.map(ToString::to_string);
            fallback = Refusal::of_status(status, text.unwrap_or_else(|| canonical(status).to_owned()));
            &fallback
        }
    };
    if status.is_server_error() {
        tracing::error!(request_id = id, status = status.as_u16(), error = %refusal, "a request failed");
    }
    let body = ErrorAnswer {
        error: ErrorBody {
            kind: refusal.kind.to_owned(),
            message: refusal.message.clone(),
            request_id: id.to_owned(),
            known: refusal.known.clone(),
        },
    };
    let mut response = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    if let Some(seconds) = refusal.retry_after_seconds {
        response.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
    if !refusal.allow.is_empty() {
        response.insert_header((header::ALLOW, refusal.allow.join(", ")));
    }
    let request = answer.request();
    let response = match request.path() {
        path if prometheus::is_here(path) => response.json(prometheus::error_body(refusal)),
        path if otlp::is_here(path) => {
            let (kind, told) = otlp::error_body(request.headers(), refusal);
            response.content_type(kind).body(told)
        }
        _ => response.json(body),
    };
    answer.into_response(response)
}

fn canonical(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("refused")
}
