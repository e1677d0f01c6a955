//! What can go wrong with the ledger, and what the asker should do about it.

use crate::cost::Fault;
use crate::error::ErrorKind;
use crate::query::QueryError;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A document that does not say what it must.
    #[error("{}", told(.0))]
    Faults(Vec<Fault>),
    #[error("{0}")]
    Refused(String),
    #[error("no {what} {name:?}; {hint}")]
    NotFound { what: &'static str, name: String, hint: String },
    /// More than is made at once; the text says what to ask for instead.
    #[error("{0}")]
    Limit(String),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("internal ledger error: {0}")]
    Internal(String),
}

/// Faults that are told at once; the others are counted.
const FAULTS_TOLD_MAX: usize = 20;

fn told(faults: &[Fault]) -> String {
    let mut lines: Vec<String> = faults.iter().take(FAULTS_TOLD_MAX).map(ToString::to_string).collect();
    if faults.len() > FAULTS_TOLD_MAX {
        lines.push(format!("and {} more", faults.len() - FAULTS_TOLD_MAX));
    }
    lines.join("\n")
}

impl LedgerError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Faults(_) | Self::Refused(_) => ErrorKind::Invalid,
            Self::Limit(_) => ErrorKind::Limit,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Query(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}
