//! The question `job`: one attempt, its GPUs, what they did, what it costs and what its owner can do better.

use super::ask::{Asking, bounded, each_row, instant, text};
use super::buckets::Buckets;
use super::gpu_fold::GpuFold;
use super::job_names::JobNames;
use super::samples::{self, Scope};
use super::{Engine, QueryError, events, job_advice, job_list, mig, timeline};
use contract::answers::{FleetGpu, JobCost, JobDetail, JobRow, Range, Series};
use contract::{ByState, GpuState};
use std::collections::BTreeMap;

/// What is shown over time: its unit, and whether it sums over the GPUs.
pub(super) const METRICS: [(&str, &str, bool); 6] = [
    ("gpu_busy_ratio", "ratio", false),
    ("sm_active_ratio", "ratio", false),
    ("tensor_active_ratio", "ratio", false),
    ("dram_active_ratio", "ratio", false),
    ("memory_used_bytes", "bytes", true),
    ("power_watts", "watts", true),
];
const MICROS_PER_HOUR: f64 = 3.6e9;

impl Engine {
    /// Without an attempt the latest; series are of the window, or of the whole run. `now_micros` is the end of what
    /// still runs.
    pub async fn job(
        &self,
        cluster: &str,
        job_id: &str,
        attempt: Option<i64>,
        window: Option<Range>,
        now_micros: i64,
    ) -> Result<JobDetail, QueryError> {
        let asking = Asking::new(self)?;
        let (cluster, job_id) = (cluster.to_owned(), job_id.to_owned());
        bounded(self, async move { detail(&asking, (&cluster, &job_id), attempt, window, now_micros).await }).await
    }
}

async fn detail(
    asking: &Asking,
    (cluster, job_id): (&str, &str),
    attempt: Option<i64>,
    window: Option<Range>,
    now_micros: i64,
) -> Result<JobDetail, QueryError> {
    let all = job_list::attempts(asking, cluster, job_id).await?;
    let attempts: Vec<i64> = all.iter().map(|job| job.attempt).collect();
    let wanted = attempt.or(attempts.last().copied());
    let job = all.into_iter().find(|job| Some(job.attempt) == wanted);
    let job = job.ok_or_else(|| QueryError::NotFound { what: "job", name: format!("{cluster}/{job_id}") })?;
    let mut detail = JobDetail { range: run(&job, now_micros), attempts, job, ..JobDetail::default() };
    add_facts(asking, &mut detail).await?;
    add_costs(asking, &mut detail).await?;
    if detail.job.started_unix_micros.is_some() {
        let whole = detail.range;
        let gpus = add_telemetry(asking, &mut detail, whole).await?;
        detail.gpu_hours = hours(&gpus, whole);
        let boards = mig::boards(&gpus, |gpu| gpu.joules.is_some());
        detail.energy_joules = boards.iter().filter_map(|gpu| gpu.joules).reduce(|a, b| a + b);
        detail.events = events::of_job(asking, (cluster, job_id), &gpus, detail.range).await?;
        detail.advice = job_advice::of(&detail, &gpus);
        if let Some(window) = window.filter(|window| *window != whole) {
            add_telemetry(asking, &mut detail, window).await?;
        }
    }
    Ok(detail)
}

/// From its start (or submission) to its end, or to now; at least a second.
fn run(job: &JobRow, now_micros: i64) -> Range {
    let from = job.started_unix_micros.or(job.submitted_unix_micros).unwrap_or(now_micros).clamp(0, i64::MAX / 2);
    let to = job.ended_unix_micros.unwrap_or(now_micros).max(from.saturating_add(1_000_000));
    Range { from_unix_micros: from, to_unix_micros: to }
}

async fn add_facts(asking: &Asking, detail: &mut JobDetail) -> Result<(), QueryError> {
    let JobRow { cluster, job_id, attempt, .. } = &detail.job;
    let sql = "select exit_code, map_keys(labels), map_values(labels) from jobs \
               where cluster = $1 and job_id = $2 and attempt = $3";
    let with = vec![text(cluster), text(job_id), Some(*attempt).into()];
    for row in each_row(&asking.rows(sql, with).await?) {
        detail.exit_code = row.int(0);
        detail.labels = row.texts(1).into_iter().zip(row.texts(2)).collect::<BTreeMap<_, _>>();
    }
    Ok(())
}

async fn add_costs(asking: &Asking, detail: &mut JobDetail) -> Result<(), QueryError> {
    let JobRow { cluster, job_id, attempt, .. } = &detail.job;
    let sql = "select state, category, unit, sum(quantity), sum(cost_micros), min(team), min(currency) from ledger \
               where time >= $1 and cluster = $2 and job_id = $3 and attempt = $4 group by 1, 2, 3 \
               order by 5 desc nulls last, 1, 2, 3";
    let since = detail.range.from_unix_micros.div_euclid(3_600_000_000) * 3_600_000_000;
    let with = vec![instant(since), text(cluster), text(job_id), Some(*attempt).into()];
    for row in each_row(&asking.rows(sql, with).await?) {
        detail.team = row.owned(5);
        detail.currency = row.owned(6).unwrap_or_default();
        detail.costs.push(JobCost {
            state: row.owned(0),
            category: row.owned(1).unwrap_or_default(),
            unit: row.owned(2).unwrap_or_default(),
            quantity: row.float(3).unwrap_or_default(),
            cost_micros: row.int(4),
        });
    }
    Ok(())
}

/// What samples of a window say that name the job.
async fn add_telemetry(asking: &Asking, detail: &mut JobDetail, window: Range) -> Result<Vec<GpuFold>, QueryError> {
    let JobRow { cluster, job_id, .. } = &detail.job;
    let scope = Scope { cluster: Some(cluster.clone()), job_id: Some(job_id.clone()), ..Scope::default() };
    let buckets = Buckets::over(window)?;
    let metrics = METRICS.map(|(name, _, _)| name);
    let mut gpus = samples::fold(asking, &scope, window.from_unix_micros, &buckets, &metrics).await?;
    gpus.retain(|gpu| !gpu.spans.is_empty());
    let names = JobNames::of(asking, &gpus).await?;
    detail.window = window;
    detail.times_unix_micros = buckets.times();
    detail.series = METRICS.iter().enumerate().map(|(at, metric)| over(&gpus, at, *metric, &buckets)).collect();
    detail.gpu_nodes = gpus.iter().map(|gpu| gpu.identity.node.clone()).collect();
    detail.gpus = gpus.iter().map(|gpu| shown(gpu, &names, window)).collect();
    Ok(gpus)
}

fn hours(gpus: &[GpuFold], range: Range) -> ByState<f64> {
    let mut hours = ByState::default();
    for span in gpus.iter().flat_map(|gpu| &gpu.spans) {
        let (from, to) = (span.from.max(range.from_unix_micros), span.to.min(range.to_unix_micros));
        *hours.get_mut(span.state) += (to - from).max(0) as f64 / MICROS_PER_HOUR;
    }
    hours
}

/// A GPU that reports nothing adds nothing.
fn over(gpus: &[GpuFold], at: usize, (name, unit, is_sum): (&str, &str, bool), buckets: &Buckets) -> Series {
    let mut sums = vec![(0.0, 0_u32); buckets.count];
    let reports = |gpu: &GpuFold| gpu.cells[at].values().iter().any(Option::is_some);
    let counted = if is_sum { mig::boards(gpus, reports) } else { gpus.iter().collect() };
    for gpu in counted {
        for (sum, value) in sums.iter_mut().zip(gpu.cells[at].values()) {
            if let Some(value) = value {
                *sum = (sum.0 + value, sum.1 + 1);
            }
        }
    }
    let value = |(sum, count): &(f64, u32)| (*count > 0).then(|| if is_sum { *sum } else { sum / f64::from(*count) });
    Series { name: name.to_owned(), unit: unit.to_owned(), values: sums.iter().map(value).collect() }
}

/// The values are of its last row for the job.
fn shown(gpu: &GpuFold, names: &JobNames, range: Range) -> FleetGpu {
    let (identity, latest) = (&gpu.identity, &gpu.latest);
    FleetGpu {
        gpu_uuid: gpu.uuid.clone(),
        gpu_index: identity.gpu_index,
        gpu_model: identity.gpu_model.clone(),
        mig_profile: identity.mig_profile.clone(),
        state: timeline::at_end(&gpu.spans, &[], latest.until.min(range.to_unix_micros)),
        job_id: latest.job.clone(),
        user: latest.job.as_deref().and_then(|job| names.get(&identity.cluster, job).1),
        gpu_busy_ratio: (gpu.busy.1 > 0.0).then(|| gpu.busy.0 / gpu.busy.1),
        power_watts: latest.power,
        temperature_celsius: latest.temperature,
        memory_used_bytes: latest.memory_used,
        memory_total_bytes: latest.memory_total,
        cells: gpu.cells[0].values(),
        jobs: names.spans(gpu, range),
    }
}

/// Hours in which the job's GPUs had a process or none, and those in which they worked.
pub(super) fn held_and_active(hours: &ByState<f64>) -> (f64, f64) {
    let active = *hours.get(GpuState::Active);
    (active + hours.get(GpuState::HeldIdle) + hours.get(GpuState::HeldEmpty), active)
}
