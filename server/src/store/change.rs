//! What the flush, which alone writes Delta logs, is asked to change in a table beside adding rows.

use super::DataFile;
use super::delta::NewFile;
use super::error::StoreError;
use super::positions::Covers;
use contract::Table;
use std::time::Duration;
use tokio::sync::oneshot;

/// `[from, to)`, Unix microseconds.
pub(super) type Part = (i64, i64);

pub(super) enum Change {
    /// A merged file takes the place of its inputs.
    Merge { old: Vec<DataFile>, new: NewFile },
    /// Rows of a derived table take the place of those of the same part of time, which must be `old` still.
    Derive { old: Vec<DataFile>, new: Option<NewFile>, part: Part, covers: Covers, now_micros: i64 },
    /// Nothing; but readers see everything that other servers have committed.
    CatchUp,
    /// Files whose rows are all older than `keep` are no longer kept.
    Expire { keep: Duration, now_micros: i64 },
}

pub(super) struct Asked {
    pub table: &'static Table,
    pub change: Change,
    pub answer: oneshot::Sender<Result<(), StoreError>>,
}

impl Asked {
    pub(super) fn new(table: &'static Table, change: Change) -> (Self, oneshot::Receiver<Result<(), StoreError>>) {
        let (answer, outcome) = oneshot::channel();
        (Self { table, change, answer }, outcome)
    }
}
