//! The tables as readers see them: hot batches and committed files, swapped as one.
//!
//! **Invariant:** a row is in exactly one of `fresh`, `sealed` and `files` at every instant.

use super::{Covers, DataFile, Snapshot, logged};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use contract::Table;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::broadcast;

/// Batches below this many rows are joined, so that a scan does not drown in tiny batches.
const SMALL_ROWS: usize = 4096;
/// So are only batches below this size, so that a joined one is never longer than its lists can count.
const SMALL_BYTES: u64 = 1 << 20;
/// This many small batches at the end of a table are joined into one.
const SMALL_BATCHES_MAX: usize = 64;

/// Batches that a follower may be behind. They are kept while somebody follows, so they are few.
const FOLLOWED_MAX: usize = 16;

/// Rows in memory and the room that they take.
pub(super) struct Hot {
    /// In the read schema.
    pub rows: RecordBatch,
    pub room: Room,
}

/// A share of the bound on hot bytes; given back when dropped.
pub(super) struct Room {
    held: Arc<AtomicU64>,
    bytes: u64,
}

impl Room {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// One room as large as both.
    fn join(mut self, mut other: Self) -> Self {
        self.bytes += std::mem::take(&mut other.bytes);
        self
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[derive(Default)]
struct TableState {
    generation: u64,
    fresh: Vec<Hot>,
    /// Being written to files; still visible.
    sealed: Vec<Hot>,
    /// Both, as readers are given them; none once one of them has changed.
    shown: Option<Arc<[RecordBatch]>>,
    files: Arc<Vec<DataFile>>,
    covers: Arc<Covers>,
}

/// The schemas of a table, made once: with their notes they are hundreds of small texts.
pub(super) struct Schemas {
    pub stored: SchemaRef,
    pub read: SchemaRef,
    pub logged: SchemaRef,
}

/// All tables of a store.
pub(super) struct Tables {
    all: Vec<&'static Table>,
    states: HashMap<&'static str, Mutex<TableState>>,
    schemas: HashMap<&'static str, Schemas>,
    /// By table: what comes, for those who follow it.
    followed: HashMap<&'static str, broadcast::Sender<RecordBatch>>,
    /// Bytes of hot rows and of appends under way.
    held: Arc<AtomicU64>,
    /// When the oldest fresh row arrived.
    oldest: Mutex<Option<Instant>>,
}

impl Tables {
    pub(super) fn new(tables: impl Iterator<Item = &'static Table>) -> Self {
        let all: Vec<_> = tables.collect();
        let (mut states, mut schemas) = (HashMap::new(), HashMap::new());
        for table in all.iter().copied() {
            let (stored, read) = (contract::schema(table), contract::read_schema(table));
            let logged = Arc::new(logged::bare(&stored));
            states.insert(table.name, Mutex::default());
            schemas.insert(table.name, Schemas { stored, read, logged });
        }
        let followed = all.iter().map(|table| (table.name, broadcast::Sender::new(FOLLOWED_MAX))).collect();
        Self { all, states, schemas, followed, held: Arc::default(), oldest: Mutex::new(None) }
    }

    pub(super) fn all(&self) -> &[&'static Table] {
        &self.all
    }

    fn state(&self, table: &'static Table) -> &Mutex<TableState> {
        self.states.get(table.name).expect("every table of a store has a state from the start")
    }

    pub(super) fn schemas(&self, table: &'static Table) -> &Schemas {
        self.schemas.get(table.name).expect("every table of a store has its schemas from the start")
    }

    pub(super) fn bytes(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }

    /// Takes room for rows, unless that would pass `limit`.
    pub(super) fn reserve(&self, bytes: u64, limit: u64) -> Option<Room> {
        let fits = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= limit);
        let took = self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits);
        took.is_ok().then(|| Room { held: Arc::clone(&self.held), bytes })
    }

    /// Makes durable rows visible.
    pub(super) fn publish(&self, table: &'static Table, hot: Hot) {
        self.oldest.lock().get_or_insert_with(Instant::now);
        // Nobody may follow it just now.
        drop(self.followed.get(table.name).map(|followed| followed.send(hot.rows.clone())));
        let mut state = self.state(table).lock();
        state.generation += 1;
        state.shown = None;
        state.fresh.push(hot);
        join_small(&mut state.fresh);
    }

    pub(super) fn follow(&self, table: &'static Table) -> broadcast::Receiver<RecordBatch> {
        self.followed.get(table.name).expect("every table of a store can be followed").subscribe()
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

    /// The sealed batches with their bytes, in order of arrival.
    pub(super) fn sealed(&self, table: &'static Table) -> Vec<(RecordBatch, u64)> {
        self.state(table).lock().sealed.iter().map(|hot| (hot.rows.clone(), hot.room.bytes())).collect()
    }

    /// The first `batches` sealed ones are in `added` now.
    pub(super) fn committed(&self, table: &'static Table, batches: usize, added: Vec<DataFile>) {
        let mut state = self.state(table).lock();
        let written: Vec<Hot> = state.sealed.drain(..batches).collect();
        state.shown = None;
        let mut files = state.files.as_ref().clone();
        files.extend(added);
        state.files = Arc::new(files);
        state.generation += 1;
        drop(state);
        drop(written);
    }

    /// The table's files are these, and the first `batches` sealed ones are in them.
    pub(super) fn shown(&self, table: &'static Table, batches: usize, files: Vec<DataFile>) {
        let mut state = self.state(table).lock();
        let written: Vec<Hot> = state.sealed.drain(..batches).collect();
        state.shown = None;
        state.files = Arc::new(files);
        state.generation += 1;
        drop(state);
        drop(written);
    }

    /// The rows of `old` are in `new` now, or gone.
    pub(super) fn replaced(&self, table: &'static Table, old: &[DataFile], new: Option<DataFile>) {
        let mut state = self.state(table).lock();
        let kept = state.files.iter().filter(|file| !old.contains(file)).cloned();
        state.files = Arc::new(kept.chain(new).collect());
        state.generation += 1;
    }

    /// A derived table holds its sources so far, or further.
    pub(super) fn covers(&self, table: &'static Table, covers: &Covers) {
        Arc::make_mut(&mut self.state(table).lock().covers).raise(covers);
    }

    pub(super) fn snapshot(&self, table: &'static Table) -> Snapshot {
        let mut state = self.state(table).lock();
        let TableState { fresh, sealed, shown, .. } = &mut *state;
        let all = || sealed.iter().chain(&*fresh).map(|hot| hot.rows.clone()).collect();
        let hot = Arc::clone(shown.get_or_insert_with(all));
        let schema = Arc::clone(&self.schemas(table).read);
        let files = Arc::clone(&state.files);
        Snapshot { table, schema, generation: state.generation, hot, files, covers: Arc::clone(&state.covers) }
    }
}

/// Bytes that rows of the stored schema take in memory, as they are counted against the bound: values, texts,
/// validity, and the view that each text gets for reading.
pub(super) fn batch_bytes(batch: &RecordBatch) -> u64 {
    const VIEW_BYTES: usize = 16;
    let texts = batch.schema().fields().iter().filter(|f| f.data_type() == &DataType::Utf8).count();
    let sizes = batch.columns().iter().map(|array| {
        // Only views have no size of their own, and the stored schema has none; memory counts them too high.
        array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
    });
    (sizes.sum::<usize>() + batch.num_rows() * texts * VIEW_BYTES) as u64
}

fn join_small(batches: &mut Vec<Hot>) {
    let is_small = |hot: &&Hot| hot.rows.num_rows() < SMALL_ROWS && hot.room.bytes() < SMALL_BYTES;
    let small = batches.iter().rev().take_while(is_small).count();
    if small < SMALL_BATCHES_MAX {
        return;
    }
    let tail = batches.split_off(batches.len() - small);
    let joined = concat_batches(&tail[0].rows.schema(), tail.iter().map(|hot| &hot.rows));
    match (joined, tail) {
        (Ok(rows), tail) => {
            let room = tail.into_iter().map(|hot| hot.room).reduce(Room::join);
            batches.extend(room.map(|room| Hot { rows, room }));
        }
        // The batches are equal in schema; should joining fail all the same, they stay as they are.
        (Err(_), tail) => batches.extend(tail),
    }
}
