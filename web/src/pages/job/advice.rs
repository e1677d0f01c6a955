//! What could be better? Advice with its money.

use crate::format::{self, money};
use crate::pages::pieces::severity_icon;
use contract::answers::{JobAdvice, JobDetail, Severity};
use leptos::prelude::*;

pub(super) fn advice(found: &JobDetail) -> impl IntoView + use<> {
    let body = if found.gpus.is_empty() {
        view! { <div class="say"><p>"Without telemetry there is nothing to advise."</p></div> }.into_any()
    } else if found.advice.is_empty() {
        view! { <div class="say"><p>"Nothing: its GPUs worked, and none lagged behind the others."</p></div> }
            .into_any()
    } else {
        found.advice.iter().map(|advice| one(advice, &found.currency)).collect_view().into_any()
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
