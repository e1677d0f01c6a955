//! What collector, server and web agree on: tables, units, ids and API answers.
//!
//! Owns the names of every column, its unit and its meaning. Must not know how anything is measured,
//! stored or drawn. **Invariant:** no I/O, no clock, no async; `web` compiles this without Arrow.

pub mod answers;
mod costs;
mod ids;
mod jobs;
#[cfg(feature = "arrow")]
mod schema;
mod state;
mod tables;

pub use ids::{IdError, WriterId, checked_id};
#[cfg(feature = "arrow")]
pub use schema::{arrow_type, read_schema, schema};
pub use state::{ByState, GpuState};
pub use tables::{CONTRACT_VERSION, Column, Kind, TABLES, Table, UNITS, table};

/// The media type of an ingest body and of an Arrow answer.
pub const ARROW_STREAM_MIME: &str = "application/vnd.apache.arrow.stream";
/// The request header that names the writer, `<node>/<boot-uuid>`.
pub const WRITER_HEADER: &str = "Coulomb-Writer";
/// The request header that carries the writer's rising sequence number for one table.
pub const SEQUENCE_HEADER: &str = "Coulomb-Sequence";
