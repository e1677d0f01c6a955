//! The months of the ledger: what each costs, whether it is closed, and who may change that.

use super::closing::{self, Step};
use crate::books::{Closing, LedgerMonths, closing_note, next_steps};
use crate::csv;
use crate::format::{self, money};
use crate::pages::api::Asked;
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::dialog::dialog;
use crate::pages::pieces::{answered, icon, shape, skeleton, stale_line};
use contract::answers::CostMonth;
use leptos::prelude::*;
use std::sync::Arc;

/// What the closing of a month was answered with.
pub(super) type Told = RwSignal<Option<String>>;

pub(super) fn months(app: App, asked: Asked<LedgerMonths>) -> impl IntoView {
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

fn list(app: App, found: Signal<Arc<LedgerMonths>>, step: RwSignal<Option<Step>>) -> impl IntoView {
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
        let (first_open, last_closed) = next_steps(&found.months);
        let next = |m: &CostMonth| match m.is_closed {
            true if Some(m) == last_closed => Some(Step::Reopen(m.period.clone())),
            false if Some(m) == first_open && m.is_over => Some(Step::Close(m.clone(), found.currency.clone())),
            _ => None,
        };
        let note = |m| closing_note(m, first_open.map(|m| m.period.as_str()), app.now_micros());
        let row = |m| month(app, m, &found.currency, note(m), next(m), step);
        let rows = found.months.iter().rev().map(row).collect_view();
        view! { <ul class="months">{rows}</ul> }.into_any()
    }
}

fn month(
    app: App,
    month: &CostMonth,
    currency: &str,
    note: String,
    next: Option<Step>,
    step: RwSignal<Option<Step>>,
) -> impl IntoView + use<> {
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
    let hours = month.unpriced_gpu_hours;
    let unpriced = (hours > 0.0)
        .then(|| view! { <span class="attention">{format!("{} without a price", format::gpu_hours(hours))}</span> });
    let corrected = (month.correction_micros != 0)
        .then(|| view! { <span title=money::exact(month.correction_micros, currency)>{format!("of it {} corrections", money::money(month.correction_micros))}</span> });
    let label = if month.is_closed { "Open again …" } else { "Close …" };
    let button = move || {
        let next = next.clone().filter(|_| app.keeps_books());
        next.map(
            |next| view! { <button class="control" on:click=move |_| step.set(Some(next.clone()))>{label}</button> },
        )
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
