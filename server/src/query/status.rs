//! The question `status`: what is stored, up to when, and what was lost on the way.

use super::ask::{Asking, bounded, each_row};
use super::{Engine, QueryError};
use crate::store::Snapshot;
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::TimestampMicrosecondType;
use contract::answers::TableStatus;

/// The tables whose latest row says how far the telemetry reaches, and which clusters there are.
const TELEMETRY: [&str; 2] = ["gpu_samples", "host_samples"];

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
        let (clusters, rows_lost_total) = bounded(self, async move {
            let lost = asking.rows("select sum(code) from device_events where kind = 'dropped'", vec![]).await?;
            let lost = each_row(&lost).next().and_then(|row| row.int(0)).unwrap_or_default();
            Ok((clusters(&asking).await?, u64::try_from(lost).unwrap_or_default()))
        })
        .await?;
        Ok(DataStatus { data_time_unix_micros, clusters, rows_lost_total, tables })
    }
}

async fn clusters(asking: &Asking) -> Result<Vec<String>, QueryError> {
    let sql = "select cluster from gpu_samples union select cluster from host_samples \
               union select cluster from job_events union select cluster from device_events order by 1";
    Ok(each_row(&asking.rows(sql, vec![]).await?).filter_map(|row| row.owned(0)).collect())
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
