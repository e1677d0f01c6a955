//! Jobs on devices: who they belong to, when they held what, how many there are.

use super::ask::{Asking, each_row, instant, text};
use super::gpu_fold::GpuFold;
use super::{QueryError, jobs};
use contract::answers::{JobCounts, JobSpan, Range};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Job spans that one GPU or node lists, the latest: more cannot be drawn or read.
const JOB_SPANS_MAX: usize = 500;

/// Words in a scheduler's state that mean that the job itself, its node or its memory failed. A time limit
/// or a cancellation is not a failure.
pub(super) const FAILED: &str = "(FAIL|ERROR|OUT_OF_MEMORY|OOM|EVICTED|LOST)";

/// Name and user of a job's latest attempt.
#[derive(Debug, Clone, Default)]
struct Named {
    attempt: i64,
    name: Option<String>,
    user: Option<String>,
}

/// By cluster and id.
type Names = HashMap<(String, String), Named>;

/// The names of all jobs at the generation of `job_events` that was asked for last.
#[derive(Debug, Default)]
pub(super) struct NamesCache(Mutex<Option<(u64, Arc<Names>)>>);

/// Who the jobs are.
#[derive(Debug, Default)]
pub(super) struct JobNames(Arc<Names>);

impl JobNames {
    /// Asks for the jobs that the GPUs have been held by.
    pub(super) async fn of(asking: &Asking, gpus: &[GpuFold]) -> Result<Self, QueryError> {
        if gpus.iter().flat_map(|gpu| &gpu.spans).all(|span| span.job.is_none()) {
            return Ok(Self::default());
        }
        let generation = asking.snapshot(jobs::EVENTS).await?.generation;
        let cache = &asking.engine().inner.names.0;
        if let Some((kept, names)) = &*cache.lock()
            && *kept == generation
        {
            return Ok(Self(Arc::clone(names)));
        }
        let mut names = Names::new();
        for row in each_row(&asking.rows("select cluster, job_id, name, \"user\", attempt from jobs", vec![]).await?) {
            let (Some(cluster), Some(job)) = (row.owned(0), row.owned(1)) else { continue };
            let named = Named { attempt: row.int(4).unwrap_or_default(), name: row.owned(2), user: row.owned(3) };
            let known = names.entry((cluster, job)).or_insert_with(|| named.clone());
            if named.attempt > known.attempt {
                *known = named;
            }
        }
        let names = Arc::new(names);
        *cache.lock() = Some((generation, Arc::clone(&names)));
        Ok(Self(names))
    }

    pub(super) fn get(&self, cluster: &str, job: &str) -> (Option<String>, Option<String>) {
        let named = self.0.get(&(cluster.to_owned(), job.to_owned())).cloned().unwrap_or_default();
        (named.name, named.user)
    }

    /// The jobs that held a GPU within the range, in order of time.
    pub(super) fn spans(&self, gpu: &GpuFold, range: Range) -> Vec<JobSpan> {
        let mut spans: Vec<JobSpan> = Vec::new();
        for span in &gpu.spans {
            let Some(job) = span.job.as_deref() else { continue };
            let from = span.from.max(range.from_unix_micros);
            let to = span.to.min(range.to_unix_micros);
            if from >= to {
                continue;
            }
            match spans.last_mut() {
                Some(before) if before.job_id == job && from <= before.to_unix_micros => before.to_unix_micros = to,
                _ => {
                    let (name, user) = self.get(&gpu.identity.cluster, job);
                    spans.push(JobSpan {
                        job_id: job.to_owned(),
                        name,
                        user,
                        from_unix_micros: from,
                        to_unix_micros: to,
                    });
                }
            }
        }
        spans.split_off(spans.len().saturating_sub(JOB_SPANS_MAX))
    }
}

/// The jobs of a node, each once, from its first to its last GPU-second within the range.
pub(super) fn of_node<'a>(gpus: impl Iterator<Item = &'a [JobSpan]>) -> Vec<JobSpan> {
    let mut jobs: BTreeMap<&str, JobSpan> = BTreeMap::new();
    for span in gpus.flatten() {
        let job = jobs.entry(&span.job_id).or_insert_with(|| span.clone());
        job.from_unix_micros = job.from_unix_micros.min(span.from_unix_micros);
        job.to_unix_micros = job.to_unix_micros.max(span.to_unix_micros);
    }
    let mut jobs: Vec<JobSpan> = jobs.into_values().collect();
    jobs.sort_by_key(|job| job.from_unix_micros);
    jobs.split_off(jobs.len().saturating_sub(JOB_SPANS_MAX))
}

/// Running and waiting at the end of the range, ended within it.
pub(super) async fn counts(asking: &Asking, range: Range, cluster: Option<&str>) -> Result<JobCounts, QueryError> {
    let of_cluster = if cluster.is_some() { "where cluster = $3" } else { "" };
    let sql = format!(
        "with j as (select kind, upper(coalesce(state, '')) as state, submitted_at, started_at, \
           coalesce(ended_at, case when kind = 'ended' then time end) as ended_at from jobs {of_cluster}) \
         select count(*) filter (where started_at < $2 and (ended_at is null or ended_at >= $2)), \
           count(*) filter (where submitted_at < $2 and (started_at is null or started_at >= $2) \
             and (ended_at is null or ended_at >= $2)), \
           count(*) filter (where ended_at >= $1 and ended_at < $2), \
           count(*) filter (where ended_at >= $1 and ended_at < $2 and state ~ '{FAILED}') from j"
    );
    let mut with = vec![instant(range.from_unix_micros), instant(range.to_unix_micros)];
    with.extend(cluster.map(text));
    let rows = asking.rows(&sql, with).await?;
    let mut counts = JobCounts::default();
    for row in each_row(&rows) {
        let count = |at| row.int(at).unwrap_or_default().unsigned_abs();
        counts = JobCounts { running: count(0), waiting: count(1), ended: count(2), failed: count(3) };
    }
    Ok(counts)
}
