//! The rows of `usage_hourly`: what each GPU did in each hour, by job.
//!
//! **Invariant:** a GPU counts in an hour if it had a row in it or in the week before; the seconds of its rows in
//! that hour sum to those for which it counts (`mig` says where others stand for it), 3,600 mostly.

use super::super::ask::{Asking, each_row, instant};
use super::super::buckets::Buckets;
use super::super::events::Presences;
use super::super::gpu_fold::GpuFold;
use super::super::samples::{self, FLEET_MEMORY_MICROS, Scope};
use super::super::timeline::{self, Piece};
use super::super::{QueryError, mig};
use super::due::HOUR;
use super::rows::{floats, texts, times};
use crate::store::{USAGE_RATIOS, USAGE_RISES, seconds_column};
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use contract::answers::Range;
use contract::{GpuState, Table};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Hour, GPU (its place among the folds) and job.
type Key = (i64, usize, Option<Arc<str>>);

#[derive(Default)]
struct Use {
    micros: [i64; 6],
    measured: Measured,
}

/// What the samples of an hour, GPU and job add up to.
#[derive(Default, Clone)]
struct Measured {
    /// Integral, seconds and maximum.
    ratios: [Option<(f64, f64, f64)>; USAGE_RATIOS.len()],
    rises: [Option<f64>; USAGE_RISES.len()],
}

/// The rows of `usage_hourly` of the hours `[from, to)` since the epoch, in [`contract::schema`].
pub(super) async fn rows(
    asking: &Asking,
    table: &'static Table,
    from: i64,
    to: i64,
) -> Result<RecordBatch, QueryError> {
    let range = Range { from_unix_micros: from * HOUR, to_unix_micros: to * HOUR };
    let scope = Scope::default();
    let since = range.from_unix_micros - FLEET_MEMORY_MICROS;
    let gpus = samples::fold(asking, &scope, since, &Buckets::over(range)?, &[]).await?;
    let presences = Presences::ask(asking, &scope, since, range.to_unix_micros).await?;
    let mut uses: Vec<(Key, Use)> = Vec::new();
    for (at, gpu) in gpus.iter().enumerate() {
        let pieces = timeline::pieces(&gpu.spans, &presences.of(gpu), range.from_unix_micros, range.to_unix_micros);
        let pieces = mig::counted(pieces, &gpu.gone);
        for hour in (from..to).filter(|hour| counts(gpu, *hour)) {
            let first = uses.len();
            for Piece { from, to, state, job } in timeline::clip(&pieces, of_hour(hour)) {
                let place = match uses[first..].iter().position(|((_, _, known), _)| *known == job) {
                    Some(place) => first + place,
                    None => {
                        uses.push(((hour, at, job), Use::default()));
                        uses.len() - 1
                    }
                };
                uses[place].1.micros[state.index()] += to - from;
            }
        }
    }
    uses.sort_by(|(a, _), (b, _)| a.cmp(b));
    measure(asking, range, &gpus, &mut uses).await?;
    batch(table, &gpus, &uses)
}

fn of_hour(hour: i64) -> Range {
    Range { from_unix_micros: hour * HOUR, to_unix_micros: (hour + 1) * HOUR }
}

/// Whether it had a row in the hour or in the week before.
fn counts(gpu: &GpuFold, hour: i64) -> bool {
    let Range { from_unix_micros, to_unix_micros } = of_hour(hour);
    gpu.spans.iter().any(|span| span.to > from_unix_micros - FLEET_MEMORY_MICROS && span.from < to_unix_micros)
}

/// Adds what the hourly rollup has of the same hours; the uses are in order before and afterwards.
async fn measure(
    asking: &Asking,
    range: Range,
    gpus: &[GpuFold],
    uses: &mut Vec<(Key, Use)>,
) -> Result<(), QueryError> {
    if !asking.snapshot("gpu_samples_1h").await?.may_hold(range.from_unix_micros, range.to_unix_micros) {
        return Ok(());
    }
    let ratios = USAGE_RATIOS.map(|ratio| format!(", {ratio}_integral, {ratio}_seconds, {ratio}_max")).concat();
    let rises = USAGE_RISES.map(|rise| format!(", {rise}_increase")).concat();
    let sql =
        format!("select time, gpu_uuid, job_id{ratios}{rises} from gpu_samples_1h where time >= $1 and time < $2");
    let places: BTreeMap<&str, usize> = gpus.iter().enumerate().map(|(at, gpu)| (gpu.uuid.as_str(), at)).collect();
    let with = vec![instant(range.from_unix_micros), instant(range.to_unix_micros)];
    let mut unseen: BTreeMap<Key, Use> = BTreeMap::new();
    for row in each_row(&asking.rows(&sql, with).await?) {
        let place = row.text(1).and_then(|uuid| places.get(uuid));
        let (Some(time), Some(at)) = (row.time(0), place) else { continue };
        let key = (time.div_euclid(HOUR), *at, row.text(2).map(Arc::from));
        let measured = match uses.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => &mut uses[at].1.measured,
            Err(_) => &mut unseen.entry(key).or_default().measured,
        };
        for (i, ratio) in measured.ratios.iter_mut().enumerate() {
            let (Some(integral), Some(seconds), Some(max)) =
                (row.float(3 + 3 * i), row.float(4 + 3 * i), row.float(5 + 3 * i))
            else {
                continue;
            };
            let before = ratio.unwrap_or((0.0, 0.0, max));
            *ratio = Some((before.0 + integral, before.1 + seconds, before.2.max(max)));
        }
        for (i, rise) in measured.rises.iter_mut().enumerate() {
            if let Some(more) = row.float(3 + 3 * USAGE_RATIOS.len() + i) {
                *rise.get_or_insert(0.0) += more;
            }
        }
    }
    uses.extend(unseen);
    uses.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(())
}

fn batch(table: &'static Table, gpus: &[GpuFold], uses: &[(Key, Use)]) -> Result<RecordBatch, QueryError> {
    let of = |pick: fn(&GpuFold) -> Option<&str>| texts(uses.iter().map(|((_, at, _), _)| pick(&gpus[*at])));
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(table.columns.len());
    for column in table.columns {
        columns.push(match column.name {
            "time" => times(uses.iter().map(|((hour, _, _), _)| hour * HOUR)),
            "cluster" => of(|gpu| Some(&gpu.identity.cluster)),
            "node" => of(|gpu| Some(&gpu.identity.node)),
            "gpu_uuid" => of(|gpu| Some(&gpu.uuid)),
            "gpu_model" => of(|gpu| Some(&gpu.identity.gpu_model)),
            "parent_gpu_uuid" => of(|gpu| gpu.identity.parent.as_deref()),
            "mig_profile" => of(|gpu| gpu.identity.mig_profile.as_deref()),
            "job_id" => texts(uses.iter().map(|((_, _, job), _)| job.as_deref())),
            "gpu_index" => {
                Arc::new(Int64Array::from_iter_values(uses.iter().map(|((_, at, _), _)| gpus[*at].identity.gpu_index)))
            }
            name => measures(name, uses)?,
        });
    }
    RecordBatch::try_new(contract::schema(table), columns).map_err(|e| QueryError::Internal(e.to_string()))
}

fn measures(name: &str, uses: &[(Key, Use)]) -> Result<ArrayRef, QueryError> {
    if let Some(state) = GpuState::ALL.into_iter().find(|state| seconds_column(*state) == name) {
        return Ok(floats(uses.iter().map(|(_, used)| Some(used.micros[state.index()] as f64 / 1e6))));
    }
    if let Some(i) = USAGE_RISES.iter().position(|rise| *rise == name) {
        return Ok(floats(uses.iter().map(|(_, used)| used.measured.rises[i])));
    }
    let ratio = |suffix: &str| name.strip_suffix(suffix).and_then(|base| USAGE_RATIOS.iter().position(|r| *r == base));
    if let Some(i) = ratio("_mean") {
        let mean = |(integral, seconds, _): (f64, f64, f64)| (seconds > 0.0).then(|| integral / seconds);
        return Ok(floats(uses.iter().map(|(_, used)| used.measured.ratios[i].and_then(mean))));
    }
    let i = ratio("_max").ok_or_else(|| QueryError::Internal(format!("nobody knows the column {name}")))?;
    Ok(floats(uses.iter().map(|(_, used)| used.measured.ratios[i].map(|(_, _, max)| max))))
}
