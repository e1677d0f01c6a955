//! Merges the small files that flushes leave, beside flushes and queries.
//!
//! Its own thread reads and writes files; the flush, which alone writes Delta logs, swaps them. **Invariants:** a
//! merged file is on disk before any version names it; a file that a version no longer names is removed only when
//! no query can still read it; the thread never takes more than its share of one core.

use super::change::{Asked, Change};
use super::columns::{DAY_MICROS, Written};
use super::delta::{NewFile, day_name};
use super::error::StoreError;
use super::hot::Tables;
use super::place::{OnDisk, Place};
use super::replaced::Replaced;
use super::{Counters, DataFile, merge, tiers};
use contract::Table;
use object_store::path::Path as ObjectPath;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// How often it looks for work when there was none.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a failed merge (a full disk, say) the next try waits this long.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Of one core: ingest and queries go first, and a fleet of 512 GPUs needs a hundredth of it.
const CORE_SHARE: f64 = 0.25;

/// After another server has come first, the next try waits as long again, up to twice: it may as well go on alone.
const GIVE_WAY_FOR: Duration = Duration::from_secs(30);

pub(super) struct Compactor {
    pub place: Place,
    pub runtime: Arc<Runtime>,
    pub tables: Arc<Tables>,
    pub counters: Arc<Counters>,
    pub changes: mpsc::Sender<Asked>,
    pub replaced: Arc<Replaced>,
    /// Closed when the store closes.
    pub stop: Receiver<()>,
}

impl Compactor {
    /// Runs until the store closes. What it fails at it tries again; nothing depends on it but speed.
    pub(super) fn run(self) -> Result<(), StoreError> {
        let mut skipped = HashSet::new();
        loop {
            let remove = |path: &ObjectPath| self.runtime.block_on(self.place.remove(path.as_ref()));
            self.replaced.delete_due(Instant::now(), remove);
            let Some((table, inputs)) = self.due(&skipped) else {
                if self.stops_within(LOOK_EVERY) {
                    return Ok(());
                }
                continue;
            };
            let merged = catch_unwind(AssertUnwindSafe(|| self.merge(table, &inputs)));
            match merged.unwrap_or_else(|_| Err(StoreError::Internal("a merge panicked".into()))) {
                Ok(()) => drop(self.counters.merges.fetch_add(1, Ordering::Relaxed)),
                Err(StoreError::Closed) => return Ok(()),
                Err(StoreError::Overtaken { .. }) => {
                    tracing::debug!(
                        table = table.name,
                        "another server has changed the files, they are looked at again"
                    );
                    if self.stops_within(GIVE_WAY_FOR.mul_f64(1.0 + rand::random::<f64>())) {
                        return Ok(());
                    }
                }
                Err(error) => {
                    self.counters.merge_failures.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(%error, table = table.name, "files could not be merged, they stay as they are");
                    match error {
                        // Merging what may be merged already would double its rows; of a bucket that is found out
                        // before the next change of the table.
                        StoreError::Doubt(_) if !self.place.is_shared() => return Ok(()),
                        // The disk may be full or the bucket away; everything is tried again.
                        StoreError::Io { .. } | StoreError::Bucket { .. } | StoreError::Doubt(_) => {}
                        // One of them is damaged; the others of the table go on.
                        _ => skipped.extend(inputs.into_iter().map(|file| file.path)),
                    }
                    if self.stops_within(RETRY_AFTER) {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn stops_within(&self, time: Duration) -> bool {
        self.stop.recv_timeout(time) != Err(RecvTimeoutError::Timeout)
    }

    /// A merge that is due, of all tables.
    fn due(&self, skipped: &HashSet<ObjectPath>) -> Option<(&'static Table, Vec<DataFile>)> {
        contract::TABLES.iter().find_map(|table| {
            let mut files = self.tables.snapshot(table).files.to_vec();
            files.retain(|file| !skipped.contains(&file.path));
            Some((table, tiers::due(&files).into_iter().next()?))
        })
    }

    fn merge(&self, table: &'static Table, inputs: &[DataFile]) -> Result<(), StoreError> {
        let day = inputs[0].time_min_micros.div_euclid(DAY_MICROS);
        let path = format!("day={}/{}-{}.parquet", day_name(day), position(inputs), uuid::Uuid::new_v4());
        let within_place = format!("{}/{path}", table.name);
        let draft = self.place.draft(&within_place)?;
        let written = self.write(table, inputs, draft.path())?;
        let swapped = same_rows(inputs, written.rows)
            .and_then(|()| self.runtime.block_on(self.place.keep(&[(within_place.clone(), draft)])))
            .and_then(|()| {
                self.ask(table, Change::Merge { old: inputs.to_vec(), new: NewFile { path, day, written } })
            });
        swapped.inspect_err(|error| {
            let named = matches!(error, StoreError::Doubt(_) | StoreError::Closed);
            if !named {
                // What stays is removed by a later start.
                drop(self.runtime.block_on(self.place.remove(&within_place)));
            }
        })
    }

    /// Merges the files into the one at `output`, whose bytes are on disk afterwards.
    fn write(&self, table: &'static Table, inputs: &[DataFile], output: &Path) -> Result<Written, StoreError> {
        let mut here: Vec<OnDisk> = Vec::with_capacity(inputs.len());
        for file in inputs {
            if self.stops_within(Duration::ZERO) {
                return Err(StoreError::Closed);
            }
            here.push(self.runtime.block_on(self.place.fetch(file))?);
        }
        let paths: Vec<PathBuf> = here.iter().map(|file| file.path().to_owned()).collect();
        let mut since = Instant::now();
        let mut pause = || {
            let stops = self.stops_within(since.elapsed().mul_f64((1.0 - CORE_SHARE) / CORE_SHARE));
            since = Instant::now();
            if stops { Err(StoreError::Closed) } else { Ok(()) }
        };
        merge::merge(table, &paths, output, &mut pause)
    }

    fn ask(&self, table: &'static Table, change: Change) -> Result<(), StoreError> {
        let (asked, outcome) = Asked::new(table, change);
        self.changes.blocking_send(asked).map_err(|_| StoreError::Closed)?;
        outcome.blocking_recv().map_err(|_| StoreError::Closed)?
    }
}

/// The newest position of the log that an input covers, as it stands in its name.
fn position(inputs: &[DataFile]) -> String {
    let positions = inputs.iter().filter_map(|file| file.path.filename()?.split('-').next());
    positions.max().unwrap_or_default().to_owned()
}

/// A merge that lost or doubled a row must not take the place of anything.
fn same_rows(inputs: &[DataFile], written: u64) -> Result<(), StoreError> {
    let read: u64 = inputs.iter().map(|file| file.rows).sum();
    if read == written {
        return Ok(());
    }
    let paths: Vec<&str> = inputs.iter().map(|file| file.path.as_ref()).collect();
    let why = format!("their versions name {read} rows, they hold {written}");
    Err(StoreError::Corrupt { what: format!("one of the files {paths:?}"), why })
}
