//! One incident: what it means, what to do, its events and the jobs that it hit.

use crate::address::{Address, Open};
use crate::alerts::severity;
use crate::format::{self, money};
use crate::insight::{IncidentEntry, IncidentEvent, IncidentJob, logs_of};
use crate::pages::pieces::severity_icon;
use leptos::prelude::*;

/// Jobs of one incident that are shown; a rack that goes dark may take hundreds along.
const JOBS_MAX: usize = 50;

pub(super) fn detail(incident: &IncidentEntry, currency: &str, here: &Address) -> AnyView {
    let sure = format!("{:.0} % sure: {}", incident.confidence * 100.0, incident.confidence_reason);
    let down = (incident.down_gpu_hours > 0.0).then(|| {
        let cost =
            incident.down_cost_micros.map(|cost| format!(", {} {currency}", money::money(cost))).unwrap_or_default();
        format!("{} of GPUs that were down{cost}", format::gpu_hours(incident.down_gpu_hours))
    });
    view! {
        <div class="incident">
            <p>{incident.meaning.clone()} " " <strong>{incident.action.clone()}</strong></p>
            <p class="small muted">{sure} {down.map(|text| format!(" · {text}"))}</p>
            {events(incident, here)}
            {jobs(incident, currency, here)}
            <p class="small"><a href=logs_of(here, incident).href()>"Log lines around that time"</a></p>
        </div>
    }
    .into_any()
}

fn events(incident: &IncidentEntry, here: &Address) -> Option<impl IntoView + use<>> {
    if incident.events.is_empty() {
        return None;
    }
    let row = |event: &IncidentEvent| {
        let kind = event.code.map_or_else(|| event.kind.clone(), |code| format!("{} {code}", event.kind));
        let times = if event.count > 1 { format!("{} times", event.count) } else { "once".to_owned() };
        let gpu = event.gpu_uuid.clone().map(|gpu| {
            let open = here.to_open(Open::Gpu(gpu.clone()));
            view! { <a href=open.href() title=gpu.clone()>{format::short_id(&gpu)}</a> }
        });
        view! {
            <tr>
                <td title=format::instant(event.first_unix_micros)>{format::short_instant(event.first_unix_micros)}</td>
                <td><span class="line">{severity_icon(severity(&event.severity))} {kind}</span></td>
                <td>{times}</td>
                <td>{gpu}</td>
                <td class="wrap">{event.message.clone()} <div class="small muted">{event.meaning.clone()}</div></td>
            </tr>
        }
    };
    Some(view! {
        <table>
            <thead>
                <tr>
                    <th scope="col">"First, UTC"</th>
                    <th scope="col">"Event"</th>
                    <th scope="col">"How often"</th>
                    <th scope="col">"GPU"</th>
                    <th scope="col">"What was said, and what it means"</th>
                </tr>
            </thead>
            <tbody>{incident.events.iter().map(row).collect_view()}</tbody>
        </table>
    })
}

fn jobs(incident: &IncidentEntry, currency: &str, here: &Address) -> Option<impl IntoView + use<>> {
    if incident.jobs.is_empty() {
        return None;
    }
    let row = |job: &IncidentJob| {
        let page = here.to_job(&job.cluster, &job.job_id, Some(job.attempt));
        let since = if job.has_checkpoint { "its last checkpoint" } else { "its start" };
        view! {
            <tr>
                <td><a href=page.href()>{job.job_id.clone()}</a></td>
                <td class="wrap">{job.name.clone().unwrap_or_default()}</td>
                <td>{job.user.clone().unwrap_or_default()}</td>
                <td>{job.state.clone().unwrap_or_default()}</td>
                <td title=format::instant(job.lost_from_unix_micros)>
                    {format!("{} since {since}", format::duration(job.ended_unix_micros - job.lost_from_unix_micros))}
                </td>
                <td class="number">{format::hours(job.gpu_hours_lost)}</td>
                <td class="number">{job.cost_micros.map_or_else(|| "no price".to_owned(), money::money)}</td>
            </tr>
        }
    };
    let more = incident.jobs.len().saturating_sub(JOBS_MAX);
    Some(view! {
        <table>
            <thead>
                <tr>
                    <th scope="col">"Job"</th>
                    <th scope="col">"Name"</th>
                    <th scope="col">"User"</th>
                    <th scope="col">"State"</th>
                    <th scope="col">"Work that is gone"</th>
                    <th scope="col" class="number">"GPU-hours"</th>
                    <th scope="col" class="number">{format!("Lost, {currency}")}</th>
                </tr>
            </thead>
            <tbody>{incident.jobs.iter().take(JOBS_MAX).map(row).collect_view()}</tbody>
        </table>
        {(more > 0).then(|| view! { <p class="muted small">{format!("and {more} more")}</p> })}
    })
}
