//! Why the store refused or failed.

use crate::error::ErrorKind;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was kept; a flush is making room.
    #[error("hot memory is full ({bytes} bytes), retry in {retry_after_seconds} s")]
    Full { bytes: u64, retry_after_seconds: u64 },
    /// Nothing was kept, and never will be at this size.
    #[error("the rows take {bytes} bytes, at most {limit} are kept at once, send fewer rows")]
    TooLarge { bytes: u64, limit: u64 },
    /// A thread of the store ended or a sync failed; only a restart helps.
    #[error("the store keeps nothing more until a restart: {why}")]
    Broken { why: String },
    /// The disk refused; nothing of the request was acknowledged.
    #[error("cannot {what}: {source}")]
    Io { what: String, source: std::io::Error },
    /// The object store refused or did not answer; it is tried again.
    #[error("cannot {what}: {why}")]
    Bucket { what: String, why: String },
    /// A change was not made, because another one came first; it is to be planned again.
    #[error("table {table} has changed meanwhile, nothing was done")]
    Overtaken { table: &'static str },
    /// Rows of the log belong to tables elsewhere.
    #[error(
        "the log holds rows for the tables at {before}, not for those at {now}: start once with the tables at \
         {before} and stop in good order, which writes them there, then use the new place"
    )]
    Moved { before: String, now: String },
    #[error("{what} is corrupt: {why}")]
    Corrupt { what: String, why: String },
    /// Whether a change happened is not known; the next start finds out.
    #[error("not known whether a change of a table happened: {0}")]
    Doubt(String),
    /// Only one of its kind runs at a time.
    #[error("{0} is running already, wait for its end")]
    Busy(&'static str),
    #[error("the store is closed")]
    Closed,
    #[error("internal store error: {0}")]
    Internal(String),
}

impl StoreError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Full { .. } | Self::Broken { .. } | Self::Io { .. } | Self::Closed | Self::Busy(_) => {
                ErrorKind::Unavailable
            }
            Self::Bucket { .. } | Self::Overtaken { .. } | Self::Moved { .. } => ErrorKind::Unavailable,
            Self::TooLarge { .. } => ErrorKind::Limit,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Internal(_) | Self::Doubt(_) => ErrorKind::Internal,
        }
    }

    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(super) fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }
}
