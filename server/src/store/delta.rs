//! The Delta tables: opening them, listing their files, committing new ones.
//!
//! Commits go through `object_store`, which does not sync on a local disk; the flush does that itself.

use super::DataFile;
use super::columns::{DAY_MICROS, Written};
use super::durable::{DeltaLog, Sync};
use super::error::StoreError;
use chrono::{DateTime, SecondsFormat};
use contract::Table;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add, Remove, StructField, StructType, Transaction};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::checkpoints::create_checkpoint_from_table_url_and_cleanup;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::state::DeltaTableState;
use deltalake_core::{DeltaTableBuilder, DeltaTableError};
use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use std::collections::HashMap;
use std::path::Path;
use url::Url;

/// Names the log's position in the transactions of a Delta table.
const APPLICATION: &str = "coulomb-wal";
/// The partition column; it is in paths, not in files.
const DAY: &str = "day";

/// Versions from one checkpoint to the next; a reader that opens the table reads at most so many files.
const CHECKPOINT_VERSIONS: u64 = 100;

/// An open table: its log and the state after the last commit.
pub(super) struct Delta {
    log: LogStoreRef,
    state: DeltaTableState,
    durable: DeltaLog,
}

/// A written file that is to be committed.
pub(super) struct NewFile {
    /// Path within the table.
    pub path: String,
    /// Days since the epoch.
    pub day: i64,
    pub written: Written,
}

impl NewFile {
    pub(super) fn as_data_file(&self, table: &Table) -> DataFile {
        DataFile {
            path: ObjectPath::from(format!("{}/{}", table.name, self.path)),
            size_bytes: self.written.size_bytes,
            rows: self.written.rows,
            time_min_micros: self.written.time_min_micros,
            time_max_micros: self.written.time_max_micros,
        }
    }
}

impl Delta {
    /// Opens the table in `dir`, or `None` where there is none yet.
    pub(super) async fn open(dir: &Path) -> Result<Option<Self>, StoreError> {
        if !dir.join("_delta_log").exists() {
            return Ok(None);
        }
        let log = log_store(dir)?;
        match DeltaTableState::try_new(&*log, None).await {
            Ok(state) => Ok(Some(Self { log, state, durable: DeltaLog::new(dir) })),
            Err(DeltaTableError::NotATable(_)) => Ok(None),
            Err(error) => Err(corrupt(dir, error)),
        }
    }

    /// Opens the table in `dir`, which an earlier try may have made.
    pub(super) async fn open_or_create(dir: &Path, table: &Table) -> Result<Self, StoreError> {
        if let Some(delta) = Self::open(dir).await? {
            return Ok(delta);
        }
        std::fs::create_dir_all(dir).map_err(StoreError::io("create a table's directory"))?;
        let log = log_store(dir)?;
        let schema: StructType = contract::schema(table).as_ref().try_into_kernel().map_err(StoreError::internal)?;
        let day = StructField::nullable(DAY, deltalake_core::kernel::DataType::DATE);
        CreateBuilder::new()
            .with_log_store(log.clone())
            .with_table_name(table.name)
            .with_comment(table.doc)
            .with_columns(schema.fields().cloned().chain([day]))
            .with_partition_columns([DAY])
            .await
            .map_err(|error| failed(table, error))?;
        let state = DeltaTableState::try_new(&*log, None).await.map_err(|e| corrupt(dir, e))?;
        Ok(Self { log, state, durable: DeltaLog::new(dir) })
    }

    /// The log position up to which the table holds everything.
    pub(super) async fn position(&self) -> Result<u64, StoreError> {
        let version = self.state.transaction_version(&*self.log, APPLICATION).await.map_err(StoreError::internal)?;
        Ok(version.map_or(0, |v| v as u64))
    }

    pub(super) fn files(&self, table: &Table) -> Result<Vec<DataFile>, StoreError> {
        self.state.log_data().iter().map(|view| data_file(table, &view.path(), view.size(), view.stats())).collect()
    }

    /// Paths within the table of all files that the current version names.
    pub(super) fn named(&self) -> Vec<String> {
        self.state.log_data().iter().map(|view| view.path().to_string()).collect()
    }

    /// Likewise of those that, as far as the log still says, an earlier version names and the current one does not.
    pub(super) async fn replaced(&self) -> Result<Vec<String>, StoreError> {
        let removed = self.state.all_tombstones(&*self.log).map_ok(|file| file.path().to_string());
        removed.try_collect().await.map_err(StoreError::internal)
    }

    /// Adds files as one version that also says how far the log is covered.
    ///
    /// After an error the version may be there all the same: [`Self::reload`] and [`Self::names`] tell.
    pub(super) async fn commit(&mut self, table: &Table, files: &[NewFile], position: u64) -> Result<(), StoreError> {
        let actions = files.iter().map(|f| Action::Add(add(table, f, true))).collect();
        let covers = Transaction::new(APPLICATION, position as i64);
        let operation =
            DeltaOperation::Write { mode: SaveMode::Append, partition_by: Some(vec![DAY.to_owned()]), predicate: None };
        self.put(table, actions, CommitProperties::default().with_application_transaction(covers), operation).await
    }

    /// Takes files away as one version; `new` has their rows, or nobody has. After an error it is as with a commit.
    pub(super) async fn replace(
        &mut self,
        table: &Table,
        old: &[DataFile],
        new: Option<&NewFile>,
        now_millis: i64,
        covers: Option<u64>,
    ) -> Result<(), StoreError> {
        let other_rows = new.is_none() || covers.is_some();
        let removed = old.iter().map(|file| Action::Remove(remove(table, file, other_rows, now_millis)));
        let added = new.map(|file| Action::Add(add(table, file, other_rows)));
        let operation = match new {
            Some(_) if other_rows => DeltaOperation::Write {
                mode: SaveMode::Append,
                partition_by: Some(vec![DAY.to_owned()]),
                predicate: None,
            },
            Some(file) => DeltaOperation::Optimize { predicate: None, target_size: file.written.size_bytes as i64 },
            None => DeltaOperation::Delete { predicate: None },
        };
        let properties = CommitProperties::default();
        let properties = match covers {
            Some(position) => properties.with_application_transaction(Transaction::new(APPLICATION, position as i64)),
            None => properties,
        };
        self.put(table, removed.chain(added).collect(), properties, operation).await
    }

    async fn put(
        &mut self,
        table: &Table,
        actions: Vec<Action>,
        properties: CommitProperties,
        operation: DeltaOperation,
    ) -> Result<(), StoreError> {
        // A checkpoint that fails must not make a commit look as if it had failed.
        let properties = properties.with_create_checkpoint(false).with_cleanup_expired_logs(Some(false));
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.state), self.log.clone(), operation)
            .await
            .map_err(|error| failed(table, error))?;
        self.state = committed.snapshot();
        Ok(())
    }

    /// Reads the table's log again.
    pub(super) async fn reload(&mut self) -> Result<(), StoreError> {
        self.state = DeltaTableState::try_new(&*self.log, None).await.map_err(StoreError::internal)?;
        Ok(())
    }

    /// Whether the table holds a file, by its path within the table.
    pub(super) fn names(&self, path: &str) -> bool {
        self.state.log_data().iter().any(|view| *view.path() == *path)
    }

    /// Returns when all versions are on disk.
    pub(super) fn sync(&mut self, sync: &mut Sync) -> Result<(), StoreError> {
        self.durable.sync(sync)
    }

    /// Sums the log up after every so many versions.
    pub(super) async fn checkpoint_if_due(&mut self, sync: &mut Sync) -> Result<(), StoreError> {
        let version = self.state.version();
        if !(version + 1).is_multiple_of(CHECKPOINT_VERSIONS) {
            return Ok(());
        }
        let url = self.log.root_url().clone();
        create_checkpoint_from_table_url_and_cleanup(url, version, Some(false), None)
            .await
            .map_err(StoreError::internal)?;
        self.sync(sync)
    }
}

fn failed(table: &Table, error: DeltaTableError) -> StoreError {
    StoreError::Io { what: format!("commit to table {}", table.name), source: std::io::Error::other(error) }
}

fn corrupt(dir: &Path, error: impl std::fmt::Display) -> StoreError {
    let table = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    StoreError::Corrupt { what: format!("the log of table {table}"), why: error.to_string() }
}

fn log_store(dir: &Path) -> Result<LogStoreRef, StoreError> {
    let absolute = std::path::absolute(dir).map_err(StoreError::io("find a table's directory"))?;
    let url = Url::from_directory_path(&absolute)
        .map_err(|()| StoreError::Internal(format!("{absolute:?} is not a directory path")))?;
    let table = DeltaTableBuilder::from_url(url).and_then(DeltaTableBuilder::build).map_err(StoreError::internal)?;
    Ok(table.log_store())
}

/// `day=2026-11-23`, as Delta readers expect it in paths.
pub(super) fn day_name(day: i64) -> String {
    DateTime::from_timestamp(day * 86_400, 0).map_or_else(|| day.to_string(), |t| t.format("%Y-%m-%d").to_string())
}

/// Delta statistics hold milliseconds; bounds are rounded outwards so that pruning stays right.
fn add(table: &Table, file: &NewFile, data_change: bool) -> Add {
    let text =
        |millis: i64| DateTime::from_timestamp_millis(millis).map(|t| t.to_rfc3339_opts(SecondsFormat::Millis, true));
    let stats = serde_json::json!({
        "numRecords": file.written.rows,
        "minValues": { table.time_column: text(file.written.time_min_micros.div_euclid(1000)) },
        "maxValues": { table.time_column: text(file.written.time_max_micros.div_euclid(1000) + 1) },
        "nullCount": { table.time_column: 0 },
    });
    Add {
        path: file.path.clone(),
        partition_values: HashMap::from([(DAY.to_owned(), Some(day_name(file.day)))]),
        size: file.written.size_bytes as i64,
        modification_time: file.written.modified_millis(),
        data_change,
        stats: Some(stats.to_string()),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}

fn remove(table: &Table, file: &DataFile, data_change: bool, now_millis: i64) -> Remove {
    let day = file.time_min_micros.div_euclid(DAY_MICROS);
    let within = file.path.as_ref().strip_prefix(table.name).map(|path| path.trim_start_matches('/'));
    Remove {
        path: within.unwrap_or_default().to_owned(),
        data_change,
        deletion_timestamp: Some(now_millis),
        extended_file_metadata: Some(true),
        partition_values: Some(HashMap::from([(DAY.to_owned(), Some(day_name(day)))])),
        size: Some(file.size_bytes as i64),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
    }
}

fn data_file(table: &Table, path: &str, size: i64, stats: Option<String>) -> Result<DataFile, StoreError> {
    let bad = |why: &str| StoreError::Corrupt { what: format!("the statistics of {path}"), why: why.to_owned() };
    let stats: serde_json::Value =
        serde_json::from_str(&stats.ok_or_else(|| bad("there are none"))?).map_err(|e| bad(&e.to_string()))?;
    let bound = |side: &str| {
        let text = stats[side][table.time_column].as_str().ok_or_else(|| bad("a time bound is missing"))?;
        let time = DateTime::parse_from_rfc3339(text).map_err(|e| bad(&e.to_string()))?;
        Ok::<_, StoreError>(time.timestamp_micros())
    };
    Ok(DataFile {
        path: ObjectPath::parse(format!("{}/{path}", table.name)).map_err(|e| bad(&e.to_string()))?,
        size_bytes: size.max(0) as u64,
        rows: stats["numRecords"].as_u64().ok_or_else(|| bad("the number of rows is missing"))?,
        time_min_micros: bound("minValues")?,
        time_max_micros: bound("maxValues")?,
    })
}
