//! A card with a picture, the rows behind it, and one menu for both: table, CSV, PNG.

use super::api::Asked;
use super::app::App;
use super::browser;
use super::menu::{item, menu};
use super::pieces::{failed, shape, skeleton};
use crate::sheet::{Field, Head, Sheet, beyond};
use leptos::html::Section;
use leptos::prelude::*;
use std::sync::Arc;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Of the chart library's file.
    #[wasm_bindgen(js_name = coulombPng, catch)]
    fn coulomb_png(host: &web_sys::HtmlElement, color: &str, done: &JsValue) -> Result<JsValue, JsValue>;
}

type Made = Arc<dyn Fn() -> AnyView + Send + Sync>;

/// What stands in the head, and how wide it is.
pub(crate) struct Card {
    /// Such as `c8`.
    pub(crate) span: &'static str,
    pub(crate) title: Signal<String>,
    pub(crate) aside: Signal<String>,
}

/// `sheet` has the rows of what `picture` shows.
pub(crate) fn card(card: Card, sheet: Signal<Sheet>, picture: impl Fn() -> AnyView + Send + Sync + 'static) -> AnyView {
    framed(card, sheet, Arc::new(picture))
}

fn framed(card: Card, sheet: Signal<Sheet>, picture: Made) -> AnyView {
    let app = App::here();
    let as_table = RwSignal::new(false);
    let host = NodeRef::<Section>::new();
    let wants_png = RwSignal::new(false);
    Effect::new(move |_| {
        let ready = app.charts_ready.get();
        if wants_png.get() && ready {
            wants_png.set(false);
            if let Some(host) = host.get_untracked() {
                png(&host, format!("coulomb-{}.png", sheet.read_untracked().name));
            }
        }
    });
    let items = move |shown| {
        let other = if as_table.get() { "Show the picture" } else { "Show as a table" };
        let save = move || save_csv(&sheet.read_untracked());
        let png = move || {
            app.want_charts();
            wants_png.set(true);
        };
        let png = (!as_table.get()).then(|| item("Save as PNG", shown, png));
        let turn = item(other, shown, move || as_table.update(|t| *t = !*t));
        view! { {turn} {item("Save as CSV", shown, save)} {png} }.into_any()
    };
    let Card { span, title, aside } = card;
    view! {
        <section class=format!("card {span}") node_ref=host>
            <header>
                <h2>{move || title.get()}</h2>
                <span class="aside">{move || aside.get()}</span>
                <div class="grow"></div>
                {menu("Table and files", shape::MORE, items)}
            </header>
            {move || if as_table.get() { rows(title, sheet) } else { picture() }}
        </section>
    }
    .into_any()
}

/// The same for an answer of its own: grey while it is on its way, and told where it fails.
pub(crate) fn asked_card<T: PartialEq + Send + Sync + 'static>(
    what: Card,
    asked: Asked<T>,
    height: u32,
    sheet: impl Fn(&T) -> Sheet + Send + Sync + 'static,
    picture: impl Fn(Arc<T>) -> AnyView + Send + Sync + 'static,
) -> AnyView {
    // A refresh that brings the same is none.
    let value = Memo::new(move |_| asked.value.get());
    let sheet = Signal::derive(move || value.get().map(|found| sheet(&found)).unwrap_or_default());
    card(what, sheet, move || match (value.get(), asked.problem.get()) {
        (Some(found), _) => picture(found),
        (None, Some(problem)) => failed(problem, move || asked.retry()).into_any(),
        (None, None) => view! { <div class="body">{skeleton(height)}</div> }.into_any(),
    })
}

pub(crate) fn save_csv(sheet: &Sheet) {
    browser::download(&format!("coulomb-{}.csv", sheet.name), "text/csv", &sheet.csv());
}

fn png(host: &web_sys::HtmlElement, name: String) {
    let done = Closure::once_into_js(move |blob: JsValue| {
        if let Ok(blob) = blob.dyn_into::<web_sys::Blob>() {
            browser::save(&name, &blob);
        }
    });
    if coulomb_png(host, &browser::colour("card"), &done).is_err() {
        leptos::logging::warn!("the browser refused to make a picture");
    }
}

/// Rows that a browser shows without delay; the file has all.
const ROWS_MAX: usize = 1_000;

/// The rows as they are.
fn rows(title: Signal<String>, sheet: Signal<Sheet>) -> AnyView {
    let head = |head: &Head| view! { <th scope="col" class:number=head.is_number>{head.label.clone()}</th> };
    let row = |heads: &[Head], row: &[Field]| {
        let cell = |(field, head): (&Field, &Head)| {
            view! { <td class:number=head.is_number title=field.exact.clone()>{field.shown.clone()}</td> }
        };
        view! { <tr>{row.iter().zip(heads).map(cell).collect_view()}</tr> }
    };
    let body = move || {
        let sheet = sheet.read();
        if sheet.rows.is_empty() {
            return view! { <div class="say"><p>"There are no rows."</p></div> }.into_any();
        }
        let heads = sheet.heads.iter().map(head).collect_view();
        let rows = sheet.rows.iter().take(ROWS_MAX).map(|fields| row(&sheet.heads, fields)).collect_view();
        let beyond = beyond(sheet.rows.len().saturating_sub(ROWS_MAX));
        view! {
            <div class="scroller sheet" tabindex="0" role="region" aria-label=move || format!("Rows: {}", title.get())>
                <table class="sticky"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>
            </div>
            {beyond.map(|text| view! { <div class="foot small muted">{text}</div> })}
        }
        .into_any()
    };
    view! { {body} }.into_any()
}
