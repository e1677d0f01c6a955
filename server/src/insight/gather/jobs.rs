//! Attempts that waited, ran or ended within a window.

use super::super::InsightError;
use super::super::facts::{Job, Window};
use super::read;
use crate::query::Engine;

/// More attempts than a fleet of ten thousand GPUs has in a month.
const JOBS_MAX: usize = 500_000;

const SQL: &str = "select cluster, job_id, attempt, state, name, \"user\", gpus_requested, nodes, gpu_uuids, \
    submitted_at, started_at, ended_at, exit_code from jobs where coalesce(submitted_at, started_at, time) < $2 \
    and (ended_at >= $1 or (ended_at is null and coalesce(started_at, submitted_at, time) >= $1))";

pub(super) async fn ask(engine: &Engine, window: Window) -> Result<Vec<Job>, InsightError> {
    let mut jobs = read(engine, SQL, window, ("attempts of jobs", JOBS_MAX), |row| Job {
        cluster: row.text(0),
        job_id: row.text(1),
        attempt: row.int(2).unwrap_or_default(),
        state: row.maybe(3),
        name: row.maybe(4),
        user: row.maybe(5),
        gpus: row.int(6),
        nodes: row.texts(7),
        gpu_uuids: row.texts(8),
        submitted: row.int(9),
        started: row.int(10),
        ended: row.int(11),
        exit_code: row.int(12),
    })
    .await?;
    jobs.sort_by(|a, b| (&a.cluster, &a.job_id, a.attempt).cmp(&(&b.cluster, &b.job_id, b.attempt)));
    Ok(jobs)
}
