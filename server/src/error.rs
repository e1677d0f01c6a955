//! What a caller should do about an error. Every room's error answers with one of these.

/// The caller's next step; `api` turns it into a status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong: change it, do not repeat it.
    Invalid,
    /// The named thing does not exist.
    NotFound,
    /// The request is larger or longer than what is allowed: ask for less.
    Limit,
    /// Not now: repeat it later.
    Unavailable,
    /// Stored bytes are not what was written: an operator has to look.
    Corrupt,
    /// Our mistake: report it with the request id.
    Internal,
}
