//! Errors as gRPC statuses, in the sentences of HTTP. The one place where an error's kind becomes a code.

use crate::access::AccessError;
use crate::error::ErrorKind;
use crate::ingest::IngestError;
use crate::query::QueryError;
use arrow::error::ArrowError;
use tonic::{Code, Status};

/// A status travels in the trailers, percent-encoded to three times its size, and clients take 8 KiB of them.
const MESSAGE_BYTES_MAX: usize = 2_000;

/// `kind` → code.
pub(super) fn of_kind(kind: ErrorKind, message: impl Into<String>) -> Status {
    let message = cut(message.into());
    match kind {
        ErrorKind::Invalid => Status::invalid_argument(message),
        ErrorKind::NotFound => Status::not_found(message),
        ErrorKind::Limit => Status::resource_exhausted(message),
        ErrorKind::Unavailable => Status::unavailable(message),
        ErrorKind::Corrupt => Status::data_loss(message),
        ErrorKind::Internal => {
            let id = uuid::Uuid::new_v4().to_string();
            tracing::error!(request_id = id, error = message, "a Flight SQL call failed");
            Status::internal(format!("internal error, the server's log has it under the request's id {id}"))
        }
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Status {
    of_kind(ErrorKind::Invalid, message)
}

pub(super) fn internal(error: impl ToString) -> Status {
    of_kind(ErrorKind::Internal, error.to_string())
}

pub(super) fn unauthenticated() -> Status {
    Status::unauthenticated("no valid token, send it as the password or as `authorization: Bearer TOKEN`")
}

/// Something that Flight SQL has and this server does not.
pub(super) fn unimplemented(message: impl Into<String>) -> Status {
    Status::new(Code::Unimplemented, cut(message.into()))
}

pub(super) fn of_query(error: QueryError) -> Status {
    match error {
        // Clients have an error of their own for it.
        QueryError::Timeout { .. } => Status::deadline_exceeded(error.to_string()),
        // A status has a text and no list.
        QueryError::UnknownColumn { column, known } => {
            invalid(format!("no column {column:?} here; known columns are {}", known.join(", ")))
        }
        other => of_kind(other.kind(), other.to_string()),
    }
}

pub(super) fn of_access(error: AccessError) -> Status {
    of_kind(error.kind(), error.to_string())
}

pub(super) fn of_parameters(error: IngestError) -> Status {
    of_kind(error.kind(), format!("the parameters cannot be read: {error}"))
}

/// Of building a small answer of our own.
pub(super) fn of_arrow(error: ArrowError) -> Status {
    internal(error)
}

fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}
