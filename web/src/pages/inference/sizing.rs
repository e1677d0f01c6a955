//! How many replicas, and why; which jobs serve.

use super::stats::rate;
use crate::format;
use crate::inference::{InferenceDetail, InferenceScaling, seconds};
use crate::pages::panel::parts::facts;
use leptos::prelude::*;

pub(super) fn sizing(found: &InferenceDetail) -> impl IntoView + use<> {
    let inside = match &found.scaling {
        Some(scaling) => said(scaling).into_any(),
        None => view! {
            <div class="say"><p>"The last hours say nothing of it: replicas are counted by what they did within a day."</p></div>
        }
        .into_any(),
    };
    view! { <section class="card c4"><header><h2>"How many replicas?"</h2></header> {inside}</section> }
}

fn said(scaling: &InferenceScaling) -> impl IntoView + use<> {
    let capacity = scaling.capacity_tokens_per_second.map_or_else(
        || "not known".to_owned(),
        |most| format!("{}{}", if scaling.is_saturated { "" } else { "at least " }, rate(most)),
    );
    let all = vec![
        ("Comes in", rate(scaling.work_tokens_per_second).into_any()),
        ("A replica can do", capacity.into_any()),
        ("In use", scaling.utilisation_ratio.map_or_else(|| "not known".to_owned(), format::percent).into_any()),
        ("Worked at together", format::digits(scaling.concurrency).into_any()),
        ("Confidence", scaling.confidence.clone().unwrap_or_else(|| "none".to_owned()).into_any()),
        ("Periods judged", format::count(scaling.periods).into_any()),
    ];
    let objective = format!(
        "The objective: 95 of 100 requests see their first token within {} and queue no longer than {}; replicas are \
         {} full at most. Work is generated tokens, and four of a prompt for one.",
        seconds(Some(scaling.objective_time_to_first_token_seconds)),
        seconds(Some(scaling.objective_queue_seconds)),
        format::percent(scaling.objective_utilisation_ratio),
    );
    view! {
        <div class="body tall">
            <p>{scaling.text.clone()}</p>
            {facts(all)}
            <p class="small muted">{objective}</p>
        </div>
    }
}

/// Whose GPUs its bill is of.
pub(super) fn serves(found: &InferenceDetail) -> impl IntoView + use<> {
    let jobs = found.jobs.iter().map(|job| view! { <li><code>{job.clone()}</code></li> }).collect_view();
    let more = (found.jobs_left_out > 0)
        .then(|| view! { <p class="small muted">{format!("and {} before.", format::counted(found.jobs_left_out, "job"))}</p> });
    let inside = match found.jobs.is_empty() {
        true => view! {
            <div class="say">
                <p>
                    "No job is known whose label, name or pod is the service's, so nothing is known of its cost. Name the job like the service, or give it the label "
                    <code>"coulomb.service"</code> "."
                </p>
            </div>
        }
        .into_any(),
        false => view! { <div class="scroller" tabindex="0" role="region" aria-label="Jobs"><div class="body"><ul class="points">{jobs}</ul> {more}</div></div> }.into_any(),
    };
    view! { <section class="card c4"><header><h2>"Which jobs serve?"</h2></header> {inside}</section> }
}
