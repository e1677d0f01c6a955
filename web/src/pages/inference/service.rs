//! One service, from headline to rows.

use super::{chart, cost, lines, sizing, stats};
use crate::address::encode;
use crate::inference::{
    BASES, Basis, GROUPINGS, InferenceDetail, first_token, grouping, kv_cache, per_token, queue, tokens,
};
use crate::pages::api::{Asked, ask};
use crate::pages::app::App;
use crate::pages::pieces::{answered, skeleton, stale_line};
use crate::pages::plot::Hover;
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn service(app: App) -> impl IntoView {
    let asked: Asked<InferenceDetail> = ask(move || {
        app.address.with(|a| {
            let (service, by) = (encode(a.own("service")), grouping(a.own("whom")).0);
            format!("/api/v1/inference/{service}?{}&by={by}", a.window_query())
        })
    });
    let basis = Memo::new(move |_| app.address.with(|a| Basis::named(a.own("basis"))));
    // One crosshair for all pictures; it outlives a refresh.
    let hover: Hover = RwSignal::new(None);
    view! {
        {controls(app)}
        {stale_line(asked)}
        {answered(asked, waiting, move |found| filled(found, basis, hover))}
    }
}

fn waiting() -> AnyView {
    let card = |class: &'static str, height| view! { <div class=class>{skeleton(height)}</div> };
    view! { {(0..4).map(|_| card("c3", 132)).collect_view()} {card("c8", 420)} {card("c4", 420)} {card("c12", 320)} }
        .into_any()
}

/// The way back, the basis of costs, and whom they are told apart by.
fn controls(app: App) -> impl IntoView {
    let back = move || {
        app.address.with(|a| {
            let mut next = a.clone();
            ["service", "basis", "whom"].into_iter().for_each(|key| next.set_own(key, ""));
            next.href()
        })
    };
    let segment = move |key: &'static str, value: &'static str, label: &'static str, hint: &'static str| {
        let is_chosen = move || {
            app.address.with(|a| match key {
                "whom" => grouping(a.own(key)).0 == grouping(value).0,
                _ => a.own(key) == value,
            })
        };
        view! {
            <button title=hint aria-pressed=move || is_chosen().to_string() on:click=move |_| app.turn(|a| a.set_own(key, value))>
                {label}
            </button>
        }
    };
    let bases = BASES.map(|(_, value, label, hint)| segment("basis", value, label, hint));
    let whom =
        GROUPINGS.map(|(value, label)| segment("whom", if value == GROUPINGS[0].0 { "" } else { value }, label, ""));
    view! {
        <div class="filters">
            <a class="control" href=back>"All services"</a>
            <div class="choice">
                "Costs of"
                <div class="segments" role="group" aria-label="What is spread over tokens">{bases.into_iter().collect_view()}</div>
            </div>
            <div class="choice">
                "by"
                <div class="segments" role="group" aria-label="Whom costs are told apart by">{whom.into_iter().collect_view()}</div>
            </div>
        </div>
    }
}

fn filled(found: Signal<Arc<InferenceDetail>>, basis: Memo<Basis>, hover: Hover) -> AnyView {
    view! {
        {move || stats::stats(&found.read(), basis.get())}
        {latency(found, hover)}
        {move || sizing::sizing(&found.read())}
        {over_time(found, hover)}
        {move || cost::cost(&found.read(), basis.get())}
        {lines::lines(found, basis)}
        {engine(found, hover)}
        {move || sizing::serves(&found.read())}
    }
    .into_any()
}

fn latency(found: Signal<Arc<InferenceDetail>>, hover: Hover) -> AnyView {
    let parts = vec![
        chart::Part { curves: first_token, is_stacked: false, high: None },
        chart::Part { curves: per_token, is_stacked: false, high: None },
    ];
    let what = chart::Chart {
        span: "c8",
        title: "How long do people wait?",
        aside: "of requests that did not fail",
        name: "latency",
        missing: "No request in this time says when its first token came: an attribute gen_ai.response.time_to_first_chunk, \
                  or an event coulomb.first_token.",
        times: |found| found.over_time.iter().map(|b| b.time_unix_micros).collect(),
    };
    chart::chart(what, parts, found, hover)
}

fn over_time(found: Signal<Arc<InferenceDetail>>, hover: Hover) -> AnyView {
    let parts = vec![chart::Part { curves: tokens, is_stacked: true, high: None }];
    let what = chart::Chart {
        span: "c8",
        title: "How many tokens?",
        aside: "a second, by when their requests arrived",
        name: "tokens",
        missing: "No request is known of this time.",
        times: |found| found.over_time.iter().map(|b| b.time_unix_micros).collect(),
    };
    chart::chart(what, parts, found, hover)
}

/// What the engines say; a sentence where none does.
fn engine(found: Signal<Arc<InferenceDetail>>, hover: Hover) -> AnyView {
    let parts = vec![
        chart::Part { curves: kv_cache, is_stacked: false, high: Some(1.0) },
        chart::Part { curves: queue, is_stacked: false, high: None },
    ];
    let what = chart::Chart {
        span: "c8",
        title: "What do its engines say?",
        aside: "KV cache as a mean of replicas, requests as their sum",
        name: "engine",
        missing: "No engine of it reports. vLLM, SGLang, TensorRT-LLM, TGI, Triton and llama.cpp have metrics that a \
                  collector can scrape, or an OpenTelemetry collector send.",
        times: |found| found.engine.over_time.iter().map(|b| b.time_unix_micros).collect(),
    };
    chart::chart(what, parts, found, hover)
}
