//! The Delta tables: opening them, listing their files, committing new ones.
//!
//! Commits go through `object_store`, which does not sync on a local disk; the flush does that itself.

use super::error::StoreError;
use super::{DataFile, columns::Day};
use chrono::{DateTime, SecondsFormat};
use contract::Table;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add, StructField, StructType, Transaction};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::state::DeltaTableState;
use deltalake_core::{DeltaTableBuilder, DeltaTableError};
use object_store::path::Path as ObjectPath;
use std::collections::HashMap;
use std::path::Path;
use url::Url;

/// Names the log's position in the transactions of a Delta table.
const APPLICATION: &str = "coulomb-wal";
/// The partition column; it is in paths, not in files.
const DAY: &str = "day";

/// An open table: its log and the state after the last commit.
pub(super) struct Delta {
    log: LogStoreRef,
    state: DeltaTableState,
}

/// A written file that is to be committed.
pub(super) struct NewFile<'a> {
    /// Path within the table.
    pub path: String,
    pub size_bytes: u64,
    pub day: &'a Day,
}

impl Delta {
    /// Opens the table in `dir`, or `None` where there is none yet.
    pub(super) async fn open(dir: &Path) -> Result<Option<Self>, StoreError> {
        if !dir.join("_delta_log").exists() {
            return Ok(None);
        }
        let log = log_store(dir)?;
        match DeltaTableState::try_new(&*log, None).await {
            Ok(state) => Ok(Some(Self { log, state })),
            Err(DeltaTableError::NotATable(_)) => Ok(None),
            Err(error) => Err(corrupt(dir, error)),
        }
    }

    pub(super) async fn create(dir: &Path, table: &Table) -> Result<Self, StoreError> {
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
            .map_err(StoreError::internal)?;
        let state = DeltaTableState::try_new(&*log, None).await.map_err(|e| corrupt(dir, e))?;
        Ok(Self { log, state })
    }

    /// The log position up to which the table holds everything.
    pub(super) async fn position(&self) -> Result<u64, StoreError> {
        let version = self.state.transaction_version(&*self.log, APPLICATION).await.map_err(StoreError::internal)?;
        Ok(version.map_or(0, |v| v as u64))
    }

    pub(super) fn files(&self, table: &Table) -> Result<Vec<DataFile>, StoreError> {
        self.state.log_data().iter().map(|view| data_file(table, &view.path(), view.size(), view.stats())).collect()
    }

    /// Adds files as one version that also says how far the log is covered.
    pub(super) async fn commit(
        &mut self,
        table: &Table,
        files: &[NewFile<'_>],
        position: u64,
    ) -> Result<(), StoreError> {
        let now_millis = |file: &NewFile<'_>| file.day.time_max_micros / 1000;
        let actions = files.iter().map(|f| Action::Add(add(table, f, now_millis(f)))).collect();
        let properties = CommitProperties::default()
            .with_application_transaction(Transaction::new(APPLICATION, position as i64))
            .with_cleanup_expired_logs(Some(false));
        let operation =
            DeltaOperation::Write { mode: SaveMode::Append, partition_by: Some(vec![DAY.to_owned()]), predicate: None };
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.state), self.log.clone(), operation)
            .await
            .map_err(|error| StoreError::Io {
                what: format!("commit to table {}", table.name),
                source: std::io::Error::other(error),
            })?;
        self.state = committed.snapshot();
        Ok(())
    }
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
fn add(table: &Table, file: &NewFile<'_>, modification_time: i64) -> Add {
    let text =
        |millis: i64| DateTime::from_timestamp_millis(millis).map(|t| t.to_rfc3339_opts(SecondsFormat::Millis, true));
    let stats = serde_json::json!({
        "numRecords": file.day.rows.num_rows(),
        "minValues": { table.time_column: text(file.day.time_min_micros.div_euclid(1000)) },
        "maxValues": { table.time_column: text(file.day.time_max_micros.div_euclid(1000) + 1) },
        "nullCount": { table.time_column: 0 },
    });
    Add {
        path: file.path.clone(),
        partition_values: HashMap::from([(DAY.to_owned(), Some(day_name(file.day.day)))]),
        size: file.size_bytes as i64,
        modification_time,
        data_change: true,
        stats: Some(stats.to_string()),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
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
