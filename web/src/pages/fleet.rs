//! Every GPU over time, and every node now.

mod filters;
mod heat;
mod paint;
mod table;

use super::api::{Asked, ask};
use super::app::App;
use super::pieces::{answered, no_telemetry, nothing_in_window, skeleton, stale_line};
use crate::address::encode;
use crate::roster;
use contract::answers::Fleet;
use leptos::prelude::*;
use std::sync::Arc;

pub(crate) fn fleet() -> impl IntoView {
    let app = App::here();
    let asked: Asked<Fleet> = ask(move || {
        app.address.with(|a| {
            format!("/api/v1/fleet?{}&cluster={}&metric={}", a.window_query(), encode(&a.cluster), a.metric.name)
        })
    });
    view! {
        {filters::filters(app, asked)}
        {stale_line(asked)}
        {answered(asked, || waiting().into_any(), move |found| filled(app, found).into_any())}
    }
}

fn filled(app: App, found: Signal<Arc<Fleet>>) -> impl IntoView {
    let has_nodes = Memo::new(move |_| !found.read().nodes.is_empty());
    let filter = Memo::new(move |_| app.address.read().filter.clone());
    let shown = Memo::new(move |_| shown(&found.read(), &filter.read()));
    move || {
        if has_nodes.get() {
            return view! { {heat::heat(app, found, shown)} {table::table(app, found, shown)} }.into_any();
        }
        let never = app.heard.with(|h| h.as_ref().is_some_and(|h| h.status.data_time_unix_micros.is_none()));
        if never { no_telemetry().into_any() } else { nothing_in_window(move || app.back_to_a_day()).into_any() }
    }
}

/// Positions of the nodes that the filter lets through.
fn shown(fleet: &Fleet, filter: &str) -> Vec<usize> {
    let passes = |(_, node): &(usize, &contract::answers::FleetNode)| roster::matches(node, filter);
    fleet.nodes.iter().enumerate().filter(passes).map(|(i, _)| i).collect()
}

fn waiting() -> impl IntoView {
    view! { <div class="c12">{skeleton(640)}</div> <div class="c12">{skeleton(320)}</div> }
}
