//! Hot rows to files: seal, sort, write, sync, commit, swap, and only then cut the log.
//!
//! Owns the one thread that writes Parquet and Delta. **Invariants:** a log segment is removed only when every
//! row in it is in a committed, synced file and every watermark in it is in `meta.sqlite`; a batch that a commit
//! may hold is not written again before it is known that the commit does not.

#[cfg(test)]
mod tests;

use super::change::{Change, Part};
use super::commit::{Command, Sealed};
use super::delta::{Delta, NewFile, day_name};
use super::durable::Sync;
use super::error::StoreError;
use super::hot::Tables;
use super::meta::{Meta, Watermarks};
use super::place::{OnDisk, Place};
use super::positions::Positions;
use super::replaced::Replaced;
use super::{Counters, DataFile, columns, derived, kept, unnamed, wal};
use arrow::array::RecordBatch;
use contract::Table;
use futures::future::join_all;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

/// How often the flush looks whether hot rows are old or many enough.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Hot bytes that are sorted at once and become one file a day: memory for the sort, and far below the 2 GiB of
/// text that a column of a file can count.
const SORT_BYTES_MAX: u64 = 128 << 20;

/// Other servers merge a table once in minutes.
const EXPIRE_TRIES_MAX: usize = 4;

pub(super) struct Flusher {
    pub wal_dir: PathBuf,
    pub place: Place,
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
    /// What the commit says of how far the log is covered; no other commit of the table says the same.
    position: u64,
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
        let was_killed = self.place.is_shared() && wal::holds_frames(&self.wal_dir)?;
        let mut left = Vec::new();
        for table in tables {
            let is_derived = crate::store::ground_table(table.name).is_none();
            self.place.remove_torn(table.name)?;
            let Some(mut delta) = Delta::open(&self.place, table).await? else { continue };
            // Whoever was killed may have left a version that is seen but not on disk; what follows counts on it.
            delta.sync(&mut self.sync)?;
            self.place.keep_table_dir(table.name)?;
            if was_killed {
                // A commit of before the kill may still be on its way.
                delta.fence(table).await?;
            }
            match delta.position().await? {
                position if is_derived => self.tables.covers(table, &derived::covered_before(table, position)),
                position => drop(positions.insert(table.name, position)),
            }
            left.push(unnamed::Known::new(table, delta.named(), delta.replaced().await?));
            self.deltas.insert(table.name, delta);
            self.show(table)?;
        }
        unnamed::remove(&self.place, left, &self.replaced).await;
        Ok(positions)
    }

    /// Shows what other servers have changed in shared tables.
    pub(super) async fn refresh(&mut self) -> Result<(), StoreError> {
        let tables = Arc::clone(&self.tables);
        for table in tables.all() {
            if !self.deltas.contains_key(table.name)
                && let Some(delta) = Delta::appeared(&self.place, table).await?
            {
                self.deltas.insert(table.name, delta);
            }
        }
        // Rows of a pending commit are in memory, and in files too if it has happened.
        let pending = &self.pending;
        let looks = self.deltas.iter_mut().filter(|(name, _)| !pending.contains_key(*name));
        let looked = join_all(looks.map(|(name, delta)| async move { (*name, delta.catch_up().await) })).await;
        let mut outcome = Ok(());
        for (name, looked) in looked {
            outcome = outcome.and(looked);
            if let Some(table) = tables.all().iter().find(|table| table.name == name) {
                outcome = outcome.and(self.show(table));
            }
        }
        outcome
    }

    /// Shows the files of the version that was read last.
    fn show(&mut self, table: &'static Table) -> Result<(), StoreError> {
        let delta = self.deltas.get_mut(table.name).ok_or_else(|| StoreError::Internal("no table".into()))?;
        if !delta.is_shown() {
            if crate::store::ground_table(table.name).is_none() {
                self.tables.covers(table, &delta.covers());
            }
            self.tables.shown(table, 0, delta.files_to_show(table)?);
        }
        Ok(())
    }

    /// Shows everything that is committed to a table by now.
    async fn catch_up(&mut self, table: &'static Table) -> Result<(), StoreError> {
        self.finish(table).await?;
        if !self.deltas.contains_key(table.name) {
            let Some(delta) = Delta::appeared(&self.place, table).await? else { return Ok(()) };
            self.deltas.insert(table.name, delta);
        }
        let delta = self.deltas.get_mut(table.name).ok_or_else(|| StoreError::Internal("no table".into()))?;
        delta.catch_up().await?;
        self.show(table)
    }

    /// Asks the log for a seal and writes what it sealed.
    pub(super) async fn flush(&mut self, log: &mpsc::Sender<Command>) -> Result<(), StoreError> {
        let (answer, sealed) = oneshot::channel();
        log.send(Command::Seal(answer)).await.map_err(|_| StoreError::Closed)?;
        let Sealed { position, watermarks } = sealed.await.map_err(|_| StoreError::Closed)??;
        self.unsaved.extend(watermarks);
        self.commit_sealed(position).instrument(tracing::info_span!("flush", position)).await?;
        self.cut_log(position)
    }

    /// Writes every table's sealed rows to files; the log stays as it is.
    pub(super) async fn commit_sealed(&mut self, position: u64) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        for table in crate::store::ground_tables() {
            // A table that fails does not keep the others in memory, but for statements, which make their rows count.
            if outcome.is_err() && kept::is_stated(table) {
                break;
            }
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
        if !self.deltas.contains_key(table.name) {
            self.deltas.insert(table.name, Delta::open_or_create(&self.place, table).await?);
            self.place.keep_table()?;
        }
        let mut files = Vec::new();
        if let Err(error) = write_files(table, &self.place, sealed, position, &mut files).await {
            remove(&self.place, table, &files).await;
            return Err(error);
        }
        let delta = self.deltas.get_mut(table.name).ok_or_else(|| StoreError::Internal("no table".into()))?;
        let doubt = delta.commit(table, &files, position).await.err();
        self.pending.insert(table.name, Pending { files, position, batches, doubt });
        self.finish(table).await
    }

    /// Syncs a pending commit and shows its files in place of the rows in memory.
    async fn finish(&mut self, table: &'static Table) -> Result<(), StoreError> {
        let Some(pending) = self.pending.get_mut(table.name) else { return Ok(()) };
        let delta = self.deltas.get_mut(table.name).ok_or_else(|| StoreError::Internal("no table".into()))?;
        let mut refused = None;
        if let Some(doubt) = &pending.doubt {
            delta.settle(table, doubt).await?;
            // Not by its files: another server may have merged them since.
            let reached = delta.position().await?;
            if reached > pending.position {
                let why = "another server commits under this server's name, is its data directory a copy of this one?";
                return Err(StoreError::Bucket { what: format!("commit to table {}", table.name), why: why.into() });
            }
            refused = pending.doubt.take().filter(|_| reached < pending.position);
        }
        let mut all = None;
        if refused.is_none() {
            delta.sync(&mut self.sync)?;
            all = self.place.is_shared().then(|| delta.files_to_show(table)).transpose()?;
        }
        let Some(Pending { files, batches, .. }) = self.pending.remove(table.name) else { return Ok(()) };
        if let Some(error) = refused {
            remove(&self.place, table, &files).await;
            return Err(error);
        }
        self.counters.flushed_rows.fetch_add(files.iter().map(|f| f.written.rows).sum(), Ordering::Relaxed);
        match all {
            Some(all) => self.tables.shown(table, batches, all),
            None => self.tables.committed(table, batches, files.iter().map(|f| f.as_data_file(table)).collect()),
        }
        self.sum_up(table).await;
        Ok(())
    }

    /// Sums the log of a table up, if that is due.
    async fn sum_up(&mut self, table: &'static Table) {
        let Some(delta) = self.deltas.get_mut(table.name) else { return };
        if let Err(error) = delta.checkpoint_if_due(&mut self.sync).await {
            // The rows are safe without it; readers of the table's log have more to read until the next one.
            tracing::warn!(table = table.name, %error, "no checkpoint was written");
        }
    }

    pub(super) async fn change(&mut self, table: &'static Table, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Merge { old, new } => {
                let millis = new.written.modified_millis();
                self.replace(table, old, Some(new), millis, None).await
            }
            Change::CatchUp => self.catch_up(table).await,
            Change::Derive { old, new, part, covers, now_micros } => {
                if !self.deltas.contains_key(table.name) {
                    self.deltas.insert(table.name, Delta::open_or_create(&self.place, table).await?);
                    self.place.keep_table()?;
                }
                let within = |file: &&DataFile| (part.0..part.1).contains(&file.time_min_micros);
                if self.tables.snapshot(table).files.iter().filter(within).count() != old.len() {
                    return Err(StoreError::Overtaken { table: table.name });
                }
                self.replace(table, old, new, now_micros / 1000, Some(part)).await?;
                self.tables.covers(table, &covers);
                self.sum_up(table).await;
                Ok(())
            }
            Change::Expire { keep, now_micros } => self.expire(table, keep, now_micros).await,
        }
    }

    async fn expire(&mut self, table: &'static Table, keep: Duration, now_micros: i64) -> Result<(), StoreError> {
        let before_micros = now_micros.saturating_sub(i64::try_from(keep.as_micros()).unwrap_or(i64::MAX));
        let mut tries = 0;
        loop {
            let files = self.tables.snapshot(table).files;
            let old: Vec<_> = files.iter().filter(|file| file.time_max_micros < before_micros).cloned().collect();
            if old.is_empty() {
                return Ok(());
            }
            let (count, rows) = (old.len(), old.iter().map(|file| file.rows).sum::<u64>());
            match self.replace(table, old, None, now_micros / 1000, None).await {
                // Another server has merged or dropped some of them.
                Err(StoreError::Overtaken { .. }) if tries < EXPIRE_TRIES_MAX => tries += 1,
                Err(error) => return Err(error),
                Ok(()) => {
                    tracing::info!(table = table.name, files = count, rows, "rows are no longer kept");
                    return Ok(());
                }
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
        part: Option<Part>,
    ) -> Result<(), StoreError> {
        self.finish(table).await?;
        let delta = self.deltas.get_mut(table.name).ok_or_else(|| StoreError::Internal("no table".into()))?;
        if let Err(error) = delta.swap(table, &old, new.as_ref(), now_millis, part).await {
            if matches!(error, StoreError::Overtaken { .. }) {
                self.show(table)?;
            }
            return Err(error);
        }
        // Readers change over before the version is durable: should it be lost, the files are still there.
        if self.place.is_shared() {
            self.show(table)?;
        } else {
            self.tables.replaced(table, &old, new.map(|file| file.as_data_file(table)));
        }
        let delta = self.deltas.get_mut(table.name).ok_or_else(|| StoreError::Internal("no table".into()))?;
        delta.sync(&mut self.sync).map_err(|error| StoreError::Doubt(error.to_string()))?;
        self.replaced.add(old.into_iter().map(|file| file.path), Instant::now());
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

/// Writes files and keeps them; `files` also holds those that were written before an error.
async fn write_files(
    table: &'static Table,
    place: &Place,
    sealed: Vec<(RecordBatch, u64)>,
    position: u64,
    files: &mut Vec<NewFile>,
) -> Result<(), StoreError> {
    let mut drafts: Vec<(String, OnDisk)> = Vec::new();
    for group in groups(sealed) {
        for day in columns::by_day(table, &group)? {
            let path = format!("day={}/{position:020}-{}.parquet", day_name(day.day), uuid::Uuid::new_v4());
            let within_place = format!("{}/{path}", table.name);
            let draft = place.draft(&within_place)?;
            let written = columns::write_file(table, &day, draft.path())?;
            let logs = Positions::of(place.log(), position);
            files.push(NewFile { path, day: day.day, written, logs, covers: None });
            drafts.push((within_place, draft));
        }
    }
    place.keep(&drafts).await
}

/// Removes files that no version names.
async fn remove(place: &Place, table: &Table, files: &[NewFile]) {
    for file in files {
        // What stays is removed by a later start.
        drop(place.remove(&format!("{}/{}", table.name, file.path)).await);
    }
}
