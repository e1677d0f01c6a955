//! How is the fleet, and what is wrong with it?

mod attention;
mod hours;
mod money;
mod over_time;
mod stats;
mod strip;

use super::api::{Asked, ask};
use super::app::App;
use super::pieces::{Waiting, answered, no_telemetry, nothing_in_window, skeleton, stale_line, waiting_for};
use crate::address::encode;
use crate::charts::share;
use crate::insight::FindingList;
use contract::answers::{Costs, Overview};
use leptos::prelude::*;
use std::sync::Arc;

pub(crate) fn overview() -> impl IntoView {
    let app = App::here();
    let asked: Asked<Overview> = ask(move || {
        app.address.with(|a| format!("/api/v1/overview?{}&cluster={}", a.window_query(), encode(&a.cluster)))
    });
    // Money is asked for by itself: the fleet's state does not wait for it.
    let costs: Asked<Costs> = ask(move || {
        app.address.with(|a| format!("/api/v1/costs?{}&by=team&cluster={}", a.window_query(), encode(&a.cluster)))
    });
    let costs = waiting_for(costs);
    let findings: Asked<FindingList> = ask(move || {
        app.address.with(|a| format!("/api/v1/findings?{}&cluster={}&limit=20", a.window_query(), encode(&a.cluster)))
    });
    let findings = waiting_for(findings);
    let ready = move |found| filled(app, found, costs, findings).into_any();
    view! { {stale_line(asked)} {answered(asked, || waiting().into_any(), ready)} }
}

fn filled(
    app: App,
    found: Signal<Arc<Overview>>,
    costs: Waiting<Costs>,
    findings: Waiting<FindingList>,
) -> impl IntoView {
    let has_hours = Memo::new(move |_| share::total(&found.read().gpu_hours) > 0.0);
    move || {
        if has_hours.get() {
            return sections(app, found, costs, findings).into_any();
        }
        let never = app.heard.with(|h| h.as_ref().is_some_and(|h| h.status.data_time_unix_micros.is_none()));
        if never { no_telemetry().into_any() } else { nothing_in_window(move || app.back_to_a_day()).into_any() }
    }
}

fn sections(
    app: App,
    found: Signal<Arc<Overview>>,
    costs: Waiting<Costs>,
    findings: Waiting<FindingList>,
) -> impl IntoView {
    view! {
        {move || stats::stats(&found.read(), costs.get().0.as_deref())}
        {over_time::over_time(found)}
        {attention::attention(app, found, findings)}
        {money::money(app, costs)}
        {move || hours::hours(found.get())}
        {strip::strip(app, found)}
    }
}

fn waiting() -> impl IntoView {
    let card = |class: &'static str, height| view! { <div class=class>{skeleton(height)}</div> };
    view! {
        {(0..4).map(|_| card("c3", 132)).collect_view()} {card("c8", 396)} {card("c4", 396)} {card("c5", 360)} {card("c7", 360)}
    }
}
