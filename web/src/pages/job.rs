//! What did a job do, what did it cost, and what could be better?

mod advice;
mod costs;
mod head;
mod said;
mod strip;
mod training;

use super::api::{Asked, ask};
use super::app::App;
use super::card::{Card, card};
use super::panel::parts::{events, facts};
use super::panel::series::{Shared, charts};
use super::pieces::{answered, skeleton, stale_line};
use super::plot::Hover;
use crate::address::encode;
use crate::format;
use crate::jobs::bucket_seconds;
use crate::sheet::gpus;
use crate::training::JobTraining;
use contract::answers::JobDetail;
use leptos::prelude::*;
use std::sync::Arc;

pub(crate) fn job() -> impl IntoView {
    let app = App::here();
    let asked: Asked<JobDetail> = ask(move || {
        app.address.with(|a| {
            let window = if a.has_window() { format!("&{}", a.window_query()) } else { String::new() };
            let attempt = if a.attempt.is_empty() { String::new() } else { format!("&attempt={}", encode(&a.attempt)) };
            let (cluster, job) = (encode(&a.job.0), encode(&a.job.1));
            format!("/api/v1/jobs/{cluster}/{job}?{}", (attempt + &window).trim_start_matches('&'))
        })
    });
    let hover: Hover = RwSignal::new(None);
    let trained = training::asked(app);
    view! {
        {stale_line(asked)}
        {answered(asked, || waiting().into_any(), move |found| filled(app, found, trained, hover).into_any())}
    }
}

fn waiting() -> impl IntoView {
    let card = |class: &'static str, height| view! { <div class=class>{skeleton(height)}</div> };
    view! { {card("c12", 56)} {(0..4).map(|_| card("c3", 132)).collect_view()} {card("c8", 396)} {card("c4", 396)} }
}

fn filled(app: App, found: Signal<Arc<JobDetail>>, trained: Asked<JobTraining>, hover: Hover) -> impl IntoView {
    let has_gpus = Memo::new(move |_| !found.read().gpus.is_empty());
    view! {
        {move || head::title(app, &found.read())}
        {move || head::stats(&found.read())}
        {move || if has_gpus.get() { strip::strip(app, found) } else { strip::nothing(&found.read()) }}
        {move || advice::advice(&found.read(), trained.value.get().as_deref())}
        {training::training(app, trained)}
        {move || has_gpus.get().then(|| telemetry(app, found, hover))}
        {move || costs::costs(&found.read())}
        {said::said(app, found)}
        {move || happened(&found.read())}
        {move || about(&found.read())}
    }
}

fn telemetry(app: App, found: Signal<Arc<JobDetail>>, hover: Hover) -> AnyView {
    let aside = move || {
        let gpus = format::counted(found.read().gpus.len() as u64, "GPU");
        format!("{gpus}; ratios are means, power and memory sums")
    };
    let head = Card { span: "c8", title: "What did its GPUs do?".to_owned().into(), aside: Signal::derive(aside) };
    let sheet = Signal::derive(move || gpus::telemetry(&found.read()));
    card(head, sheet, move || series(app, &found.read(), hover))
}

fn series(app: App, found: &JobDetail, hover: Hover) -> AnyView {
    let shared = Shared {
        range: found.window,
        times_unix_micros: found.times_unix_micros.clone(),
        bucket_seconds: bucket_seconds(found),
        events: found.events.clone(),
    };
    let back = (found.window != found.range).then(|| {
        let whole = move |_| {
            app.go(app.address.with_untracked(|a| {
                let attempt = a.attempt.parse().ok();
                a.to_job(&a.job.0, &a.job.1, attempt)
            }))
        };
        view! { <button class="control" on:click=whole>"Show the whole run"</button> }
    });
    view! { <div class="body">{back} {charts(&shared, &found.series, hover)}</div> }.into_any()
}

fn happened(found: &JobDetail) -> Option<impl IntoView + use<>> {
    if found.gpus.is_empty() && found.events.is_empty() {
        return None;
    }
    let body = match found.events.is_empty() {
        true => view! { <div class="say"><p>"No error of a GPU or node is known from this time."</p></div> }.into_any(),
        false => view! { <div class="scroller" tabindex="0">{events(&found.events)}</div> }.into_any(),
    };
    Some(view! {
        <section class="card c8">
            <header><h2>"What happened to its devices?"</h2></header>
            {body}
        </section>
    })
}

/// What the scheduler says of it.
fn about(found: &JobDetail) -> impl IntoView + use<> {
    let job = &found.job;
    let or = |value: &Option<String>, missing: &str| value.clone().unwrap_or_else(|| missing.to_owned()).into_any();
    let time = |value: Option<i64>| value.map_or("not known".to_owned(), format::instant).into_any();
    let mut all = vec![
        ("Cluster", job.cluster.clone().into_any()),
        ("Scheduler's state", or(&job.state, "not known")),
        ("Exit code", found.exit_code.map_or("not known".to_owned(), |code| code.to_string()).into_any()),
        ("Account", or(&job.account, "none")),
        ("Project", or(&job.project, "none")),
        ("Queue", or(&job.queue, "none")),
        ("Submitted", time(job.submitted_unix_micros)),
        ("Started", time(job.started_unix_micros)),
        ("Ended", time(job.ended_unix_micros)),
        ("Nodes", if job.nodes.is_empty() { "not known".to_owned() } else { job.nodes.join(", ") }.into_any()),
    ];
    if let Some(joules) = found.energy_joules {
        all.push(("Energy", format::energy(joules).into_any()));
    }
    let labels = found.labels.iter().map(|(key, value)| {
        view! { <span class="badge">{format!("{key}={value}")}</span> }
    });
    view! {
        <section class=if found.gpus.is_empty() && found.events.is_empty() { "card c8" } else { "card c4" }>
            <header><h2>"What does the scheduler say?"</h2></header>
            <div class="body tall">{facts(all)} <div class="badges">{labels.collect_view()}</div></div>
        </section>
    }
}
