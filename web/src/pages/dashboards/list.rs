//! Which dashboards there are: what telemetry has arrived for first, then the others, with what they lack.

use super::editor;
use crate::boards::{DashboardEntry, edits};
use crate::format;
use crate::pages::api::{Asked, ask};
use crate::pages::app::App;
use crate::pages::pieces::{answered, icon, shape, skeleton, stale_line};
use leptos::prelude::*;
use std::sync::Arc;

pub(crate) fn list() -> impl IntoView {
    let app = App::here();
    let is_new = Memo::new(move |_| app.address.with(|a| !a.own("edit").is_empty()));
    move || match is_new.get() {
        true => editor::editor(app, None).into_any(),
        false => all(app).into_any(),
    }
}

fn all(app: App) -> impl IntoView {
    let asked: Asked<Vec<DashboardEntry>> = ask(|| "/api/v1/dashboards".to_owned());
    let waiting = || (0..6).map(|_| view! { <div class="c4">{skeleton(132)}</div> }).collect_view().into_any();
    let may = move || app.session.with(|s| s.as_ref().is_some_and(|s| edits(&s.role)));
    let new = move || {
        let mut address = app.address.get();
        address.set_own("edit", "new");
        address.href()
    };
    view! {
        <div class="filters">
            <p class="muted">"A dashboard is a text of panels with SQL. Those whose telemetry has arrived come first."</p>
            <div class="grow"></div>
            {move || may().then(|| view! { <a class="control button" href=new>"New dashboard"</a> })}
        </div>
        {stale_line(asked)}
        {answered(asked, waiting, move |found| filled(app, found).into_any())}
    }
}

fn filled(app: App, found: Signal<Arc<Vec<DashboardEntry>>>) -> impl IntoView {
    move || {
        let all = found.get();
        let group = |title: &'static str, note: &'static str, fits: &dyn Fn(&DashboardEntry) -> bool| {
            let entries: Vec<_> = all.iter().filter(|entry| fits(entry)).map(|entry| card(app, entry)).collect();
            (!entries.is_empty()).then(|| {
                view! {
                    <h2 class="row-title">{title} <span class="note">{note}</span></h2>
                    {entries}
                }
            })
        };
        let is_own = |entry: &DashboardEntry| entry.origin == "own";
        view! {
            {group("Your own", "from the server's folder and this page", &is_own)}
            {group("Ready", "everything that they need has arrived", &|e| !is_own(e) && e.offered)}
            {group("Waiting for telemetry", "they open, and have little to show", &|e| !is_own(e) && !e.offered)}
        }
    }
}

fn card(app: App, entry: &DashboardEntry) -> impl IntoView + use<> {
    let name = entry.name.clone();
    let href = move || app.address.read().to_board(&name).href();
    let lacks = (!entry.missing.is_empty()).then(|| {
        let tables = entry.missing.join(", ");
        view! { <p class="small muted">{format!("No rows yet of {tables}")}</p> }
    });
    let faults = (!entry.faults.is_empty()).then(|| {
        let count = format::counted(entry.faults.len() as u64, "fault");
        let first = &entry.faults[0];
        let told = format!("{count} in its file, the first in line {}: {}", first.line, first.text);
        view! { <p class="small fault">{icon(shape::WARNING)} <span>{format::sentence(&told)}</span></p> }
    });
    let badge = match (entry.origin.as_str(), entry.hides_shipped) {
        ("own", true) => Some("own, in place of the product's"),
        ("own", false) => Some("own"),
        _ => None,
    };
    view! {
        <a class="card c4 board-card" href=href>
            <span class="line">
                <strong>{entry.title.clone()}</strong>
                {badge.map(|text| view! { <span class="badge">{text}</span> })}
            </span>
            <p>{entry.description.clone()}</p>
            {lacks}
            {faults}
        </a>
    }
}
