//! Means of gauges over buckets of whole hours: from the hourly rollup where it is exact, from samples elsewhere.
//!
//! **Invariant:** the means are those that all samples would give; only the order of adding differs.

use super::ask::{Asking, each_row, instant};
use super::buckets::{Buckets, Means};
use super::rollup::{HOUR, INTERVAL_MICROS_MAX, first_missing, hour_of, late};
use super::samples::{INTERVAL_SECONDS_MAX, Scope};
use super::{QueryError, rollup};
use arrow::array::AsArray;
use arrow::compute::{max, min};
use arrow::datatypes::TimestampMicrosecondType;
use futures::StreamExt;
use std::collections::{BTreeSet, HashMap};

/// By GPU, a mean for each metric.
pub(super) type MeansOfGpus = HashMap<String, Vec<Means>>;

/// The means of metrics of `gpu_samples`; `None` where the hours of the rollup are of no use for these buckets.
pub(super) async fn means(
    asking: &Asking,
    scope: &Scope,
    buckets: &Buckets,
    metrics: &[&str],
) -> Result<Option<MeansOfGpus>, QueryError> {
    if metrics.is_empty() || buckets.seconds() * 1_000_000 % HOUR != 0 {
        return Ok(None);
    }
    let hours = exact_hours(asking, buckets).await?;
    if hours.is_empty() || has_long_samples(asking, buckets).await? {
        return Ok(None);
    }
    let mut means = MeansOfGpus::new();
    add_hours(asking, scope, buckets, metrics, &hours, &mut means).await?;
    let mut at = buckets.range.from_unix_micros;
    for (from, to) in rollup::runs(&hours).into_iter().map(|(from, to)| (from * HOUR, to * HOUR)) {
        add_samples(asking, scope, buckets, metrics, (at, from), &mut means).await?;
        at = to;
    }
    add_samples(asking, scope, buckets, metrics, (at, buckets.range.to_unix_micros), &mut means).await?;
    Ok(Some(means))
}

/// Hours, whole within the range, that the rollup has as all samples have them.
async fn exact_hours(asking: &Asking, buckets: &Buckets) -> Result<BTreeSet<i64>, QueryError> {
    let (derived, source) = (asking.snapshot("gpu_samples_1h").await?, asking.snapshot("gpu_samples").await?);
    let from = hour_of(buckets.range.from_unix_micros - 1) + 1;
    let to = hour_of(buckets.range.to_unix_micros).min(first_missing(&derived));
    // A late sample may reach into the next hour.
    let mut touched = late(&source, &derived.covers, 1, i64::MAX);
    for batch in source.hot.iter() {
        let times = batch.column_by_name(source.table.time_column);
        let times = times.and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
        if let Some((first, last)) = times.and_then(|times| Some((min(times)?, max(times)?))) {
            touched.extend((hour_of(first)..=hour_of(last) + 1).filter(|hour| (from..to).contains(hour)));
        }
    }
    Ok((from..to).filter(|hour| !touched.contains(hour)).collect())
}

/// Whether any sample is longer than the rollup follows it.
async fn has_long_samples(asking: &Asking, buckets: &Buckets) -> Result<bool, QueryError> {
    let sql = "select max(interval_max_seconds) from gpu_samples_1h where time >= $1 and time < $2";
    let from = buckets.range.from_unix_micros - (INTERVAL_SECONDS_MAX * 1e6) as i64;
    let rows = asking.rows(sql, vec![instant(from), instant(buckets.range.to_unix_micros)]).await?;
    let longest = each_row(&rows).next().and_then(|row| row.float(0)).unwrap_or(0.0);
    Ok(longest * 1e6 > INTERVAL_MICROS_MAX as f64)
}

async fn add_hours(
    asking: &Asking,
    scope: &Scope,
    buckets: &Buckets,
    metrics: &[&str],
    hours: &BTreeSet<i64>,
    means: &mut MeansOfGpus,
) -> Result<(), QueryError> {
    let (conditions, values) = scope.conditions(3);
    let columns: String = metrics.iter().map(|m| format!(", {m}_integral, {m}_seconds")).collect();
    let sql = format!("select gpu_uuid, time{columns} from gpu_samples_1h where time >= $1 and time < $2{conditions}");
    let (Some(first), Some(last)) = (hours.first(), hours.last()) else { return Ok(()) };
    let with = [instant(first * HOUR), instant((last + 1) * HOUR)].into_iter().chain(values).collect();
    let mut rows = asking.stream(&sql, with).await?;
    while let Some(batch) = rows.next().await {
        let batch = [batch?];
        for row in each_row(&batch) {
            let (Some(gpu), Some(time)) = (row.text(0), row.time(1)) else { continue };
            if !hours.contains(&hour_of(time)) {
                continue;
            }
            let means = of_gpu(means, gpu, buckets, metrics.len());
            for (at, mean) in means.iter_mut().enumerate() {
                if let (Some(integral), Some(seconds)) = (row.float(2 + 2 * at), row.float(3 + 2 * at)) {
                    mean.add_integral(buckets, time, integral * 1e6, seconds * 1e6);
                }
            }
        }
    }
    Ok(())
}

/// Adds what samples say of a part of the range.
async fn add_samples(
    asking: &Asking,
    scope: &Scope,
    buckets: &Buckets,
    metrics: &[&str],
    (from, to): (i64, i64),
    means: &mut MeansOfGpus,
) -> Result<(), QueryError> {
    if from >= to {
        return Ok(());
    }
    let (conditions, values) = scope.conditions(3);
    let columns: String = metrics.iter().map(|m| format!(", cast({m} as double)")).collect();
    let sql = format!(
        "select gpu_uuid, time, interval_seconds{columns} from gpu_samples where time >= $1 and time < $2{conditions}"
    );
    let with = [instant(from - INTERVAL_MICROS_MAX), instant(to)].into_iter().chain(values).collect();
    let mut rows = asking.stream(&sql, with).await?;
    while let Some(batch) = rows.next().await {
        let batch = [batch?];
        for row in each_row(&batch) {
            let (Some(gpu), Some(time), Some(seconds)) = (row.text(0), row.time(1), row.float(2)) else { continue };
            let until = time + (seconds.clamp(0.0, INTERVAL_SECONDS_MAX) * 1e6).round() as i64;
            let means = of_gpu(means, gpu, buckets, metrics.len());
            for (at, mean) in means.iter_mut().enumerate() {
                if let Some(value) = row.float(3 + at) {
                    mean.add(buckets, time.max(from), until.min(to), value);
                }
            }
        }
    }
    Ok(())
}

fn of_gpu<'a>(means: &'a mut MeansOfGpus, gpu: &str, buckets: &Buckets, metrics: usize) -> &'a mut Vec<Means> {
    if !means.contains_key(gpu) {
        means.insert(gpu.to_owned(), vec![Means::new(buckets); metrics]);
    }
    means.get_mut(gpu).expect("it was just put there")
}
