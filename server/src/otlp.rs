//! The OTLP door: spans, logs and metrics of OpenTelemetry become rows, over HTTP (by `api`) and gRPC (here).
//!
//! Owns how a body is unpacked, read and kept, and gRPC's messages of OTLP. Must not know how OTLP becomes rows
//! (the crate `coulomb-otlp` does), HTTP's routes, queries or files. **Invariant:** a request is answered with
//! success only after its rows are durable, those of all tables or none. **Invariant:** no call is read before its
//! token was checked, and what it takes is reserved before it is built.

mod call;
mod error;
mod export;
mod frame;
mod serve;
mod unpack;

pub use coulomb_otlp::Packing;
pub use error::ExportError;
pub use export::Otlp;
pub use serve::start;

#[cfg(test)]
mod tests;
