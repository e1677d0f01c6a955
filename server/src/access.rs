//! Who may do what: API tokens, browser sessions and one-time login codes, in `<data>/meta.sqlite`.
//!
//! Owns the tables `access_*` of that file and `<data>/admin.token`. Must not know HTTP, rows or queries.
//! **Invariant:** a secret exists in memory while it is handed out and nowhere else; the file keeps SHA-256
//! digests of 256 random bits. **Invariant:** a session or code is worth no more than the token it came from,
//! and ends with it. **Not here:** any default that lets somebody in.

mod admin_file;
mod database;
mod error;
mod role;
mod secret;

pub use database::{Access, IssuedCode, IssuedToken, TokenEntry};
pub use error::AccessError;
pub use role::{Action, Identity, Role};
pub use secret::Secret;

/// How long a browser stays logged in. A wall display should survive a week; revoking the token ends it at once.
pub const SESSION_SECONDS: i64 = 7 * 24 * 3600;
/// How long a one-time link works: long enough to switch windows, short enough to be useless in a shell history.
pub const LOGIN_CODE_SECONDS: i64 = 600;
/// The file that holds the first token, within the data directory.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";

#[cfg(test)]
mod tests;
