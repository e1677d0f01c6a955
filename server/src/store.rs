//! The store's door: rows in, durable; immutable snapshots out.
//!
//! Owns the data directory: log segments, Parquet files in Delta tables (which may be in a bucket), writers'
//! watermarks. Must not know queries, HTTP or money. FORMAT.md draws what is kept. **Invariants:** an append returns `Kept` only when
//! its rows survive kill -9 and power loss; a writer's sequence is kept once, across restarts; a snapshot shows
//! every kept row exactly once and never changes.

mod backup;
mod bucket;
mod change;
mod checkpoints;
mod columns;
mod commit;
mod compact;
mod delta;
mod derive;
mod derived;
mod durable;
mod error;
mod export;
mod flush;
mod health;
mod hot;
mod kept;
mod logged;
mod merge;
mod meta;
mod open;
mod order;
mod pace;
mod place;
mod positions;
mod read_file;
mod replaced;
mod replay;
mod scratch;
mod sorted;
mod summed;
mod synced_puts;
#[cfg(test)]
mod tests;
mod tiers;
mod unnamed;
mod verify;
mod wal;
mod word_index;
pub mod words;

pub use backup::{Backup, BackupFile};
pub use bucket::{BucketSettings, BucketVariables};
pub use derive::Derived;
pub use derived::{DERIVED, DerivedTables, Rollup, USAGE_RATIOS, USAGE_RISES, is_number, seconds_column};
pub use error::StoreError;
pub use export::ParquetParts;
pub use kept::{BILL_COLUMNS, LEDGER_COLUMNS, ground_table, ground_tables};
pub use positions::{Covers, Positions};
pub use read_file::{ParquetFile, read_parquet};
pub use replay::Damage;
pub use sorted::{Copies, SortedRows};
pub use verify::Checked;
pub use word_index::{Block, Needed, WordIndex, read_word_index, searched_column};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use contract::{Table, WriterId};
use object_store::{ObjectStore, path::Path};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// Settings of the store.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Holds `wal/`, `meta.sqlite` and, unless a bucket does, `tables/`.
    pub data_dir: PathBuf,
    /// A bucket that holds the tables; other servers may write to the same ones.
    pub tables: Option<BucketSettings>,
    /// Hot rows are written to Parquet when they are this old.
    pub flush_after: Duration,
    /// Hot rows are written to Parquet when they take this many bytes.
    pub flush_bytes: u64,
    /// At this many hot bytes, ingest is refused until a flush has made room.
    pub hot_bytes_max: u64,
    /// Files that a merge or the end of their days has taken out of a table are deleted this much later.
    pub remove_after: Duration,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The rows are on disk and visible.
    Kept,
    /// This writer's sequence was kept before.
    Duplicate,
}

/// One Parquet file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Path within [`Store::object_store`].
    pub path: Path,
    pub size_bytes: u64,
    pub rows: u64,
    /// Bounds of the table's time column, Unix microseconds; at most a millisecond wider than the rows.
    pub time_min_micros: i64,
    pub time_max_micros: i64,
    /// How far the logs had come whose rows it holds.
    pub logs: Positions,
}

/// A table at one instant; later writes do not change it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub table: &'static Table,
    /// [`contract::read_schema`] of the table.
    pub schema: SchemaRef,
    /// Rises with every change of the table.
    pub generation: u64,
    /// Rows that are not in files yet, in [`contract::read_schema`], in order of arrival.
    pub hot: Arc<[RecordBatch]>,
    /// Files in [`contract::schema`], each sorted by the table's sort key.
    pub files: Arc<Vec<DataFile>>,
    /// Of a derived table: how far it holds its sources.
    pub covers: Arc<Covers>,
}

impl Snapshot {
    /// Whether it may have rows of `[from_micros, to_micros)`.
    pub fn may_hold(&self, from_micros: i64, to_micros: i64) -> bool {
        let within = |file: &DataFile| file.time_max_micros >= from_micros && file.time_min_micros < to_micros;
        !self.hot.is_empty() || self.files.iter().any(within)
    }
}

/// What the store counts about itself since it started.
#[derive(Debug, Default)]
pub struct Counters {
    pub log_syncs: AtomicU64,
    pub log_bytes: AtomicU64,
    /// Of the last acknowledged frame.
    pub log_position: AtomicU64,
    pub flushes: AtomicU64,
    pub flush_failures: AtomicU64,
    pub flushed_rows: AtomicU64,
    pub merges: AtomicU64,
    pub merge_failures: AtomicU64,
}

/// Shared handle; clones are cheap.
#[derive(Clone)]
pub struct Store {
    inner: Arc<open::Running>,
}

impl Store {
    /// Opens the data directory, replays what was not flushed and starts the log and the flush.
    ///
    /// Fails when another server has the directory, when a table's log cannot be read, or when a bucket is named
    /// that cannot be used.
    pub fn open(settings: StoreSettings) -> Result<Self, StoreError> {
        Ok(Self { inner: Arc::new(open::open(settings)?) })
    }

    /// Returns after the rows are durable. `batch` is in [`contract::schema`].
    pub async fn append(
        &self,
        table: &'static Table,
        writer: &WriterId,
        sequence: u64,
        batch: RecordBatch,
    ) -> Result<Appended, StoreError> {
        self.append_parts(vec![(table, batch)], writer, Some(sequence)).await
    }

    /// Returns after the rows of all these tables are durable; a crash keeps all of them or none. They are numbered
    /// in the order in which they come to the log, so one writer may send many at once. Batches are in
    /// [`contract::schema`], each of another table.
    pub async fn append_together(
        &self,
        writer: &WriterId,
        batches: Vec<(&'static Table, RecordBatch)>,
    ) -> Result<(), StoreError> {
        if batches.is_empty() {
            return Ok(());
        }
        self.append_parts(batches, writer, None).await.map(drop)
    }

    async fn append_parts(
        &self,
        batches: Vec<(&'static Table, RecordBatch)>,
        writer: &WriterId,
        sequence: Option<u64>,
    ) -> Result<Appended, StoreError> {
        self.ready()?;
        let bytes: u64 = batches.iter().map(|(_, batch)| hot::batch_bytes(batch)).sum();
        let limit = self.inner.hot_bytes_max.min(wal::APPEND_BYTES_MAX);
        if bytes > limit {
            return Err(StoreError::TooLarge { bytes, limit });
        }
        let parts = batches.into_iter().map(|(table, batch)| self.part(table, batch)).collect::<Result<_, _>>()?;
        let (answer, outcome) = oneshot::channel();
        let append = commit::Append { parts, writer: writer.as_str().to_owned(), sequence, answer };
        self.inner.send(commit::Command::Append(Box::new(append))).await?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    fn part(&self, table: &'static Table, batch: RecordBatch) -> Result<commit::Part, StoreError> {
        let (tables, bytes) = (&self.inner.tables, hot::batch_bytes(&batch));
        let Some(room) = tables.reserve(bytes, self.inner.hot_bytes_max) else {
            self.inner.ask_for_flush();
            return Err(StoreError::Full { bytes: tables.bytes(), retry_after_seconds: 1 });
        };
        let schemas = tables.schemas(table);
        let ipc = logged::to_ipc(&schemas.logged, &batch, bytes)?;
        // What stays in memory is read back from the log's bytes: it is the same as after a replay, and it holds
        // no more than its own rows, however large the body was that they came in.
        let rows = columns::as_read(&schemas.read, &logged::from_ipc(table, &schemas.stored, &ipc)?)?;
        Ok(commit::Part { table, ipc, hot: hot::Hot { rows, room } })
    }

    /// Every table that is stored: those of the contract, which rows are sent to, and the derived ones.
    pub fn tables(&self) -> impl Iterator<Item = &'static Table> {
        self.inner.derived.with_sources()
    }

    /// Whether other servers may write the same tables.
    pub fn is_shared(&self) -> bool {
        self.inner.place.is_shared()
    }

    /// The name of this server among those that share the tables; empty where it has them for itself.
    pub fn server(&self) -> &str {
        self.inner.place.log()
    }

    /// Returns when readers see everything of a table that any server had committed before.
    pub async fn catch_up(&self, table: &'static Table) -> Result<(), StoreError> {
        if !self.is_shared() {
            return Ok(());
        }
        self.inner.change(table, change::Change::CatchUp).await
    }

    pub fn derived(&self) -> &'static DerivedTables {
        self.inner.derived
    }

    pub fn snapshot(&self, table: &'static Table) -> Snapshot {
        self.inner.tables.snapshot(table)
    }

    /// Rows of a table as they come from now on, in the types of [`contract::read_schema`]. Whoever is too slow is told
    /// how many batches were left out.
    pub fn follow(&self, table: &'static Table) -> tokio::sync::broadcast::Receiver<RecordBatch> {
        self.inner.tables.follow(table)
    }

    /// [`contract::schema`] of a table, made once.
    pub fn schema(&self, table: &'static Table) -> SchemaRef {
        Arc::clone(&self.inner.tables.schemas(table).stored)
    }

    /// Rows of files of a table in the order of its key, of these columns, in the types of [`contract::read_schema`].
    /// Memory is bounded however many files there are; disk holds what cannot be read side by side. Reading blocks.
    /// `copies` are those of the read before, and of this one afterwards.
    ///
    /// # Errors
    /// When a file cannot be read; also while the rows are taken.
    pub async fn sorted_rows(
        &self,
        table: &'static Table,
        mut files: Vec<DataFile>,
        columns: &[&str],
        copies: &mut Copies,
    ) -> Result<SortedRows, StoreError> {
        // Of equal keys the same come first, in whatever order the files are listed.
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let fetched = copies.fetch(&self.inner.place, &files).await?;
        let read = &self.inner.tables.schemas(table).read;
        let places = columns.iter().map(|name| read.index_of(name)).collect::<Result<Vec<_>, _>>();
        let schema = places.and_then(|places| read.project(&places)).map_err(StoreError::internal)?;
        let scratch_dir = place::transit_dir(&self.inner.data_dir);
        let sort = move || SortedRows::open(table, &Arc::new(schema), fetched, &scratch_dir);
        let sorted = tokio::task::spawn_blocking(sort).await;
        sorted.map_err(|error| StoreError::Internal(format!("a read stopped: {error}")))?
    }

    /// Where the files of the snapshots are.
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.inner.object_store)
    }

    /// Drops files whose rows are all older than `keep` at `now_micros` (Unix microseconds), by the rows' own time.
    /// Rows of one day share files, so some stay until the whole day is over that age.
    pub async fn expire(&self, table: &'static Table, keep: Duration, now_micros: i64) -> Result<(), StoreError> {
        self.inner.change(table, change::Change::Expire { keep, now_micros }).await
    }

    /// Puts rows of a derived table in the place of its files that begin within `[from_micros, to_micros)`, a part
    /// of one day. The rows are in [`contract::schema`] and begin there, too; none take the files away.
    ///
    /// `plan` is the table as it was before whoever derives looked at its sources (by [`Self::catch_up`]); it has the
    /// rows afterwards. [`StoreError::Overtaken`] where somebody else has changed the part since.
    pub async fn derive(&self, plan: &mut Snapshot, derived: Derived) -> Result<(), StoreError> {
        derive::derive(&self.inner, plan, derived).await
    }

    /// A consistent copy of everything that was acknowledged before, to be read out. One at a time.
    pub async fn backup(&self) -> Result<Backup, StoreError> {
        self.inner.backup().await
    }

    /// Reads everything that is on disk, and tells of each file what is wrong with it; the channel ends with the
    /// last. Dropping it ends the work. One at a time.
    pub fn verify(&self) -> Result<tokio::sync::mpsc::Receiver<Checked>, StoreError> {
        self.inner.verify()
    }

    /// Files of these tables that cannot be decoded, as far as they are found in time, and what is wrong with them.
    /// Blocks; called on a thread of a runtime that may.
    pub fn damaged(&self, tables: &[&'static Table], at_most: Duration) -> Vec<(String, String)> {
        let runtime = tokio::runtime::Handle::current();
        verify::damaged(tables, &self.inner.tables, &self.object_store(), &runtime, at_most)
    }

    /// Bytes of rows that are not in files yet, as they are counted against the limit.
    pub fn hot_bytes(&self) -> u64 {
        self.inner.tables.bytes()
    }

    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// Whether appends can be kept at all, and if not, why.
    pub fn ready(&self) -> Result<(), StoreError> {
        self.inner.health.check()
    }

    /// As if a sync of the log had failed.
    #[cfg(test)]
    pub(crate) fn fail(&self, why: &str) {
        self.inner.health.fail(why);
    }

    /// What the last start found damaged in the log.
    pub fn damage(&self) -> Damage {
        self.inner.damage
    }

    /// Writes hot rows to files and stops; further appends fail. Blocks until done.
    pub fn close(&self) -> Result<(), StoreError> {
        self.inner.close()
    }
}

/// A counter's value for the metrics page.
pub fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
