//! The jobs that serve: whose label, name or pod is a service's, and those whose engines say so.

use super::belonging::{Candidate, LABELS, POD_ENDING, Told, by_service};
use super::engines;
use super::error::InferenceError;
use super::rows::{With, each};
use crate::query::Engine;
use contract::answers::Range;
use std::collections::{BTreeMap, BTreeSet};

/// Jobs of all services that are looked at: a service of a hundred replicas that is deployed anew each day for a month.
const JOBS_MAX: usize = 4_000;

/// The jobs of each service that run within a range.
pub(super) async fn of_services(
    engine: &Engine,
    range: Range,
    services: &BTreeSet<String>,
) -> Result<BTreeMap<String, Vec<Candidate>>, InferenceError> {
    if services.is_empty() {
        return Ok(BTreeMap::new());
    }
    let told = told(engine, range).await?;
    let mut with = With::range(range);
    let names = with.texts(services.iter().map(String::as_str));
    let ids = with.texts(told.iter().filter(|(_, of)| !of.is_disjoint(services)).map(|(id, _)| id.as_str()));
    let labels = LABELS.map(|label| format!("map_extract(labels, '{label}')[1]"));
    let labelled: String = labels.iter().map(|label| format!(" or {label} in ({names})")).collect();
    let workload = format!("regexp_replace(split_part(job_id, '/', 2), '{POD_ENDING}', '')");
    let sql = format!(
        "select cluster, job_id, name, {workload}, started_at, ended_at, gpus_requested, {} from jobs \
         where started_at < $2 and (ended_at is null or ended_at > $1) and coalesce(gpus_requested, 1) > 0 \
         and (name in ({names}) or {workload} in ({names}) or job_id in ({ids}){labelled})",
        labels.join(", ")
    );
    let mut jobs = Vec::new();
    each(engine, &sql, with, |rows, row| {
        let text = |at: usize| rows.text(at, row).filter(|text| !text.is_empty()).map(str::to_owned);
        let (Some(cluster), Some(job_id), Some(started_micros)) = (text(0), text(1), rows.int(4, row)) else { return };
        jobs.push(Candidate {
            cluster,
            job_id,
            name: text(2),
            workload: text(3),
            labels: std::array::from_fn(|at| text(7 + at)),
            started_micros,
            ended_micros: rows.int(5, row).unwrap_or(i64::MAX),
            gpus: rows.int(6, row),
        });
    })
    .await?;
    if jobs.len() > JOBS_MAX {
        let text = format!("more than {JOBS_MAX} jobs have served in this time, ask for a shorter range");
        return Err(InferenceError::Limit(text));
    }
    Ok(by_service(jobs, services, &told))
}

/// The services of which engines within a job report. Spans are not asked: those of a gateway name the gateway's pod.
async fn told(engine: &Engine, range: Range) -> Result<Told, InferenceError> {
    let names = engines::sql_names(|_| true);
    let sql = format!(
        "select distinct job_id, service from metrics where time >= $1 and time < $2 and name in ({names}) \
         and job_id is not null and service is not null limit {JOBS_MAX}"
    );
    let mut told = Told::new();
    each(engine, &sql, With::range(range), |rows, row| {
        if let (Some(job), Some(service)) = (rows.text(0, row), rows.text(1, row)) {
            told.entry(job.to_owned()).or_default().insert(service.to_owned());
        }
    })
    .await?;
    Ok(told)
}
