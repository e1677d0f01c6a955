//! The filter line: words that must match, and what the heat map shows.

use crate::format;
use crate::metric::{METRICS, Metric};
use crate::pages::api::Asked;
use crate::pages::app::App;
use crate::roster;
use contract::answers::Fleet;
use leptos::prelude::*;

pub(super) fn filters(app: App, asked: Asked<Fleet>) -> impl IntoView {
    let choice = move |metric: &'static Metric| {
        view! {
            <button
                aria-pressed=move || (app.address.read().metric == metric).to_string()
                on:click=move |_| app.turn(|a| a.metric = metric)
            >
                {metric.label}
            </button>
        }
    };
    let counts = move || {
        let fleet = asked.value.get()?;
        let filter = app.address.read().filter.clone();
        let passing = fleet.nodes.iter().filter(|n| roster::matches(n, &filter));
        let (nodes, gpus) = passing.fold((0, 0), |(n, g), node| (n + 1, g + node.gpus.len() as u64));
        Some(format!("{}, {}", format::counted(nodes, "node"), format::counted(gpus, "GPU")))
    };
    view! {
        <div class="filters">
            <input
                class="control"
                type="search"
                placeholder="Filter by node, rack, model, job, user, state"
                aria-label="Filter nodes"
                prop:value=move || app.address.read().filter.clone()
                on:input=move |e| app.amend(|a| a.filter = event_target_value(&e))
            />
            <div class="segments" role="group" aria-label="Metric of the heat map">
                {METRICS.iter().map(choice).collect_view()}
            </div>
            <div class="grow"></div>
            <span class="muted small" role="status">{counts}</span>
        </div>
    }
}
