//! The tables as readers see them: hot batches and committed files, swapped as one.
//!
//! **Invariant:** a row is in exactly one of `fresh`, `sealed` and `files` at every instant.

use super::{DataFile, Snapshot};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use contract::Table;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Batches below this many rows are joined, so that a scan does not drown in tiny batches.
const SMALL_ROWS: usize = 4096;
/// This many small batches at the end of a table are joined into one.
const SMALL_BATCHES_MAX: usize = 64;

#[derive(Default)]
struct TableState {
    generation: u64,
    fresh: Vec<RecordBatch>,
    /// Being written to files; still visible.
    sealed: Vec<RecordBatch>,
    files: Arc<Vec<DataFile>>,
}

/// All tables of the contract.
pub(super) struct Tables {
    states: HashMap<&'static str, Mutex<TableState>>,
    /// Bytes of hot rows and of appends under way.
    bytes: AtomicU64,
    /// When the oldest fresh row arrived.
    oldest: Mutex<Option<Instant>>,
}

impl Tables {
    pub(super) fn new() -> Self {
        let states = contract::TABLES.iter().map(|t| (t.name, Mutex::default())).collect();
        Self { states, bytes: AtomicU64::new(0), oldest: Mutex::new(None) }
    }

    fn state(&self, table: &'static Table) -> &Mutex<TableState> {
        self.states.get(table.name).expect("every table of the contract has a state from the start")
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Takes room for an append, unless that would pass `limit`.
    pub(super) fn reserve(&self, bytes: u64, limit: u64) -> bool {
        let took = self.bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| {
            // One append larger than the limit itself must still get through on its own.
            (held == 0 || held + bytes <= limit).then_some(held + bytes)
        });
        took.is_ok()
    }

    pub(super) fn release(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Makes durable rows visible. `batch` is in the read schema.
    pub(super) fn publish(&self, table: &'static Table, batch: RecordBatch) {
        self.oldest.lock().get_or_insert_with(Instant::now);
        let mut state = self.state(table).lock();
        state.generation += 1;
        state.fresh.push(batch);
        join_small(&mut state.fresh);
    }

    pub(super) fn oldest_age(&self) -> Option<std::time::Duration> {
        self.oldest.lock().map(|at| at.elapsed())
    }

    /// Everything published so far becomes sealed.
    pub(super) fn seal(&self) {
        for state in self.states.values() {
            let mut state = state.lock();
            let fresh = std::mem::take(&mut state.fresh);
            state.sealed.extend(fresh);
        }
        *self.oldest.lock() = None;
    }

    pub(super) fn sealed(&self, table: &'static Table) -> Vec<RecordBatch> {
        self.state(table).lock().sealed.clone()
    }

    /// The sealed rows are in `added` now.
    pub(super) fn committed(&self, table: &'static Table, added: Vec<DataFile>) {
        let mut state = self.state(table).lock();
        let sealed = std::mem::take(&mut state.sealed);
        let mut files = state.files.as_ref().clone();
        files.extend(added);
        state.files = Arc::new(files);
        state.generation += 1;
        drop(state);
        self.release(sealed.iter().map(batch_bytes).sum());
    }

    pub(super) fn snapshot(&self, table: &'static Table) -> Snapshot {
        let state = self.state(table).lock();
        let hot = state.sealed.iter().chain(&state.fresh).cloned().collect();
        Snapshot { table, generation: state.generation, hot, files: Arc::clone(&state.files) }
    }
}

/// Bytes that a batch is counted with, from its rows alone, so that joining batches does not change the sum.
pub(super) fn batch_bytes(batch: &RecordBatch) -> u64 {
    // Fixed-width values and validity, views, and about as much text behind them as names have.
    batch.num_rows() as u64 * batch.num_columns() as u64 * 12
}

fn join_small(batches: &mut Vec<RecordBatch>) {
    let small = batches.iter().rev().take_while(|b| b.num_rows() < SMALL_ROWS).count();
    if small < SMALL_BATCHES_MAX {
        return;
    }
    let tail = batches.split_off(batches.len() - small);
    match concat_batches(&tail[0].schema(), &tail) {
        Ok(joined) => batches.push(joined),
        // The batches are equal in schema; should joining fail all the same, they stay as they are.
        Err(_) => batches.extend(tail),
    }
}
