//! Why there is no answer about inference, and what the asker should do about it.

use crate::error::ErrorKind;
use crate::query::QueryError;

#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    #[error("unknown grouping {name:?}; there are tenant, user and model")]
    UnknownGrouping { name: String },
    #[error(
        "no request and no engine of service {service:?} in this time; `coulomb inference` lists those that are there"
    )]
    NotFound { service: String },
    /// An objective that nothing can meet.
    #[error("{0}")]
    Objective(String),
    #[error("service {service:?} was not seen within a day, or nobody has looked yet; ask again in half a minute")]
    NotObserved { service: String },
    /// More than is made at once; the text says what to ask for instead.
    #[error("{0}")]
    Limit(String),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("internal error of inference: {0}")]
    Internal(String),
}

impl InferenceError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownGrouping { .. } | Self::Objective(_) => ErrorKind::Invalid,
            Self::NotFound { .. } | Self::NotObserved { .. } => ErrorKind::NotFound,
            Self::Limit(_) => ErrorKind::Limit,
            Self::Query(error) => error.kind(),
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}
