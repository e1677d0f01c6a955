//! Documents by schedule: when the next one is due, what became of the last ones, and one now.

use super::money::Answer;
use super::serve::State;
use crate::access::Identity;
use crate::answers::{ScheduleRun, ScheduleState, Schedules};
use crate::dispatch::Standing;
use crate::schedule::Run;
use actix_web::{HttpResponse, web};

/// `GET /api/v1/schedules`.
pub(super) async fn schedules(state: web::Data<State>) -> Answer {
    let standing = state.dispatch.standing().await?;
    Ok(HttpResponse::Ok().json(Schedules { schedules: standing.into_iter().map(told).collect() }))
}

/// `POST /api/v1/schedules/{name}/run`: what became of the first try.
pub(super) async fn run(name: web::Path<String>, identity: web::ReqData<Identity>, state: web::Data<State>) -> Answer {
    let run = state.dispatch.run(&name, &identity.name).await?;
    Ok(HttpResponse::Ok().json(told_run(run)))
}

fn told(standing: Standing) -> ScheduleState {
    let Standing { document, schedule, next_micros, problem, runs } = standing;
    ScheduleState {
        name: schedule.name.to_string(),
        document: document.to_string(),
        cron: schedule.timetable.text.to_string(),
        time_zone: schedule.timetable.zone.name().to_owned(),
        report: schedule.report.as_str().to_owned(),
        by: schedule.by.iter().map(|dimension| dimension.name()).collect(),
        period: schedule.span.as_str().to_owned(),
        format: schedule.form.as_str().to_owned(),
        to: schedule.to.shown(),
        secret: schedule.secret.as_deref().map(str::to_owned),
        next_unix_micros: next_micros,
        problem,
        runs: runs.into_iter().map(told_run).collect(),
    }
}

fn told_run(run: Run) -> ScheduleRun {
    ScheduleRun {
        schedule: run.schedule.to_string(),
        slot_unix_micros: run.slot_micros,
        state: run.state.as_str().to_owned(),
        attempts: run.attempts,
        asked_by: run.asked_by,
        period_from_unix_micros: run.period_micros.map(|(from, _)| from),
        period_to_unix_micros: run.period_micros.map(|(_, to)| to),
        to: run.to,
        file: run.file,
        bytes: run.bytes,
        started_unix_micros: run.started_micros,
        delivered_unix_micros: run.delivered_micros,
        next_unix_micros: run.next_micros,
        error: run.error,
    }
}
