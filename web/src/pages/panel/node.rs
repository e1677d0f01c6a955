//! A node: its GPUs now, its own series, events and jobs.

use super::gpu::waiting;
use super::head;
use super::parts::{event_marks, events, facts, job_strip, jobs};
use super::series::{Shared, charts};
use crate::address::{Open, encode};
use crate::format::{self, Unit};
use crate::pages::api::{Asked, ask};
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::pieces::{answered, stale_line, state_name};
use crate::pages::plot::Hover;
use crate::roster::NodeRow;
use contract::answers::{FleetGpu, FleetNode, NodeDetail};
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

pub(super) fn node(app: App, cluster: String, node: String) -> impl IntoView {
    let path = format!("/api/v1/nodes/{}/{}", encode(&cluster), encode(&node));
    let asked: Asked<NodeDetail> = ask(move || app.address.with(|a| format!("{path}?{}", a.window_query())));
    let hover: Hover = RwSignal::new(None);
    let over = move || {
        let rack = asked.value.get().and_then(|f| f.rack.clone()).map(|r| format!(" · {r}"));
        let gpus = asked.value.get().and_then(|f| Some(format!(" · {} × {}", f.gpus.len(), f.gpus.first()?.gpu_model)));
        format!("{cluster}{}{}", rack.unwrap_or_default(), gpus.unwrap_or_default())
    };
    view! {
        {head(app, over, node)}
        <div class="inside">
            {stale_line(asked)}
            {answered(asked, || waiting().into_any(), move |found| view! { {move || inside(app, &found.read(), hover)} }.into_any())}
        </div>
    }
}

fn inside(app: App, found: &NodeDetail, hover: Hover) -> impl IntoView + use<> {
    let shared = Shared {
        range: found.range,
        times_unix_micros: found.times_unix_micros.clone(),
        bucket_seconds: found.bucket_seconds,
        events: found.events.clone(),
    };
    view! {
        {facts(node_facts(found))}
        <section><h3>"GPUs" <span class="aside">"at the end of the range"</span></h3> {gpus(app, &found.gpus)}</section>
        <section>
            <h3>"Jobs and events" <span class="aside">{format::window(found.range.from_unix_micros, found.range.to_unix_micros)}</span></h3>
            <div class="over-time">
            {lanes(found)}
            {event_marks(found.range, &found.events)}
            </div>
        </section>
        {charts(&shared, &found.series, hover)}
        <section><h3>"Events"</h3> {events(&found.events)}</section>
        <section><h3>"Jobs that ran on it"</h3> {jobs(&found.jobs)}</section>
    }
}

/// Jobs that overlap lie in lanes of their own.
fn lanes(found: &NodeDetail) -> impl IntoView + use<> {
    let lanes = crate::charts::lanes::lanes(&found.jobs);
    lanes.into_iter().map(|lane| job_strip(found.range, &lane)).collect_view()
}

fn node_facts(found: &NodeDetail) -> Vec<(&'static str, AnyView)> {
    let row = NodeRow::of(
        0,
        &FleetNode {
            cluster: found.cluster.clone(),
            node: found.node.clone(),
            rack: found.rack.clone(),
            gpus: found.gpus.clone(),
        },
    );
    vec![
        ("Busy", format::maybe(Unit::Ratio, row.busy_ratio).into_any()),
        ("Power of the GPUs", format::maybe(Unit::Watts, row.power_watts).into_any()),
        ("Hottest GPU", format::maybe(Unit::Celsius, row.temperature_celsius_max).into_any()),
    ]
}

fn gpus(app: App, gpus: &[FleetGpu]) -> impl IntoView + use<> {
    let reading = |unit, value: Option<f64>| match value {
        Some(v) => view! { <td class="number" title=format::value(unit, v)>{format::cell(unit, v)}</td> }.into_any(),
        None => view! { <td class="number muted" title=format::NOT_REPORTED>"n/r"</td> }.into_any(),
    };
    let row = |gpu: &FleetGpu| {
        let open = Open::Gpu(gpu.gpu_uuid.clone());
        let entered = open.clone();
        let keyed = move |e: KeyboardEvent| match e.key().as_str() {
            "Enter" | " " => {
                e.prevent_default();
                app.open(entered.clone());
            }
            key @ ("ArrowDown" | "ArrowUp") => {
                e.prevent_default();
                browser::focus_sibling(&event_target(&e), key == "ArrowDown");
            }
            _ => {}
        };
        view! {
            <tr class="pick" tabindex="0" title=gpu.gpu_uuid.clone() on:click=move |_| app.open(open.clone()) on:keydown=keyed>
                <td>{gpu.gpu_index} {gpu.mig_profile.clone().map(|p| format!(" · {p}"))}</td>
                <td>{state_name(gpu.state)}</td>
                {reading(Unit::Ratio, gpu.gpu_busy_ratio)}
                {reading(Unit::Watts, gpu.power_watts)}
                {reading(Unit::Celsius, gpu.temperature_celsius)}
                {reading(Unit::Bytes, gpu.memory_used_bytes.map(|b| b as f64))}
                <td class="muted">{gpu.user.clone().unwrap_or_else(|| "nobody".to_owned())}</td>
            </tr>
        }
    };
    view! {
        <table>
            <thead>
                <tr>
                    <th scope="col">"GPU"</th>
                    <th scope="col">"State"</th>
                    <th scope="col" class="number">"Busy, %"</th>
                    <th scope="col" class="number">"Power, W"</th>
                    <th scope="col" class="number">"°C"</th>
                    <th scope="col" class="number">"GiB"</th>
                    <th scope="col">"Held by"</th>
                </tr>
            </thead>
            <tbody>{gpus.iter().map(row).collect_view()}</tbody>
        </table>
    }
}
