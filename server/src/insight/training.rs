//! A training job: what its time was for, how well its GPUs were used, what it lost and why, over all attempts.
//!
//! `gather` asks the engine, which adds up; the other files are arithmetic over what it found.

mod advice;
mod causes;
mod checkpoints;
mod gather;
mod goodput;
mod launches;
mod mfu;
mod peaks;
mod period;
mod trace;
mod whole;

pub use peaks::{Peak, peaks};
pub use trace::trace;
pub use whole::training;
