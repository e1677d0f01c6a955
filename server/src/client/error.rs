//! Why a command failed; its text is the one line on standard error.

use std::path::PathBuf;

/// A cause stands either in the text or behind it as `source`, so that it is printed once.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot reach the server at {server}: {why}; is `coulomb serve` running there")]
    Unreachable { server: String, why: String },
    #[error("the server refused ({status}): {message}{}", known_text(.message, .known))]
    Refused { status: u16, kind: String, message: String, known: Vec<String> },
    #[error("the answer of {path} is not what this version expects: {why}")]
    Answer { path: String, why: String },
    #[error("cannot read the token from {path:?}: {why}; give --token-file or set COULOMB_TOKEN")]
    TokenFile { path: PathBuf, why: String },
    #[error("{what} {text:?} is not usable: {why}")]
    Argument { what: &'static str, text: String, why: String },
    #[error("cannot read {path:?}: {cause}")]
    Read { path: PathBuf, cause: std::io::Error },
    #[error("{file}: {cause}")]
    Archive { file: String, cause: crate::archive::ArchiveError },
    #[error("cannot write {path:?}: {cause}")]
    Write { path: PathBuf, cause: std::io::Error },
    #[error(transparent)]
    Import(#[from] super::import::ImportError),
    #[error("cannot write the output")]
    Output(#[from] std::io::Error),
    #[error("{0}")]
    Verdict(String),
}

impl ClientError {
    /// The reader of our output went away, as `head` does: nothing to complain about.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(e) if e.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

/// What the message does not list already.
fn known_text(message: &str, known: &[String]) -> String {
    if known.iter().all(|name| message.contains(name)) {
        String::new()
    } else {
        format!(" (known: {})", known.join(", "))
    }
}
