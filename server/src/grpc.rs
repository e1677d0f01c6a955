//! What everything that speaks gRPC shares: a listener with bounds, and the token of a call.
//!
//! Owns sockets, connections and their ends. Must not know what is asked or who may ask it. **Not here:** TLS.

mod connections;
mod error;
mod serve;
mod token;

pub use error::GrpcError;
pub use serve::{Bounds, Listening, Running, listen};
pub use token::token;
