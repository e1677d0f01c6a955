//! Jobs: the list, and one of them.

use super::error::Refusal;
use super::range::parse_range;
use super::serve::State;
use crate::query::{JOBS_OF_A_PAGE, JOBS_OF_A_PAGE_MAX, JobsAsked, job_phase};
use actix_web::{HttpResponse, web};
use contract::answers::JobPhase;
use serde::Deserialize;

type Answer = Result<HttpResponse, Refusal>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsWindow {
    from: Option<String>,
    to: Option<String>,
    /// Empty means all, as of `phase`.
    cluster: Option<String>,
    #[serde(default)]
    filter: String,
    phase: Option<String>,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    offset: u64,
    limit: Option<u64>,
}

/// `GET /api/v1/jobs`.
pub(super) async fn jobs(asked: web::Query<JobsWindow>, state: web::Data<State>) -> Answer {
    let asked = asked.into_inner();
    let range = parse_range(asked.from.as_deref(), asked.to.as_deref(), (state.clock)()).map_err(Refusal::invalid)?;
    let phase = match asked.phase.as_deref().filter(|name| !name.is_empty()) {
        None => None,
        Some(name) => Some(job_phase(name).ok_or_else(|| {
            let known = JobPhase::ALL.map(JobPhase::as_str).join(", ");
            Refusal::invalid(format!("{name:?} is no phase of a job; there are {known}"))
        })?),
    };
    let limit = asked.limit.unwrap_or(JOBS_OF_A_PAGE);
    if limit > JOBS_OF_A_PAGE_MAX {
        return Err(Refusal::invalid(format!("a page has at most {JOBS_OF_A_PAGE_MAX} jobs; use `offset`")));
    }
    let asked = JobsAsked {
        cluster: asked.cluster.filter(|name| !name.is_empty()),
        filter: asked.filter,
        phase,
        sort: asked.sort,
        offset: asked.offset,
        limit,
    };
    let mut list = state.engine.jobs(range, asked).await?;
    list.currency = state.ledger.statements().currency.to_string();
    Ok(HttpResponse::Ok().json(list))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attempt {
    attempt: Option<i64>,
    /// The window of its series; the whole run unless one of them is given.
    from: Option<String>,
    to: Option<String>,
}

/// `GET /api/v1/jobs/{cluster}/{job_id}`.
pub(super) async fn job(
    path: web::Path<(String, String)>,
    asked: web::Query<Attempt>,
    state: web::Data<State>,
) -> Answer {
    let (cluster, job_id) = path.into_inner();
    let now = (state.clock)();
    let window = match (&asked.from, &asked.to) {
        (None, None) => None,
        (from, to) => Some(parse_range(from.as_deref(), to.as_deref(), now).map_err(Refusal::invalid)?),
    };
    let mut detail = state.engine.job(&cluster, &job_id, asked.attempt, window, now).await?;
    detail.currency = state.ledger.statements().currency.to_string();
    Ok(HttpResponse::Ok().json(detail))
}
