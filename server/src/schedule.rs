//! Schedules of documents: when one is due, what time it is about, and what becomes of its run. Pure.
//!
//! Owns the document `schedules`, the reading of cron expressions (the only room that knows the crate) and the states
//! of a run. Must not know tables, HTTP or how a document is made. **Invariants:** time is an argument; a slot is an
//! instant, one that a clock skips or repeats is one slot; however often it is looked, each slot is due at most once
//! and the latest always is.

mod mailing;
mod run;
mod span;
mod stated;
mod timetable;

pub use mailing::{Mailing, check_mailboxes};
pub use run::{Run, RunState, Taking};
pub use span::Span;
pub use stated::{Destination, Form, Schedule};
pub use timetable::{Due, MISSED_TOLD_MAX, Timetable};
