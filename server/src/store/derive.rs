//! Rows of derived tables: written to files beside the flush, which swaps them in.
//!
//! **Invariant:** a reader sees the rows of a part of time either as they were or as they are now, whole.

use super::Snapshot;
use super::change::Change;
use super::columns;
use super::delta::{NewFile, day_name};
use super::error::StoreError;
use super::open::Running;
use super::place::Place;
use super::positions::{Covers, Positions};
use arrow::array::RecordBatch;
use contract::Table;
use std::sync::Arc;
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
    /// How far the whole table holds its sources with them, beside what it held before.
    pub covers: Covers,
    /// The time of it, Unix microseconds.
    pub now_micros: i64,
}

pub(super) async fn derive(store: &Running, plan: &mut Snapshot, derived: Derived) -> Result<(), StoreError> {
    let Derived { rows, from_micros, to_micros, covers: further, now_micros } = derived;
    let table = plan.table;
    let within = |time: i64| (from_micros..to_micros).contains(&time);
    let (old, mut files): (Vec<_>, Vec<_>) = plan.files.iter().cloned().partition(|file| within(file.time_min_micros));
    let mut covers = plan.covers.as_ref().clone();
    covers.raise(&further);
    let new = match rows.num_rows() {
        0 => None,
        _ => Some(write(&store.place, table, rows, covers.clone()).await?),
    };
    if new.is_some() || !old.is_empty() {
        let path = new.as_ref().map(|file| format!("{}/{}", table.name, file.path));
        files.extend(new.as_ref().map(|file| file.as_data_file(table)));
        let outside =
            new.iter().any(|file| !within(file.written.time_min_micros) || !within(file.written.time_max_micros));
        let changed = match outside {
            true => Err(StoreError::Internal(format!("rows of {} lie outside of their part of time", table.name))),
            false => {
                let part = (from_micros, to_micros);
                let change = Change::Derive { old, new, part, covers: covers.clone(), now_micros };
                store.change(table, change).await
            }
        };
        if let (Err(error), Some(path)) = (&changed, path)
            && !matches!(error, StoreError::Doubt(_) | StoreError::Closed)
        {
            // What stays is removed by the next start.
            drop(store.place.remove(&path).await);
        }
        changed?;
    } else {
        store.tables.covers(table, &covers);
    }
    plan.files = Arc::new(files);
    plan.covers = Arc::new(covers);
    Ok(())
}

async fn write(place: &Place, table: &'static Table, rows: RecordBatch, covers: Covers) -> Result<NewFile, StoreError> {
    let (place, runtime) = (place.clone(), Handle::current());
    let write = move || {
        let rows = [columns::to_read_schema(table, &rows)?];
        let [day] = <[_; 1]>::try_from(columns::by_day(table, &rows)?)
            .map_err(|_| StoreError::Internal(format!("rows of {} are not of one day", table.name)))?;
        let position = covers.greatest();
        let path = format!("day={}/{position:020}-{}.parquet", day_name(day.day), uuid::Uuid::new_v4());
        let within_place = format!("{}/{path}", table.name);
        let draft = place.draft(&within_place)?;
        let written = columns::write_file(table, &day, draft.path())?;
        runtime.block_on(place.keep(&[(within_place, draft)]))?;
        Ok(NewFile { path, day: day.day, written, logs: Positions::local(position), covers: Some(covers) })
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.map_err(|error| StoreError::Internal(format!("a write stopped: {error}")))?
}
