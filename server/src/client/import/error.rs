//! Why a file could not be imported; one clear line each.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The cause stands in the text, so it is not a `source` that would be printed behind it once more.
    #[error("cannot read {path:?}: {cause}")]
    Read { path: PathBuf, cause: std::io::Error },
    #[error("{place}: {why}")]
    Map { place: String, why: String },
    #[error("{path:?} is not of the format {format}: {why}")]
    Format { path: PathBuf, format: String, why: String },
    #[error("nothing could be imported from {path:?}: {why}")]
    Nothing { path: PathBuf, why: String },
    #[error("{flag} {text:?} is not usable: {why}")]
    Flag { flag: &'static str, text: String, why: String },
    #[error(
        "the log names no GPU but has rows of {gpus} at each instant: query index or uuid with it, or give --gpu-uuid \
         if it is of one GPU"
    )]
    SeveralGpus { gpus: usize },
    #[error(
        "the time of line {line} lies {seconds} s ahead of this machine's clock, and the server would reject \
             it: give the --timezone of the times, or import the file later; its rows from there on were not sent"
    )]
    Ahead { line: u64, seconds: i64 },
    #[error("cannot build the rows to send")]
    Arrow(#[from] arrow::error::ArrowError),
}
