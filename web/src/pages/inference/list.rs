//! All services: a line each, those with most requests first.

use crate::format::{self, Unit, money};
use crate::inference::{
    InferenceService, InferenceServices, failed_ratio, is_off, replicas, services_sheet, shown, source_note,
};
use crate::pages::api::{Asked, ask};
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::card::save_csv;
use crate::pages::pieces::{answered, icon, shape, skeleton, stale_line};
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn list(app: App) -> impl IntoView {
    let asked: Asked<InferenceServices> =
        ask(move || format!("/api/v1/inference?{}", app.address.with(|a| a.window_query())));
    view! {
        {stale_line(asked)}
        {answered(asked, || view! { <div class="c12">{skeleton(320)}</div> }.into_any(), move |found| filled(app, found))}
    }
}

fn filled(app: App, found: Signal<Arc<InferenceServices>>) -> AnyView {
    let has_services = Memo::new(move |_| !found.read().services.is_empty());
    view! { {move || if has_services.get() { table(app, found) } else { none(app) }} }.into_any()
}

/// What has to be sent so that there is something to see.
fn none(app: App) -> AnyView {
    let server = browser::origin();
    let wide = move || {
        (!app.address.with(|a| a.from == "now-30d")).then(|| {
            let month = move |_| app.turn(|a| a.from = "now-30d".to_owned());
            view! { <button class="control" on:click=month>"Look at the last 30 days"</button> }
        })
    };
    view! {
        <div class="card c12">
            <div class="say center">
                <h2>"No inference request in this time range"</h2>
                <p>"Requests are gen_ai spans over OTLP: point the SDK of a gateway or an engine here, with a token that may send rows."</p>
                <div class="code">{format!("export OTEL_EXPORTER_OTLP_ENDPOINT={server}")}</div>
                <div class="code">"export OTEL_EXPORTER_OTLP_HEADERS=\"authorization=Bearer%20TOKEN\""</div>
                <div class="code">"export OTEL_SERVICE_NAME=chat OTEL_RESOURCE_ATTRIBUTES=coulomb.tenant=TENANT"</div>
                <p>"A job or pod whose label or name is the service's pays for it; then a million tokens has a cost."</p>
                {wide}
            </div>
        </div>
    }
    .into_any()
}

fn table(app: App, found: Signal<Arc<InferenceServices>>) -> AnyView {
    let rows = move || found.get().services.iter().map(|one| row(app, one)).collect_view();
    let currency = move || found.read().currency.clone();
    let count = move || {
        let found = found.read();
        let more = match found.services_left_out {
            0 => String::new(),
            n => format!(", and {n} with fewer requests"),
        };
        format!("{}{more}", format::counted(found.services.len() as u64, "service"))
    };
    let save = move |_| save_csv(&services_sheet(&found.read_untracked()));
    view! {
        <section class="card c12">
            <header>
                <h2>"How do the services do?"</h2>
                <span class="aside">{count}</span>
                <div class="grow"></div>
                <button class="control" title="This table as CSV" on:click=save>{icon(shape::DOWNLOAD)} "CSV"</button>
            </header>
            <div class="scroller" tabindex="0" role="region" aria-label="Services">
                <table class="sticky">
                    <thead>
                        <tr>
                            <th scope="col">"Service"</th>
                            <th scope="col" class="number">"Requests"</th>
                            <th scope="col" class="number">"Failed"</th>
                            <th scope="col" class="number" title="Arrival to the first token, 95th percentile">"First token, p95"</th>
                            <th scope="col" class="number" title="From a token to the next, 95th percentile">"Per token, p95"</th>
                            <th scope="col" class="number" title="Generated, from the first request to the last">"Tokens/s"</th>
                            <th scope="col" class="number" title="A million tokens of prompts, of all that is paid">
                                {move || format!("{} / M in", currency())}
                            </th>
                            <th scope="col" class="number" title="A million generated tokens, of all that is paid">
                                {move || format!("{} / M out", currency())}
                            </th>
                            <th scope="col" class="number" title="Replicas that it needs for its objective, of those that run">"Replicas wanted"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

fn row(app: App, one: &InferenceService) -> impl IntoView + use<> {
    let service = one.service.clone();
    let href = move || {
        app.address.with(|a| {
            let mut next = a.clone();
            next.set_own("service", &service);
            next.href()
        })
    };
    let models = one.models.iter().map(|model| model.model.as_str()).collect::<Vec<_>>().join(", ");
    let about = source_note(&one.figures.source).map_or(models, str::to_owned);
    let figures = &one.figures;
    let number = |unit: Unit, value: Option<f64>| {
        let (text, exact) = shown(unit, value);
        view! { <td class="number" class:muted=value.is_none() title=exact>{text}</td> }
    };
    let price = |micros: Option<i64>| {
        match micros {
        Some(micros) => view! { <td class="number" title=money::exact(micros, "")>{money::money(micros)}</td> }.into_any(),
        None => view! { <td class="number muted" title="No job is known that serves it, or its hours have no price">"–"</td> }.into_any(),
    }
    };
    let failed = failed_ratio(figures.failed, figures.requests);
    let scaling = one.scaling.as_ref();
    let why = scaling.map_or_else(|| "The last hours say nothing of it".to_owned(), |s| s.text.clone());
    view! {
        <tr>
            <td><a href=href>{one.service.clone()}</a> <div class="small muted cut brief" title=about.clone()>{about.clone()}</div></td>
            <td class="number" title=figures.requests.to_string()>{format::count(figures.requests)}</td>
            <td class="number" class:attention=failed.is_some_and(|f| f >= 0.01)>{failed.map_or("–".to_owned(), format::percent)}</td>
            {number(Unit::Seconds, figures.time_to_first_token_seconds.p95)}
            {number(Unit::Seconds, figures.time_per_output_token_seconds.p95)}
            {number(Unit::Count, figures.tokens_per_second)}
            {price(one.unit_cost.input_micros_per_million_tokens)}
            {price(one.unit_cost.output_micros_per_million_tokens)}
            <td class="number" class:attention=is_off(scaling) title=why>{replicas(scaling)}</td>
        </tr>
    }
}
