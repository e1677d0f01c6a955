//! Will the budgets last? What is left of each day by day, what is expected, and when thresholds are crossed.

use crate::books::{BudgetState, BudgetThreshold, Budgets};
use crate::charts::burn;
use crate::format::{self, Unit, money};
use crate::instant::{DAY, HOUR};
use crate::pages::api::{Asked, ask};
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::card::{Card, card};
use crate::pages::drawing::drawing;
use crate::pages::pieces::{failed, icon, shape, skeleton};
use crate::sheet::{self, Field, Sheet};
use leptos::prelude::*;
use std::sync::Arc;

const HEIGHT: f64 = 190.0;
/// More budgets than these are read in a table.
const DRAWN_MAX: usize = 12;

pub(super) fn budgets(_app: App) -> AnyView {
    let asked: Asked<Budgets> = ask(|| "/api/v1/budgets".to_owned());
    // Spending is known by the hour; within one the picture stays as it is.
    let known = Memo::new(move |_| {
        let found = asked.value.get()?;
        let at_unix_micros = found.at_unix_micros - found.at_unix_micros.rem_euclid(HOUR);
        Some(Arc::new(Budgets { at_unix_micros, ..found.as_ref().clone() }))
    });
    let inside = move || match (known.get(), asked.problem.get()) {
        (Some(found), _) if found.budgets.is_empty() => none(),
        (Some(found), _) => {
            let one = |at: usize| one(Arc::clone(&found), at);
            let more = found.budgets.len().saturating_sub(DRAWN_MAX);
            let more = (more > 0).then(|| {
                view! { <p class="c12 small muted">{format!("{more} more budgets are told by coulomb budgets.")}</p> }
            });
            view! { {(0..found.budgets.len().min(DRAWN_MAX)).map(one).collect_view()} {more} }.into_any()
        }
        (None, Some(problem)) => {
            view! { <div class="card c12">{failed(problem, move || asked.retry())}</div> }.into_any()
        }
        (None, None) => {
            view! { <div class="c6">{skeleton(300)}</div> <div class="c6">{skeleton(300)}</div> }.into_any()
        }
    };
    view! { {inside} }.into_any()
}

fn none() -> AnyView {
    let server = browser::origin();
    view! {
        <section class="card c12">
            <header><h2>"Will the budgets last?"</h2></header>
            <div class="say">
                <p>"No budget is stated. State what a team or project may spend in a month, and this says when it will be gone."</p>
                <div class="code">{format!("coulomb import budgets FILE --server {server}")}</div>
            </div>
        </section>
    }
    .into_any()
}

fn one(found: Arc<Budgets>, at: usize) -> AnyView {
    let budget = &found.budgets[at];
    let covers = budget.covers.iter().map(|c| format!("{} {}", c.dimension.replace('_', " "), c.values.join(", ")));
    let covers = covers.collect::<Vec<_>>().join("; ");
    let covers = if covers.is_empty() { "everything".to_owned() } else { covers };
    let head = Card {
        span: "c6",
        title: format!("Will “{}” last?", budget.name).into(),
        aside: format!("{}, {covers}", budget.period).into(),
    };
    let kept = Arc::clone(&found);
    let sheet = Signal::derive(move || rows(&kept.budgets[at], &kept.currency, kept.at_unix_micros));
    card(head, sheet, move || {
        let (budget, drawn) = (&found.budgets[at], Arc::clone(&found));
        let name = format!("What is left of the budget {} over its time", budget.name);
        let picture =
            drawing(name, move |width| burn::picture(&drawn.budgets[at], drawn.at_unix_micros, width, HEIGHT));
        view! { <div class="body tall">{facts(budget, &found.currency)} {picture} {thresholds(budget)}</div> }
            .into_any()
    })
}

/// Spent of how much, and whether it will last.
fn facts(budget: &BudgetState, currency: &str) -> AnyView {
    let (class, shape, text) = outlook(budget);
    let spent = format!("{} of {} {currency}", money::money(budget.spent_micros), money::money(budget.amount_micros));
    let exact =
        format!("{} of {}", money::exact(budget.spent_micros, currency), money::exact(budget.amount_micros, currency));
    let forecast = budget.forecast.as_ref().map(|f| {
        let text = format!(
            "expected {} ({} to {})",
            money::money(f.expected_micros),
            money::money(f.low_micros),
            money::money(f.high_micros)
        );
        view! { <span class="muted small" title=f.method.clone()>{text}</span> }
    });
    let unpriced = (budget.unpriced_gpu_hours > 0.0).then(|| {
        let text = format!("{} have no price and are in no amount", format::gpu_hours(budget.unpriced_gpu_hours));
        view! { <span class="attention small">{text}</span> }
    });
    view! {
        <div class="budget">
            <span class="amount" title=exact>{spent}</span>
            <span class=class>{icon(shape)} {text}</span>
            {forecast}
            {unpriced}
        </div>
    }
    .into_any()
}

fn outlook(budget: &BudgetState) -> (&'static str, &'static str, String) {
    let on = |text: &str| match budget.exceeds_unix_micros {
        Some(day) => format!("{text} on {}", format::date(day)),
        None => text.to_owned(),
    };
    match budget.exceeds.as_str() {
        "crossed" => ("outlook broken", shape::CRITICAL, on("Used up")),
        "expected" => ("outlook attention", shape::WARNING, on("Expected to be used up")),
        _ if budget.forecast.is_none() => ("outlook muted", shape::NOTICE, "Too few days to tell".to_owned()),
        _ => ("outlook good", shape::NOTICE, "Expected to last".to_owned()),
    }
}

fn thresholds(budget: &BudgetState) -> AnyView {
    let one = |threshold: &BudgetThreshold| {
        let part = threshold.part.parse().map_or(threshold.part.clone(), |part| format::axis(Unit::Ratio, part));
        let day = threshold.day_unix_micros.map(format::date);
        let (class, text) = match (threshold.state.as_str(), day) {
            ("crossed", Some(day)) => ("badge warned", format!("{part} crossed on {day}")),
            ("expected", Some(day)) => ("badge", format!("{part} expected on {day}")),
            _ => ("badge", format!("{part} not expected")),
        };
        view! { <span class=class>{text}</span> }
    };
    view! { <div class="badges">{budget.thresholds.iter().map(one).collect_view()}</div> }.into_any()
}

/// Known days, then those that are expected.
fn rows(budget: &BudgetState, currency: &str, now: i64) -> Sheet {
    let found = burn::burn(budget, now);
    let day = |time: i64| Field { shown: format::date(time), exact: crate::instant::rfc3339(time) };
    let known = budget.burn_down.iter().map(|d| {
        let left = sheet::micros(Some(d.left_micros));
        vec![day(d.day_unix_micros), sheet::named("known"), left, sheet::missing(), sheet::missing()]
    });
    let expected = found.expected.iter().zip(&found.band).skip(1).map(|((time, left), (most, least))| {
        let amounts = [*left, *least, *most].map(|micros| sheet::micros(Some(micros)));
        [day(time - DAY), sheet::named("expected")].into_iter().chain(amounts).collect()
    });
    Sheet {
        name: format!("budget-{}", budget.name),
        heads: vec![
            sheet::text("Day", "day"),
            sheet::text("How", "how"),
            sheet::number(format!("Left at its end, {currency}"), "left_micros"),
            sheet::number("At least", "left_low_micros"),
            sheet::number("At most", "left_high_micros"),
        ],
        rows: known.chain(expected).collect(),
    }
}
