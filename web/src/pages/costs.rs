//! What was paid, by whom, and what did it buy? Down to the rows of the ledger.

mod anomalies;
mod budgets;
mod controls;
mod empty;
mod groups;
mod losses;
mod months;
mod notices;
mod over_time;
mod rows;
mod spenders;
mod totals;
pub(crate) mod waterfall;

use super::api::{Asked, ask};
use super::app::App;
use super::pieces::{answered, skeleton, stale_line};
use super::prices::compare;
use crate::costs::{bands, slice};
use contract::answers::Costs;
use leptos::prelude::*;
use std::sync::Arc;

pub(crate) fn costs() -> impl IntoView {
    let app = App::here();
    let asked: Asked<Costs> =
        ask(move || app.address.with(|a| format!("/api/v1/costs?{}&by={}", slice::asked(a), a.by.name)));
    view! {
        {controls::controls(app)}
        {stale_line(asked)}
        {answered(asked, || waiting().into_any(), move |found| filled(app, found).into_any())}
    }
}

/// What an answer has to show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    All,
    /// Use without any price: hours and whose they are.
    HoursAlone,
    NoPrices,
    NoUse,
}

fn content(found: &Costs) -> Content {
    let has_use = found.gpu_hours > 0.0 || found.cost_micros != 0 || !found.groups.is_empty();
    match (found.has_prices, has_use) {
        (true, true) => Content::All,
        (false, true) => Content::HoursAlone,
        (false, false) => Content::NoPrices,
        (true, false) => Content::NoUse,
    }
}

fn filled(app: App, found: Signal<Arc<Costs>>) -> impl IntoView {
    let content = Memo::new(move |_| content(&found.read()));
    move || match content.get() {
        Content::All => sections(app, found).into_any(),
        Content::HoursAlone => {
            view! { {move || empty::no_prices(found.read().gpu_hours)} {groups::groups(app, found)} }.into_any()
        }
        Content::NoPrices => empty::no_prices(0.0).into_any(),
        Content::NoUse => view! { {empty::no_use(app)} {move || months::months(app, &found.read())} }.into_any(),
    }
}

fn sections(app: App, found: Signal<Arc<Costs>>) -> impl IntoView {
    // The answer is to the question before while the next is on its way; only its own words fit it.
    let bands = Memo::new(move |_| bands(&found.read(), app.address.with_untracked(|a| a.by)));
    let own = move |key: &'static str| Memo::new(move |_| app.address.with(|a| a.own(key).to_owned()));
    let (has_rows, stage, compared) = (own("rows"), own("stage"), own("compare"));
    let has_rows = Memo::new(move |_| !has_rows.read().is_empty());
    // What is about all costs has no part of them.
    let is_whole = Memo::new(move |_| app.address.with(|a| a.own("where").is_empty() && a.cluster.is_empty()));
    let has_teams =
        Memo::new(move |_| app.address.with(|a| slice::parse(a.own("where")).iter().all(|f| f.by.name != "team")));
    let odd = anomalies::asked(app, is_whole);
    view! {
        {move || totals::totals(&found.read())}
        {move || notices::notices(&found.read())}
        {move || has_rows.get().then(|| rows::rows(app))}
        {over_time::over_time(app, found, bands, odd)}
        {waterfall::waterfall("c4", found, move || app.address.get())}
        {move || (!stage.read().is_empty()).then(|| losses::losses(app, stage.get()))}
        {anomalies::anomalies(odd)}
        {groups::groups(app, found)}
        {move || (*compared.read() == "policies").then(|| compare::compare(app).into_any())}
        {move || has_teams.get().then(|| spenders::spenders(app))}
        {move || is_whole.get().then(|| budgets::budgets(app))}
        {move || months::months(app, &found.read())}
    }
}

fn waiting() -> impl IntoView {
    let card = |class: &'static str, height| view! { <div class=class>{skeleton(height)}</div> };
    view! { {(0..4).map(|_| card("c3", 132)).collect_view()} {card("c8", 396)} {card("c4", 396)} {card("c12", 360)} }
}
