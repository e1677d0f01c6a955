//! Statements that this browser ran; kept in it alone.

use super::Desk;
use crate::pages::browser;
use crate::sql::statement::remember;
use leptos::prelude::*;

const KEY: &str = "coulomb.sql.history";

pub(super) fn load() -> Vec<String> {
    browser::remembered(KEY).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

pub(super) fn keep(desk: Desk, sql: &str) {
    let Some(before) = desk.history.try_get_untracked() else { return };
    let now = remember(&before, sql);
    if let Ok(text) = serde_json::to_string(&now) {
        browser::remember(KEY, &text);
    }
    desk.history.try_set(now);
}

fn forget(desk: Desk) {
    browser::remember(KEY, "[]");
    desk.history.set(Vec::new());
}

/// The button and what it opens.
pub(super) fn history(desk: Desk) -> impl IntoView {
    let shown = RwSignal::new(false);
    let entry = move |sql: String| {
        let (chosen, title) = (sql.clone(), sql.clone());
        let choose = move |_| {
            shown.set(false);
            desk.app.turn(|a| a.set_own("q", &chosen));
        };
        view! { <button title=title on:click=choose><code>{sql.split_whitespace().collect::<Vec<_>>().join(" ")}</code></button> }
    };
    let list = move || {
        let known = desk.history.get();
        let inside = if known.is_empty() {
            view! { <p class="who muted">"What you run is remembered here, in this browser alone."</p> }.into_any()
        } else {
            let clear = move |_| forget(desk);
            view! {
                {known.into_iter().map(entry).collect_view()}
                <button class="muted" on:click=clear>"Forget all"</button>
            }
            .into_any()
        };
        view! { <div class="floating list history">{inside}</div> }
    };
    view! {
        <div class="menu" on:keydown=move |e| if e.key() == "Escape" { shown.set(false) }>
            <button
                class="control"
                aria-expanded=move || shown.get().to_string()
                disabled=move || desk.history.read().is_empty()
                on:click=move |_| shown.update(|s| *s = !*s)
            >
                "History"
            </button>
            {move || shown.get().then(list)}
        </div>
    }
}
