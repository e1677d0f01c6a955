//! What schedulers, samples and the ledger say of a job.

use super::{Job, Row, rows};
use crate::cost::Micros;
use crate::query::{Engine, Parameter, QueryError};
use std::collections::BTreeMap;

/// A job that was tried more often is told by its latest attempts.
const ATTEMPTS_MAX: usize = 200;
/// A job has had samples by then.
const FIRST_MICROS: i64 = 1_800_000_000;
/// Samples of one GPU that a period is looked for in: eleven hours of ten seconds.
const SAMPLES_MAX: usize = 4_096;
/// Nodes fail rarely; a quarter tells how rarely.
const HISTORY_MICROS: i64 = 90 * 86_400_000_000;
/// Fewer failures than this are chance.
const FAILURES_MIN: u64 = 3;

/// As the scheduler has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Attempt {
    pub(in super::super) attempt: i64,
    pub(in super::super) state: Option<String>,
    pub(in super::super) started_micros: Option<i64>,
    pub(in super::super) ended_micros: Option<i64>,
    pub(in super::super) exit_code: Option<i64>,
    pub(in super::super) gpus: Option<i64>,
    pub(in super::super) nodes: Vec<String>,
}

/// In their order; those that started.
pub(in super::super) async fn attempts(
    engine: &Engine,
    cluster: &str,
    job_id: &str,
) -> Result<Vec<Attempt>, QueryError> {
    let sql = format!(
        "select attempt, state, started_at, ended_at, exit_code, gpus_requested, nodes from jobs \
         where cluster = $1 and job_id = $2 order by attempt desc limit {ATTEMPTS_MAX}"
    );
    let read = |row: &Row<'_>| Attempt {
        attempt: row.int(0).unwrap_or_default(),
        state: row.owned(1),
        started_micros: row.int(2),
        ended_micros: row.int(3),
        exit_code: row.int(4),
        gpus: row.int(5),
        nodes: row.texts(6),
    };
    let with = vec![Parameter::Text(cluster.to_owned()), Parameter::Text(job_id.to_owned())];
    let mut all = rows(engine, &sql, with, read).await?;
    all.reverse();
    Ok(all)
}

/// What the ledger has of each attempt; attempts without a price are not in it.
pub(in super::super) async fn costs(job: &Job<'_>) -> Result<BTreeMap<i64, Micros>, QueryError> {
    // By the hour in which it began.
    let sql = "select attempt, sum(cost_micros) from ledger where job_id = $1 and cluster = $2 \
               and time >= date_trunc('hour', $3) and time < $4 group by 1";
    let found = job.rows(sql, |row| (row.int(0).unwrap_or_default(), row.int(1))).await?;
    Ok(found.into_iter().filter_map(|(attempt, cost)| Some((attempt, Micros(cost?)))).collect())
}

/// What samples say of the GPUs of an attempt.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Fleet {
    /// The model that most of them are.
    pub(in super::super) gpu_model: Option<String>,
    pub(in super::super) gpus: u64,
    /// One of them.
    pub(in super::super) gpu_uuid: Option<String>,
}

pub(in super::super) async fn fleet(job: &Job<'_>, started_micros: i64) -> Result<Fleet, QueryError> {
    let sql = "select gpu_model, count(distinct gpu_uuid) as gpus, min(gpu_uuid) from gpu_samples where job_id = $1 \
               and cluster = $2 and time >= $3 and time < $4 group by 1 order by 2 desc, 1";
    let to_micros = job.to_micros.min(started_micros.saturating_add(FIRST_MICROS));
    let first = Job { from_micros: started_micros, to_micros, ..*job };
    let models = first.rows(sql, |row| (row.owned(0), row.count(1), row.owned(2))).await?;
    let gpus = models.iter().map(|(_, gpus, _)| gpus).sum();
    let (gpu_model, _, gpu_uuid) = models.into_iter().next().unwrap_or_default();
    Ok(Fleet { gpu_model, gpus, gpu_uuid })
}

/// Times, power and tensor activity of one GPU of the job, the latest first.
pub(in super::super) async fn samples(
    job: &Job<'_>,
    gpu_uuid: String,
) -> Result<Vec<(i64, Option<f64>, Option<f64>)>, QueryError> {
    let sql = format!(
        "select time, power_watts, tensor_active_ratio from gpu_samples where job_id = $1 and cluster = $2 \
         and time >= $3 and time < $4 and gpu_uuid = $5 order by time desc limit {SAMPLES_MAX}"
    );
    let read = |row: &Row<'_>| (row.int(0).unwrap_or_default(), row.float(1), row.float(2));
    job.rows_with(&sql, vec![Parameter::Text(gpu_uuid)], read).await
}

/// GPU-seconds of jobs of the cluster between two that ended because a node did.
pub(in super::super) async fn cluster_failure_gpu_seconds(job: &Job<'_>) -> Result<Option<f64>, QueryError> {
    let sql = "select sum(gpu_seconds), count(*) filter (where upper(state) ~ '(NODE_FAIL|BOOT_FAIL|LOST)') from jobs \
               where cluster = $2 and started_at >= $3 and started_at < $4 and job_id <> $1";
    let history = Job { from_micros: job.from_micros.saturating_sub(HISTORY_MICROS), ..*job };
    let found = history.rows(sql, |row| (row.float(0), row.count(1))).await?;
    let enough = found.into_iter().find(|(_, failures)| *failures >= FAILURES_MIN);
    Ok(enough.and_then(|(gpu_seconds, failures)| Some(gpu_seconds? / failures as f64)))
}
