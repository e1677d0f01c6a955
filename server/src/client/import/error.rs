//! Why a file could not be imported; one clear line each.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read {path:?}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{place}: {why}")]
    Map { place: String, why: String },
    #[error("{path:?} is not of the format {format}: {why}")]
    Format { path: PathBuf, format: String, why: String },
    #[error("nothing could be imported from {path:?}: {why}")]
    Nothing { path: PathBuf, why: String },
    #[error("{flag} {text:?} is not usable: {why}")]
    Flag { flag: &'static str, text: String, why: String },
    #[error("cannot build the rows to send: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}
