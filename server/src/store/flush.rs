//! Hot rows to files: seal, sort, write, sync, commit, swap, and only then cut the log.
//!
//! Owns the one thread that writes Parquet and Delta. **Invariants:** a log segment is removed only when every
//! row in it is in a committed, synced file and every watermark in it is in `meta.sqlite`; a batch that a commit
//! may hold is not written again before it is known that the commit does not.

#[cfg(test)]
mod tests;

use super::change::Change;
use super::commit::{Command, Sealed};
use super::delta::{Delta, NewFile, day_name};
use super::durable::Sync;
use super::error::StoreError;
use super::hot::Tables;
use super::meta::{Meta, Watermarks};
use super::replaced::Replaced;
use super::{Counters, DataFile, columns, unnamed, wal};
use arrow::array::RecordBatch;
use contract::Table;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How often the flush looks whether hot rows are old or many enough.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Hot bytes that are sorted at once and become one file a day: memory for the sort, and far below the 2 GiB of
/// text that a column of a file can count.
const SORT_BYTES_MAX: u64 = 128 << 20;

pub(super) struct Flusher {
    pub wal_dir: PathBuf,
    pub tables_dir: PathBuf,
    pub meta: Meta,
    pub deltas: HashMap<&'static str, Delta>,
    pub tables: Arc<Tables>,
    pub counters: Arc<Counters>,
    /// Of seals whose flush has not succeeded yet.
    pub unsaved: Watermarks,
    /// Of each table, the commit that is not finished yet.
    pub pending: HashMap<&'static str, Pending>,
    pub sync: Sync,
    pub replaced: Arc<Replaced>,
}

/// A commit whose rows are still in memory.
pub(super) struct Pending {
    files: Vec<NewFile>,
    /// How many sealed batches are in the files.
    batches: usize,
    /// Why the commit may not have happened.
    doubt: Option<StoreError>,
}

impl Flusher {
    /// Opens every table's Delta log and hands its files to the readers; says how far each covers the log.
    pub(super) async fn open_tables(
        &mut self,
        tables: impl Iterator<Item = &'static Table>,
    ) -> Result<HashMap<&'static str, u64>, StoreError> {
        let mut positions = HashMap::new();
        for table in tables {
            let dir = self.tables_dir.join(table.name);
            if let Some(delta) = Delta::open(&dir).await? {
                let position = delta.position().await?;
                match contract::table(table.name) {
                    Some(_) => drop(positions.insert(table.name, position)),
                    None => self.tables.covers(table, position),
                }
                let replaced = delta.replaced().await?;
                unnamed::remove(&dir, delta.named().iter().chain(&replaced));
                let left = replaced.iter().map(|path| dir.join(path)).filter(|path| path.is_file());
                self.replaced.add(left, Instant::now());
                self.tables.committed(table, 0, delta.files(table)?);
                self.deltas.insert(table.name, delta);
            }
        }
        Ok(positions)
    }

    /// Asks the log for a seal and writes what it sealed.
    pub(super) async fn flush(&mut self, log: &mpsc::Sender<Command>) -> Result<(), StoreError> {
        let (answer, sealed) = oneshot::channel();
        log.send(Command::Seal(answer)).await.map_err(|_| StoreError::Closed)?;
        let Sealed { position, watermarks } = sealed.await.map_err(|_| StoreError::Closed)??;
        self.unsaved.extend(watermarks);
        self.commit_sealed(position).await?;
        self.cut_log(position)
    }

    /// Writes every table's sealed rows to files; the log stays as it is.
    pub(super) async fn commit_sealed(&mut self, position: u64) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        for table in contract::TABLES {
            // A table that fails does not keep the others in memory.
            outcome = outcome.and(self.write_table(table, position).await);
        }
        outcome?;
        self.meta.save(&self.unsaved)?;
        self.unsaved.clear();
        self.counters.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Writes one table's sealed rows, after what an earlier try has left to be finished.
    async fn write_table(&mut self, table: &'static Table, position: u64) -> Result<(), StoreError> {
        self.finish(table).await?;
        let sealed = self.tables.sealed(table);
        if sealed.is_empty() {
            return Ok(());
        }
        let batches = sealed.len();
        let dir = self.tables_dir.join(table.name);
        if !self.deltas.contains_key(table.name) {
            self.deltas.insert(table.name, Delta::open_or_create(&dir, table).await?);
            wal::sync_dir(&self.tables_dir)?;
        }
        let mut files = Vec::new();
        if let Err(error) = write_files(table, &dir, sealed, position, &mut files) {
            remove(&dir, &files);
            return Err(error);
        }
        let delta = self.deltas.get_mut(table.name).ok_or_else(|| StoreError::Internal("no table".into()))?;
        let doubt = delta.commit(table, &files, position).await.err();
        self.pending.insert(table.name, Pending { files, batches, doubt });
        self.finish(table).await
    }

    /// Syncs a pending commit and shows its files in place of the rows in memory.
    async fn finish(&mut self, table: &'static Table) -> Result<(), StoreError> {
        let Some(pending) = self.pending.get_mut(table.name) else { return Ok(()) };
        let delta = self.deltas.get_mut(table.name).ok_or_else(|| StoreError::Internal("no table".into()))?;
        let mut refused = None;
        if pending.doubt.is_some() {
            delta.reload().await?;
            let happened = pending.files.iter().all(|file| delta.names(&file.path));
            refused = pending.doubt.take().filter(|_| !happened);
        }
        if refused.is_none() {
            delta.sync(&mut self.sync)?;
        }
        let Some(Pending { files, batches, .. }) = self.pending.remove(table.name) else { return Ok(()) };
        if let Some(error) = refused {
            remove(&self.tables_dir.join(table.name), &files);
            return Err(error);
        }
        self.counters.flushed_rows.fetch_add(files.iter().map(|f| f.written.rows).sum(), Ordering::Relaxed);
        self.tables.committed(table, batches, files.iter().map(|f| f.as_data_file(table)).collect());
        if let Err(error) = delta.checkpoint_if_due(&mut self.sync).await {
            // The rows are safe without it; readers of the table's log have more to read until the next one.
            tracing::warn!(table = table.name, %error, "no checkpoint was written");
        }
        Ok(())
    }

    pub(super) async fn change(&mut self, table: &'static Table, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Merge { old, new } => {
                let millis = new.written.modified_millis();
                self.replace(table, old, Some(new), millis, None).await
            }
            Change::Derive { old, new, covers, now_micros } => {
                if !self.deltas.contains_key(table.name) {
                    self.deltas
                        .insert(table.name, Delta::open_or_create(&self.tables_dir.join(table.name), table).await?);
                    wal::sync_dir(&self.tables_dir)?;
                }
                self.replace(table, old, new, now_micros / 1000, Some(covers)).await?;
                self.tables.covers(table, covers);
                Ok(())
            }
            Change::Expire { keep, now_micros } => {
                let before_micros = now_micros.saturating_sub(i64::try_from(keep.as_micros()).unwrap_or(i64::MAX));
                let files = self.tables.snapshot(table).files;
                let old: Vec<_> = files.iter().filter(|file| file.time_max_micros < before_micros).cloned().collect();
                if old.is_empty() {
                    return Ok(());
                }
                let (count, rows) = (old.len(), old.iter().map(|file| file.rows).sum::<u64>());
                self.replace(table, old, None, now_micros / 1000, None).await?;
                tracing::info!(table = table.name, files = count, rows, "rows are no longer kept");
                Ok(())
            }
        }
    }

    /// Takes files out of a table, for one that has their rows or for good.
    async fn replace(
        &mut self,
        table: &'static Table,
        old: Vec<DataFile>,
        new: Option<NewFile>,
        now_millis: i64,
        covers: Option<u64>,
    ) -> Result<(), StoreError> {
        self.finish(table).await?;
        let files = self.tables.snapshot(table).files;
        if !old.iter().all(|file| files.contains(file)) {
            return Err(StoreError::Internal(format!("files of {} are gone meanwhile", table.name)));
        }
        let delta = self.deltas.get_mut(table.name).ok_or_else(|| StoreError::Internal("no table".into()))?;
        if let Err(error) = delta.replace(table, &old, new.as_ref(), now_millis, covers).await {
            delta.reload().await.map_err(|unknown| StoreError::Doubt(unknown.to_string()))?;
            let within = |file: &DataFile| file.path.as_ref().split_once('/').map_or("", |(_, path)| path).to_owned();
            let happened = new.as_ref().is_none_or(|file| delta.names(&file.path));
            if !happened || old.iter().any(|file| delta.names(&within(file))) {
                return Err(error);
            }
        }
        // Readers change over before the version is durable: should it be lost, the files are still there.
        self.tables.replaced(table, &old, new.map(|file| file.as_data_file(table)));
        delta.sync(&mut self.sync).map_err(|error| StoreError::Doubt(error.to_string()))?;
        self.replaced.add(old.iter().map(|file| self.tables_dir.join(file.path.as_ref())), Instant::now());
        Ok(())
    }

    /// Removes the segments that hold nothing above `position`.
    fn cut_log(&self, position: u64) -> Result<(), StoreError> {
        let segments = wal::list_segments(&self.wal_dir)?;
        for pair in segments.windows(2) {
            let [(_, path), (next_first, _)] = pair else { continue };
            if *next_first <= position + 1 {
                std::fs::remove_file(path).map_err(StoreError::io("remove a log segment"))?;
            }
        }
        wal::sync_dir(&self.wal_dir)
    }
}

/// Batches that are sorted together.
fn groups(sealed: Vec<(RecordBatch, u64)>) -> Vec<Vec<RecordBatch>> {
    let mut groups = vec![Vec::new()];
    let mut held = 0;
    for (batch, bytes) in sealed {
        if held > 0 && held + bytes > SORT_BYTES_MAX {
            groups.push(Vec::new());
            held = 0;
        }
        held += bytes;
        groups.last_mut().expect("there is one from the start").push(batch);
    }
    groups
}

/// Writes files and syncs them with their names; `files` also holds those that were written before an error.
fn write_files(
    table: &'static Table,
    dir: &Path,
    sealed: Vec<(RecordBatch, u64)>,
    position: u64,
    files: &mut Vec<NewFile>,
) -> Result<(), StoreError> {
    for group in groups(sealed) {
        for day in columns::by_day(table, &group)? {
            let within = format!("day={}", day_name(day.day));
            let day_dir = dir.join(&within);
            std::fs::create_dir_all(&day_dir).map_err(StoreError::io("create a day's directory"))?;
            let path = format!("{within}/{position:020}-{}.parquet", uuid::Uuid::new_v4());
            let written = columns::write_file(table, &day.rows, &dir.join(&path))?;
            files.push(NewFile { path, day: day.day, written });
            wal::sync_dir(&day_dir)?;
        }
    }
    wal::sync_dir(dir)
}

/// Removes files that no version names.
fn remove(dir: &Path, files: &[NewFile]) {
    for file in files {
        // What stays is removed by the next start.
        drop(std::fs::remove_file(dir.join(&file.path)));
    }
}
