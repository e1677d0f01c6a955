//! Why nothing of a request is kept, as HTTP and gRPC say it; and the bodies of answers.

use super::export::BODY_BYTES_MAX;
use coulomb_otlp::OtlpError;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Code;
use tonic::codegen::Bytes;
use tonic::codegen::http::{HeaderMap, StatusCode};

/// Other requests are done by then.
const BUSY_SECONDS: u64 = 1;
/// The spool empties as fast as the server takes its rows.
const FULL_SECONDS: u64 = 5;

#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{0}")]
    Invalid(String),
    #[error("the message has more than {BODY_BYTES_MAX} bytes, packed or unpacked, send fewer records at once")]
    TooLarge,
    /// Its rows are.
    #[error("{0}")]
    TooMuch(String),
    #[error(transparent)]
    Message(#[from] OtlpError),
    #[error("other requests have the memory, send it again")]
    Busy,
    #[error("{0}")]
    Spool(String),
    #[error("no valid token, send it as `authorization: Bearer TOKEN`")]
    Token,
    #[error("{0}")]
    Unsupported(String),
    #[error("the body stopped coming")]
    Stopped,
    /// The log has it.
    #[error("internal error, the collector's log has it")]
    Internal,
}

impl Refused {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::Message(OtlpError::Malformed(_)) => StatusCode::BAD_REQUEST,
            Self::TooLarge | Self::TooMuch(_) | Self::Message(OtlpError::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Spool(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Stopped => StatusCode::REQUEST_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn code(&self) -> Code {
        match self {
            Self::Invalid(_) | Self::Message(OtlpError::Malformed(_)) => Code::InvalidArgument,
            Self::TooLarge | Self::TooMuch(_) | Self::Message(OtlpError::TooLarge(_)) => Code::ResourceExhausted,
            Self::Busy | Self::Spool(_) => Code::Unavailable,
            Self::Token => Code::Unauthenticated,
            Self::Unsupported(_) => Code::Unimplemented,
            Self::Stopped => Code::Cancelled,
            Self::Internal => Code::Internal,
        }
    }

    /// When the same request may be kept, if it may.
    pub(super) fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Busy => Some(BUSY_SECONDS),
            Self::Spool(_) => Some(FULL_SECONDS),
            _ => None,
        }
    }
}

/// A body of one part, and the trailers behind it.
pub(super) struct Reply {
    part: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Reply {
    pub(super) fn whole(part: Vec<u8>) -> tonic::body::Body {
        tonic::body::Body::new(Self { part: Some(part.into()), trailers: None })
    }

    pub(super) fn with_trailers(part: Vec<u8>, trailers: HeaderMap) -> tonic::body::Body {
        tonic::body::Body::new(Self { part: Some(part.into()), trailers: Some(trailers) })
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.part.take().map(Frame::data);
        Poll::Ready(part.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.part.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.trailers {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.part.as_ref().map_or(0, |part| part.len() as u64)),
        }
    }
}
