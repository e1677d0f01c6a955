//! What failed and what did that cost; and what is wasted?

mod bill;
mod detail;
mod failures;
mod list;
mod nodes;
pub(super) mod told;
mod waste;

use super::app::App;
use leptos::prelude::*;

pub(crate) fn incidents() -> impl IntoView {
    let app = App::here();
    let is_waste = Memo::new(move |_| app.address.with(|a| a.own("view") == "waste"));
    let view = move |name: &'static str, label: &'static str| {
        let is_chosen = move || app.address.with(|a| a.own("view") == name);
        view! {
            <button aria-pressed=move || is_chosen().to_string() on:click=move |_| app.turn(|a| a.set_own("view", name))>
                {label}
            </button>
        }
    };
    let page = move || match is_waste.get() {
        true => waste::waste(app).into_any(),
        false => failures::failures(app).into_any(),
    };
    view! {
        <div class="filters">
            <div class="segments" role="group" aria-label="View">{view("", "Failures")} {view("waste", "Waste and findings")}</div>
        </div>
        {page}
    }
}
