//! The derived table `jobs`: one row per cluster, job and attempt, as the latest events have it.
//!
//! **Invariant:** a column holds its latest non-null value by event time; events of the same time rank by
//! their kind, so that an `ended` wins over the `started` of the same microsecond. A start or end that no
//! event states is the time of the `started` or `ended` event itself; a `requeued` event stands for the
//! submission of the attempt that it names. The rows are a pure fold of
//! `job_events` and are kept until that table changes.

use super::tables::SnapshotTable;
use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, RecordBatch, StringViewArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::{ExecutionPlan, collect};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) const NAME: &str = "jobs";
pub(super) const EVENTS: &str = "job_events";
/// Rows of one batch of the table; the engine's own batch size.
const BATCH_ROWS: usize = 8192;

/// The columns of `job_events`, then what follows from them.
pub(super) fn schema() -> SchemaRef {
    let events = contract::read_schema(contract::table(EVENTS).expect("the contract has job_events"));
    let derived = |name: &str, doc: &str| {
        let metadata = HashMap::from([("unit".to_owned(), "seconds".to_owned()), ("doc".to_owned(), doc.to_owned())]);
        Arc::new(Field::new(name, DataType::Float64, true).with_metadata(metadata))
    };
    let mut fields: Vec<_> = events.fields().iter().cloned().collect();
    fields.push(derived("gpu_seconds", "GPUs times the time from start to end; without an end, to the latest event after the start, and null before one"));
    fields.push(derived("queue_seconds", "From submission to start"));
    Arc::new(Schema::new(fields))
}

/// The rows of the latest generation of `job_events` that was asked for.
#[derive(Debug, Default)]
pub(super) struct FoldedCache {
    rows: Mutex<Option<(u64, Arc<Vec<RecordBatch>>)>>,
}

/// How events become the rows of a table of some schema.
pub(super) type FoldEvents = fn(&[RecordBatch], &SchemaRef) -> Result<Vec<RecordBatch>>;

/// A table that is a pure fold of `job_events`.
#[derive(Debug)]
pub(super) struct FoldedTable {
    schema: SchemaRef,
    events: SnapshotTable,
    cache: Arc<FoldedCache>,
    fold: FoldEvents,
}

impl FoldedTable {
    /// The table `jobs`.
    pub(super) fn jobs(events: SnapshotTable, cache: Arc<FoldedCache>) -> Self {
        Self::new(events, cache, schema(), fold)
    }

    pub(super) fn new(events: SnapshotTable, cache: Arc<FoldedCache>, schema: SchemaRef, fold: FoldEvents) -> Self {
        Self { schema, events, cache, fold }
    }

    async fn rows(&self, state: &dyn Session) -> Result<Arc<Vec<RecordBatch>>> {
        let generation = self.events.generation();
        if let Some((kept, rows)) = &*self.cache.rows.lock()
            && *kept == generation
        {
            return Ok(Arc::clone(rows));
        }
        let plan = self.events.scan(state, None, &[], None).await?;
        let events = collect(plan, state.task_ctx()).await?;
        let rows = Arc::new((self.fold)(&events, &self.schema)?);
        *self.cache.rows.lock() = Some((generation, Arc::clone(&rows)));
        Ok(rows)
    }
}

#[async_trait]
impl TableProvider for FoldedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.rows(state).await?;
        let count = state.config().target_partitions().max(1);
        let mut parts = vec![Vec::new(); count];
        for (i, batch) in rows.iter().enumerate() {
            parts[i % count].push(batch.clone());
        }
        Ok(MemorySourceConfig::try_new_exec(&parts, Arc::clone(&self.schema), projection.cloned())?)
    }
}

/// Where a value stands among the events: batch and row.
type Place = (usize, usize);

/// When a value was said; a later one replaces it.
type Rank = (i64, u8);

/// What the events of one attempt have said so far.
struct Attempt {
    columns: Vec<Option<(Rank, Place)>>,
    /// Times of its `submitted` and `started` events, the earliest, and of `ended`, the latest.
    submitted: Option<i64>,
    started: Option<i64>,
    ended: Option<i64>,
}

fn fold(events: &[RecordBatch], schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let width = schema.fields().len() - 2;
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut key = String::new();
    for (number, batch) in events.iter().enumerate() {
        let view = Events::new(batch)?;
        for row in 0..batch.num_rows() {
            view.write_key(row, &mut key);
            let at = match places.get(&key) {
                Some(at) => *at,
                None => {
                    attempts.push(Attempt { columns: vec![None; width], submitted: None, started: None, ended: None });
                    places.insert(key.clone(), attempts.len() - 1);
                    attempts.len() - 1
                }
            };
            attempts[at].hear(&view, number, row);
        }
    }
    attempts.chunks(BATCH_ROWS).map(|part| build(part, events, schema)).collect()
}

/// The columns of a batch of events that the fold itself reads.
struct Events<'a> {
    batch: &'a RecordBatch,
    time: &'a TimestampMicrosecondArray,
    cluster: &'a StringViewArray,
    job_id: &'a StringViewArray,
    attempt: &'a Int64Array,
    kind: &'a StringViewArray,
}

impl<'a> Events<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Self> {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| internal_datafusion_err!("job_events has no column {name:?}"))
        };
        Ok(Self {
            batch,
            time: column("time")?.as_primitive::<TimestampMicrosecondType>(),
            cluster: column("cluster")?.as_string_view(),
            job_id: column("job_id")?.as_string_view(),
            attempt: column("attempt")?.as_primitive::<Int64Type>(),
            kind: column("kind")?.as_string_view(),
        })
    }

    /// The length of the first part keeps `a` + `bc` apart from `ab` + `c`.
    fn write_key(&self, row: usize, key: &mut String) {
        use std::fmt::Write;
        let (cluster, job, attempt) = (self.cluster.value(row), self.job_id.value(row), self.attempt.value(row));
        key.clear();
        write!(key, "{} {attempt} {cluster}{job}", cluster.len()).expect("writing to a string does not fail");
    }
}

impl Attempt {
    fn hear(&mut self, events: &Events<'_>, number: usize, row: usize) {
        let time = events.time.value(row);
        let kind = events.kind.value(row);
        let rank = (time, kind_rank(kind));
        for (column, array) in self.columns.iter_mut().zip(events.batch.columns()) {
            if array.is_valid(row) && column.is_none_or(|(heard, _)| rank >= heard) {
                *column = Some((rank, (number, row)));
            }
        }
        match kind {
            "submitted" | "requeued" => self.submitted = Some(self.submitted.map_or(time, |t| t.min(time))),
            "started" => self.started = Some(self.started.map_or(time, |t| t.min(time))),
            "ended" => self.ended = Some(self.ended.map_or(time, |t| t.max(time))),
            _ => {}
        }
    }
}

pub(super) fn kind_rank(kind: &str) -> u8 {
    match kind {
        "submitted" | "requeued" => 0,
        "started" => 1,
        "updated" => 2,
        _ => 3,
    }
}

fn build(attempts: &[Attempt], events: &[RecordBatch], schema: &SchemaRef) -> Result<RecordBatch> {
    let width = schema.fields().len() - 2;
    let mut columns = (0..width).map(|at| latest(attempts, events, at, schema)).collect::<Result<Vec<_>>>()?;
    let index = |name: &str| schema.index_of(name).map_err(|e| internal_datafusion_err!("{e}"));
    let submitted = filled(&columns[index("submitted_at")?], attempts.iter().map(|a| a.submitted));
    let started = filled(&columns[index("started_at")?], attempts.iter().map(|a| a.started));
    let ended = filled(&columns[index("ended_at")?], attempts.iter().map(|a| a.ended));
    let time = columns[index("time")?].as_primitive::<TimestampMicrosecondType>();
    let requested = columns[index("gpus_requested")?].as_primitive::<Int64Type>();
    let held: &ListArray = columns[index("gpu_uuids")?].as_list();
    let rows = attempts.len();
    let gpu_seconds: Float64Array = (0..rows)
        .map(|row| {
            let started = started.is_valid(row).then(|| started.value(row));
            let until = match ended.is_valid(row) {
                true => Some(ended.value(row)),
                // The start itself says nothing about how long the job has run.
                false => Some(time.value(row)).filter(|time| started.is_some_and(|started| *time > started)),
            };
            gpu_seconds(gpus(requested, held, row)?, started, until)
        })
        .collect();
    let queue_seconds: Float64Array = (0..rows)
        .map(|row| {
            let known = started.is_valid(row) && submitted.is_valid(row);
            known.then(|| (started.value(row) - submitted.value(row)) as f64 / 1e6)
        })
        .collect();
    for (name, times) in [("submitted_at", submitted), ("started_at", started), ("ended_at", ended)] {
        columns[index(name)?] = Arc::new(times);
    }
    columns.push(Arc::new(gpu_seconds));
    columns.push(Arc::new(queue_seconds));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// The latest value of one column for each attempt, null where no event had one.
fn latest(attempts: &[Attempt], events: &[RecordBatch], at: usize, schema: &SchemaRef) -> Result<ArrayRef> {
    let null = new_null_array(schema.field(at).data_type(), 1);
    let mut sources: Vec<&dyn Array> = events.iter().map(|batch| batch.column(at).as_ref()).collect();
    sources.push(null.as_ref());
    let nowhere = (events.len(), 0);
    let places: Vec<Place> = attempts.iter().map(|a| a.columns[at].map_or(nowhere, |(_, place)| place)).collect();
    Ok(interleave(&sources, &places)?)
}

/// Stated times, and where none is stated, those of the events that imply them.
fn filled(stated: &ArrayRef, implied: impl Iterator<Item = Option<i64>>) -> TimestampMicrosecondArray {
    let stated = stated.as_primitive::<TimestampMicrosecondType>();
    let times: TimestampMicrosecondArray = stated.iter().zip(implied).map(|(s, i)| s.or(i)).collect();
    times.with_timezone("UTC")
}

/// GPUs that the attempt holds: as requested, else as many as it names. Fewer than none is not a number of GPUs.
fn gpus(requested: &Int64Array, held: &ListArray, row: usize) -> Option<i64> {
    if requested.is_valid(row) && requested.value(row) >= 0 {
        return Some(requested.value(row));
    }
    held.is_valid(row).then(|| held.value_length(row).into())
}

/// Exact while the product stays under 2^53 microseconds, which is 285 GPU-years for one job.
fn gpu_seconds(gpus: i64, started: Option<i64>, until: Option<i64>) -> Option<f64> {
    if gpus == 0 {
        return Some(0.0);
    }
    let micros = until?.saturating_sub(started?).max(0);
    Some((i128::from(gpus) * i128::from(micros)) as f64 / 1e6)
}
