//! The months of the ledger: what each costs, whether it is closed, and who may change that.

use super::closing::{self, Step};
use crate::books::{Closing, is_over};
use crate::csv;
use crate::format::{self, money};
use crate::instant::{DAY, month_range};
use crate::pages::api::Asked;
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::dialog::dialog;
use crate::pages::pieces::{answered, icon, shape, skeleton, stale_line};
use contract::answers::{CostMonth, Costs};
use leptos::prelude::*;
use std::sync::Arc;

/// What the closing of a month was answered with.
pub(super) type Told = RwSignal<Option<String>>;

pub(super) fn months(app: App, asked: Asked<Costs>) -> impl IntoView {
    let step = RwSignal::new(None::<Step>);
    let told: Told = RwSignal::new(None);
    let title = |step: &Step| match step {
        Step::Close(month, _) => format!("Close {}?", money::month(&month.period)),
        Step::Reopen(period) => format!("Open {} again?", money::month(period)),
    };
    let save = move |_| {
        if let Some(found) = asked.value.get_untracked() {
            browser::download("coulomb-months.csv", "text/csv", &csv::months(&found.months, &found.currency));
        }
    };
    view! {
        <section class="card c4">
            <header>
                <h2>"Months of the ledger"</h2>
                <div class="grow"></div>
                <button class="control" title="These months as CSV, exact values" on:click=save>{icon(shape::DOWNLOAD)} "CSV"</button>
            </header>
            {stale_line(asked)}
            <div role="status">{move || told.get().map(|text| view! { <p class="told">{text}</p> })}</div>
            {answered(asked, || view! { <div class="body">{skeleton(240)}</div> }.into_any(), move |found| {
                list(app, found, step).into_any()
            })}
            <div class="foot small muted">{move || words(app)}</div>
        </section>
        {dialog(step, title, move |step| closing::closing(step, asked, told).into_any())}
    }
}

fn words(app: App) -> &'static str {
    if app.keeps_books() {
        "A closed month never changes; what is found out later is posted to the first open one."
    } else {
        "A closed month never changes. The roles finance and admin close months and open them again."
    }
}

fn list(app: App, found: Signal<Arc<Costs>>, step: RwSignal<Option<Step>>) -> impl IntoView {
    move || {
        let found = found.get();
        if found.months.is_empty() {
            return view! {
                <div class="say">
                    <p>"No hour has been charged yet. State prices first, under " <a href="/prices">"Prices and policy"</a> "."</p>
                </div>
            }
            .into_any();
        }
        let rows = found.months.iter().rev().map(|m| month(app, m, &found.currency, step)).collect_view();
        view! { <ul class="months">{rows}</ul> }.into_any()
    }
}

fn month(app: App, month: &CostMonth, currency: &str, step: RwSignal<Option<Step>>) -> impl IntoView + use<> {
    let (state, class) = if month.is_closed { ("closed", "badge") } else { ("open", "badge open") };
    let period = month.period.clone();
    let href = {
        let period = period.clone();
        move || {
            let mut address = app.address.get();
            address.set_own("month", &period);
            address.href()
        }
    };
    let over = is_over(&period, app.now_micros());
    let days = month_range(&period).map_or(0, |(_, end)| (end - app.now_micros()) / DAY + 1);
    let note = match (month.is_closed, over) {
        (true, _) => String::new(),
        (false, true) => "over, can be closed".to_owned(),
        (false, false) => format!("ends in {}", format::counted(days.max(0) as u64, "day")),
    };
    let hours = month.unpriced_gpu_hours;
    let unpriced = (hours > 0.0)
        .then(|| view! { <span class="attention">{format!("{} without a price", format::gpu_hours(hours))}</span> });
    let corrected = (month.correction_micros != 0)
        .then(|| view! { <span title=money::exact(month.correction_micros, currency)>{format!("of it {} corrections", money::money(month.correction_micros))}</span> });
    let next =
        if month.is_closed { Step::Reopen(period.clone()) } else { Step::Close(month.clone(), currency.to_owned()) };
    let label = if month.is_closed { "Open again …" } else { "Close …" };
    let may = move || app.keeps_books() && over;
    let button = move || {
        let next = next.clone();
        may().then(|| view! { <button class="control" on:click=move |_| step.set(Some(next.clone()))>{label}</button> })
    };
    view! {
        <li>
            <div class="line">
                <a href=href>{money::month(&period)}</a>
                <span class=class>{state}</span>
                <span class="grow"></span>
                <span class="amount" title=money::exact(month.cost_micros, currency)>
                    {format!("{} {currency}", money::money(month.cost_micros))}
                </span>
            </div>
            <div class="line small muted"><span>{note}</span> {unpriced} {corrected} <span class="grow"></span> {button}</div>
        </li>
    }
}

/// A sentence about a month that was just closed.
pub(super) fn closed(closing: &Closing, currency: &str) -> String {
    format!(
        "{} is closed: {}, {} {currency}, as closing {}.",
        money::month(&closing.period),
        format::counted(closing.rows, "row"),
        money::money(closing.cost_micros),
        closing.closing
    )
}
