//! Rows of derived tables: written to files beside the flush, which swaps them in.
//!
//! **Invariant:** a reader sees the rows of a part of time either as they were or as they are now, whole.

use super::change::Change;
use super::columns;
use super::delta::{NewFile, day_name};
use super::error::StoreError;
use super::open::Running;
use super::place::Place;
use arrow::array::RecordBatch;
use contract::Table;
use tokio::runtime::Handle;

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
    let new = match rows.num_rows() {
        0 => None,
        _ => Some(write(&store.place, table, rows, covers).await?),
    };
    let path = new.as_ref().map(|file| format!("{}/{}", table.name, file.path));
    let times = new.as_ref().map(|file| (file.written.time_min_micros, file.written.time_max_micros));
    let changed = match times {
        Some((first, last)) if !within(first) || !within(last) => {
            Err(StoreError::Internal(format!("rows of {} lie outside of their part of time", table.name)))
        }
        _ => store.change(table, Change::Derive { old, new, covers, now_micros }).await,
    };
    if let (Err(error), Some(path)) = (&changed, path)
        && !matches!(error, StoreError::Doubt(_) | StoreError::Closed)
    {
        // What stays is removed by the next start.
        drop(store.place.remove(&path).await);
    }
    changed
}

async fn write(place: &Place, table: &'static Table, rows: RecordBatch, covers: u64) -> Result<NewFile, StoreError> {
    let (place, runtime) = (place.clone(), Handle::current());
    let write = move || {
        let rows = [columns::to_read_schema(table, &rows)?];
        let [day] = <[_; 1]>::try_from(columns::by_day(table, &rows)?)
            .map_err(|_| StoreError::Internal(format!("rows of {} are not of one day", table.name)))?;
        let path = format!("day={}/{covers:020}-{}.parquet", day_name(day.day), uuid::Uuid::new_v4());
        let within_place = format!("{}/{path}", table.name);
        let draft = place.draft(&within_place)?;
        let written = columns::write_file(table, &day, draft.path())?;
        runtime.block_on(place.keep(&[(within_place, draft)]))?;
        Ok(NewFile { path, day: day.day, written })
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.map_err(|error| StoreError::Internal(format!("a write stopped: {error}")))?
}
