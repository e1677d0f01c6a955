//! The time range: five presets, or from and to in UTC.

use crate::address::DEFAULT_TO;
use crate::format;
use crate::instant::{self, PRESETS, SECOND, parse_instant};
use crate::pages::app::App;
use leptos::prelude::*;

pub(super) fn window(app: App) -> impl IntoView {
    let shown = RwSignal::new(false);
    let is_preset = move |from: &str| app.address.with(|a| a.from == from && a.to == DEFAULT_TO);
    let preset = move |(from, label): (&'static str, &'static str)| {
        view! {
            <button
                aria-pressed=move || is_preset(from).to_string()
                on:click=move |_| app.turn(|a| (a.from, a.to) = (from.to_owned(), DEFAULT_TO.to_owned()))
            >
                {label}
            </button>
        }
    };
    let custom = move || !PRESETS.iter().any(|(from, _)| is_preset(from));
    let label = move || {
        if custom() {
            chosen(app).map_or("Custom".to_owned(), |(a, b)| format::window(a, b))
        } else {
            "Custom".to_owned()
        }
    };
    view! {
        <div class="menu" on:keydown=move |e| if e.key() == "Escape" { shown.set(false) }>
            <div class="segments" role="group" aria-label="Time range">
                {PRESETS.into_iter().map(preset).collect_view()}
                <button
                    aria-pressed=move || custom().to_string()
                    aria-expanded=move || shown.get().to_string()
                    on:click=move |_| shown.update(|s| *s = !*s)
                >
                    {label}
                </button>
            </div>
            {move || shown.get().then(|| form(app, shown))}
        </div>
    }
}

/// The window in microseconds, as of now.
fn chosen(app: App) -> Option<(i64, i64)> {
    let now = (app.now_millis.get_untracked() * 1000.0) as i64;
    app.address.with(|a| Some((parse_instant(&a.from, now)?, parse_instant(&a.to, now)?)))
}

/// As a form field wants it: RFC 3339 without the zone.
fn field(micros: i64) -> String {
    instant::rfc3339(micros - micros.rem_euclid(60 * SECOND)).trim_end_matches(":00Z").to_owned()
}

fn form(app: App, shown: RwSignal<bool>) -> impl IntoView {
    let (from, to) = untrack(|| chosen(app)).unwrap_or_default();
    let (from, to) = (RwSignal::new(field(from)), RwSignal::new(field(to)));
    let window = move || {
        let (from, to) = (parse_instant(&from.get(), 0)?, parse_instant(&to.get(), 0)?);
        (from < to).then_some((from, to))
    };
    let apply = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if let Some((from, to)) = untrack(window) {
            shown.set(false);
            app.set_window(from, to);
        }
    };
    let input = |label: &'static str, value: RwSignal<String>| {
        view! {
            <label>
                {label}
                <input
                    class="control"
                    type="datetime-local"
                    prop:value=move || value.get()
                    on:input=move |e| value.set(event_target_value(&e))
                />
            </label>
        }
    };
    view! {
        <form class="floating form" on:submit=apply>
            {input("From, UTC", from)} {input("To, UTC", to)}
            <button class="control button" type="submit" disabled=move || window().is_none()>"Show this range"</button>
        </form>
    }
}
