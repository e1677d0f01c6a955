//! Errors of the rooms as answers. The one place where an error's kind becomes a status code.

use crate::access::AccessError;
use crate::error::ErrorKind;
use crate::ingest::IngestError;
use crate::query::QueryError;
use crate::store::StoreError;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use std::fmt;

/// A refusal. `front` gives it the request's id and writes the body.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    /// What the asker is told.
    pub(super) message: String,
    pub(super) known: Vec<String>,
    pub(super) retry_after_seconds: Option<u64>,
    /// The methods that would have been right.
    pub(super) allow: Box<[&'static str]>,
    /// What only the log is told.
    pub(super) detail: Option<Box<str>>,
}

/// How long an asker should wait when the room that is not available does not say.
const RETRY_AFTER_SECONDS: u64 = 2;

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, kind, message, known: vec![], retry_after_seconds: None, allow: Box::default(), detail: None }
    }

    /// `kind` → status code.
    pub(super) fn of_kind(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        match kind {
            ErrorKind::Invalid => Self::new(StatusCode::BAD_REQUEST, "invalid", message),
            ErrorKind::NotFound => Self::new(StatusCode::NOT_FOUND, "not_found", message),
            ErrorKind::Limit => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "limit", message),
            ErrorKind::Unavailable => Self {
                retry_after_seconds: Some(RETRY_AFTER_SECONDS),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
            },
            ErrorKind::Corrupt => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "corrupt", message),
            ErrorKind::Internal => Self {
                detail: Some(message.into()),
                ..Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "internal error, the server's log has it under the request's id",
                )
            },
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::of_kind(ErrorKind::Invalid, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::of_kind(ErrorKind::NotFound, message)
    }

    pub(super) fn unauthorized() -> Self {
        let message = "no valid token, send `Authorization: Bearer TOKEN` or log in";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "limit", message)
    }

    pub(super) fn unsupported_body(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid", message)
    }

    pub(super) fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "invalid", message)
    }

    pub(super) fn wrong_method(method: &Method, allow: Vec<&'static str>) -> Self {
        let message = format!("{method} is not possible here, use {}", allow.join(" or "));
        Self { allow: allow.into(), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid", message) }
    }

    /// A refusal by the HTTP machinery itself, such as a malformed path.
    pub(super) fn of_status(status: StatusCode, message: impl Into<String>) -> Self {
        let kind = match status {
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::PAYLOAD_TOO_LARGE => "limit",
            status if status.is_client_error() => "invalid",
            _ => return Self::of_kind(ErrorKind::Internal, message),
        };
        Self::new(status, kind, message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail.as_deref().unwrap_or(&self.message))
    }
}

impl std::error::Error for Refusal {}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status)
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        Self { known: error.known().to_vec(), ..Self::of_kind(error.kind(), error.to_string()) }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::of_kind(error.kind(), error.to_string())
    }
}

impl From<AccessError> for Refusal {
    fn from(error: AccessError) -> Self {
        Self { known: error.known(), ..Self::of_kind(error.kind(), error.to_string()) }
    }
}

impl From<IngestError> for Refusal {
    fn from(error: IngestError) -> Self {
        let known = error.known();
        let base = Self::of_kind(error.kind(), error.to_string());
        let retry_after_seconds = error.retry_after_seconds().or(base.retry_after_seconds);
        let status = match error.kind() {
            _ if error.is_too_large() => StatusCode::PAYLOAD_TOO_LARGE,
            _ if error.is_schema() => StatusCode::UNPROCESSABLE_ENTITY,
            _ if error.is_full() => StatusCode::TOO_MANY_REQUESTS,
            _ => base.status,
        };
        Self { status, known, retry_after_seconds, ..base }
    }
}
