//! Why nothing of a request is kept.

use crate::error::ErrorKind;
use crate::ingest::{BODY_BYTES_MAX, IngestError};
use coulomb_otlp::OtlpError;

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("the body cannot be unpacked as {packing}: {why}")]
    Packed { packing: &'static str, why: String },
    #[error("the body has more than {BODY_BYTES_MAX} bytes once it is unpacked, send fewer records at once")]
    UnpackedTooLarge,
    #[error(transparent)]
    Message(#[from] OtlpError),
    /// Memory, or the store.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error("a message could not be made into rows: {0}")]
    Internal(String),
}

impl ExportError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Packed { .. } | Self::Message(OtlpError::Malformed(_)) => ErrorKind::Invalid,
            Self::UnpackedTooLarge | Self::Message(OtlpError::TooLarge(_)) => ErrorKind::Limit,
            Self::Ingest(error) => error.kind(),
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// When the same request may be kept, if it may.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Ingest(error) => error.retry_after_seconds(),
            _ => None,
        }
    }
}
