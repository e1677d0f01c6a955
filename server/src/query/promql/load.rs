//! Rows of a table → series of samples, in one scan.
//!
//! **Invariant:** a device has one set of labels at a time. When its rows come with other labels, the series of the
//! former labels has ended, so that a job that leaves a GPU is not counted beside the next.

use super::super::QueryError;
use super::super::ask::{Asking, each_row};
use super::budget::Budget;
use super::catalog::{Metric, Sampled};
use super::gathered::Gathered;
use super::node::Request;
use super::selector::Conditions;
use super::series::Raw;
use contract::Column;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use std::sync::Arc;
use tokio::task::JoinSet;

/// How long a sample is found by an instant selector, at least: Prometheus' lookback.
pub(super) const LOOKBACK_MILLIS: i64 = 300_000;
/// Rows that claim a longer interval stand for so long: no collector samples less often than daily.
pub(super) const STANDS_MILLIS_MAX: i64 = 86_400_000;
/// Devices that are named one by one; if more are meant, all are read and then told apart.
const DEVICES_MAX: usize = 1_000;

/// The series of a request, sorted by their labels.
pub(super) async fn load(asking: &Asking, request: &Request, budget: &Arc<Budget>) -> Result<Vec<Raw>, QueryError> {
    let metrics = request.selector.metrics();
    let mut series = Vec::new();
    for metrics in metrics.chunk_by(|a, b| a.sampled == b.sampled) {
        series.extend(load_table(asking, request, metrics, budget).await?);
    }
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(series)
}

/// All metrics of a request that are columns of one table; there is at least one.
async fn load_table(
    asking: &Asking,
    request: &Request,
    metrics: &[Metric],
    budget: &Arc<Budget>,
) -> Result<Vec<Raw>, QueryError> {
    let sampled = metrics[0].sampled;
    let labels = sampled.labels();
    let Some(conditions) = conditions(asking, request, sampled, &labels).await? else { return Ok(Vec::new()) };
    let names: String = labels.iter().map(|c| format!(", {}", c.name)).collect();
    let value = |(at, metric): (usize, &Metric)| format!(", cast({} as double) as metric_{at}", metric.column.name);
    let values: String = metrics.iter().enumerate().map(value).collect();
    let select =
        |table: &str| format!("select time, interval_seconds{names}{values} from {table} where {}", conditions.sql());
    let snapshot = asking.snapshot(sampled.table).await?;
    let mut parts = JoinSet::new();
    for stream in asking.streams_of(snapshot, select, conditions.values()).await? {
        let gathered = Gathered::new(request.selector.clone(), labels.clone(), metrics.len());
        parts.spawn(gather(stream, gathered, Arc::clone(budget)));
    }
    let mut all = Gathered::new(request.selector.clone(), labels, metrics.len());
    while let Some(part) = parts.join_next().await {
        all.merge(part.map_err(|e| QueryError::Internal(format!("a scan stopped: {e}")))??);
    }
    Ok(all.finish(sampled, metrics))
}

async fn gather(
    mut stream: SendableRecordBatchStream,
    mut gathered: Gathered,
    budget: Arc<Budget>,
) -> Result<Gathered, QueryError> {
    while let Some(batch) = stream.next().await {
        let samples = gathered.add(&batch?)?;
        budget.load(samples)?;
    }
    Ok(gathered)
}

/// What the scan checks; none when no row can match.
///
/// A matcher of a label that changes would hide the row that ends a series, so it only says which devices are read.
async fn conditions(
    asking: &Asking,
    request: &Request,
    sampled: &'static Sampled,
    labels: &[&'static Column],
) -> Result<Option<Conditions>, QueryError> {
    let base = || match request.standing {
        true => Conditions::standing_between(
            request.from.saturating_sub(STANDS_MILLIS_MAX),
            request.from.saturating_sub(LOOKBACK_MILLIS),
            request.to,
            LOOKBACK_MILLIS as f64 / 1e3,
        ),
        false => Conditions::between(request.from, request.to),
    };
    let fixed: Vec<&Column> = labels.iter().copied().filter(|c| !sampled.changing.contains(&c.name)).collect();
    let (mut all, mut lasting) = (base(), base());
    request.selector.conditions(labels, &mut all);
    request.selector.conditions(&fixed, &mut lasting);
    if all.sql() == lasting.sql() {
        return Ok(Some(all));
    }
    let [device] = sampled.device else { return Ok(Some(lasting)) };
    let device = sampled.label(device).ok_or_else(|| QueryError::Internal(format!("{device} is not a label")))?;
    let (name, limit) = (device.name, DEVICES_MAX + 1);
    let sql = format!("select distinct {name} from {} where {} limit {limit}", sampled.table, all.sql());
    let rows = asking.rows(&sql, all.values()).await?;
    let devices: Vec<&str> = each_row(&rows).filter_map(|row| row.text(0)).collect();
    match devices.len() {
        0 => return Ok(None),
        n if n <= DEVICES_MAX => lasting.one_of(device, &devices),
        _ => {}
    }
    Ok(Some(lasting))
}
