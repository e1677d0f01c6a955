//! Rule files of Prometheus: taken over into texts of our own, and written of our rules.
//!
//! Pure. What has no counterpart here is told by its line, and is never guessed: recording rules, conditions and
//! functions of Go's templates. **Invariant:** a text that is taken over is one that `Stated::parse` takes.

mod document;
mod export;
mod rules;
mod sentence;
mod written;

pub use export::exported;
pub use rules::{Converted, Untaken, convert};

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
