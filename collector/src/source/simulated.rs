//! A made-up fleet: who holds which GPU, what it does, and the rows that a collector would have sent.
//!
//! Owns everything that is invented. Must not know clocks, files or the network. **Invariants:** all rows follow
//! from seed, size and time, so that history and live rows join without a seam; nothing is kept but the schedule
//! of the current weeks.

mod columns;
mod cycle;
mod demand;
mod draw;
mod events;
mod fleet;
mod gpu_rows;
mod lines;
mod load;
mod log_rows;
mod names;
mod node_rows;
mod outages;
mod people;
mod request_rows;
mod schedule;
mod span_rows;
mod steps;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
mod topology;
mod wear;

pub(crate) use fleet::{BATCH_ROWS, Fleet, Span};
