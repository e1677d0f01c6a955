//! The question `status`: what is stored, up to when, and what was lost on the way.

use super::ask::{Asking, bounded, each_row};
use super::{Engine, QueryError};
use crate::store::{DataFile, Snapshot};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::TimestampMicrosecondType;
use contract::answers::TableStatus;
use object_store::path::Path;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The tables whose latest row says how far the telemetry reaches.
const TELEMETRY: [&str; 2] = ["gpu_samples", "host_samples"];

/// The tables that say which clusters there are.
const CLUSTERED: [&str; 4] = ["gpu_samples", "host_samples", "job_events", "device_events"];

/// The parts of the status that the tables tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DataStatus {
    /// Latest time of any GPU or host sample; none when there is none.
    pub data_time_unix_micros: Option<i64>,
    pub clusters: Vec<String>,
    /// Rows that collectors had to drop, as they reported it.
    pub rows_lost_total: u64,
    pub tables: Vec<TableStatus>,
}

impl Engine {
    pub async fn status(&self) -> Result<DataStatus, QueryError> {
        let snapshots = contract::TABLES.iter().map(|table| self.inner.store.snapshot(table));
        let tables: Vec<TableStatus> = snapshots.map(|snapshot| table_status(&snapshot)).collect();
        let telemetry = tables.iter().filter(|t| TELEMETRY.contains(&t.name.as_str()));
        let data_time_unix_micros = telemetry.filter_map(|t| t.time_max_unix_micros).max();
        let asking = Asking::new(self)?;
        let words = bounded(self, async move {
            let mut all = Words::default();
            for table in CLUSTERED {
                all.extend(words(&asking, table).await?);
            }
            Ok(all)
        })
        .await?;
        let rows_lost_total = u64::try_from(words.lost).unwrap_or_default();
        Ok(DataStatus {
            data_time_unix_micros,
            clusters: words.clusters.into_iter().collect(),
            rows_lost_total,
            tables,
        })
    }
}

/// What rows say of clusters and losses.
#[derive(Debug, Clone, Default)]
struct Words {
    clusters: BTreeSet<String>,
    lost: i64,
}

impl Words {
    fn extend(&mut self, other: Self) {
        self.clusters.extend(other.clusters);
        self.lost = self.lost.saturating_add(other.lost);
    }
}

/// What the files of each table say; each file is read once.
#[derive(Debug, Default)]
pub(super) struct WordsOfFiles(Mutex<HashMap<&'static str, (HashSet<Path>, Words)>>);

async fn words(asking: &Asking, table: &'static str) -> Result<Words, QueryError> {
    let Snapshot { files, hot, .. } = asking.snapshot(table).await?;
    let paths: HashSet<Path> = files.iter().map(|file| file.path.clone()).collect();
    let kept = &asking.engine().inner.words.0;
    let known = kept.lock().get(table).filter(|(read, _)| read.is_subset(&paths)).cloned();
    // A file that is gone takes its words along, so all are read again.
    let (read, mut words) = known.unwrap_or_default();
    let new: Vec<_> = files.iter().filter(|file| !read.contains(&file.path)).cloned().collect();
    if !new.is_empty() {
        words.extend(ask_words(asking, table, new, Arc::default()).await?);
        kept.lock().insert(table, (paths, words.clone()));
    }
    if !hot.is_empty() {
        words.extend(ask_words(asking, table, Vec::new(), hot).await?);
    }
    Ok(words)
}

async fn ask_words(
    asking: &Asking,
    table: &'static str,
    files: Vec<DataFile>,
    hot: Arc<[RecordBatch]>,
) -> Result<Words, QueryError> {
    let lost = if table == "device_events" { "sum(code) filter (where kind = 'dropped')" } else { "cast(0 as bigint)" };
    let rows = Snapshot { files: Arc::new(files), hot, ..asking.snapshot(table).await? };
    let rows = asking.rows_of(rows, |table| format!("select cluster, {lost} from {table} group by 1")).await?;
    let mut words = Words::default();
    for row in each_row(&rows) {
        words.clusters.extend(row.owned(0));
        words.lost = words.lost.saturating_add(row.int(1).unwrap_or_default());
    }
    Ok(words)
}

fn table_status(snapshot: &Snapshot) -> TableStatus {
    let files = snapshot.files.iter();
    let hot_times = snapshot.hot.iter().filter_map(|batch| bounds(batch, snapshot.table.time_column));
    let times = files.clone().map(|f| (f.time_min_micros, f.time_max_micros)).chain(hot_times);
    let (least, greatest): (Vec<i64>, Vec<i64>) = times.unzip();
    TableStatus {
        name: snapshot.table.name.to_owned(),
        rows: files.clone().map(|f| f.rows).chain(snapshot.hot.iter().map(|b| b.num_rows() as u64)).sum(),
        files: snapshot.files.len() as u64,
        stored_bytes: files.map(|f| f.size_bytes).sum(),
        time_min_unix_micros: least.into_iter().min(),
        time_max_unix_micros: greatest.into_iter().max(),
    }
}

fn bounds(batch: &RecordBatch, time_column: &str) -> Option<(i64, i64)> {
    let times = batch.column_by_name(time_column)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    if times.is_empty() { None } else { Some((min(times)?, max(times)?)) }
}
