//! What was stated about money: prices, owners, policies; and what another policy would change.

pub(super) mod compare;
mod faults;
mod list;
mod text;

use super::api::{Asked, ask};
use super::app::App;
use super::pieces::{answered, skeleton, stale_line};
use crate::books::DocumentEntry;
use leptos::prelude::*;

const VIEWS: [(&str, &str); 2] = [("", "Documents"), ("compare", "Compare policies")];

pub(crate) fn prices() -> impl IntoView {
    let app = App::here();
    let asked: Asked<Vec<DocumentEntry>> = ask(|| "/api/v1/documents".to_owned());
    let chosen = Memo::new(move |_| app.address.with(|a| a.own("view") == "compare"));
    let tab = move |(key, label): (&'static str, &'static str)| {
        view! {
            <button
                aria-pressed=move || (chosen.get() == (key == "compare")).to_string()
                on:click=move |_| app.turn(|a| a.set_own("view", key))
            >
                {label}
            </button>
        }
    };
    let documents = move || {
        let waiting =
            || view! { <div class="c5">{skeleton(420)}</div> <div class="c7">{skeleton(420)}</div> }.into_any();
        view! {
            {stale_line(asked)}
            {answered(asked, waiting, move |found| view! { {list::list(app, found)} {text::text(app, asked)} }.into_any())}
        }
    };
    view! {
        <div class="filters">
            <div class="segments" role="group" aria-label="View">{VIEWS.map(tab).into_iter().collect_view()}</div>
        </div>
        {move || if chosen.get() { compare::compare(app).into_any() } else { documents().into_any() }}
    }
}
