//! What could be better? Advice with its money.

use crate::format::{self, money};
use crate::pages::pieces::severity_icon;
use crate::training::JobTraining;
use contract::answers::{JobAdvice, JobDetail, Severity};
use leptos::prelude::*;

/// Of its telemetry, and of its steps where spans tell of them.
pub(super) fn advice(found: &JobDetail, trained: Option<&JobTraining>) -> impl IntoView + use<> {
    let of_steps = trained.map(|trained| trained.advice.as_slice()).unwrap_or_default();
    let mut all: Vec<&JobAdvice> = found.advice.iter().chain(of_steps).collect();
    all.sort_by(|a, b| b.gpu_hours.unwrap_or(-1.0).total_cmp(&a.gpu_hours.unwrap_or(-1.0)));
    let body = if found.gpus.is_empty() && all.is_empty() {
        view! { <div class="say"><p>"Without telemetry there is nothing to advise."</p></div> }.into_any()
    } else if all.is_empty() {
        view! { <div class="say"><p>"Nothing: its GPUs worked, and none lagged behind the others."</p></div> }
            .into_any()
    } else {
        all.into_iter().map(|advice| one(advice, &found.currency)).collect_view().into_any()
    };
    view! {
        <section class="card c4">
            <header><h2>"What could be better?"</h2></header>
            <div class="findings">{body}</div>
        </section>
    }
}

fn one(advice: &JobAdvice, currency: &str) -> impl IntoView + use<> {
    let cost = advice.cost_micros.map(|micros| format!("{} {currency}", money::money(micros)));
    let exact = advice.cost_micros.map(|micros| money::exact(micros, currency));
    let severity = if advice.gpu_hours.is_some() { Severity::Warning } else { Severity::Notice };
    let hours = advice.gpu_hours.map(|hours| format!(" · {}", format::gpu_hours(hours)));
    view! {
        <div class="finding">
            {severity_icon(severity)}
            <div class="title">{advice.title.clone()}</div>
            <div class="cost" title=exact>{cost}</div>
            <div class="detail">{advice.detail.clone()}{hours}</div>
        </div>
    }
}
