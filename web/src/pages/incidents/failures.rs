//! Failures: what they took, put down to what, on which nodes, and each of them.

use super::{bill, list, nodes};
use crate::address::encode;
use crate::format::{self, money};
use crate::insight::IncidentList;
use crate::pages::api::{Asked, ask};
use crate::pages::app::App;
use crate::pages::pieces::{answered, skeleton, stale_line};
use crate::pages::stat::{More, Stat, stat};
use leptos::prelude::*;
use std::sync::Arc;

/// Incidents that a page lists.
const ROWS: u64 = 200;

pub(super) fn failures(app: App) -> impl IntoView {
    let asked: Asked<IncidentList> = ask(move || {
        app.address.with(|a| {
            let (cluster, window) = (encode(&a.cluster), a.window_query());
            let (category, severity) = (encode(a.own("category")), encode(a.own("severity")));
            format!("/api/v1/incidents?{window}&cluster={cluster}&category={category}&severity={severity}&limit={ROWS}")
        })
    });
    app.want_meanings();
    view! {
        {stale_line(asked)}
        {answered(asked, || waiting().into_any(), move |found| filled(app, found).into_any())}
    }
}

fn filled(app: App, found: Signal<Arc<IncidentList>>) -> impl IntoView {
    let has_any = Memo::new(move |_| found.with(|f| f.all.incidents + f.planned.incidents > 0));
    move || match has_any.get() {
        true => view! {
            {move || stats(&found.read())}
            {bill::bill(app, found)}
            {nodes::nodes(app, found)}
            {list::list(app, found)}
        }
        .into_any(),
        false => none().into_any(),
    }
}

fn none() -> impl IntoView {
    view! {
        <div class="card c12">
            <div class="say center">
                <h2>"Nothing failed in this time range"</h2>
                <p>
                    "Incidents come from device events of the collectors and from the ends of jobs that a scheduler tells. "
                    "Without a scheduler's accounting only devices are seen:"
                </p>
                <div class="code">"sacct --parsable2 --allusers --format=ALL | coulomb import --preset slurm -"</div>
            </div>
        </div>
    }
}

fn stats(found: &IncidentList) -> impl IntoView + use<> {
    [lost(found), hours(found), count(found), worst(found)].map(stat).into_iter().collect_view()
}

fn lost(found: &IncidentList) -> Stat {
    let planned = found.planned.cost_micros.map(|cost| format!("beside {} of planned work", money::money(cost)));
    Stat {
        label: "Lost to failures",
        hint: "What attempts cost that ended too early, since their last checkpoint or their start, and GPUs that were down",
        value: found.all.cost_micros.map_or_else(|| "no price".to_owned(), money::money),
        exact: found.all.cost_micros.map(|cost| money::exact(cost, &found.currency)),
        unit: if found.all.cost_micros.is_some() { found.currency.clone() } else { String::new() }.into(),
        more: More::Bad,
        note: planned.unwrap_or_default(),
        ..Stat::default()
    }
}

fn hours(found: &IncidentList) -> Stat {
    Stat {
        label: "GPU-hours lost",
        hint: "Of attempts that ended too early, and of GPUs that were down",
        value: format::compact(found.all.gpu_hours_lost),
        unit: "GPU-h".into(),
        more: More::Bad,
        note: format!("in {}", format::counted(found.all.jobs, "attempt")),
        ..Stat::default()
    }
}

fn count(found: &IncidentList) -> Stat {
    let ongoing = found.incidents.iter().filter(|incident| incident.is_ongoing).count() as u64;
    Stat {
        label: "Incidents",
        hint: "Device events that come together, or jobs that failed",
        value: format::count(found.all.incidents),
        more: More::Bad,
        note: if ongoing > 0 { format!("{ongoing} not over yet") } else { "all are over".to_owned() },
        needs_attention: ongoing > 0,
        ..Stat::default()
    }
}

fn worst(found: &IncidentList) -> Stat {
    let node = found.nodes.first();
    let note = node.map(|node| {
        let lemon = if node.is_lemon { "; more than chance explains" } else { "" };
        format!("{}{lemon}", format::counted(node.incidents, "incident"))
    });
    Stat {
        label: "Worst node",
        hint: "By what failures of nodes, links and drivers took on it",
        value: node.map_or_else(|| "none".to_owned(), |node| node.node.clone()),
        note: note.unwrap_or_default(),
        needs_attention: node.is_some_and(|node| node.is_lemon),
        ..Stat::default()
    }
}

fn waiting() -> impl IntoView {
    let card = |class: &'static str, height| view! { <div class=class>{skeleton(height)}</div> };
    view! { {(0..4).map(|_| card("c3", 104)).collect_view()} {card("c7", 320)} {card("c5", 320)} {card("c12", 480)} }
}
