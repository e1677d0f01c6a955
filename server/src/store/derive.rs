//! Rows of derived tables: written to files beside the flush, which swaps them in.
//!
//! **Invariant:** a reader sees the rows of a part of time either as they were or as they are now, whole.

use super::change::Change;
use super::delta::{NewFile, day_name};
use super::error::StoreError;
use super::open::Running;
use super::{columns, wal};
use arrow::array::RecordBatch;
use contract::Table;
use std::path::Path;

/// What becomes of a part of a derived table.
#[derive(Debug)]
pub struct Derived {
    /// Its rows, in [`contract::schema`] and in any order.
    pub rows: RecordBatch,
    /// Start of the part, Unix microseconds.
    pub from_micros: i64,
    /// Its end, on the same day.
    pub to_micros: i64,
    /// Position of the log up to which the whole table holds its source with them.
    pub covers: u64,
    /// The time of it, Unix microseconds.
    pub now_micros: i64,
}

pub(super) async fn derive(store: &Running, table: &'static Table, derived: Derived) -> Result<(), StoreError> {
    let Derived { rows, from_micros, to_micros, covers, now_micros } = derived;
    let within = |time: i64| (from_micros..to_micros).contains(&time);
    let files = store.tables.snapshot(table).files;
    let old: Vec<_> = files.iter().filter(|file| within(file.time_min_micros)).cloned().collect();
    let dir = store.tables_dir.join(table.name);
    let new = match rows.num_rows() {
        0 => None,
        _ => {
            let dir = dir.clone();
            let written = tokio::task::spawn_blocking(move || write(table, &dir, rows, covers)).await;
            Some(written.map_err(|error| StoreError::Internal(format!("a write stopped: {error}")))??)
        }
    };
    let written = new.as_ref().map(|file| dir.join(&file.path));
    if let Some(file) = &new
        && !(within(file.written.time_min_micros) && within(file.written.time_max_micros))
    {
        written.iter().for_each(|path| drop(std::fs::remove_file(path)));
        return Err(StoreError::Internal(format!("rows of {} lie outside of their part of time", table.name)));
    }
    let changed = store.change(table, Change::Derive { old, new, covers, now_micros }).await;
    changed.inspect_err(|error| {
        if !matches!(error, StoreError::Doubt(_) | StoreError::Closed) {
            // What stays is removed by the next start.
            written.iter().for_each(|path| drop(std::fs::remove_file(path)));
        }
    })
}

fn write(table: &'static Table, dir: &Path, rows: RecordBatch, covers: u64) -> Result<NewFile, StoreError> {
    let rows = columns::to_read_schema(table, &rows)?;
    let [day] = <[_; 1]>::try_from(columns::by_day(table, &[rows])?)
        .map_err(|_| StoreError::Internal(format!("rows of {} are not of one day", table.name)))?;
    let within = format!("day={}", day_name(day.day));
    let day_dir = dir.join(&within);
    std::fs::create_dir_all(&day_dir).map_err(StoreError::io("create a day's directory"))?;
    let path = format!("{within}/{covers:020}-{}.parquet", uuid::Uuid::new_v4());
    let written = columns::write_file(table, &day.rows, &dir.join(&path))?;
    wal::sync_dir(&day_dir)?;
    wal::sync_dir(dir)?;
    Ok(NewFile { path, day: day.day, written })
}
