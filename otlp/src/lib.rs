//! OTLP in, rows of the contract's tables out: spans, logs, metrics, and the inference requests that spans tell of.
//!
//! Owns how bytes of OTLP become messages and messages become rows, and what cannot be kept. Must not know how bytes
//! arrive or where rows go. **Invariant:** no I/O, no clock, no async; the time of now is an argument.
//! **Invariant:** each record of a message is kept or is counted as rejected, with a reason.

mod answer;
mod bounds;
mod columns;
mod decode;
mod error;
mod frame;
mod histogram;
mod instant;
mod json;
mod logs;
mod metrics;
mod origin;
mod points;
mod proto;
mod rejected;
mod requests;
mod rows;
mod shapes;
mod spans;
mod unpack;
mod value;
mod weigh;

pub use answer::{Refusal, accepted, refused};
pub use decode::{Encoding, Message, Signal, decode};
pub use error::OtlpError;
pub use frame::{FRAME_BYTES, unframed};
pub use rejected::Rejected;
pub use rows::Rows;
pub use unpack::{Packing, UnpackError, unpack};
pub use weigh::weigh;

#[cfg(test)]
mod tests;
