//! Makes the files of a table's `_delta_log/` durable, which `object_store` does not do on a local disk.

use super::error::StoreError;
use super::wal::sync_dir;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Returns when a file's bytes are on disk. Handed in, so that a test can be a disk that fails.
pub(super) type Sync = Box<dyn FnMut(&Path) -> io::Result<()> + Send>;

pub(super) fn disk() -> Sync {
    Box::new(|path| File::open(path)?.sync_all())
}

/// The data directory may be new, and is lost with everything in it unless its own name is on disk.
pub(super) fn sync_parent(dir: &Path) -> Result<(), StoreError> {
    let absolute = std::path::absolute(dir).map_err(StoreError::io("find the data directory"))?;
    match absolute.parent() {
        // Of a folder that others own, only what is done in it can be synced by us, and not its own name.
        Some(parent) if File::open(parent).is_ok() => sync_dir(parent),
        _ => Ok(()),
    }
}

/// Rewritten under its name with each checkpoint.
const LAST_CHECKPOINT: &str = "_last_checkpoint";

/// The log folder of one table, and which of its files are on disk for certain.
pub(super) struct DeltaLog {
    dir: PathBuf,
    synced: HashSet<PathBuf>,
    /// After a failed sync the kernel forgets what it could not write, and the next sync claims success.
    failed: HashSet<PathBuf>,
}

impl DeltaLog {
    pub(super) fn new(table_dir: &Path) -> Self {
        Self { dir: table_dir.join("_delta_log"), synced: HashSet::new(), failed: HashSet::new() }
    }

    /// Returns when every file that is there now is on disk, with its name.
    pub(super) fn sync(&mut self, sync: &mut Sync) -> Result<(), StoreError> {
        let listed = || StoreError::io("list a table's log");
        for entry in fs::read_dir(&self.dir).map_err(listed())? {
            let path = entry.map_err(listed())?.path();
            let rewritten = path.file_name().is_some_and(|name| name == LAST_CHECKPOINT);
            if path.is_file() && (rewritten || !self.synced.contains(&path)) {
                self.sync_file(path, sync)?;
            }
        }
        sync_dir(&self.dir)
    }

    fn sync_file(&mut self, path: PathBuf, sync: &mut Sync) -> Result<(), StoreError> {
        let synced = if self.failed.contains(&path) { self.write_again(&path, sync) } else { sync(&path) };
        match synced {
            Ok(()) => {
                self.failed.remove(&path);
                self.synced.insert(path);
                Ok(())
            }
            Err(source) => {
                self.failed.insert(path);
                Err(StoreError::Io { what: "sync a table's log".into(), source })
            }
        }
    }

    fn write_again(&self, path: &Path, sync: &mut Sync) -> io::Result<()> {
        let copy = self.dir.with_file_name("_sync");
        fs::write(&copy, fs::read(path)?)?;
        sync(&copy)?;
        fs::rename(&copy, path)
    }
}
