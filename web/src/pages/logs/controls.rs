//! The filter line: words, severity, node, job; whether it follows, and whether long lines are wrapped.

use crate::logs::LEAST;
use crate::pages::app::App;
use leptos::prelude::*;

pub(super) fn controls(app: App, follows: RwSignal<bool>) -> impl IntoView {
    let field = move |key: &'static str, label: &'static str, class: &'static str| {
        view! {
            <input
                class=class
                type="search"
                placeholder=label
                aria-label=label
                prop:value=move || app.address.with(|a| a.own(key).to_owned())
                on:change=move |e| {
                    let value = event_target_value(&e);
                    app.turn(|a| a.set_own(key, value.trim()));
                }
            />
        }
    };
    let option = move |(name, label): (&'static str, &'static str)| {
        let chosen = move || app.address.with(|a| a.own("severity") == name);
        view! { <option value=name selected=chosen>{label}</option> }
    };
    let wraps = move || app.address.with(|a| a.own("wrap").is_empty());
    view! {
        <div class="filters">
            {field("q", "Search messages: words, \"a phrase\", -not, begin*, /regex/", "control grow")}
            <select
                class="control"
                aria-label="Least severity"
                on:change=move |e| {
                    let value = event_target_value(&e);
                    app.turn(|a| a.set_own("severity", &value));
                }
            >
                {LEAST.map(option).into_iter().collect_view()}
            </select>
            {field("on", "Node", "control short")}
            {field("run", "Job", "control short")}
            <button
                class="control"
                aria-pressed=move || wraps().to_string()
                on:click=move |_| app.turn(|a| {
                    let next = if a.own("wrap").is_empty() { "off" } else { "" };
                    a.set_own("wrap", next);
                })
            >"Wrap"</button>
            <button
                class="control"
                title="Asks every two seconds, until older records are loaded"
                aria-pressed=move || follows.get().to_string()
                on:click=move |_| follows.update(|f| *f = !*f)
            >"Follow"</button>
        </div>
    }
}
