//! Two policies on the same month: who would pay what under each.

use crate::books::{
    ComparedOwner, ComparisonRequest, DocumentEntry, LedgerMonths, MONTHS_PATH, PolicyComparison, by_change, change,
    month_of,
};
use crate::costs::table::change as told;
use crate::csv;
use crate::format::{self, money};
use crate::order;
use crate::pages::api::{self, Asked, Problem, ask};
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::pieces::{icon, refused, shape, skeleton};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::sync::Arc;

/// What holds where no policy was stated.
const DEFAULT: &str = "version = \"default\"\n";
const PROPOSAL: &str = "version = \"proposal\"\nidle = \"proportional\"\n";
const POLICY_PATH: &str = "/api/v1/documents/policy/policy";

#[derive(Debug, Clone, PartialEq)]
enum State {
    Nothing,
    Busy,
    Done(Arc<PolicyComparison>),
    Bad(Problem),
}

pub(in crate::pages) fn compare(app: App) -> impl IntoView {
    let (a, b) = (RwSignal::new(DEFAULT.to_owned()), RwSignal::new(PROPOSAL.to_owned()));
    let state = RwSignal::new(State::Nothing);
    spawn_local(async move {
        // Without one that was stated the default holds.
        let known = api::get::<Vec<DocumentEntry>>("/api/v1/documents", None).await.unwrap_or_default();
        if !known.iter().any(|entry| entry.kind == "policy" && entry.name == "policy") {
            return;
        }
        if let Ok(text) = api::text(POLICY_PATH, None).await {
            a.try_set(text);
        }
    });
    let months: Asked<LedgerMonths> = ask(|| MONTHS_PATH.to_owned());
    let month = Memo::new(move |_| {
        app.address
            .with(|a| Some(a.own("month")).filter(|m| !m.is_empty()).map(str::to_owned))
            .unwrap_or_else(|| month_of(app.now_micros()))
    });
    let run = move |_| {
        state.set(State::Busy);
        let request = ComparisonRequest { period: month.get_untracked(), a: a.get_untracked(), b: b.get_untracked() };
        spawn_local(async move {
            let next = match api::post::<PolicyComparison>("/api/v1/policies/compare", &request).await {
                Ok(found) => State::Done(Arc::new(found)),
                Err(problem) if problem.status == 401 => return app.to_login(),
                Err(problem) => State::Bad(problem),
            };
            state.try_set(next);
        });
    };
    let is_busy = move || matches!(*state.read(), State::Busy);
    view! {
        <section class="card c12">
            <header>
                <h2>"What would another policy change?"</h2>
                <span class="aside">"computed from the use and prices of now; nothing is kept"</span>
                <div class="grow"></div>
                {month_choice(app, months, month)}
                <button class="control button" disabled=is_busy on:click=run>
                    {move || if is_busy() { "Comparing …" } else { "Compare" }}
                </button>
            </header>
            <div class="body pair">{policy("Policy A, what holds now", a)} {policy("Policy B", b)}</div>
        </section>
        {move || outcome(&state.read())}
    }
}

fn month_choice(app: App, months: Asked<LedgerMonths>, month: Memo<String>) -> impl IntoView {
    let known = move || {
        let mut known: Vec<String> =
            months.value.get().map(|c| c.months.iter().map(|m| m.period.clone()).collect()).unwrap_or_default();
        known.extend([month.get(), month_of(app.now_micros())]);
        order::sort(&mut known);
        known.dedup();
        known.into_iter().rev()
    };
    let option = move |period: String| {
        let value = period.clone();
        view! { <option value=value.clone() selected=move || *month.read() == value>{money::month(&period)}</option> }
    };
    let choose = move |e| app.turn(|a| a.set_own("month", &event_target_value(&e)));
    view! {
        <select class="control" aria-label="Month to compare on" prop:value=move || month.get() on:change=choose>
            {move || known().map(option).collect_view()}
        </select>
    }
}

fn policy(label: &'static str, text: RwSignal<String>) -> impl IntoView {
    view! {
        <label class="stack">
            <span class="small muted">{label}</span>
            <textarea
                class="text"
                rows="9"
                wrap="off"
                spellcheck="false"
                prop:value=move || text.get()
                on:input=move |e| text.set(event_target_value(&e))
            ></textarea>
        </label>
    }
}

fn outcome(state: &State) -> Option<AnyView> {
    match state {
        State::Nothing => None,
        State::Busy => Some(view! { <div class="c12">{skeleton(320)}</div> }.into_any()),
        State::Bad(problem) => {
            Some(view! { <div class="card c12"><div class="body top">{refused(problem)}</div></div> }.into_any())
        }
        State::Done(found) => Some(table(Arc::clone(found)).into_any()),
    }
}

fn table(found: Arc<PolicyComparison>) -> impl IntoView {
    let currency = found.currency.clone();
    let total = ComparedOwner { a_micros: found.a_micros, b_micros: found.b_micros, ..ComparedOwner::default() };
    let rows = by_change(&found).into_iter().map(|owner| row(owner, &currency)).collect_view();
    let sums = [amount(total.a_micros, &currency), amount(total.b_micros, &currency), difference(&total, &currency)];
    let title = format!("Who pays what for {}", money::month(&found.period));
    let count = format::counted(found.owners.len() as u64, "owner");
    let none = found
        .owners
        .is_empty()
        .then(|| view! { <p class="say muted">"Nothing was charged in this month under either."</p> });
    let name = format!("coulomb-policies-{}.csv", found.period);
    let save = move |_| browser::download(&name, "text/csv", &csv::compared(&found));
    let number = |text: &str| view! { <th scope="col" class="number">{format!("{text}, {currency}")}</th> };
    view! {
        <section class="card c12">
            <header>
                <h2>{title}</h2>
                <span class="aside">{count}</span>
                <div class="grow"></div>
                <button class="control" title="These rows as CSV, exact values" on:click=save>{icon(shape::DOWNLOAD)} "CSV"</button>
            </header>
            {none}
            <div class="scroller" tabindex="0" role="region" aria-label="Owners under both policies">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Team"</th>
                            <th scope="col">"Project"</th>
                            <th scope="col">"Cost centre"</th>
                            {number("Under A")}
                            {number("Under B")}
                            {number("Change")}
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                    <tfoot><tr><td>"All"</td><td></td><td></td>{sums.into_iter().collect_view()}</tr></tfoot>
                </table>
            </div>
        </section>
    }
}

fn row(owner: &ComparedOwner, currency: &str) -> impl IntoView + use<> {
    let named = |text: &str, none: &'static str| match text.is_empty() {
        true => view! { <td class="muted">{none}</td> }.into_any(),
        false => view! { <td class="cut">{text.to_owned()}</td> }.into_any(),
    };
    view! {
        <tr>
            {named(&owner.team, "no team")}
            {named(owner.project.as_deref().unwrap_or_default(), "no project")}
            {named(&owner.cost_centre, "no cost centre")}
            {amount(owner.a_micros, currency)}
            {amount(owner.b_micros, currency)}
            {difference(owner, currency)}
        </tr>
    }
}

fn amount(micros: i64, currency: &str) -> AnyView {
    view! { <td class="number" title=money::exact(micros, currency)>{money::money(micros)}</td> }.into_any()
}

/// In money and percent; colour, sign and word say the same.
fn difference(owner: &ComparedOwner, currency: &str) -> AnyView {
    let micros = change(owner);
    let told = told(micros, format::change(owner.b_micros as f64, Some(owner.a_micros as f64)));
    view! {
        <td class="number" class:muted=micros == 0 title=money::exact(micros, currency)>
            <span class=told.class>{told.text}</span>
        </td>
    }
    .into_any()
}
