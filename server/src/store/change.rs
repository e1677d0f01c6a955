//! What the flush, which alone writes Delta logs, is asked to change in a table beside adding rows.

use super::DataFile;
use super::delta::NewFile;
use super::error::StoreError;
use contract::Table;
use std::time::Duration;
use tokio::sync::oneshot;

pub(super) enum Change {
    /// A merged file takes the place of its inputs.
    Merge { old: Vec<DataFile>, new: NewFile },
    /// Rows of a derived table take the place of those of the same time; it holds its source up to `covers` then.
    Derive { old: Vec<DataFile>, new: Option<NewFile>, covers: u64, now_micros: i64 },
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
