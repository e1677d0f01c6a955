//! The question before a month is closed or opened again: what will happen, and what has to be said.

use super::months::{Told, closed};
use crate::books::{Closing, ClosingRequest, LedgerMonths, ReopeningRequest};
use crate::format::{self, money};
use crate::pages::api::{self, Asked, Problem};
use crate::pages::app::App;
use crate::pages::pieces::refused;
use contract::answers::CostMonth;
use leptos::prelude::*;
use leptos::task::spawn_local;

/// What is about to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// With the currency.
    Close(CostMonth, String),
    Reopen(String),
}

#[derive(Clone, Copy)]
struct Form {
    app: App,
    asked: Asked<LedgerMonths>,
    told: Told,
    busy: RwSignal<bool>,
    trouble: RwSignal<Option<Problem>>,
}

pub(super) fn closing(step: Step, asked: Asked<LedgerMonths>, told: Told) -> impl IntoView {
    let form = Form { app: App::here(), asked, told, busy: RwSignal::new(false), trouble: RwSignal::new(None) };
    match step {
        Step::Close(month, currency) => close(form, month, currency).into_any(),
        Step::Reopen(period) => reopen(form, period).into_any(),
    }
}

impl Form {
    fn start(self) {
        self.busy.set(true);
        self.trouble.set(None);
    }

    /// Tells the outcome; what was done shows in the list, and the dialog goes with its button.
    fn end(self, outcome: Result<String, Problem>) {
        self.busy.try_set(false);
        match outcome {
            Ok(text) => {
                self.told.try_set(Some(text));
                self.asked.retry();
                self.app.refresh.update(|n| *n += 1);
                close_dialog();
            }
            Err(problem) if problem.status == 401 => self.app.to_login(),
            Err(problem) => {
                self.trouble.try_set(Some(problem));
            }
        }
    }
}

/// The way of the browser: its event takes the question away.
fn close_dialog() {
    if let Ok(Some(open)) = document().query_selector("dialog[open]") {
        crate::pages::browser::close_modal(&open);
    }
}

fn close(form: Form, month: CostMonth, currency: String) -> impl IntoView {
    let hours = month.unpriced_gpu_hours;
    let unpriced = RwSignal::new(false);
    let name = money::month(&month.period);
    let sum = format!("{} {currency}", money::money(month.cost_micros));
    let period = month.period.clone();
    let send = move |_| {
        form.start();
        let request = ClosingRequest { period: period.clone(), unpriced: unpriced.get_untracked() };
        let currency = currency.clone();
        spawn_local(async move {
            let answer = api::post::<Closing>("/api/v1/ledger/close", &request).await;
            form.end(answer.map(|closing| closed(&closing, &currency)));
        });
    };
    let tick = (hours > 0.0).then(|| {
        view! {
            <label class="tick">
                <input type="checkbox" on:change=move |e| unpriced.set(event_target_checked(&e)) />
                {format!("Close it although {} have no price; they will have no cost", format::gpu_hours(hours))}
            </label>
        }
    });
    let blocked = move || form.busy.get() || (hours > 0.0 && !unpriced.get());
    view! {
        <div class="inside">
            <ul class="points">
                <li>{format!("Its rows and their sum, now {sum}, are kept as they are and never change.")}</li>
                <li>"Late jobs, new prices and other owners are posted as corrections to the first month that is open."</li>
                <li>"Who closed it and when is kept. It can be opened again, with a reason, while no later month is closed."</li>
            </ul>
            {tick}
            {move || form.trouble.read().as_ref().map(refused)}
            <button class="control button" disabled=blocked on:click=send>
                {move || if form.busy.get() { "Closing …".to_owned() } else { format!("Close {name}") }}
            </button>
        </div>
    }
}

fn reopen(form: Form, period: String) -> impl IntoView {
    let why = RwSignal::new(String::new());
    let name = money::month(&period);
    let label = name.clone();
    let send = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if untrack(|| why.read().trim().is_empty()) {
            return;
        }
        form.start();
        let request = ReopeningRequest { period: period.clone(), why: why.get_untracked() };
        let name = name.clone();
        spawn_local(async move {
            let answer = api::post_alone("/api/v1/ledger/reopen", &request).await;
            form.end(answer.map(|()| format!("{name} is open again; its rows follow what is known now.")));
        });
    };
    let blocked = move || form.busy.get() || why.read().trim().is_empty();
    view! {
        <form class="inside form" on:submit=send>
            <ul class="points">
                <li>"Its rows are computed anew from the use, prices and owners of now, so its sum may change."</li>
                <li>"Documents that were sent may no longer agree with it."</li>
            </ul>
            <label>
                "Why? It is kept for auditors with your name"
                <input class="control" required=true on:input=move |e| why.set(event_target_value(&e)) />
            </label>
            {move || form.trouble.read().as_ref().map(refused)}
            <button class="control button" type="submit" disabled=blocked>
                {move || if form.busy.get() { "Opening …".to_owned() } else { format!("Open {label} again") }}
            </button>
        </form>
    }
}
