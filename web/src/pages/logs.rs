//! What was said, by whom, and when: records of logs, newest first.

mod controls;
mod counts;
mod records;

pub(super) use records::few;

use super::api::{self, Asked, Problem, ask};
use super::app::App;
use super::pieces::{answered, skeleton, stale_line};
use crate::logs::{self, LogRecord, Logs, PAGE_RECORDS};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::sync::Arc;
use std::time::Duration;

/// How often a page that follows asks again.
const FOLLOW_EVERY: Duration = Duration::from_secs(2);

/// Older pages of the same question.
#[derive(Clone, Copy)]
struct Older {
    records: RwSignal<Vec<LogRecord>>,
    /// Where the next one begins; none until one was loaded.
    before: RwSignal<Option<Option<String>>>,
    busy: RwSignal<bool>,
    problem: RwSignal<Option<Problem>>,
}

impl Older {
    fn new() -> Self {
        let (records, before) = (RwSignal::new(Vec::new()), RwSignal::new(None));
        Self { records, before, busy: RwSignal::new(false), problem: RwSignal::new(None) }
    }

    fn clear(self) {
        self.records.set(Vec::new());
        self.before.set(None);
        self.problem.set(None);
    }

    /// Where the page behind those that are shown begins.
    fn next(self, first: &Logs) -> Option<String> {
        self.before.get().unwrap_or_else(|| first.before.clone())
    }

    fn load(self, app: App, before: String) {
        let path = app.address.with_untracked(|a| logs::path(a, Some(&before), PAGE_RECORDS));
        self.busy.set(true);
        spawn_local(async move {
            let got = api::get::<Logs>(&path, None).await;
            self.busy.try_set(false);
            match got {
                Ok(page) => {
                    self.problem.try_set(None);
                    self.before.try_set(Some(page.before));
                    self.records.try_update(|records| records.extend(page.records));
                }
                Err(problem) if problem.status == 401 => app.to_login(),
                Err(problem) => {
                    self.problem.try_set(Some(problem));
                }
            }
        });
    }
}

pub(crate) fn logs() -> impl IntoView {
    let app = App::here();
    let question = Memo::new(move |_| app.address.with(|a| logs::path(a, None, PAGE_RECORDS)));
    let asked: Asked<Logs> = ask(move || question.get());
    let (older, follows) = (Older::new(), RwSignal::new(false));
    // Another question has other older pages; so has one whose newest records change.
    Effect::new(move |_| {
        question.track();
        older.clear();
    });
    follow(asked, older, follows);
    let waiting = || view! { <div class="c12">{skeleton(196)}</div> <div class="c12">{skeleton(560)}</div> }.into_any();
    view! {
        {stale_line(asked)}
        {controls::controls(app, follows)}
        {answered(asked, waiting, move |found| filled(app, found, older).into_any())}
    }
}

/// Asks again and again while somebody wants it.
fn follow(asked: Asked<Logs>, older: Older, follows: RwSignal<bool>) {
    let tick = move || {
        if follows.get_untracked() && older.records.with_untracked(Vec::is_empty) {
            asked.retry();
        }
    };
    if let Ok(handle) = set_interval_with_handle(tick, FOLLOW_EVERY) {
        on_cleanup(move || handle.clear());
    }
}

fn filled(app: App, found: Signal<Arc<Logs>>, older: Older) -> impl IntoView {
    let is_empty = Memo::new(move |_| found.read().records.is_empty());
    move || match is_empty.get() {
        true => nothing(app).into_any(),
        false => view! { {counts::counts(app, found)} {records::records(app, found, older)} }.into_any(),
    }
}

/// Nothing to list: because of the filter, or because nothing has come.
fn nothing(app: App) -> impl IntoView {
    let clear = move |_| {
        app.turn(|a| ["q", "severity", "on", "run"].iter().for_each(|key| a.set_own(key, "")));
    };
    let inside = move || {
        if app.address.with(logs::is_filtered) {
            return view! {
                <h2>"No record matches"</h2>
                <p>"Words match whole words, in any case; a star at the end of one lets it go on. Or choose another range above."</p>
                <button class="control" on:click=clear>"Show all records"</button>
            }
            .into_any();
        }
        view! {
            <h2>"No logs in this time range"</h2>
            <p>"Collectors read files and the journal of their nodes, and any OpenTelemetry SDK may send logs:"</p>
            <div class="code">"coulomb-collector run --journal --logs '/var/log/slurm/{job}.out' --logs '/var/log/pods/*/*/*.log'"</div>
        }
        .into_any()
    };
    view! { <div class="card c12"><div class="say center">{inside}</div></div> }
}
