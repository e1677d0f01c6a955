//! Why a document is not made or not delivered.

use crate::deliver::{FolderError, OutgoingError, SecretError};
use crate::error::ErrorKind;
use crate::insight::InsightError;
use crate::ledger::LedgerError;
use crate::query::QueryError;
use crate::report::ReportError;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    #[error("there is no schedule {name:?}; {}", hint(.known))]
    NoSchedule { name: String, known: Vec<String> },
    /// Nothing that waiting changes.
    #[error("{0}")]
    Final(String),
    #[error("{0}")]
    Late(String),
    #[error("the document has {bytes} bytes, {way} is sent {bound} at most: deliver it to a folder or a bucket")]
    TooLarge { bytes: u64, way: &'static str, bound: u64 },
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Insight(#[from] InsightError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("internal error while a document was dispatched: {0}")]
    Internal(String),
}

fn hint(known: &[String]) -> String {
    match known.is_empty() {
        true => "none is stated, `coulomb import schedules FILE` states some".to_owned(),
        false => format!("there are {}", known.join(", ")),
    }
}

impl DispatchError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSchedule { .. } => ErrorKind::NotFound,
            Self::Final(_) => ErrorKind::Invalid,
            Self::TooLarge { .. } => ErrorKind::Limit,
            Self::Report(error) => error.kind(),
            Self::Insight(error) => error.kind(),
            Self::Ledger(error) => error.kind(),
            Self::Query(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Late(_) | Self::Folder(_) | Self::Outgoing(_) | Self::Secret(_) => ErrorKind::Unavailable,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Whether another try would come to the same.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Final(_) | Self::TooLarge { .. } => true,
            Self::Outgoing(error) => error.is_final(),
            Self::Report(error) => error.kind() == ErrorKind::Invalid,
            _ => false,
        }
    }
}
