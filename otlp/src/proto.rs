//! The messages of OTLP that are read, as `opentelemetry-proto` 1.9 defines them: numbers, types and names are its.
//!
//! Ours, and only the fields that become columns: the published crate brings the SDK of a sender with it. What is not
//! here is skipped, as protobuf wants it. **Invariant:** a number, once here, never changes its meaning.

pub(crate) mod attribute;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod trace;
