//! Flight SQL (gRPC): the same SQL for ADBC, JDBC and Arrow Flight clients, as Arrow all the way.
//!
//! Owns Flight's messages and its metadata. Must not know HTTP routes, files or how anything is computed.
//! **Invariant:** nothing is kept for a client between two calls: a prepared statement and a ticket are their SQL
//! and parameters, and mean nothing without a token that may read. **Invariant:** no call is decoded before its
//! token was checked. **Not here:** anything that writes; TLS.

mod admit;
mod answers;
mod commands;
mod error;
mod metadata;
mod parameters;
mod serve;
mod service;
mod sql_facts;
mod statement;

pub use serve::start;

#[cfg(test)]
mod tests;
