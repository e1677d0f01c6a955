//! Where did the GPU-hours go? By state, with the window before, and as CSV.

use crate::charts::share;
use crate::pages::browser;
use crate::pages::pieces::{icon, shape, state_name, state_parts};
use crate::{csv, format};
use contract::GpuState;
use contract::answers::Overview;
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn hours(found: Arc<Overview>) -> impl IntoView {
    let total = share::total(&found.gpu_hours);
    let row = |state: GpuState| {
        let hours = *found.gpu_hours.get(state);
        let before = share::comparable(found.gpu_hours_before.as_ref()).map(|b| *b.get(state));
        let change = format::change(hours, before).map(format::signed_percent);
        view! {
            <tr>
                <td>{state_name(state)}</td>
                <td class="number" title=hours.to_string()>{format::digits(hours)}</td>
                <td class="number">{format!("{:.1}", hours / total * 100.0)}</td>
                <td class="number muted">{change}</td>
            </tr>
        }
    };
    let rows = GpuState::ALL.map(row).into_iter().collect_view();
    let bar = view! { <div class="bar-of-states" aria-hidden="true">{state_parts(&found.gpu_hours, "width")}</div> };
    let facts = facts(&found);
    let save = move |_| {
        let name = format::file_name("gpu-hours", found.range.from_unix_micros, found.range.to_unix_micros);
        browser::download(&name, "text/csv", &csv::gpu_hours(&found));
    };
    view! {
        <section class="card c5">
            <header>
                <h2>"Where did the GPU-hours go?"</h2>
                <div class="grow"></div>
                <button class="control" on:click=save title="Exact values as CSV">{icon(shape::DOWNLOAD)} "CSV"</button>
            </header>
            <div class="body">{bar}</div>
            <table>
                <thead>
                    <tr>
                        <th>"State"</th>
                        <th class="number">"GPU-hours"</th>
                        <th class="number">"Share, %"</th>
                        <th class="number">"Change"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
                <tfoot>
                    <tr>
                        <td>"All"</td>
                        <td class="number" title=total.to_string()>{format::digits(total)}</td>
                        <td class="number">"100.0"</td>
                        <td></td>
                    </tr>
                </tfoot>
            </table>
            {facts}
        </section>
    }
}

/// Numbers that are no state.
fn facts(found: &Overview) -> impl IntoView + use<> {
    let busy = found.gpu_busy_ratio_mean.map_or_else(|| format::NOT_REPORTED.to_owned(), format::percent);
    let energy = found.energy_joules.map_or_else(|| format::NOT_REPORTED.to_owned(), format::energy);
    let jobs = found.jobs;
    let facts = [
        ("Mean busy", busy),
        ("Energy", energy),
        ("Jobs running", format::count(jobs.running)),
        ("Jobs waiting", format::count(jobs.waiting)),
        ("Jobs ended", format::count(jobs.ended)),
        ("of them failed", format::count(jobs.failed)),
    ];
    let fact = |(name, value): (&'static str, String)| view! { <div><dt>{name}</dt> <dd>{value}</dd></div> };
    view! { <dl class="facts boxed">{facts.map(fact).into_iter().collect_view()}</dl> }
}
