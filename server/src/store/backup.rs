//! A consistent copy of the tables and the watermarks, read out while rows go on arriving.
//!
//! The flush makes it: everything that was acknowledged before is in files then, and no version comes in between.
//! **Invariants:** the watermarks of a copy are those of its rows, so that a store that is opened on it neither
//! takes a row twice nor refuses one that it does not have; no file of it is deleted while it is read.

use super::error::StoreError;
use super::flush::Flusher;
use super::replaced::{Hold, Replaced};
use super::{DataFile, commit};
use bytes::Bytes;
use contract::Table;
use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Bytes that are in memory at once.
const PART_BYTES: u64 = 1 << 20;
/// Whoever takes a copy and stops for so long has gone; what the tables no longer need is deleted again.
const HOLD: Duration = Duration::from_secs(600);

/// What the flush has fixed.
pub(super) struct Copied {
    tables: Vec<CopiedTable>,
    /// The database; its name is gone already.
    meta: File,
}

struct CopiedTable {
    table: &'static Table,
    version: u64,
    files: Arc<Vec<DataFile>>,
}

pub(super) type CopyAsked = oneshot::Sender<Result<Copied, StoreError>>;

impl Flusher {
    /// Brings every acknowledged row into files and says which they are.
    pub(super) async fn copy(&mut self, log: &mpsc::Sender<commit::Command>) -> Result<Copied, StoreError> {
        self.flush(log).await?;
        let copied = |table: &'static Table| {
            let version = self.deltas.get(table.name)?.version();
            Some(CopiedTable { table, version, files: self.tables.snapshot(table).files })
        };
        let tables = crate::store::ground_tables().filter_map(copied).collect();
        let path = self.wal_dir.with_file_name(format!("backup-{}.sqlite", uuid::Uuid::new_v4()));
        let copy = self.meta.copy_to(&path);
        let meta = copy.and_then(|()| File::open(&path).map_err(StoreError::io("read a copy of meta.sqlite")));
        // It lives on while it is open. Should it stay after a crash, it is of no use to anybody.
        drop(std::fs::remove_file(&path));
        Ok(Copied { tables, meta: meta? })
    }
}

/// One file of a copy.
#[derive(Debug, Clone)]
pub struct BackupFile {
    /// Within the data directory.
    pub path: String,
    pub size_bytes: u64,
    /// Of a data file.
    pub rows: Option<u64>,
    /// `None` is the database.
    object: Option<ObjectPath>,
}

/// A copy that can be read for as long as it lives, if it is read steadily.
pub struct Backup {
    pub files: Vec<BackupFile>,
    meta: File,
    objects: Arc<dyn ObjectStore>,
    hold: Hold,
}

impl Backup {
    pub(super) async fn begin(
        copies: &mpsc::Sender<CopyAsked>,
        replaced: &Arc<Replaced>,
        objects: Arc<dyn ObjectStore>,
    ) -> Result<Self, StoreError> {
        let now = Instant::now();
        // Before the files are fixed: none of them may go between.
        let hold = replaced.hold(now, now + HOLD).ok_or(StoreError::Busy("another backup"))?;
        let (answer, copied) = oneshot::channel();
        copies.send(answer).await.map_err(|_| StoreError::Closed)?;
        let Copied { tables, meta } = copied.await.map_err(|_| StoreError::Closed)??;
        let size_bytes = meta.metadata().map_err(StoreError::io("look at a copy of meta.sqlite"))?.len();
        let mut files = vec![BackupFile { path: "meta.sqlite".into(), size_bytes, rows: None, object: None }];
        for table in tables {
            files.extend(files_of(&table, objects.as_ref()).await?);
        }
        Ok(Self { files, meta, objects, hold })
    }

    /// The bytes of a file from `at` on, at most a part of it; empty at its end.
    pub async fn part(&self, file: &BackupFile, at: u64) -> Result<Bytes, StoreError> {
        let now = Instant::now();
        if !self.hold.renew(now, now + HOLD) {
            let why = format!("it was not read for {} s", HOLD.as_secs());
            return Err(StoreError::Io { what: "go on with a backup".into(), source: std::io::Error::other(why) });
        }
        let end = file.size_bytes.min(at.saturating_add(PART_BYTES));
        if at >= end {
            return Ok(Bytes::new());
        }
        match &file.object {
            Some(path) => self.objects.get_range(path, at..end).await.map_err(|e| unreadable(&file.path, e)),
            None => {
                let mut part = vec![0; (end - at) as usize];
                self.meta.read_exact_at(&mut part, at).map_err(StoreError::io("read a copy of meta.sqlite"))?;
                Ok(part.into())
            }
        }
    }
}

fn unreadable(path: &str, error: object_store::Error) -> StoreError {
    StoreError::Io { what: format!("read {path}"), source: std::io::Error::other(error) }
}

/// The data files of a version, and what of the log is needed to open it.
async fn files_of(copied: &CopiedTable, objects: &dyn ObjectStore) -> Result<Vec<BackupFile>, StoreError> {
    let table = copied.table.name;
    let listing = objects.list(Some(&ObjectPath::from(table))).map_ok(|meta| (meta.location, meta.size));
    let sizes: HashMap<ObjectPath, u64> = listing.try_collect().await.map_err(|e| unreadable(table, e))?;
    let file = |path: &ObjectPath, size_bytes: u64, rows: Option<u64>| BackupFile {
        path: format!("tables/{path}"),
        size_bytes,
        rows,
        object: Some(path.clone()),
    };
    let mut files = Vec::new();
    for data in copied.files.iter() {
        let why = match sizes.get(&data.path) {
            Some(size) if *size == data.size_bytes => {
                files.push(file(&data.path, data.size_bytes, Some(data.rows)));
                continue;
            }
            Some(size) => format!("it has {size} bytes, its table says {}", data.size_bytes),
            None => "it is missing".to_owned(),
        };
        return Err(StoreError::Corrupt { what: format!("tables/{}", data.path), why });
    }
    files.extend(of_log(sizes.keys(), copied.version).into_iter().map(|path| file(path, sizes[path], None)));
    Ok(files)
}

/// What of a table's folder opens it at a version: what the last checkpoint does not sum up, and the checkpoint.
fn of_log<'a>(paths: impl Iterator<Item = &'a ObjectPath>, version: u64) -> Vec<&'a ObjectPath> {
    let mut log: Vec<(u64, &ObjectPath)> = paths.filter_map(|path| Some((log_version(path)?, path))).collect();
    log.retain(|(of, _)| *of <= version);
    log.sort();
    let checkpoints = log.iter().filter(|(_, path)| !path.as_ref().ends_with(".json"));
    let from = checkpoints.map(|(of, _)| *of).max().unwrap_or(0);
    log.into_iter().filter(|(of, _)| *of >= from).map(|(_, path)| path).collect()
}

/// Of a version or a checkpoint in a table's log.
fn log_version(path: &ObjectPath) -> Option<u64> {
    let (_, name) = path.as_ref().split_once("/_delta_log/")?;
    let (version, kind) = name.split_once('.')?;
    let known = kind == "json" || (kind.starts_with("checkpoint") && kind.ends_with("parquet"));
    let numbered = version.len() == 20 && version.bytes().all(|b| b.is_ascii_digit());
    if known && numbered { version.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_takes_of_the_log_what_opens_its_version() {
        let mut paths: Vec<ObjectPath> =
            (0..205).map(|v| ObjectPath::from(format!("t/_delta_log/{v:020}.json"))).collect();
        for other in
            ["_last_checkpoint", "00000000000000000099.checkpoint.parquet", "00000000000000000199.checkpoint.parquet"]
        {
            paths.push(ObjectPath::from(format!("t/_delta_log/{other}")));
        }
        paths.push(ObjectPath::from("t/day=2026-01-01/00000000000000000001-x.parquet"));
        let names = |version| {
            of_log(paths.iter(), version)
                .iter()
                .filter_map(|p| p.filename())
                .map(|n| n[17..].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(2), ["000.json", "001.json", "002.json"]);
        assert_eq!(names(100), ["099.checkpoint.parquet", "099.json", "100.json"]);
        assert_eq!(names(201), ["199.checkpoint.parquet", "199.json", "200.json", "201.json"]);
    }
}
