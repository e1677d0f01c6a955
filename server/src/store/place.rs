//! Where the tables' files are: a folder of this machine, or a bucket that other servers may write to as well.
//!
//! **Invariant:** a file that was kept survives kill -9 and power loss, with its name.

use super::DataFile;
use super::StoreSettings;
use super::bucket::Bucket;
use super::checkpoints;
use super::durable::DeltaLog;
use super::error::StoreError;
use super::meta::Meta;
use super::synced_puts::SyncedPuts;
use super::wal::{self, sync_dir};
use deltalake_core::DeltaTableBuilder;
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// What `meta.sqlite` says of tables in the data directory.
const HERE: &str = "the data directory";

/// Names the log's position in the transactions of a table that one server writes.
const APPLICATION: &str = "coulomb-wal";
/// Likewise of one server among several; its name follows.
const SHARED: &str = "coulomb-wal/";

/// Paths are those of [`DataFile::path`]: the table's name, its day, the file's name.
#[derive(Clone)]
pub(super) enum Place {
    Folder(PathBuf),
    Shared(Arc<Shared>),
}

/// Tables in a bucket, as this server sees them.
pub(super) struct Shared {
    pub bucket: Bucket,
    /// The name of this server's log in the transactions of the tables.
    application: String,
    /// Of this machine: files on their way to the bucket, and copies of its files.
    transit_dir: PathBuf,
}

impl Shared {
    /// `transit_dir` is there, and this server has it for itself.
    pub(super) fn new(bucket: Bucket, server_id: &str, transit_dir: PathBuf) -> Self {
        Self { bucket, application: format!("{SHARED}{server_id}"), transit_dir }
    }
}

/// A file on this machine's disk.
pub(super) struct OnDisk {
    path: PathBuf,
    /// It goes when this is dropped.
    in_transit: bool,
}

impl OnDisk {
    /// A file that is to be written in `dir`, which need not be there.
    pub(super) fn scratch(dir: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(dir).map_err(StoreError::io("create the folder of files in transit"))?;
        Ok(Self { path: dir.join(format!("{}.parquet", uuid::Uuid::new_v4())), in_transit: true })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        if self.in_transit {
            // It may not even be there; what stays is removed by the next start.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

impl Place {
    /// Whether other servers may change the tables.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Shared(_))
    }

    /// The name under which the tables' transactions hold the position of this server's log.
    pub(super) fn application(&self) -> &str {
        match self {
            Self::Folder(_) => APPLICATION,
            Self::Shared(shared) => &shared.application,
        }
    }

    /// The name of this server's log among those whose rows the files hold.
    pub(super) fn log(&self) -> &str {
        match self {
            Self::Folder(_) => "",
            Self::Shared(shared) => shared.application.strip_prefix(SHARED).unwrap_or_default(),
        }
    }

    /// What queries read.
    pub(super) fn objects(&self) -> Result<Arc<dyn ObjectStore>, StoreError> {
        Ok(match self {
            Self::Folder(dir) => Arc::new(LocalFileSystem::new_with_prefix(dir).map_err(StoreError::internal)?),
            Self::Shared(shared) => Arc::clone(&shared.bucket.tables),
        })
    }

    /// Where a file is to be written before it is kept.
    pub(super) fn draft(&self, path: &str) -> Result<OnDisk, StoreError> {
        match self {
            Self::Folder(dir) => {
                let path = dir.join(path);
                let day = path.parent().unwrap_or(dir);
                std::fs::create_dir_all(day).map_err(StoreError::io("create a day's directory"))?;
                Ok(OnDisk { path, in_transit: false })
            }
            Self::Shared(shared) => Ok(shared.in_transit()),
        }
    }

    /// Returns when the drafts, whose bytes are on disk, are kept under their paths.
    pub(super) async fn keep(&self, drafts: &[(String, OnDisk)]) -> Result<(), StoreError> {
        match self {
            Self::Folder(_) => {
                let days: BTreeSet<&Path> = drafts.iter().filter_map(|(_, draft)| draft.path.parent()).collect();
                let tables: BTreeSet<&Path> = days.iter().filter_map(|day| day.parent()).collect();
                days.into_iter().chain(tables).try_for_each(sync_dir)
            }
            Self::Shared(shared) => shared.bucket.upload(drafts).await,
        }
    }

    /// The bytes of a file, on this machine's disk.
    pub(super) async fn fetch(&self, file: &DataFile) -> Result<OnDisk, StoreError> {
        match self {
            Self::Folder(dir) => Ok(OnDisk { path: dir.join(file.path.as_ref()), in_transit: false }),
            Self::Shared(shared) => {
                let copy = shared.in_transit();
                shared.bucket.download(file, copy.path()).await?;
                Ok(copy)
            }
        }
    }

    pub(super) async fn remove(&self, path: &str) -> Result<(), StoreError> {
        match self {
            Self::Folder(dir) => std::fs::remove_file(dir.join(path)).map_err(StoreError::io("remove a data file")),
            Self::Shared(shared) => shared.bucket.remove(path).await,
        }
    }

    /// Where the log of a table is written.
    pub(super) fn log_store(&self, table: &str) -> Result<LogStoreRef, StoreError> {
        match self {
            Self::Folder(dir) => {
                let absolute = std::path::absolute(dir.join(table)).map_err(StoreError::io("find a table"))?;
                let url = Url::from_directory_path(&absolute)
                    .map_err(|()| StoreError::Internal(format!("{absolute:?} is not a directory path")))?;
                let builder = DeltaTableBuilder::from_url(url.clone()).map_err(StoreError::internal)?;
                let files = Arc::new(SyncedPuts::default());
                let table = builder.with_storage_backend(files, url).build().map_err(StoreError::internal)?;
                Ok(table.log_store())
            }
            Self::Shared(shared) => {
                let (bucket, root) = (&shared.bucket, Arc::clone(&shared.bucket.root));
                let url = bucket.url.join(&format!("{table}/")).map_err(StoreError::internal)?;
                let within = ObjectPath::from_url_path(url.path()).map_err(StoreError::internal)?;
                let prefixed = Arc::new(PrefixStore::new(Arc::clone(&root), within));
                Ok(default_logstore(prefixed, root, &url, &StorageConfig::default()))
            }
        }
    }

    /// Whether a table may have a log, as far as that is known without asking for it.
    pub(super) fn may_have_log(&self, table: &str) -> bool {
        match self {
            Self::Folder(dir) => dir.join(table).join("_delta_log").exists(),
            Self::Shared(_) => true,
        }
    }

    /// What must be synced of a table's log; a bucket's is durable when it is written.
    pub(super) fn unsynced_log(&self, table: &str) -> Option<DeltaLog> {
        match self {
            Self::Folder(dir) => Some(DeltaLog::new(&dir.join(table))),
            Self::Shared(_) => None,
        }
    }

    /// Makes room for a table that is to be created.
    pub(super) fn prepare(&self, table: &str) -> Result<(), StoreError> {
        match self {
            Self::Folder(dir) => {
                std::fs::create_dir_all(dir.join(table)).map_err(StoreError::io("create a table's directory"))
            }
            Self::Shared(_) => Ok(()),
        }
    }

    /// Removes what a power cut has left of a summary of a table's log.
    pub(super) fn remove_torn(&self, table: &str) -> Result<(), StoreError> {
        match self {
            Self::Folder(dir) => checkpoints::remove_torn(&dir.join(table)),
            Self::Shared(_) => Ok(()),
        }
    }

    /// Returns when the names in a table's folder are durable.
    pub(super) fn keep_table_dir(&self, table: &str) -> Result<(), StoreError> {
        match self {
            Self::Folder(dir) => sync_dir(&dir.join(table)),
            Self::Shared(_) => Ok(()),
        }
    }

    /// Returns when the name of a table that was created is durable.
    pub(super) fn keep_table(&self) -> Result<(), StoreError> {
        match self {
            Self::Folder(dir) => sync_dir(dir),
            Self::Shared(_) => Ok(()),
        }
    }
}

/// Files that live no longer than the process.
pub(super) fn transit_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("transit")
}

/// Opens the place of the tables, and sees to it that the log holds no rows for another one.
pub(super) async fn open(settings: &StoreSettings, meta: &Meta, wal_dir: &Path) -> Result<Place, StoreError> {
    let now = settings.tables.as_ref().map_or_else(|| HERE.to_owned(), ToString::to_string);
    let before = meta.place()?.unwrap_or_else(|| HERE.to_owned());
    if now != before && wal::holds_frames(wal_dir)? {
        return Err(StoreError::Moved { before, now });
    }
    let transit = transit_dir(&settings.data_dir);
    if transit.exists() {
        std::fs::remove_dir_all(&transit).map_err(StoreError::io("empty the folder of files in transit"))?;
    }
    let place = match &settings.tables {
        None => {
            let dir = settings.data_dir.join("tables");
            std::fs::create_dir_all(&dir).map_err(StoreError::io(format!("create {dir:?}")))?;
            sync_dir(&dir)?;
            sync_dir(&settings.data_dir)?;
            Place::Folder(dir)
        }
        Some(bucket) => {
            let bucket = Bucket::open(bucket).await?;
            std::fs::create_dir_all(&transit).map_err(StoreError::io("create the folder of files in transit"))?;
            Place::Shared(Arc::new(Shared::new(bucket, &meta.server_id()?, transit)))
        }
    };
    meta.set_place(&now)?;
    Ok(place)
}

impl Shared {
    fn in_transit(&self) -> OnDisk {
        OnDisk { path: self.transit_dir.join(format!("{}.parquet", uuid::Uuid::new_v4())), in_transit: true }
    }
}
