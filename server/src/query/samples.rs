//! One scan of `gpu_samples`, folded by GPU: spans of state, latest values, sums and means.
//!
//! **Invariant:** the scan sees each row once and in any order of files (those before the range may have been folded
//! for an earlier question, see `past`); all that a page says of a GPU's
//! telemetry comes from this one fold, so its parts agree.

use super::ask::{Asking, instant, text};
use super::buckets::{Buckets, Means};
use super::gpu_fold::{GpuFold, Sample};
use super::{QueryError, hours, mig, past, state};
use crate::store::Snapshot;
use arrow::array::{Array, AsArray, Float64Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use contract::GpuState;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use std::collections::HashMap;
use tokio::task::JoinSet;

/// A GPU seen within this long before a range belongs to the fleet of the range: a week covers a long
/// weekend's outage, and a GPU that is gone for longer has left.
pub(super) const FLEET_MEMORY_MICROS: i64 = 7 * 86_400 * 1_000_000;
/// Rows that claim more are counted up to here: no collector samples less often than daily.
pub(super) const INTERVAL_SECONDS_MAX: f64 = 86_400.0;

/// Which rows are folded.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub(super) cluster: Option<String>,
    pub(super) node: Option<String>,
    pub(super) gpu_uuid: Option<String>,
    /// Of a cluster.
    pub(super) job_id: Option<String>,
}

impl Scope {
    /// Conditions with parameters from `$first` on, and their values.
    pub(super) fn conditions(&self, first: usize) -> (String, Vec<ScalarValue>) {
        let mut sql = String::new();
        let mut values = Vec::new();
        let columns =
            [("cluster", &self.cluster), ("node", &self.node), ("gpu_uuid", &self.gpu_uuid), ("job_id", &self.job_id)];
        for (column, value) in columns {
            if let Some(value) = value {
                sql.push_str(&format!(" and {column} = ${}", first + values.len()));
                values.push(text(value));
            }
        }
        (sql, values)
    }
}

/// The columns that every fold reads, in the order of [`Columns`].
const COLUMNS: &str = "time, interval_seconds, gpu_uuid, cluster, node, gpu_index, gpu_model, parent_gpu_uuid, \
    mig_profile, job_id, gpu_busy_ratio, power_watts, temperature_celsius, memory_used_bytes, memory_total_bytes, \
    energy_joules_total, throttle_reasons";

/// Folds the rows from `since` to the end of the buckets' range; `metrics` are averaged over the buckets.
pub(super) async fn fold(
    asking: &Asking,
    scope: &Scope,
    since: i64,
    buckets: &Buckets,
    metrics: &[&str],
) -> Result<Vec<GpuFold>, QueryError> {
    let range = buckets.range;
    let mut of_hours = hours::means(asking, scope, buckets, metrics).await?;
    let all = metrics.len();
    let metrics = if of_hours.is_some() { &[] } else { metrics };
    let (past, rest) = past::split(asking, scope, since, range, metrics.is_empty()).await?;
    let times = Some((since, range.to_unix_micros));
    let mut folds: HashMap<String, GpuFold> = HashMap::new();
    // What was read now comes first, because it has cells.
    for mut fold in fold_rows(asking, rest, scope, times, buckets, metrics).await?.into_iter().chain(past) {
        match folds.get_mut(&fold.uuid) {
            Some(known) => known.merge(fold),
            None => {
                fold.cells.resize(metrics.len(), Means::new(buckets));
                folds.insert(fold.uuid.clone(), fold);
            }
        }
    }
    let mut folds: Vec<GpuFold> = folds.into_values().collect();
    if let Some(means) = &mut of_hours {
        let mut of = |uuid: &str| means.remove(uuid).unwrap_or_else(|| vec![Means::new(buckets); all]);
        folds.iter_mut().for_each(|fold| fold.cells = of(&fold.uuid));
    }
    folds.iter_mut().for_each(GpuFold::settle);
    mig::settle(&mut folds);
    folds.sort_by(|a, b| a.place().cmp(&b.place()));
    Ok(folds)
}

/// Folds the rows of a snapshot, of some time or of all; not merged and not settled.
pub(super) async fn fold_rows(
    asking: &Asking,
    snapshot: Snapshot,
    scope: &Scope,
    times: Option<(i64, i64)>,
    buckets: &Buckets,
    metrics: &[&str],
) -> Result<Vec<GpuFold>, QueryError> {
    let (since, to) = times.unwrap_or((i64::MIN, i64::MAX));
    if !snapshot.may_hold(since, to) {
        return Ok(Vec::new());
    }
    let (conditions, values) = scope.conditions(3);
    let metric_columns: String = metrics.iter().map(|m| format!(", cast({m} as double) as metric_{m}")).collect();
    let state = state::expression();
    let select = format!("select {COLUMNS}, {state} as state{metric_columns} from");
    let (of_times, with) = match times {
        Some((since, to)) => {
            let with = [instant(since), instant(to)].into_iter().chain(values).collect();
            (format!("where time >= $1 and time < $2{conditions}"), with)
        }
        None => (String::new(), Vec::new()),
    };
    let mut parts = JoinSet::new();
    for stream in asking.streams_of(snapshot, |table| format!("{select} {table} {of_times}"), with).await? {
        parts.spawn(fold_stream(stream, *buckets, metrics.len()));
    }
    let mut folds = Vec::new();
    while let Some(part) = parts.join_next().await {
        folds.extend(part.map_err(|e| QueryError::Internal(format!("a fold stopped: {e}")))??);
    }
    Ok(folds)
}

/// One fold for each GPU and node: one that was moved has two here.
async fn fold_stream(
    mut stream: SendableRecordBatchStream,
    buckets: Buckets,
    metrics: usize,
) -> Result<Vec<GpuFold>, QueryError> {
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    let mut folds: Vec<GpuFold> = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let columns = Columns::new(&batch, metrics)?;
        let mut at = usize::MAX;
        for row in 0..batch.num_rows() {
            let sample = columns.sample(row);
            let uuid = columns.gpu_uuid.value(row);
            let same = |fold: &GpuFold| fold.uuid == uuid && fold.identity.is_on(sample.cluster, sample.node);
            if !folds.get(at).is_some_and(same) {
                let known = places.get(uuid).and_then(|places| places.iter().copied().find(|at| same(&folds[*at])));
                at = known.unwrap_or_else(|| {
                    folds.push(GpuFold::new(uuid, vec![Means::new(&buckets); metrics]));
                    places.entry(uuid.to_owned()).or_default().push(folds.len() - 1);
                    folds.len() - 1
                });
            }
            folds[at].add(&sample, &buckets);
        }
    }
    folds.iter_mut().for_each(GpuFold::finish_stream);
    Ok(folds)
}

/// The columns of a batch, downcast once.
struct Columns<'a> {
    time: &'a [i64],
    interval: &'a Float64Array,
    gpu_uuid: &'a StringViewArray,
    texts: [&'a StringViewArray; 5],
    gpu_index: &'a Int64Array,
    job: &'a StringViewArray,
    floats: [&'a Float64Array; 3],
    memory: [&'a Int64Array; 2],
    energy: &'a Float64Array,
    throttle: &'a Int64Array,
    state: &'a Int64Array,
    metrics: Vec<&'a Float64Array>,
}

impl<'a> Columns<'a> {
    fn new(batch: &'a RecordBatch, metrics: usize) -> Result<Self, QueryError> {
        let wrong = |at: usize| QueryError::Internal(format!("column {at} of a scan has a wrong type"));
        let texts = |at: usize| batch.column(at).as_string_view_opt().ok_or_else(|| wrong(at));
        let ints = |at: usize| batch.column(at).as_primitive_opt::<Int64Type>().ok_or_else(|| wrong(at));
        let floats = |at: usize| batch.column(at).as_primitive_opt::<Float64Type>().ok_or_else(|| wrong(at));
        let time = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| wrong(0))?;
        Ok(Self {
            time: time.values(),
            interval: floats(1)?,
            gpu_uuid: texts(2)?,
            texts: [texts(3)?, texts(4)?, texts(6)?, texts(7)?, texts(8)?],
            gpu_index: ints(5)?,
            job: texts(9)?,
            floats: [floats(10)?, floats(11)?, floats(12)?],
            memory: [ints(13)?, ints(14)?],
            energy: floats(15)?,
            throttle: ints(16)?,
            state: ints(17)?,
            metrics: (18..18 + metrics).map(floats).collect::<Result<_, _>>()?,
        })
    }

    fn sample(&self, row: usize) -> Sample<'_> {
        fn float(array: &Float64Array, row: usize) -> Option<f64> {
            array.is_valid(row).then(|| array.value(row)).filter(|v| v.is_finite())
        }
        fn int(array: &Int64Array, row: usize) -> Option<i64> {
            array.is_valid(row).then(|| array.value(row))
        }
        fn words(array: &StringViewArray, row: usize) -> Option<&str> {
            array.is_valid(row).then(|| array.value(row))
        }
        let [cluster, node, model, parent, profile] = self.texts;
        let interval = self.interval.value(row).clamp(0.0, INTERVAL_SECONDS_MAX);
        let state = GpuState::ALL[self.state.value(row).clamp(0, 5) as usize];
        Sample {
            time: self.time[row],
            // A NaN becomes 0, a row that covers nothing.
            interval: (interval * 1e6).round() as i64,
            cluster: cluster.value(row),
            node: node.value(row),
            gpu_index: self.gpu_index.value(row),
            gpu_model: model.value(row),
            parent: words(parent, row),
            mig_profile: words(profile, row),
            job: words(self.job, row),
            state,
            busy: float(self.floats[0], row),
            power: float(self.floats[1], row),
            temperature: float(self.floats[2], row),
            memory_used: int(self.memory[0], row),
            memory_total: int(self.memory[1], row),
            energy: float(self.energy, row),
            throttle: int(self.throttle, row).unwrap_or(0),
            metrics: &self.metrics,
            row,
        }
    }
}
