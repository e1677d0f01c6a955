//! Which jobs waited and ran, and how well?

mod controls;
mod table;
mod timeline;

use super::api::{Asked, ask};
use super::app::App;
use super::pieces::{answered, skeleton, stale_line};
use crate::address::encode;
use contract::answers::JobList;
use leptos::prelude::*;
use std::sync::Arc;

/// Rows of a page of the table.
const ROWS: u64 = 100;

pub(crate) fn jobs() -> impl IntoView {
    let app = App::here();
    let asked: Asked<JobList> = ask(move || {
        app.address.with(|a| {
            let (cluster, filter) = (encode(&a.cluster), encode(&a.filter));
            let (phase, sort, offset) = (encode(&a.phase), encode(&a.sort), a.offset);
            let window = a.window_query();
            format!(
                "/api/v1/jobs?{window}&cluster={cluster}&filter={filter}&phase={phase}&sort={sort}&offset={offset}&limit={ROWS}"
            )
        })
    });
    view! {
        {controls::controls(app, asked)}
        {stale_line(asked)}
        {answered(asked, || waiting().into_any(), move |found| filled(app, found).into_any())}
    }
}

fn filled(app: App, found: Signal<Arc<JobList>>) -> impl IntoView {
    let has_jobs = Memo::new(move |_| !found.read().jobs.is_empty());
    let is_timeline = Memo::new(move |_| app.address.with(|a| a.own("view") == "timeline"));
    move || match (has_jobs.get(), is_timeline.get()) {
        (true, true) => timeline::timeline(app, found),
        (true, false) => table::table(app, found).into_any(),
        (false, _) => none(app, found).into_any(),
    }
}

/// Nothing to list: because of the filter, or because no job is known.
fn none(app: App, found: Signal<Arc<JobList>>) -> impl IntoView {
    let is_filtered = move || app.address.with(|a| !a.filter.is_empty() || !a.phase.is_empty() || a.offset > 0);
    let clear = move |_| {
        app.turn(|a| {
            a.filter.clear();
            a.phase.clear();
            a.offset = 0;
        });
    };
    let inside = move || {
        let all: u64 = found.read().counts.iter().sum();
        if is_filtered() {
            let text = format!("{all} match the words, none of them is listed here.");
            return view! {
                <h2>"No job matches"</h2>
                <p>{text}</p>
                <button class="control" on:click=clear>"Show all jobs"</button>
            }
            .into_any();
        }
        view! {
            <h2>"No job waited or ran in this time range"</h2>
            <p>"Choose another range or cluster above. Jobs come from a scheduler's accounting, or from the collectors:"</p>
            <div class="code">"sacct --parsable2 --allusers --format=ALL | coulomb import --preset slurm -"</div>
        }
        .into_any()
    };
    view! { <div class="card c12"><div class="say center">{inside}</div></div> }
}

fn waiting() -> impl IntoView {
    view! { <div class="c12">{skeleton(640)}</div> }
}
