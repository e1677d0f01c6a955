//! Hot rows to files: seal, sort, write, sync, commit, swap, and only then cut the log.
//!
//! Owns the one thread that writes Parquet and Delta. **Invariant:** a log segment is removed only when every
//! row in it is in a committed, synced file and every watermark in it is in `meta.sqlite`.

use super::commit::{Command, Sealed};
use super::delta::{Delta, NewFile, day_name};
use super::error::StoreError;
use super::hot::Tables;
use super::meta::{Meta, Watermarks};
use super::{Counters, DataFile, columns, wal};
use contract::Table;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How often the flush looks whether hot rows are old or many enough.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) struct Flusher {
    pub wal_dir: PathBuf,
    pub tables_dir: PathBuf,
    pub meta: Meta,
    pub deltas: HashMap<&'static str, Delta>,
    pub tables: Arc<Tables>,
    pub counters: Arc<Counters>,
    /// Of seals whose flush has not succeeded yet.
    pub unsaved: Watermarks,
}

impl Flusher {
    /// Opens every table's Delta log and hands its files to the readers; says how far each covers the log.
    pub(super) async fn open_tables(&mut self) -> Result<HashMap<&'static str, u64>, StoreError> {
        let mut positions = HashMap::new();
        for table in contract::TABLES {
            if let Some(delta) = Delta::open(&self.tables_dir.join(table.name)).await? {
                positions.insert(table.name, delta.position().await?);
                self.tables.committed(table, delta.files(table)?);
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
        self.write_sealed(position).await
    }

    /// Writes every table's sealed rows and cuts the log up to `position`.
    async fn write_sealed(&mut self, position: u64) -> Result<(), StoreError> {
        self.commit_sealed(position).await?;
        self.cut_log(position)
    }

    /// Writes every table's sealed rows to files; the log stays as it is.
    pub(super) async fn commit_sealed(&mut self, position: u64) -> Result<(), StoreError> {
        for table in contract::TABLES {
            let sealed = self.tables.sealed(table);
            if !sealed.is_empty() {
                let days = columns::by_day(table, &sealed)?;
                drop(sealed);
                let added = self.commit_days(table, &days, position).await?;
                self.counters.flushed_rows.fetch_add(added.iter().map(|f| f.rows).sum(), Ordering::Relaxed);
                self.tables.committed(table, added);
            }
        }
        self.meta.save(&self.unsaved)?;
        self.unsaved.clear();
        self.counters.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn commit_days(
        &mut self,
        table: &'static Table,
        days: &[columns::Day],
        position: u64,
    ) -> Result<Vec<DataFile>, StoreError> {
        let dir = self.tables_dir.join(table.name);
        if !self.deltas.contains_key(table.name) {
            self.deltas.insert(table.name, Delta::create(&dir, table).await?);
            wal::sync_dir(&self.tables_dir)?;
        }
        let delta = self.deltas.get_mut(table.name).ok_or_else(|| StoreError::Internal("no table".into()))?;
        let mut files = Vec::with_capacity(days.len());
        for day in days {
            let within = format!("day={}", day_name(day.day));
            let day_dir = dir.join(&within);
            std::fs::create_dir_all(&day_dir).map_err(StoreError::io("create a day's directory"))?;
            let path = format!("{within}/{position:020}-{}.parquet", uuid::Uuid::new_v4());
            let size_bytes = columns::write_file(table, &day.rows, &dir.join(&path))?;
            wal::sync_dir(&day_dir)?;
            files.push(NewFile { path, size_bytes, day });
        }
        wal::sync_dir(&dir)?;
        delta.commit(table, &files, position).await?;
        sync_delta_log(&dir)?;
        Ok(files.iter().map(|f| f.as_data_file(table)).collect())
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

impl NewFile<'_> {
    fn as_data_file(&self, table: &Table) -> DataFile {
        DataFile {
            path: object_store::path::Path::from(format!("{}/{}", table.name, self.path)),
            size_bytes: self.size_bytes,
            rows: self.day.rows.num_rows() as u64,
            time_min_micros: self.day.time_min_micros,
            time_max_micros: self.day.time_max_micros,
        }
    }
}

/// The newest commit and the log's directory reach the disk.
fn sync_delta_log(table_dir: &Path) -> Result<(), StoreError> {
    let log = table_dir.join("_delta_log");
    let names = std::fs::read_dir(&log).map_err(StoreError::io("list a table's log"))?;
    let commits = names.filter_map(Result::ok).map(|e| e.path());
    let newest = commits.filter(|p| p.extension().is_some_and(|e| e == "json")).max();
    if let Some(newest) = newest {
        std::fs::File::open(newest).and_then(|f| f.sync_all()).map_err(StoreError::io("sync a commit"))?;
    }
    wal::sync_dir(&log)
}
