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
use super::positions::Positions;
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
                Err(error) if self.is_outdated(table, &inputs, &error) => {
                    tracing::debug!(%error, table = table.name, "files have gone while they were merged");
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
        crate::store::ground_tables().find_map(|table| {
            let mut files = self.tables.snapshot(table).files.to_vec();
            files.retain(|file| !skipped.contains(&file.path));
            Some((table, tiers::due(&files).into_iter().next()?))
        })
    }

    /// Whether a merge failed because an input is no longer in the table: its day has expired, and nothing is wrong.
    fn is_outdated(&self, table: &'static Table, inputs: &[DataFile], error: &StoreError) -> bool {
        let files = self.tables.snapshot(table).files;
        !matches!(error, StoreError::Doubt(_)) && !inputs.iter().all(|file| files.contains(file))
    }

    fn merge(&self, table: &'static Table, inputs: &[DataFile]) -> Result<(), StoreError> {
        let _span = tracing::info_span!("merge", table = table.name, files = inputs.len()).entered();
        let day = inputs[0].time_min_micros.div_euclid(DAY_MICROS);
        let path = format!("day={}/{}-{}.parquet", day_name(day), position(inputs), uuid::Uuid::new_v4());
        let within_place = format!("{}/{path}", table.name);
        let draft = self.place.draft(&within_place)?;
        let written = self.write(table, inputs, draft.path())?;
        let mut logs = Positions::default();
        inputs.iter().for_each(|file| logs.raise(&file.logs));
        let new = NewFile { path, day, written, logs, covers: None };
        let swapped = same_rows(inputs, written.rows)
            .and_then(|()| self.runtime.block_on(self.place.keep(&[(within_place.clone(), draft)])))
            .and_then(|()| self.ask(table, Change::Merge { old: inputs.to_vec(), new }));
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::super::columns;
    use super::super::tests::{rows, table};
    use super::*;

    /// A file of rows of the first days, as the table names it.
    fn file(tables_dir: &std::path::Path, codes: std::ops::Range<i64>, days: i64) -> Vec<DataFile> {
        let rows = columns::to_read_schema(table(), &rows(codes, days)).unwrap();
        let write = |day: columns::Day<'_>| {
            let path = format!("day={}/{:020}-{}.parquet", day_name(day.day), 1, uuid::Uuid::new_v4());
            let full = tables_dir.join(table().name).join(&path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            let written = columns::write_file(table(), &day, &full).unwrap();
            NewFile { path, day: day.day, written, logs: Positions::local(1), covers: None }.as_data_file(table())
        };
        columns::by_day(table(), &[rows]).unwrap().into_iter().map(write).collect()
    }

    #[test]
    fn a_merge_whose_inputs_expire_gives_way_without_a_failure_or_a_wait() {
        let dir = tempfile::tempdir().unwrap();
        let tables = Arc::new(Tables::new(crate::store::ground_tables()));
        for files in [file(dir.path(), 0..10, 1), file(dir.path(), 10..20, 1), file(dir.path(), 20..24, 4)] {
            tables.committed(table(), 0, files);
        }
        let (changes, mut asked) = mpsc::channel::<Asked>(1);
        let (stop, stopped) = std::sync::mpsc::sync_channel(0);
        let counters = Arc::new(Counters::default());
        let compactor = Compactor {
            place: Place::Folder(dir.path().to_owned()),
            runtime: Arc::new(Runtime::new().unwrap()),
            tables: Arc::clone(&tables),
            counters: Arc::clone(&counters),
            changes,
            replaced: Arc::new(Replaced::new(Duration::from_secs(3600))),
            stop: stopped,
        };
        let begin = Instant::now();
        let merging = std::thread::spawn(move || compactor.run());
        let Asked { change: Change::Merge { old, new }, answer, .. } = asked.blocking_recv().unwrap() else { panic!() };
        assert!(old.len() >= 2);
        tables.replaced(table(), &old, None);
        answer.send(Err(StoreError::Internal("files are gone meanwhile".into()))).unwrap();
        drop(stop);
        merging.join().unwrap().unwrap();
        assert!(begin.elapsed() < RETRY_AFTER / 2);
        assert_eq!(counters.merge_failures.load(Ordering::Relaxed), 0);
        assert!(!dir.path().join(table().name).join(new.path).exists(), "the merged file stays");
    }
}
