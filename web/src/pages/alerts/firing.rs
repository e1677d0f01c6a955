//! What fires, worst first, each leading to what it is about.

use super::desk::Desk;
use crate::address::Address;
use crate::alerts::{AlertState, Alerts, by_rule, job_of, open_of, place, severity, telling};
use crate::format;
use crate::pages::pieces::{refused, severity_icon, turn};
use leptos::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Alerts of one rule that are shown unasked; a fleet has thousands of GPUs.
const SHOWN_OF_RULE: usize = 3;
/// Those that are shown at all, as far as a reader goes.
const SHOWN_OF_RULE_MAX: usize = 200;

/// Rules all of whose alerts are shown.
type Opened = RwSignal<BTreeSet<String>>;

pub(super) fn firing(desk: Desk, found: Signal<Arc<Alerts>>) -> impl IntoView {
    let opened: Opened = RwSignal::default();
    let count = move || {
        let found = found.read();
        let pending = found.alerts.iter().filter(|alert| alert.state == "pending").count() as u64;
        let firing = found.alerts.len() as u64 - pending;
        let pending = if pending > 0 { format!(", {pending} pending") } else { String::new() };
        format!("{firing} firing{pending}")
    };
    let list = move || {
        let found = found.get();
        if found.alerts.is_empty() {
            let rules = format::counted(found.rules.len() as u64, "rule");
            return view! {
                <div class="say">
                    <h3>"Nothing fires"</h3>
                    <p>{format!("{rules} are watched. What fired before stands below.")}</p>
                </div>
            }
            .into_any();
        }
        let address = desk.app.address.get();
        let rules = by_rule(&found.alerts);
        rules.into_iter().map(|(rule, alerts)| of_rule(desk, &address, rule, &alerts, opened)).collect_view().into_any()
    };
    view! {
        <section class="card c8">
            <header>
                <h2>"What fires?"</h2>
                <span class="small muted">{count}</span>
            </header>
            <div role="status">{move || desk.done.get().map(|told| view! { <p class="told">{told}</p> })}</div>
            {move || desk.problem.read().as_ref().map(refused)}
            {list}
        </section>
    }
}

fn of_rule(desk: Desk, address: &Address, rule: &str, alerts: &[&AlertState], opened: Opened) -> impl IntoView + use<> {
    let is_open = opened.read().contains(rule);
    let shown = alerts.len().min(if is_open { SHOWN_OF_RULE_MAX } else { SHOWN_OF_RULE });
    let left = alerts.len() - shown;
    let label = match (is_open, left) {
        (false, 0) => None,
        (false, left) => Some(format!("{left} more of {rule}")),
        (true, 0) => Some(format!("Fewer of {rule}")),
        (true, left) => Some(format!("Fewer of {rule}; {left} more are not listed")),
    };
    let rule = rule.to_owned();
    let turn = move |_| turn(opened, &rule);
    let more = label.map(|label| {
        view! { <div class="finding"><button class="link title more" aria-expanded=is_open.to_string() on:click=turn>{label}</button></div> }
    });
    view! { {alerts[..shown].iter().map(|alert| one(desk, address, alert)).collect_view()} {more} }
}

fn one(desk: Desk, address: &Address, alert: &AlertState) -> impl IntoView + use<> {
    let now = desk.app.now_micros();
    let title = alert.annotations.get("summary").cloned().unwrap_or_else(|| alert.rule.clone());
    let title = match (open_of(&alert.labels), job_of(&alert.labels)) {
        (Some(open), _) => view! { <a href=address.to_open(open).href()>{title}</a> }.into_any(),
        (None, Some((cluster, job))) => {
            view! { <a href=address.to_job(&cluster, &job, None).href()>{title}</a> }.into_any()
        }
        (None, None) => view! { <span>{title}</span> }.into_any(),
    };
    let state = match alert.state.as_str() {
        "missing" => "no data",
        state => state,
    };
    let flapping = alert.flapping.then(|| view! { <span class="badge">"flapping"</span> });
    let detail = alert.annotations.get("description").map(|text| format::sentence(text));
    let runbook = alert.annotations.get("runbook").filter(|url| url.starts_with("https://")).cloned();
    let runbook = runbook.map(|url| view! { <a href=url rel="noreferrer" target="_blank">"Runbook"</a> });
    let (silenced, acknowledged) = (alert.clone(), alert.clone());
    let is_quiet = alert.acknowledged || alert.state == "pending";
    let actions = move || {
        desk.may().then(|| {
            let (silenced, acknowledged) = (silenced.clone(), acknowledged.clone());
            let label = format!("Silence {}", silenced.rule);
            let acknowledge = (!is_quiet).then(|| {
                let label = format!("Acknowledge {}", acknowledged.rule);
                view! { <button class="link" aria-label=label on:click=move |_| desk.acknowledge(&acknowledged)>"Acknowledge"</button> }
            });
            view! { {acknowledge} <button class="link" aria-label=label on:click=move |_| desk.silence(&silenced)>"Silence"</button> }
        })
    };
    view! {
        <div class="finding">
            {severity_icon(severity(&alert.severity))}
            <div class="title">{title}</div>
            <div class="cost"><span class="badge">{state}</span> {flapping}</div>
            <div class="detail">{detail}</div>
            <div class="where" title=format::instant(alert.since_unix_micros)>
                {format!("{} · since {} · {}", place(&alert.labels), format::age(now - alert.since_unix_micros), telling(alert))}
            </div>
            <div class="where line">{runbook} {actions}</div>
        </div>
    }
}
