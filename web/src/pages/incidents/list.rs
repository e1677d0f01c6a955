//! Each incident, the latest first; a row opens to what happened and what it hit.

use super::detail::detail;
use crate::address::{Address, Open};
use crate::alerts::severity;
use crate::format::{self, money};
use crate::insight::{CATEGORIES, IncidentEntry, IncidentList, category_label, incident_sheet};
use crate::pages::app::App;
use crate::pages::card::save_csv;
use crate::pages::pieces::{icon, severity_icon, shape};
use leptos::prelude::*;
use std::sync::Arc;

const SEVERITIES: [(&str, &str); 4] =
    [("", "All"), ("critical", "Critical"), ("warning", "Warning"), ("notice", "Notice")];

pub(super) fn list(app: App, found: Signal<Arc<IncidentList>>) -> impl IntoView {
    let save = move |_| save_csv(&incident_sheet(&found.read_untracked()));
    let body = move || {
        let (found, address) = (found.get(), app.address.get());
        if found.incidents.is_empty() {
            return view! { <div class="say"><p>"No incident is of this kind. Choose others above."</p></div> }
                .into_any();
        }
        table(app, &found, &address)
    };
    view! {
        <section class="card c12">
            <header>
                <h2>"What failed?"</h2>
                <div class="grow"></div>
                {choices(app)}
                <button class="control" on:click=save title="What is listed as CSV, exact to the millionth">{icon(shape::DOWNLOAD)} "CSV"</button>
            </header>
            {body}
            {move || left_out(&found.read())}
        </section>
    }
}

fn choices(app: App) -> impl IntoView {
    let category = move |(word, label): (&'static str, &'static str)| {
        let is_chosen = move || app.address.with(|a| a.own("category") == word);
        view! { <option value=word selected=is_chosen>{label}</option> }
    };
    let level = move |(word, label): (&'static str, &'static str)| {
        let is_chosen = move || app.address.with(|a| a.own("severity") == word);
        view! {
            <button aria-pressed=move || is_chosen().to_string() on:click=move |_| app.turn(|a| a.set_own("severity", word))>
                {label}
            </button>
        }
    };
    view! {
        <select
            class="control"
            aria-label="Cause"
            on:change=move |e| app.turn(|a| a.set_own("category", &event_target_value(&e)))
        >
            {category(("", "All causes"))}
            {CATEGORIES.map(category).into_iter().collect_view()}
        </select>
        <div class="segments" role="group" aria-label="Severity">{SEVERITIES.map(level).into_iter().collect_view()}</div>
    }
}

fn table(app: App, found: &IncidentList, address: &Address) -> AnyView {
    let rows = found.incidents.iter().map(|incident| rows(app, incident, &found.currency, address)).collect_view();
    view! {
        <div class="scroller" tabindex="0" role="region" aria-label="Incidents">
            <table class="incidents">
                <thead>
                    <tr>
                        <th scope="col">"What"</th>
                        <th scope="col">"When, UTC"</th>
                        <th scope="col">"Cause"</th>
                        <th scope="col">"Node"</th>
                        <th scope="col" class="number">"Jobs"</th>
                        <th scope="col" class="number">"GPU-hours lost"</th>
                        <th scope="col" class="number">{format!("Lost, {}", found.currency)}</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn rows(app: App, incident: &IncidentEntry, currency: &str, address: &Address) -> AnyView {
    let is_open = address.own("incident") == incident.id;
    let (id, now) = (incident.id.clone(), app.now_micros());
    let toggle = move |_| app.turn(|a| a.set_own("incident", if is_open { "" } else { &id }));
    let lasted = match incident.is_ongoing {
        true => format!("for {}, not over", format::age(now - incident.since_unix_micros)),
        false => format::duration(incident.until_unix_micros - incident.since_unix_micros),
    };
    let node = incident.node.clone().map(|node| {
        let open = address.to_open(Open::Node { cluster: incident.cluster.clone(), node: node.clone() });
        view! { <a href=open.href()>{node}</a> }
    });
    let count: u64 = incident.events.iter().map(|event| event.count).sum();
    let again = (count > 1).then(|| view! { <span class="badge">{format!("{count} events")}</span> });
    let inside =
        is_open.then(|| view! { <tr class="inside"><td colspan="7">{detail(incident, currency, address)}</td></tr> });
    view! {
        <tr aria-selected=is_open.to_string()>
            <td>
                <span class="line">
                    {severity_icon(severity(&incident.severity))}
                    <button class="link" aria-expanded=is_open.to_string() on:click=toggle>{incident.title.clone()}</button>
                    {again}
                </span>
            </td>
            <td title=format::instant(incident.since_unix_micros)>
                {format::short_instant(incident.since_unix_micros)} <span class="muted small">{format!(" · {lasted}")}</span>
            </td>
            <td>{category_label(&incident.category)}</td>
            <td>{node}</td>
            <td class="number">{if incident.jobs.is_empty() { "–".to_owned() } else { incident.jobs.len().to_string() }}</td>
            <td class="number">{format::hours(incident.gpu_hours_lost)}</td>
            <td class="number" title=incident.cost_micros.map(|cost| money::exact(cost, currency))>
                {incident.cost_micros.map_or_else(|| "no price".to_owned(), money::money)}
            </td>
        </tr>
        {inside}
    }
    .into_any()
}

fn left_out(found: &IncidentList) -> Option<impl IntoView + use<>> {
    (found.incidents_left_out > 0).then(|| {
        let text = format!(
            "{} earlier ones are not listed; the sums have all of them, and so does the table incidents of the last 30 days.",
            format::count(found.incidents_left_out)
        );
        view! { <div class="foot small muted">{text}</div> }
    })
}
