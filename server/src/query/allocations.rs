//! The derived table `allocations`: which job held which GPU, from when to when, as its scheduler says.
//!
//! **Invariant:** the rows are a pure fold of `job_events`, whatever the order in which these came. A list of GPUs
//! counts from the time of its event on, the first one from the start; a job that is suspended holds nothing; an
//! attempt whose end nobody states ends where the next one begins. Attempts that name no GPU have no rows.

mod attempt;
mod fold;

use super::jobs::{FoldedCache, FoldedTable};
use super::tables::SnapshotTable;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) const NAME: &str = "allocations";

pub(super) fn table(events: SnapshotTable, cache: Arc<FoldedCache>) -> FoldedTable {
    FoldedTable::new(events, cache, schema(), fold::fold)
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let column = |name: &str, kind: &DataType, nullable: bool, unit: &str, doc: &str| {
        let metadata = HashMap::from([("unit".to_owned(), unit.to_owned()), ("doc".to_owned(), doc.to_owned())]);
        Arc::new(Field::new(name, kind.clone(), nullable).with_metadata(metadata))
    };
    let (text, int) = (DataType::Utf8View, DataType::Int64);
    Arc::new(Schema::new(vec![
        column("cluster", &text, false, "", "Name of the cluster"),
        column("job_id", &text, false, "", "Scheduler's own id"),
        column("attempt", &int, false, "", "Attempt, from 0"),
        column("node", &text, true, "", "Node of the GPU, where the scheduler names it or the job has one node only"),
        column("gpu_uuid", &text, true, "", "GPU or MIG instance; null where the scheduler says an index only"),
        column("gpu_index", &int, true, "", "Index of the GPU on its node, where the scheduler says no UUID"),
        column("share_count", &int, true, "count", "Shares of the GPU that it holds; null where it holds all of it"),
        column("started_at", &time, false, "time", "From when on"),
        column("ended_at", &time, true, "time", "Until when; null while it holds it"),
        column("source", &text, false, "", "One of gpu_uuid, gpu_index: what the scheduler says"),
    ]))
}
