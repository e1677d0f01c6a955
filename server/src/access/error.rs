//! What can go wrong with identities.

use crate::error::ErrorKind;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("cannot {doing} in meta.sqlite: {source}")]
    Database { doing: &'static str, source: rusqlite::Error },
    #[error("cannot {doing} {path:?}: {source}")]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the system gave no random bytes: {0}")]
    Random(String),
    #[error("there is no token {id:?}, list them with `coulomb token list`")]
    UnknownToken { id: String },
    #[error("role {role:?} is not known, use admin, writer, finance or viewer")]
    UnknownRole { role: String },
    #[error("token name {name:?} is not usable, give 1 to {max} bytes without control characters")]
    BadName { name: String, max: usize },
    #[error("there are {max} tokens already, revoke some first")]
    TooManyTokens { max: i64 },
    #[error("{path:?} does not hold a token, remove the file and restart the server to get a new one")]
    BadAdminFile { path: PathBuf },
}

impl AccessError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Database { .. } | Self::File { .. } | Self::Random(_) => ErrorKind::Unavailable,
            Self::UnknownToken { .. } => ErrorKind::NotFound,
            Self::UnknownRole { .. } | Self::BadName { .. } => ErrorKind::Invalid,
            Self::TooManyTokens { .. } => ErrorKind::Limit,
            Self::BadAdminFile { .. } => ErrorKind::Corrupt,
        }
    }

    /// Names that would have been accepted, where a name was not.
    pub fn known(&self) -> Vec<String> {
        match self {
            Self::UnknownRole { .. } => super::Role::ALL.iter().map(|r| r.as_str().to_owned()).collect(),
            _ => Vec::new(),
        }
    }
}

/// Names the step that failed.
pub(super) fn while_doing(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> AccessError {
    move |source| AccessError::Database { doing, source }
}
