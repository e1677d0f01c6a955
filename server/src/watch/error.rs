//! What can go wrong when the fleet is watched.

use crate::deliver::{OutgoingError, SecretError};
use crate::error::ErrorKind;
use crate::query::QueryError;
use crate::shelf::ShelfError;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("there is no {what} {name:?}")]
    NotFound { what: &'static str, name: String, known: Vec<String> },
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Busy(String),
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("internal error while the fleet was watched: {0}")]
    Internal(String),
}

impl WatchError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Refused(_) => ErrorKind::Invalid,
            Self::Busy(_) => ErrorKind::Unavailable,
            Self::Shelf(error) => error.kind(),
            Self::Query(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Outgoing(_) | Self::Secret(_) => ErrorKind::Unavailable,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    pub fn known(&self) -> &[String] {
        match self {
            Self::NotFound { known, .. } => known,
            Self::Shelf(error) => error.known(),
            Self::Query(error) => error.known(),
            _ => &[],
        }
    }

    pub(super) fn internal(error: impl ToString) -> Self {
        Self::Internal(error.to_string())
    }
}
