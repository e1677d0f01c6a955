//! A GPU: what it is and does, who held it, what happened to it, and all its series.

use super::head;
use super::parts::{event_marks, events, facts, job_strip, jobs, state_strip};
use super::series::{Shared, charts};
use crate::address::{Open, encode};
use crate::format::{self, Unit};
use crate::pages::api::{Asked, ask};
use crate::pages::app::App;
use crate::pages::pieces::{answered, skeleton, stale_line, state_name};
use crate::pages::plot::Hover;
use contract::answers::{FleetGpu, GpuDetail};
use leptos::prelude::*;

pub(super) fn gpu(app: App, uuid: String) -> impl IntoView {
    let path = format!("/api/v1/gpus/{}", encode(&uuid));
    let asked: Asked<GpuDetail> = ask(move || app.address.with(|a| format!("{path}?{}", a.window_query())));
    let hover: Hover = RwSignal::new(None);
    let over = move || {
        let found = asked.value.get()?;
        let open = Open::Node { cluster: found.cluster.clone(), node: found.node.clone() };
        let href = app.address.with_untracked(|a| a.to_open(open).href());
        Some(
            view! { {found.cluster.clone()} " · " <a href=href>{found.node.clone()}</a> " · " {found.gpu.gpu_model.clone()} },
        )
    };
    let named = uuid.clone();
    let title = move || asked.value.get().map_or_else(|| "GPU".to_owned(), |f| format!("GPU {}", f.gpu.gpu_index));
    view! {
        {head(app, over, title)}
        <div class="inside">
            {stale_line(asked)}
            <code class="muted">{named}</code>
            {answered(asked, || waiting().into_any(), move |found| view! { {move || inside(&found.read(), hover)} }.into_any())}
        </div>
    }
}

pub(super) fn waiting() -> impl IntoView {
    view! { {skeleton(96)} {skeleton(48)} {skeleton(480)} }
}

fn inside(found: &GpuDetail, hover: Hover) -> impl IntoView + use<> {
    let shared = Shared {
        range: found.range,
        times_unix_micros: found.times_unix_micros.clone(),
        bucket_seconds: found.bucket_seconds,
        events: found.events.clone(),
    };
    view! {
        {facts(gpu_facts(&found.gpu))}
        <section>
            <h3>"States, jobs, events" <span class="aside">{format::window(found.range.from_unix_micros, found.range.to_unix_micros)}</span></h3>
            <div class="over-time">
            {state_strip(found.range, &found.states)}
            {job_strip(found.range, &found.gpu.jobs)}
            {event_marks(found.range, &found.events)}
            </div>
        </section>
        {charts(&shared, &found.series, hover)}
        <section><h3>"Events"</h3> {events(&found.events)}</section>
        <section><h3>"Jobs that held it"</h3> {jobs(&found.gpu.jobs)}</section>
    }
}

fn gpu_facts(gpu: &FleetGpu) -> Vec<(&'static str, AnyView)> {
    let memory = match (gpu.memory_used_bytes, gpu.memory_total_bytes) {
        (Some(used), Some(total)) => format::part_of(used as f64, total as f64),
        (used, _) => format::maybe(Unit::Bytes, used.map(|u| u as f64)),
    };
    let mut found: Vec<(&'static str, AnyView)> = vec![
        ("State", state_name(gpu.state).into_any()),
        ("Job", gpu.job_id.clone().unwrap_or_else(|| "none".to_owned()).into_any()),
        ("User", gpu.user.clone().unwrap_or_else(|| "nobody".to_owned()).into_any()),
        ("Busy", format::maybe(Unit::Ratio, gpu.gpu_busy_ratio).into_any()),
        ("Power", format::maybe(Unit::Watts, gpu.power_watts).into_any()),
        ("Temperature", format::maybe(Unit::Celsius, gpu.temperature_celsius).into_any()),
        ("Memory", memory.into_any()),
    ];
    if let Some(profile) = &gpu.mig_profile {
        found.push(("MIG profile", profile.clone().into_any()));
    }
    found
}
