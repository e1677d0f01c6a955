//! The Delta tables: opening them, listing their files, committing new ones.
//!
//! A commit on a local disk is synced before it gets its name; the flush syncs once more what it depends on. In a
//! bucket other servers commit as well: `settle` finds out what became of a commit that failed.

mod settle;

use super::DataFile;
use super::bucket::reason;
use super::columns::{DAY_MICROS, Written};
use super::durable::{DeltaLog, Sync};
use super::error::StoreError;
use super::place::Place;
use super::positions::{Covers, Positions};
use chrono::{DateTime, SecondsFormat};
use contract::Table;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake_core::kernel::{Action, Add, LogicalFileView, Remove, StructField, StructType, Transaction};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::checkpoints::create_checkpoint;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::state::DeltaTableState;
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use std::collections::HashMap;

/// The partition column; it is in paths, not in files.
const DAY: &str = "day";
/// The tag of a file that holds the CRC-32 of its bytes, in hexadecimal.
const CRC32: &str = "coulomb.crc32";
/// Of a file in a bucket: how far the logs had come whose rows it holds.
const LOGS: &str = "coulomb.logs";
/// Of a file of a derived table: how far the table holds its sources.
const COVERS: &str = "coulomb.covers";

/// Versions from one checkpoint to the next; a reader that opens the table reads at most so many files.
const CHECKPOINT_VERSIONS: u64 = 100;

/// An open table: its log and the state after the last commit.
pub(super) struct Delta {
    log: LogStoreRef,
    state: DeltaTableState,
    place: Place,
    /// Of a local disk.
    unsynced: Option<DeltaLog>,
    /// The version at which it was last looked whether the log is to be summed up.
    looked_at: u64,
    /// A change of files may still take effect.
    in_doubt: bool,
    /// The version whose files the readers see.
    shown: Option<u64>,
}

/// A written file that is to be committed.
pub(super) struct NewFile {
    /// Path within the table.
    pub path: String,
    /// Days since the epoch.
    pub day: i64,
    pub written: Written,
    pub logs: Positions,
    /// How far a derived table holds its sources with it.
    pub covers: Option<Covers>,
}

impl NewFile {
    pub(super) fn as_data_file(&self, table: &Table) -> DataFile {
        DataFile {
            path: ObjectPath::from(format!("{}/{}", table.name, self.path)),
            size_bytes: self.written.size_bytes,
            rows: self.written.rows,
            time_min_micros: self.written.time_min_micros,
            time_max_micros: self.written.time_max_micros,
            logs: self.logs.clone(),
        }
    }
}

impl Delta {
    /// Opens a table, or `None` where there is none yet.
    pub(super) async fn open(place: &Place, table: &Table) -> Result<Option<Self>, StoreError> {
        if !place.may_have_log(table.name) {
            return Ok(None);
        }
        let log = place.log_store(table.name)?;
        if place.is_shared() && !log.is_delta_table_location().await.map_err(|e| unreadable(place, table, e))? {
            return Ok(None);
        }
        match DeltaTableState::try_new(&*log, None).await {
            Ok(state) => Ok(Some(Self::new(place, table, log, state))),
            Err(DeltaTableError::NotATable(_)) => Ok(None),
            Err(error) => Err(unreadable(place, table, error)),
        }
    }

    fn new(place: &Place, table: &Table, log: LogStoreRef, state: DeltaTableState) -> Self {
        let looked_at = state.version();
        let unsynced = place.unsynced_log(table.name);
        Self { log, state, place: place.clone(), unsynced, looked_at, in_doubt: false, shown: None }
    }

    /// Opens a table, which an earlier try or another server may have made.
    pub(super) async fn open_or_create(place: &Place, table: &Table) -> Result<Self, StoreError> {
        if let Some(delta) = Self::open(place, table).await? {
            return Ok(delta);
        }
        place.prepare(table.name)?;
        let log = place.log_store(table.name)?;
        let schema: StructType = contract::schema(table).as_ref().try_into_kernel().map_err(StoreError::internal)?;
        let day = StructField::nullable(DAY, deltalake_core::kernel::DataType::DATE);
        let created = CreateBuilder::new()
            .with_log_store(log.clone())
            .with_table_name(table.name)
            .with_comment(table.doc)
            .with_columns(schema.fields().cloned().chain([day]))
            .with_partition_columns([DAY])
            // Who finds the first version there must not describe the table once more in a second one.
            .with_commit_properties(CommitProperties::default().with_max_retries(0))
            .await;
        if let Err(error) = created {
            let made_by_another = if place.is_shared() { Self::open(place, table).await? } else { None };
            return made_by_another.ok_or_else(|| failed(table, error));
        }
        let state = DeltaTableState::try_new(&*log, None).await.map_err(|e| unreadable(place, table, e))?;
        Ok(Self::new(place, table, log, state))
    }

    /// The position of this server's log up to which the table holds everything.
    pub(super) async fn position(&self) -> Result<u64, StoreError> {
        let version = self.state.transaction_version(&*self.log, self.place.application()).await;
        Ok(version.map_err(|e| self.read_failed(e))?.map_or(0, |v| v as u64))
    }

    pub(super) fn files(&self, table: &Table) -> Result<Vec<DataFile>, StoreError> {
        let file = |view: LogicalFileView| {
            let logs = if self.place.is_shared() { tag(&view, LOGS) } else { None };
            data_file(table, &view, logs.as_deref())
        };
        self.state.log_data().iter().map(file).collect()
    }

    /// How far it holds its sources, if it is derived; the files together say it.
    pub(super) fn covers(&self) -> Covers {
        let mut all = Covers::default();
        for covers in self.state.log_data().iter().filter_map(|view| Covers::from_text(&tag(&view, COVERS)?)) {
            all.raise(&covers);
        }
        all
    }

    /// The files for the readers, who see this version from now on.
    pub(super) fn files_to_show(&mut self, table: &Table) -> Result<Vec<DataFile>, StoreError> {
        let files = self.files(table)?;
        self.shown = Some(self.state.version());
        Ok(files)
    }

    /// Whether the readers see the version that was read last.
    pub(super) fn is_shown(&self) -> bool {
        self.shown == Some(self.state.version())
    }

    /// The files with the CRC-32 of their bytes, where the log has one.
    pub(super) fn summed_files(&self, table: &Table) -> Result<Vec<(DataFile, Option<u32>)>, StoreError> {
        let views = self.state.log_data().into_iter();
        views
            .map(|view| {
                let sum = tag(&view, CRC32).and_then(|sum| u32::from_str_radix(&sum, 16).ok());
                Ok((data_file(table, &view, tag(&view, LOGS).as_deref())?, sum))
            })
            .collect()
    }

    pub(super) fn version(&self) -> u64 {
        self.state.version()
    }

    /// Paths within the table of all files that the current version names.
    pub(super) fn named(&self) -> Vec<String> {
        self.state.log_data().iter().map(|view| view.path().to_string()).collect()
    }

    /// Likewise of those that, as far as the log still says, an earlier version names and the current one does not.
    pub(super) async fn replaced(&self) -> Result<Vec<String>, StoreError> {
        let removed = self.state.all_tombstones(&*self.log).map_ok(|file| file.path().to_string());
        removed.try_collect().await.map_err(|e| self.read_failed(e))
    }

    /// Adds files as one version that also says how far the log is covered.
    ///
    /// After an error the version may be there all the same: [`Self::settle`] and [`Self::position`] tell.
    pub(super) async fn commit(&mut self, table: &Table, files: &[NewFile], position: u64) -> Result<(), StoreError> {
        let actions = files.iter().map(|f| Action::Add(add(table, f, true))).collect();
        let covers = Transaction::new(self.place.application(), position as i64);
        let operation =
            DeltaOperation::Write { mode: SaveMode::Append, partition_by: Some(vec![DAY.to_owned()]), predicate: None };
        self.put(table, actions, CommitProperties::default().with_application_transaction(covers), operation).await
    }

    /// Takes files away as one version; `new` has their rows, or nobody has. The version follows the one that was
    /// read last, or there is none: the library lets two merges of the same files pass, which would double rows.
    async fn replace(
        &mut self,
        table: &Table,
        old: &[DataFile],
        new: Option<&NewFile>,
        now_millis: i64,
        is_derived: bool,
    ) -> Result<(), StoreError> {
        let other_rows = new.is_none() || is_derived;
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
        let once = CommitProperties::default().with_max_retries(0);
        self.put(table, removed.chain(added).collect(), once, operation).await
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

    /// Returns when all versions are on disk.
    pub(super) fn sync(&mut self, sync: &mut Sync) -> Result<(), StoreError> {
        self.unsynced.as_mut().map_or(Ok(()), |log| log.sync(sync))
    }

    /// Sums the log up after every so many versions.
    pub(super) async fn checkpoint_if_due(&mut self, sync: &mut Sync) -> Result<(), StoreError> {
        let version = self.state.version();
        let hundreds = |version: u64| (version + 1) / CHECKPOINT_VERSIONS;
        let is_due = hundreds(version) > hundreds(self.looked_at);
        self.looked_at = version;
        if !is_due {
            return Ok(());
        }
        let mut table = DeltaTable::new(self.log.clone());
        table.state = Some(self.state.clone());
        create_checkpoint(&table, None).await.map_err(|e| self.read_failed(e))?;
        self.sync(sync)
    }

    fn read_failed(&self, error: DeltaTableError) -> StoreError {
        match self.place.is_shared() {
            true => StoreError::Bucket { what: "read or sum up a table's log".into(), why: reason(&error) },
            false => StoreError::internal(error),
        }
    }
}

/// [`StoreError::Overtaken`] only where the version is certain not to come.
fn failed(table: &Table, error: DeltaTableError) -> StoreError {
    match error {
        DeltaTableError::Transaction {
            source: TransactionError::CommitConflict(_) | TransactionError::MaxCommitAttempts(_),
        } => StoreError::Overtaken { table: table.name },
        error => StoreError::Io {
            what: format!("commit to table {}", table.name),
            source: std::io::Error::other(reason(&error)),
        },
    }
}

fn unreadable(place: &Place, table: &Table, error: DeltaTableError) -> StoreError {
    let (what, why) = (format!("the log of table {}", table.name), reason(&error));
    match place.is_shared() {
        true => StoreError::Bucket { what: format!("read {what}"), why },
        false => StoreError::Corrupt { what, why },
    }
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
    let crc32 = (CRC32, format!("{:08x}", file.written.crc32));
    let logs = (!file.logs.are_local()).then(|| (LOGS, file.logs.to_text()));
    let covers = file.covers.as_ref().map(|covers| (COVERS, covers.to_text()));
    let tags = std::iter::once(crc32).chain(logs).chain(covers);
    let tags = tags.map(|(name, value)| (name.to_owned(), Some(value))).collect();
    Add {
        path: file.path.clone(),
        partition_values: HashMap::from([(DAY.to_owned(), Some(day_name(file.day)))]),
        size: file.written.size_bytes as i64,
        modification_time: file.written.modified_millis(),
        data_change,
        stats: Some(stats.to_string()),
        // Other readers skip what they do not know.
        tags: Some(tags),
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}

/// The path of a file within its table.
fn within<'a>(table: &Table, file: &'a DataFile) -> &'a str {
    file.path.as_ref().strip_prefix(table.name).map_or("", |path| path.trim_start_matches('/'))
}

fn remove(table: &Table, file: &DataFile, data_change: bool, now_millis: i64) -> Remove {
    let day = file.time_min_micros.div_euclid(DAY_MICROS);
    Remove {
        path: within(table, file).to_owned(),
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

/// A tag of a file.
fn tag(view: &LogicalFileView, name: &str) -> Option<String> {
    // The view has no other door to the tags.
    #[allow(deprecated)]
    view.add_action().tags?.remove(name)?
}

/// `logs` is the tag of that name; without it, the file's name says how far the only log had come.
fn data_file(table: &Table, view: &LogicalFileView, logs: Option<&str>) -> Result<DataFile, StoreError> {
    let (path, size, stats) = (view.path().to_string(), view.size(), view.stats());
    let named = || path.rsplit('/').next()?.split('-').next()?.parse().ok();
    let logs = logs.and_then(Positions::from_text).unwrap_or_else(|| Positions::local(named().unwrap_or(0)));
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
        logs,
    })
}
