//! What can be done with a panel: its rows as a table or CSV, its picture as PNG or SVG, the statement behind it.

use super::panel::Panel;
use crate::address::{Page, encode};
use crate::boards::written_out;
use crate::format;
use crate::pages::api;
use crate::pages::browser;
use crate::pages::pieces::{icon, shape};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;

pub(super) fn menu(panel: Panel) -> impl IntoView {
    let shown = RwSignal::new(false);
    let trouble = RwSignal::new(None::<String>);
    let title = panel.title();
    // A click elsewhere closes it, as does the next menu.
    let outside = window_event_listener(leptos::ev::click, move |event| {
        let inside = || {
            let target = event.target()?.dyn_into::<web_sys::Element>().ok()?;
            let host: web_sys::Element = panel.host.get_untracked()?.unchecked_into();
            Some(host.contains(Some(&target)) && target.closest(".menu").ok()?.is_some())
        };
        if shown.get_untracked() && inside() != Some(true) {
            shown.set(false);
        }
    });
    on_cleanup(move || outside.remove());
    view! {
        <div class="menu" on:keydown=move |e| if e.key() == "Escape" { shown.set(false) }>
            <button
                class="control only plain"
                aria-label=format!("Menu: {title}")
                title="Table, CSV, picture, SQL"
                aria-expanded=move || shown.get().to_string()
                on:click=move |_| shown.update(|s| *s = !*s)
            >
                {icon(shape::MORE)}
            </button>
            {move || shown.get().then(|| view! {
                <div class="floating list">
                    {entries(panel, shown, trouble)}
                    {move || trouble.get().map(|text| view! { <p class="small fault">{format::sentence(&text)}</p> })}
                </div>
            })}
        </div>
    }
}

fn entries(panel: Panel, shown: RwSignal<bool>, trouble: RwSignal<Option<String>>) -> impl IntoView {
    let has_rows = !panel.kind_is(&["table", "stat"]);
    let turn = move |_| {
        panel.as_rows.update(|rows| *rows = !*rows);
        shown.set(false);
    };
    let word = move || if panel.as_rows.get() { "Picture" } else { "Table" };
    let csv = move |_| {
        let Some(body) = untrack(|| panel.body()) else { return };
        let name = file(panel, "csv");
        spawn_local(async move {
            match api::rows_file(&body, "text/csv").await {
                Ok(bytes) => {
                    browser::save(&name, &bytes);
                    shown.try_set(false);
                }
                Err(problem) if problem.status == 401 => panel.board.app.to_login(),
                Err(problem) => {
                    trouble.try_set(Some(problem.message));
                }
            }
        });
    };
    let png = move |_| {
        let Some(host) = panel.host.get_untracked() else { return };
        if browser::save_picture(&host, &panel.title(), &file(panel, "png")).is_err() {
            trouble.set(Some("the browser refused to make the picture".to_owned()));
            return;
        }
        shown.set(false);
    };
    let is_over_time = panel.kind_is(&["timeseries", "stacked"]);
    let pictures = is_over_time.then(|| {
        view! {
            {move || (!panel.as_rows.get()).then(|| view! { <button on:click=png>"PNG"</button> })}
            <a href=move || svg(panel) download=file(panel, "svg")>"SVG, drawn by the server"</a>
        }
    });
    view! {
        {has_rows.then(|| view! { <button on:click=turn>{word}</button> })}
        <button on:click=csv>"CSV"</button>
        {pictures}
        <a href=move || behind(panel)>"SQL behind it"</a>
    }
}

fn file(panel: Panel, ending: &str) -> String {
    format!("coulomb-{}-{}.{ending}", panel.board.name.get_value(), panel.at)
}

/// The same panel, range and variables.
fn svg(panel: Panel) -> String {
    let window = panel.board.app.address.with(crate::address::Address::window_query);
    let values = panel.board.values.get().unwrap_or_default();
    let names = panel.board.variables.get_value();
    let pairs = names.iter().zip(values).map(|(name, value)| format!("&var-{}={}", encode(name), encode(&value)));
    let name = panel.board.name.with_value(|name| encode(name));
    format!("/api/v1/dashboards/{name}/panels/{}.svg?{window}{}", panel.at, pairs.collect::<String>())
}

/// The page for SQL with the statement, its values written out to be changed.
fn behind(panel: Panel) -> String {
    let parameters = panel.parameters().unwrap_or_default();
    let sql = panel.definition.with_value(|d| written_out(&d.sql, &parameters));
    let mut address = panel.board.app.address.with(|a| a.to_page(Page::Sql));
    address.set_own("q", &sql);
    address.href()
}
