//! One dashboard: its rows of panels, or its text. The definition is asked again as the data is, and so is always new.

use super::{editor, panel, variables};
use crate::address::encode;
use crate::boards::{DashboardAnswer, Window, edits, rows};
use crate::format;
use crate::instant::parse_instant;
use crate::pages::api::{self, Asked, ask};
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::pieces::{answered, icon, shape, skeleton, stale_line};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::sync::Arc;

/// What all panels of a dashboard share.
#[derive(Clone, Copy)]
pub(super) struct Board {
    pub(super) app: App,
    pub(super) name: StoredValue<String>,
    pub(super) currency: StoredValue<String>,
    /// As of the last refresh.
    pub(super) window: Memo<Window>,
    /// Of the variables, in their order; none while a choice is not known.
    pub(super) values: Memo<Option<Vec<String>>>,
    pub(super) variables: StoredValue<Vec<String>>,
}

pub(crate) fn board() -> impl IntoView {
    let app = App::here();
    let chosen = Memo::new(move |_| app.address.with(|a| (a.board.clone(), !a.own("edit").is_empty())));
    move || match chosen.get() {
        (name, true) => editor::editor(app, Some(name)).into_any(),
        (name, false) => one(app, name).into_any(),
    }
}

fn one(app: App, name: String) -> impl IntoView {
    let path = format!("/api/v1/dashboards/{}", encode(&name));
    let asked: Asked<DashboardAnswer> = ask(move || path.clone());
    let waiting = || {
        view! {
            {(0..4).map(|_| view! { <div class="c3">{skeleton(108)}</div> }).collect_view()}
            {(0..4).map(|_| view! { <div class="c6">{skeleton(290)}</div> }).collect_view()}
        }
        .into_any()
    };
    view! { {stale_line(asked)} {answered(asked, waiting, move |found| filled(app, found).into_any())} }
}

/// Built anew only when the definition has changed.
fn filled(app: App, found: Signal<Arc<DashboardAnswer>>) -> impl IntoView {
    let definition = Memo::new(move |_| found.get().as_ref().clone());
    let window = Memo::new(move |_| {
        app.refresh.track();
        let now = app.now_micros();
        app.address.with(|a| {
            let to = parse_instant(&a.to, now).unwrap_or(now);
            let from = parse_instant(&a.from, now).filter(|from| *from < to);
            (from.unwrap_or(to - crate::instant::DAY), to)
        })
    });
    move || {
        let definition = definition.get();
        let (values, selects) = variables::variables(app, &definition, window);
        let board = Board {
            app,
            name: StoredValue::new(definition.name.clone()),
            currency: StoredValue::new(definition.currency.clone()),
            window,
            values,
            variables: StoredValue::new(definition.variables.iter().map(|v| v.name.clone()).collect()),
        };
        let row = |(title, panels): (Option<String>, Vec<usize>)| {
            let title = title.map(|title| view! { <h2 class="row-title">{title}</h2> });
            let panels = panels.into_iter().map(|at| panel::panel(board, at, &definition.panels[at])).collect_view();
            view! { {title} {panels} }
        };
        let shown = rows(&definition.panels).into_iter().map(row).collect_view();
        view! {
            {head(app, &definition, selects)}
            {shown}
        }
    }
}

fn head(app: App, board: &DashboardAnswer, selects: AnyView) -> impl IntoView + use<> {
    let may = move || app.session.with(|s| s.as_ref().is_some_and(|s| edits(&s.role)));
    let edit = move || {
        let mut address = app.address.get();
        address.set_own("edit", "text");
        address.href()
    };
    let word = move || if may() { "Edit" } else { "Text" };
    let faults = (!board.faults.is_empty()).then(|| {
        let first = &board.faults[0];
        let told = format!(
            "Its file has a fault in line {}: {}; this is the last version without one",
            first.line, first.text
        );
        view! { <div class="stale" role="status">{icon(shape::WARNING)} <span>{format::sentence(&told)}</span></div> }
    });
    view! {
        <div class="filters board-head">
            <div class="about">
                <strong>{board.title.clone()}</strong>
                <span class="muted">{board.description.clone()}</span>
            </div>
            {selects}
            <a class="control" href=edit title="The text that it is made of">{word}</a>
            {downloads(app, board.name.clone())}
        </div>
        {faults}
    }
}

/// The dashboard as a file: as it was written, and for Grafana.
pub(super) fn downloads(app: App, name: String) -> impl IntoView {
    let shown = RwSignal::new(false);
    let trouble = RwSignal::new(None::<String>);
    let save = move |format: &'static str, name: String| {
        trouble.set(None);
        let path = format!("/api/v1/dashboards/{}?format={format}", encode(&name));
        spawn_local(async move {
            match api::text(&path, None).await {
                Ok(text) if format == "toml" => browser::download(&format!("{name}.toml"), "application/toml", &text),
                Ok(text) => browser::download(&format!("coulomb-{name}.json"), "application/json", &text),
                Err(problem) if problem.status == 401 => return app.to_login(),
                Err(problem) => {
                    trouble.try_set(Some(problem.message));
                    return;
                }
            }
            shown.try_set(false);
        });
    };
    let (toml, grafana) = (name.clone(), name);
    let names = StoredValue::new((toml, grafana));
    view! {
        <div class="menu" on:keydown=move |e| if e.key() == "Escape" { shown.set(false) }>
            <button
                class="control"
                aria-expanded=move || shown.get().to_string()
                on:click=move |_| shown.update(|s| *s = !*s)
            >
                {icon(shape::DOWNLOAD)}
                "Download"
            </button>
            {move || shown.get().then(|| view! {
                <div class="floating list">
                    <button on:click=move |_| save("toml", names.with_value(|n| n.0.clone()))>"TOML"</button>
                    <button on:click=move |_| save("grafana", names.with_value(|n| n.1.clone()))>"For Grafana"</button>
                    {move || trouble.get().map(|text| view! { <p class="small fault">{format::sentence(&text)}</p> })}
                </div>
            })}
        </div>
    }
}
