//! The Coulomb server: ingest and otlp → store → query → api and flight, one way.
//!
//! Each module is a room with one door. Who may import whom is a table in `tests/tests/architecture.rs`.

pub mod access;
pub mod alert;
pub mod answers;
pub mod api;
pub mod archive;
pub mod client;
pub mod config;
pub mod cost;
pub mod dashboards;
pub mod deliver;
pub mod dispatch;
pub mod error;
pub mod flight;
pub mod grpc;
pub mod ingest;
pub mod insight;
pub mod ledger;
pub mod otlp;
pub mod query;
pub mod report;
pub mod scaler;
pub mod schedule;
pub mod shelf;
pub mod store;
pub mod watch;
