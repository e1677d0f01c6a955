//! Fixtures for the tests of the whole product: the real programs, ephemeral ports, temporary data.
//!
//! Owns how a test starts and stops the programs and asks them. Must not know any room's inside: everything
//! goes through a command line or HTTP. **Invariant:** what a fixture started ends with it, also in a panic.

pub mod alerting;
mod bucket;
pub mod collector;
pub mod exporter;
pub mod fleet;
pub mod focus_validator;
pub mod hook;
mod http;
pub mod postbox;
mod program;
mod server;
pub mod slurm;
pub mod source;
pub mod writers;

pub use bucket::Bucket;
pub use http::{Answer, send};
pub use program::{Program, binary, cpu_seconds, run, target_dir, workspace_root};
pub use server::Server;
