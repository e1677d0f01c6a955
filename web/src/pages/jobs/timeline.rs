//! The jobs of a page over time: when each waited and ran, and how long and how well all of them did.

use crate::charts::gantt::{Row, gantt};
use crate::charts::histogram::{Bin, bins, histogram};
use crate::format::{self, Unit};
use crate::instant::{HOUR, rfc3339};
use crate::jobs::{gpu_hours, length, wait};
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::card::{Card, card};
use crate::pages::drawing::drawing;
use crate::sheet::{self, Field, Sheet};
use contract::answers::{JobList, JobPhase, JobRow};
use leptos::prelude::*;
use std::sync::Arc;

const HEIGHT: f64 = 180.0;
const BINS: usize = 12;

pub(super) fn timeline(app: App, found: Signal<Arc<JobList>>) -> AnyView {
    let waits = move |now| values(&found.read(), |job| wait(job, now).map(|micros| micros as f64 / HOUR as f64));
    let busy = move |_| values(&found.read(), |job| job.active_ratio);
    view! {
        {over_time(app, found)}
        {spread("How long did they wait?", "hours", "waits", Unit::Count, waits)}
        {spread("How busy were their GPUs?", "part of the time that they held them", "active", Unit::Ratio, busy)}
    }
    .into_any()
}

fn now() -> i64 {
    (browser::now_millis() * 1000.0) as i64
}

fn over_time(app: App, found: Signal<Arc<JobList>>) -> AnyView {
    let head = Card {
        span: "c12",
        title: "When did they wait and run?".to_owned().into(),
        aside: Signal::derive(move || {
            let shown = format::counted(found.read().jobs.len() as u64, "job");
            format!("{shown} of this page; grey is waiting")
        }),
    };
    let sheet = Signal::derive(move || rows(&found.read()));
    card(head, sheet, move || {
        let picture = drawing("Jobs over time".to_owned(), move |width| {
            let found = found.read();
            let rows: Vec<Row> = found.jobs.iter().map(|job| bar(app, job)).collect();
            gantt(found.range, &rows, now(), width)
        });
        let entry = |class: &'static str, text: &'static str| {
            view! { <span class="entry"><i class="swatch" style=format!("--fill:var(--{class})")></i> {text}</span> }
        };
        view! {
            <div class="body">{picture}</div>
            <div class="foot legend">
                {entry("line-strong", "waiting")} {entry("accent", "running")} {entry("series-other", "ended")} {entry("broken", "failed")}
            </div>
        }
        .into_any()
    })
}

fn bar(app: App, job: &JobRow) -> Row {
    let attempt = (job.attempt > 0).then_some(job.attempt);
    let name = job.name.clone().map(|name| format!(" {name}")).unwrap_or_default();
    let time = |micros: Option<i64>, none: &str| micros.map_or_else(|| none.to_owned(), format::short_instant);
    let hint = format!(
        "{}{name}, {}: {} – {}{}",
        job.job_id,
        job.phase.as_str(),
        time(job.started_unix_micros, "not started"),
        time(job.ended_unix_micros, "goes on"),
        gpu_hours(job, now()).map(|hours| format!(", {}", format::gpu_hours(hours))).unwrap_or_default()
    );
    Row {
        name: format!("{}{name}", job.job_id),
        hint,
        href: Some(app.address.with(|a| a.to_job(&job.cluster, &job.job_id, attempt).href())),
        colour: match job.phase {
            JobPhase::Failed => "broken",
            JobPhase::Running => "accent",
            JobPhase::Waiting | JobPhase::Ended => "series-other",
        },
        waits_from: job.submitted_unix_micros,
        from: job.started_unix_micros,
        to: job.ended_unix_micros,
    }
}

fn rows(found: &JobList) -> Sheet {
    let time = |micros: Option<i64>| match micros {
        Some(micros) => Field { shown: format::short_instant(micros), exact: rfc3339(micros) },
        None => sheet::missing(),
    };
    let row = |job: &JobRow| {
        let duration = |micros: Option<i64>| match micros {
            Some(micros) => Field { shown: format::duration(micros), exact: (micros as f64 / 1e6).to_string() },
            None => sheet::missing(),
        };
        vec![
            sheet::named(job.job_id.clone()),
            sheet::named(job.phase.as_str()),
            time(job.submitted_unix_micros),
            time(job.started_unix_micros),
            time(job.ended_unix_micros),
            duration(wait(job, now())),
            duration(length(job, now())),
        ]
    };
    Sheet {
        name: "jobs-over-time".to_owned(),
        heads: vec![
            sheet::text("Job", "job_id"),
            sheet::text("State", "phase"),
            sheet::number("Submitted, UTC", "submitted_at"),
            sheet::number("Started, UTC", "started_at"),
            sheet::number("Ended, UTC", "ended_at"),
            sheet::number("Waited", "wait_seconds"),
            sheet::number("Ran", "run_seconds"),
        ],
        rows: found.jobs.iter().map(row).collect(),
    }
}

fn values(found: &JobList, of: impl Fn(&JobRow) -> Option<f64>) -> (Vec<f64>, usize) {
    let known: Vec<f64> = found.jobs.iter().filter_map(of).collect();
    let missing = found.jobs.len() - known.len();
    (known, missing)
}

/// How often each size occurs, and of how many jobs it is not known.
fn spread(
    title: &'static str,
    what: &'static str,
    name: &'static str,
    unit: Unit,
    values: impl Fn(i64) -> (Vec<f64>, usize) + Copy + Send + Sync + 'static,
) -> AnyView {
    let found = Memo::new(move |_| values(now()));
    let head = Card {
        span: "c6",
        title: title.to_owned().into(),
        aside: Signal::derive(move || match found.read().1 {
            0 => what.to_owned(),
            missing => format!("{what}; not known of {}", format::counted(missing as u64, "job")),
        }),
    };
    let counted = move || bins(&found.read().0, BINS);
    let sheet = Signal::derive(move || {
        let row = |bin: &Bin| {
            let edge = |value: f64| Field { shown: format::axis(unit, value), exact: value.to_string() };
            vec![edge(bin.from), edge(bin.to), sheet::named(bin.count.to_string())]
        };
        let heads = vec![sheet::number("From", "from"), sheet::number("To", "to"), sheet::number("Jobs", "jobs")];
        Sheet { name: name.to_owned(), heads, rows: counted().iter().map(row).collect() }
    });
    card(head, sheet, move || {
        if found.read().0.is_empty() {
            return view! { <div class="say"><p>{format::NOT_REPORTED}</p></div> }.into_any();
        }
        let picture = drawing(title.to_owned(), move |width| histogram(&counted(), unit, width, HEIGHT));
        view! { <div class="body">{picture}</div> }.into_any()
    })
}
