//! Why did attempts end? What was seen in their last minutes.

use crate::format::{self, money};
use crate::training::{JobTraining, TrainingAttempt, TrainingEvidence};
use leptos::prelude::*;

/// Nothing where all attempts ended well.
pub(super) fn ends(found: &JobTraining) -> Option<impl IntoView + use<>> {
    let failed: Vec<&TrainingAttempt> = found.attempts.iter().filter(|attempt| attempt.cause.is_some()).collect();
    if failed.is_empty() {
        return None;
    }
    let all = failed.iter().rev().map(|attempt| one(attempt, &found.currency)).collect_view();
    Some(view! {
        <section class="card c8">
            <header><h2>"Why did it end early?"</h2></header>
            <div class="findings" tabindex="0" role="region" aria-label="Ends of attempts">{all}</div>
        </section>
    })
}

fn one(attempt: &TrainingAttempt, currency: &str) -> impl IntoView + use<> {
    let cause = attempt.cause.clone().unwrap_or_default();
    let cost = attempt.lost_micros.filter(|micros| *micros != 0);
    let text = cost.map(|micros| format!("{} {currency}", money::money(micros)));
    let exact = cost.map(|micros| money::exact(micros, currency));
    let steps = match (attempt.first_step, attempt.last_step) {
        (Some(first), Some(last)) => format!("steps {first} to {last}, "),
        _ => String::new(),
    };
    let lost = match attempt.lost_steps {
        0 => "none lost".to_owned(),
        lost => format!(
            "{} lost with {}",
            format::counted(lost, "step"),
            format::gpu_hours(attempt.lost_gpu_seconds / 3600.0)
        ),
    };
    let evidence = cause.evidence.iter().map(seen).collect_view();
    view! {
        <div class="finding">
            {super::super::super::pieces::severity_icon(contract::answers::Severity::Critical)}
            <div class="title">{format!("Attempt {}: {}", attempt.attempt + 1, cause.text)}</div>
            <div class="cost" title=exact>{text}</div>
            <div class="detail">{format!("{steps}{lost}")}</div>
            <ul class="where evidence">{evidence}</ul>
        </div>
    }
}

fn seen(evidence: &TrainingEvidence) -> impl IntoView + use<> {
    let what = match evidence.source.as_str() {
        "device_events" => "device",
        "spans" => "span",
        _ => "log",
    };
    let place = if evidence.place.is_empty() { String::new() } else { format!(" on {}", evidence.place) };
    let time = format::instant(evidence.time_unix_micros);
    view! { <li>{format!("{time} · {what}{place}: {}", evidence.text)}</li> }
}
