//! The jobs of a page: sorted by the server, a row leads to its job.

use super::ROWS;
use crate::csv;
use crate::format::{self, NOT_REPORTED, money};
use crate::jobs::{gpu_hours, length, page_of, phase_class, wait};
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::pieces::{icon, shape};
use crate::pages::sorting::{self, Head};
use contract::answers::{JobList, JobRow};
use leptos::prelude::*;
use std::sync::Arc;

/// Key of the order, head, whether it is a number.
const COLUMNS: [(&str, &str, bool); 11] = [
    ("job", "Job", false),
    ("state", "State", false),
    ("user", "User", false),
    ("queue", "Queue", false),
    ("gpus", "GPUs", true),
    ("time", "Started, UTC", true),
    ("wait", "Waited", true),
    ("length", "Ran", true),
    ("gpu_hours", "GPU-hours", true),
    ("active", "Active, %", true),
    ("cost", "Cost", true),
];

pub(super) fn table(app: App, found: Signal<Arc<JobList>>) -> impl IntoView {
    let sort = Memo::new(move |_| app.address.read().sort.clone());
    let save = move |_| {
        let found = found.read_untracked();
        let name = format::file_name("jobs", found.range.from_unix_micros, found.range.to_unix_micros);
        browser::download(&name, "text/csv", &csv::jobs(&found.jobs));
    };
    let column = move |(key, label, is_number): (&'static str, &'static str, bool)| {
        let text = move || match key {
            "cost" => format!("{label}, {}", found.read().currency),
            _ => label.to_owned(),
        };
        sorting::head(app, sort, Head { key, is_number, is_down_first: is_number }, text)
    };
    let rows = move || {
        let now = (browser::now_millis() * 1000.0) as i64;
        found.read().jobs.iter().map(|job| row(app, job, now)).collect_view()
    };
    view! {
        <section class="card c12">
            <header>
                <h2>"Which jobs waited and ran?"</h2>
                <span class="aside">{move || {
                    let offset = app.address.read().offset;
                    page_of(offset, found.read().jobs.len() as u64, found.read().total)
                }}</span>
                <div class="grow"></div>
                {pager(app, found)}
                <button class="control" on:click=save title="The rows of this page as CSV, exact values">{icon(shape::DOWNLOAD)} "CSV"</button>
            </header>
            <div class="scroller">
                <table class="sticky">
                    <thead><tr>{COLUMNS.map(column).into_iter().collect_view()}</tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
}

fn pager(app: App, found: Signal<Arc<JobList>>) -> impl IntoView {
    let offset = move || app.address.read().offset;
    let has_next = move || offset() + (found.read().jobs.len() as u64) < found.read().total;
    let to = move |offset: u64| app.turn(|a| a.offset = offset);
    view! {
        <button
            class="control"
            disabled=move || offset() == 0
            on:click=move |_| to(offset().saturating_sub(ROWS))
        >"Earlier rows"</button>
        <button class="control" disabled=move || !has_next() on:click=move |_| to(offset() + ROWS)>"Further rows"</button>
    }
}

fn row(app: App, job: &JobRow, now: i64) -> impl IntoView + use<> {
    let attempt = (job.attempt > 0).then_some(job.attempt);
    let href = app.address.with_untracked(|a| a.to_job(&job.cluster, &job.job_id, attempt).href());
    let name = job.name.clone().unwrap_or_default();
    let again = (job.attempt > 0).then(|| format!("attempt {} ", job.attempt + 1));
    let started = match job.started_unix_micros {
        Some(t) => {
            view! { <td class="number muted" title=format::instant(t)>{format::short_instant(t)}</td> }.into_any()
        }
        None => view! { <td class="number muted">"not started"</td> }.into_any(),
    };
    let cost = match job.cost_micros {
        Some(c) => view! { <td class="number" title=money::exact(c, "")>{money::money(c)}</td> }.into_any(),
        None => view! { <td class="number muted">"no price"</td> }.into_any(),
    };
    let hint = job.state.clone().unwrap_or_default();
    view! {
        <tr>
            <td><a class="cut brief" href=href title=job.job_id.clone()>{job.job_id.clone()}</a> <div class="small muted cut brief" title=name.clone()>{again} {name.clone()}</div></td>
            <td title=hint><span class=phase_class(job.phase)>{job.phase.as_str()}</span></td>
            <td>{text(&job.user, "unknown")}</td>
            <td class="muted">{text(&job.queue, "none")}</td>
            {number(job.gpus.map(|gpus| gpus.to_string()))}
            {started}
            {number(wait(job, now).map(format::duration))}
            {number(length(job, now).map(format::duration))}
            {number(gpu_hours(job, now).map(format::hours))}
            {number(job.active_ratio.map(|ratio| format!("{:.1}", ratio * 100.0)))}
            {cost}
        </tr>
    }
}

fn text(value: &Option<String>, missing: &'static str) -> String {
    value.clone().unwrap_or_else(|| missing.to_owned())
}

fn number(value: Option<String>) -> impl IntoView {
    match value {
        Some(value) => view! { <td class="number">{value}</td> }.into_any(),
        None => view! { <td class="number muted" title=NOT_REPORTED>"–"</td> }.into_any(),
    }
}
