//! Who it is, and its headline numbers.

use super::said;
use crate::format::{self, money};
use crate::jobs::{cost, cost_note, gpu_hours, length, phase_class, wait};
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::stat::{More, Stat, stat};
use contract::GpuState;
use contract::answers::JobDetail;
use leptos::prelude::*;

pub(super) fn title(app: App, found: &JobDetail) -> impl IntoView + use<> {
    let job = &found.job;
    let name = job.name.clone().unwrap_or_else(|| format!("Job {}", job.job_id));
    let who = job.user.as_deref().map(|user| format!("by {user}"));
    let attempts = found.attempts.iter().map(|attempt| {
        let href = app.address.with_untracked(|a| a.to_job(&job.cluster, &job.job_id, Some(*attempt)).href());
        let current = (*attempt == job.attempt).then_some("page");
        view! { <a class="control" href=href aria-current=current>{format!("Attempt {}", attempt + 1)}</a> }
    });
    let said = said::address(app, found).href();
    let attempts = (found.attempts.len() > 1).then(|| attempts.collect_view());
    view! {
        <div class="filters">
            <h2 class="job-name">{name}</h2>
            <span class=phase_class(job.phase)>{job.phase.as_str()}</span>
            <span class="muted">{format!("{} in {}", job.job_id, job.cluster)}</span>
            <span class="muted">{who}</span>
            <div class="grow"></div>
            <a class="control" href=said>"Logs"</a>
            {attempts}
        </div>
    }
}

pub(super) fn stats(found: &JobDetail) -> impl IntoView + use<> {
    let now = (browser::now_millis() * 1000.0) as i64;
    [spent(found), used(found, now), ran(found, now), active(found)].map(stat).into_iter().collect_view()
}

fn spent(found: &JobDetail) -> Stat {
    let (micros, _) = cost(found);
    Stat {
        label: "Cost so far",
        hint: "Sum of its rows in the ledger, which knows whole hours that are over",
        value: micros.map_or_else(|| "not known".to_owned(), money::money),
        exact: micros.map(|micros| money::exact(micros, &found.currency)),
        unit: micros.map(|_| found.currency.clone()).unwrap_or_default().into(),
        note: cost_note(found),
        ..Stat::default()
    }
}

fn used(found: &JobDetail, now: i64) -> Stat {
    let hours = gpu_hours(&found.job, now);
    Stat {
        label: "GPU-hours",
        hint: "GPUs times time from start to end, or to the latest that was heard of it",
        value: hours.map_or_else(|| "not known".to_owned(), format::hours),
        exact: hours.map(|hours| format!("{hours} GPU-h")),
        unit: if hours.is_some() { "GPU-h" } else { "" }.into(),
        note: found
            .job
            .gpus
            .map_or("no number of GPUs is known".to_owned(), |gpus| format::counted(gpus.unsigned_abs(), "GPU")),
        ..Stat::default()
    }
}

fn ran(found: &JobDetail, now: i64) -> Stat {
    let waited = wait(&found.job, now).map(|waited| format!("waited {}", format::duration(waited)));
    Stat {
        label: "Run time",
        hint: "From start to end, or to now",
        value: length(&found.job, now).map_or_else(|| "not started".to_owned(), format::duration),
        note: waited.unwrap_or_else(|| "its submission is not known".to_owned()),
        ..Stat::default()
    }
}

fn active(found: &JobDetail) -> Stat {
    let hours = &found.gpu_hours;
    let active = *hours.get(GpuState::Active);
    let lost = hours.get(GpuState::HeldIdle) + hours.get(GpuState::HeldEmpty);
    let ratio = (active + lost > 0.0).then(|| active / (active + lost));
    Stat {
        label: "Active",
        hint: "Part of the time in which its GPUs worked, of that in which samples name the job",
        value: ratio.map_or_else(|| format::NOT_REPORTED.to_owned(), |ratio| format!("{:.1}", ratio * 100.0)),
        unit: if ratio.is_some() { "%" } else { "" }.into(),
        more: More::Good,
        note: match ratio {
            Some(_) => format!("{} without work", format::gpu_hours(lost)),
            None => "no sample of a GPU names it".to_owned(),
        },
        ..Stat::default()
    }
}
