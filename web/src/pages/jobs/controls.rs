//! The filter line: words that must match, and the phase.

use crate::format;
use crate::pages::api::Asked;
use crate::pages::app::App;
use contract::answers::{JobList, JobPhase};
use leptos::prelude::*;

pub(super) fn controls(app: App, asked: Asked<JobList>) -> impl IntoView {
    let counts = move || asked.value.get().map(|found| found.counts);
    let choice = move |phase: Option<JobPhase>| {
        let name = phase.map_or("", JobPhase::as_str);
        let count = move || {
            let counts = counts()?;
            Some(format::count(phase.map_or(counts.iter().sum::<u64>(), |p| counts[p as usize])))
        };
        view! {
            <button
                aria-pressed=move || (app.address.read().phase == name).to_string()
                on:click=move |_| app.turn(|a| {
                    a.phase = name.to_owned();
                    a.offset = 0;
                })
            >
                {phase.map_or("all", JobPhase::as_str)} " " <span class="muted">{count}</span>
            </button>
        }
    };
    let view = move |name: &'static str, label: &'static str| {
        let is_chosen = move || app.address.with(|a| a.own("view") == name);
        view! {
            <button aria-pressed=move || is_chosen().to_string() on:click=move |_| app.turn(|a| a.set_own("view", name))>
                {label}
            </button>
        }
    };
    view! {
        <div class="filters">
            <input
                class="control"
                type="search"
                placeholder="Job, name, user, account, queue or node"
                aria-label="Filter jobs"
                prop:value=move || app.address.read().filter.clone()
                on:input=move |e| app.amend(|a| {
                    a.filter = event_target_value(&e);
                    a.offset = 0;
                })
            />
            <div class="segments" role="group" aria-label="Phase">
                {choice(None)} {JobPhase::ALL.map(|phase| choice(Some(phase))).into_iter().collect_view()}
            </div>
            <div class="segments" role="group" aria-label="View">{view("", "List")} {view("timeline", "Timeline")}</div>
        </div>
    }
}
