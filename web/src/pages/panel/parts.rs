//! What node and GPU panels share: facts, events, jobs, strips over time.

use crate::format;
use crate::insight::meaning_of;
use crate::instant::HOUR;
use crate::order;
use crate::pages::app::App;
use crate::pages::pieces::{state_label, state_name};
use contract::GpuState;
use contract::answers::{DeviceEvent, JobSpan, Range, StateSpan};
use leptos::prelude::*;

pub(in crate::pages) fn facts(facts: Vec<(&'static str, AnyView)>) -> impl IntoView {
    let fact = |(name, value)| view! { <div><dt>{name}</dt> <dd>{value}</dd></div> };
    view! { <dl class="facts">{facts.into_iter().map(fact).collect_view()}</dl> }
}

/// Start and width in percent of what lies in the window.
fn place(range: Range, from: i64, to: i64) -> Option<(f64, f64)> {
    let (start, end) = (from.max(range.from_unix_micros), to.min(range.to_unix_micros));
    let span = (range.to_unix_micros - range.from_unix_micros).max(1) as f64;
    (end > start).then(|| ((start - range.from_unix_micros) as f64 / span * 100.0, (end - start) as f64 / span * 100.0))
}

fn style((left, width): (f64, f64)) -> String {
    format!("left:{left:.3}%;width:{width:.3}%")
}

/// The states one after the other.
pub(super) fn state_strip(range: Range, spans: &[StateSpan]) -> impl IntoView + use<> {
    let part = |s: &StateSpan| {
        let place = place(range, s.from_unix_micros, s.to_unix_micros)?;
        let when = format::window(s.from_unix_micros, s.to_unix_micros);
        let hint =
            format!("{}, {when}, {}", state_label(s.state), format::duration(s.to_unix_micros - s.from_unix_micros));
        Some(view! { <span class=format!("part {}", s.state.as_str()) style=style(place) title=hint></span> })
    };
    let seen = GpuState::ALL.into_iter().filter(|state| spans.iter().any(|s| s.state == *state));
    view! {
        <div class="strip" role="img" aria-label="States over time">{spans.iter().filter_map(part).collect_view()}</div>
        <div class="legend">{seen.map(|s| view! { <span class="entry">{state_name(s)}</span> }).collect_view()}</div>
    }
}

pub(super) fn job_strip(range: Range, jobs: &[JobSpan]) -> impl IntoView + use<> {
    let block = |j: &JobSpan| {
        let place = place(range, j.from_unix_micros, j.to_unix_micros)?;
        let who = j.user.as_deref().unwrap_or("unknown user");
        let hint = format!("{} by {who}, {}", j.job_id, format::window(j.from_unix_micros, j.to_unix_micros));
        Some(view! { <span class="job" style=style(place) title=hint>{j.job_id.clone()}</span> })
    };
    view! { <div class="strip jobs" aria-hidden="true">{jobs.iter().filter_map(block).collect_view()}</div> }
}

/// Token of an event's colour, class of its mark.
pub(super) fn event_look(severity: &str) -> (&'static str, &'static str) {
    match severity {
        "critical" | "error" => ("broken", "mark bad"),
        "warning" => ("attention", "mark"),
        _ => ("accent", "mark info"),
    }
}

pub(super) fn event_marks(range: Range, events: &[DeviceEvent]) -> impl IntoView + use<> {
    let mark = |e: &DeviceEvent| {
        let (left, _) = place(range, e.time_unix_micros, e.time_unix_micros + 1)?;
        let hint = format!("{}: {}", format::instant(e.time_unix_micros), e.message);
        Some(view! { <i class=event_look(&e.severity).1 style=format!("left:{left:.3}%") title=hint></i> })
    };
    view! { <div class="marks" aria-hidden="true">{events.iter().filter_map(mark).collect_view()}</div> }
}

/// The newest of them; the rest is a query away.
const EVENTS_MAX: usize = 50;

pub(in crate::pages) fn events(events: &[DeviceEvent]) -> AnyView {
    if events.is_empty() {
        return view! { <p class="muted small">"None in this range."</p> }.into_any();
    }
    let app = App::here();
    app.want_meanings();
    let mut newest: Vec<&DeviceEvent> = events.iter().collect();
    order::sort_by_key(&mut newest, |e| std::cmp::Reverse(e.time_unix_micros));
    let row = |e: &&DeviceEvent| {
        let (of, code) = (e.kind.clone(), e.code);
        let meaning =
            move || app.meanings.with(|all| meaning_of(all, &of, code).map(|m| format!("{} {}", m.meaning, m.action)));
        let kind = e.code.map_or_else(|| e.kind.clone(), |code| format!("{} {code}", e.kind));
        view! {
            <tr>
                <td class="muted" title=format::instant(e.time_unix_micros)>{format::short_instant(e.time_unix_micros)}</td>
                <td><span class="marks inline"><i class=event_look(&e.severity).1></i></span> {kind}</td>
                <td class="wrap">
                    {e.message.clone()}
                    {e.job_id.as_ref().map(|job| view! { <span class="muted">{format!(" · job {job}")}</span> })}
                    <div class="small muted">{meaning}</div>
                </td>
            </tr>
        }
    };
    let more = newest.len().saturating_sub(EVENTS_MAX);
    view! {
        <table>
            <thead><tr><th scope="col">"Time, UTC"</th><th scope="col">"Kind"</th><th scope="col">"What happened"</th></tr></thead>
            <tbody>{newest.iter().take(EVENTS_MAX).map(row).collect_view()}</tbody>
        </table>
        {(more > 0).then(|| view! { <p class="muted small">{format!("and {more} older")}</p> })}
    }
    .into_any()
}

pub(super) fn jobs(jobs: &[JobSpan]) -> AnyView {
    if jobs.is_empty() {
        return view! { <p class="muted small">"No job held it in this range."</p> }.into_any();
    }
    let mut newest: Vec<&JobSpan> = jobs.iter().collect();
    order::sort_by_key(&mut newest, |j| std::cmp::Reverse(j.from_unix_micros));
    let row = |j: &&JobSpan| {
        let hours = (j.to_unix_micros - j.from_unix_micros) as f64 / HOUR as f64;
        view! {
            <tr>
                <td>{j.job_id.clone()}</td>
                <td class="wrap">{j.name.clone().unwrap_or_default()}</td>
                <td class="muted">{j.user.clone().unwrap_or_else(|| "unknown".to_owned())}</td>
                <td class="muted" title=format::window(j.from_unix_micros, j.to_unix_micros)>
                    {format::short_instant(j.from_unix_micros)}
                </td>
                <td class="number" title=format!("{hours} h")>{format::duration(j.to_unix_micros - j.from_unix_micros)}</td>
            </tr>
        }
    };
    view! {
        <table>
            <thead>
                <tr>
                    <th scope="col">"Job"</th>
                    <th scope="col">"Name"</th>
                    <th scope="col">"User"</th>
                    <th scope="col">"From, UTC"</th>
                    <th scope="col" class="number">"Held for"</th>
                </tr>
            </thead>
            <tbody>{newest.iter().map(row).collect_view()}</tbody>
        </table>
    }
    .into_any()
}
