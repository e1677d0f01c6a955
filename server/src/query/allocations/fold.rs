//! Events of jobs → rows of `allocations`.

use super::super::jobs::kind_rank;
use super::attempt::{self, Event, Gpu, Held};
use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use datafusion::common::{Result, internal_datafusion_err};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Rows of one batch of the table.
const BATCH_ROWS: usize = 8192;

type JobId<'e> = (&'e str, &'e str);

/// The columns of a batch of events that the fold reads.
struct Events<'e> {
    time: &'e TimestampMicrosecondArray,
    cluster: &'e StringViewArray,
    job_id: &'e StringViewArray,
    attempt: &'e Int64Array,
    kind: &'e StringViewArray,
    state: &'e StringViewArray,
    started_at: &'e TimestampMicrosecondArray,
    ended_at: &'e TimestampMicrosecondArray,
    nodes: &'e ListArray,
    gpus: &'e ListArray,
}

impl<'e> Events<'e> {
    fn new(batch: &'e RecordBatch) -> Result<Self> {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| internal_datafusion_err!("job_events has no column {name:?}"))
        };
        Ok(Self {
            time: column("time")?.as_primitive::<TimestampMicrosecondType>(),
            cluster: column("cluster")?.as_string_view(),
            job_id: column("job_id")?.as_string_view(),
            attempt: column("attempt")?.as_primitive::<Int64Type>(),
            kind: column("kind")?.as_string_view(),
            state: column("state")?.as_string_view(),
            started_at: column("started_at")?.as_primitive::<TimestampMicrosecondType>(),
            ended_at: column("ended_at")?.as_primitive::<TimestampMicrosecondType>(),
            nodes: column("nodes")?.as_list(),
            gpus: column("gpu_uuids")?.as_list(),
        })
    }

    fn job(&self, row: usize) -> JobId<'e> {
        (self.cluster.value(row), self.job_id.value(row))
    }

    fn names_gpus(&self, row: usize) -> bool {
        self.gpus.is_valid(row) && self.gpus.value_length(row) > 0
    }

    fn event(&self, row: usize) -> Event {
        let time = |times: &TimestampMicrosecondArray| times.is_valid(row).then(|| times.value(row));
        let kind = self.kind.value(row);
        Event {
            time: self.time.value(row),
            rank: kind_rank(kind),
            kind: kind.into(),
            started_at: time(self.started_at),
            ended_at: time(self.ended_at),
            suspended: self.state.is_valid(row).then(|| attempt::is_suspended(self.state.value(row))),
            nodes: texts(self.nodes, row),
            gpus: texts(self.gpus, row),
        }
    }
}

fn texts(list: &ListArray, row: usize) -> Vec<Box<str>> {
    if !list.is_valid(row) {
        return Vec::new();
    }
    let values = list.value(row);
    let kept = |text: &str| (!text.is_empty()).then(|| Box::from(text));
    // Texts within lists are no views, unless a reader makes them.
    match values.as_string_opt::<i32>() {
        Some(values) => values.iter().flatten().filter_map(kept).collect(),
        None => values.as_string_view_opt().into_iter().flatten().flatten().filter_map(kept).collect(),
    }
}

/// A row of the table.
struct Row<'e> {
    job: JobId<'e>,
    attempt: i64,
    /// The only node of the attempt.
    node: Option<Box<str>>,
    held: Held,
}

pub(super) fn fold(events: &[RecordBatch], schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let views = events.iter().map(Events::new).collect::<Result<Vec<_>>>()?;
    let each = || views.iter().flat_map(|view| (0..view.time.len()).map(move |row| (view, row)));
    let named: HashSet<JobId<'_>> =
        each().filter(|(view, row)| view.names_gpus(*row)).map(|(view, row)| view.job(row)).collect();
    let mut jobs: BTreeMap<JobId<'_>, BTreeMap<i64, Vec<Event>>> = BTreeMap::new();
    for (view, row) in each().filter(|(view, row)| named.contains(&view.job(*row))) {
        let attempts = jobs.entry(view.job(row)).or_default();
        attempts.entry(view.attempt.value(row)).or_default().push(view.event(row));
    }
    let mut rows = Vec::new();
    for (job, mut attempts) in jobs {
        attempts.values_mut().for_each(|events| events.sort_unstable());
        let mut next = None;
        // The last first, because each ends where a later one begins.
        for (attempt, events) in attempts.iter().rev() {
            let node = only_node(events);
            let held = attempt::held(events, next).into_iter();
            rows.extend(held.map(|held| Row { job, attempt: *attempt, node: node.clone(), held }));
            next = attempt::begins(events).or(next);
        }
    }
    rows.chunks(BATCH_ROWS).map(|rows| build(rows, schema)).collect()
}

fn only_node(events: &[Event]) -> Option<Box<str>> {
    let nodes = events.iter().rev().map(|event| &event.nodes).find(|nodes| !nodes.is_empty())?;
    nodes.iter().all(|node| *node == nodes[0]).then(|| nodes[0].clone())
}

fn build(rows: &[Row<'_>], schema: &SchemaRef) -> Result<RecordBatch> {
    let text = |pick: &dyn Fn(&Row<'_>) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(pick).collect::<StringViewArray>())
    };
    let node = |row: &Row<'_>| match &row.held.gpu {
        Gpu::Index { node, .. } => Some(node.to_string()),
        Gpu::Uuid(_) => row.node.as_ref().map(ToString::to_string),
    };
    let uuid = |row: &Row<'_>| match &row.held.gpu {
        Gpu::Uuid(uuid) => Some(uuid.to_string()),
        Gpu::Index { .. } => None,
    };
    let index = |row: &Row<'_>| match &row.held.gpu {
        Gpu::Index { index, .. } => Some(*index),
        Gpu::Uuid(_) => None,
    };
    let source = |row: &Row<'_>| match &row.held.gpu {
        Gpu::Uuid(_) => Some("gpu_uuid".to_owned()),
        Gpu::Index { .. } => Some("gpu_index".to_owned()),
    };
    let times = |pick: &dyn Fn(&Row<'_>) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(pick).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        text(&|row| Some(row.job.0.to_owned())),
        text(&|row| Some(row.job.1.to_owned())),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.attempt))),
        text(&node),
        text(&uuid),
        Arc::new(rows.iter().map(index).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.held.shares).collect::<Int64Array>()),
        times(&|row| Some(row.held.from)),
        times(&|row| row.held.to),
        text(&source),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
