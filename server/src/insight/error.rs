//! What can go wrong with a question to this room.

use crate::error::ErrorKind;
use crate::query::QueryError;

#[derive(Debug, thiserror::Error)]
pub enum InsightError {
    #[error(transparent)]
    Query(#[from] QueryError),
    /// More than is looked at in one answer.
    #[error("the range has more than {most} {what}; ask for a shorter one")]
    TooMany { what: &'static str, most: usize },
    #[error("internal error of findings: {0}")]
    Internal(String),
}

impl InsightError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Query(error) => error.kind(),
            Self::TooMany { .. } => ErrorKind::Limit,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}
