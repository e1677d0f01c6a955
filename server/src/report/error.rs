//! Why there is no document.

use crate::error::ErrorKind;
use crate::query::QueryError;

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("there is no {what} {name:?}, use one of {}", .known.join(", "))]
    Unknown { what: &'static str, name: String, known: Vec<String> },
    #[error("{0}")]
    Invalid(String),
    #[error("the document would have more than {bound} groups, ask for a shorter time or by fewer dimensions")]
    TooManyGroups { bound: usize },
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("internal error while a document was made: {0}")]
    Internal(String),
}

impl ReportError {
    pub(super) fn internal(error: impl ToString) -> Self {
        Self::Internal(error.to_string())
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown { .. } | Self::Invalid(_) => ErrorKind::Invalid,
            Self::TooManyGroups { .. } => ErrorKind::Limit,
            Self::Query(error) => error.kind(),
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Names that would have been accepted, where a name was not.
    pub fn known(&self) -> &[String] {
        match self {
            Self::Unknown { known, .. } => known,
            Self::Query(error) => error.known(),
            _ => &[],
        }
    }
}

impl From<polars::error::PolarsError> for ReportError {
    fn from(error: polars::error::PolarsError) -> Self {
        Self::internal(error)
    }
}
