//! The nodes now: sortable, walked by arrow keys, a row opens its panel.

use crate::address::Open;
use crate::charts::share;
use crate::csv;
use crate::format::{self, Unit};
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::pieces::{icon, shape, state_parts, states_in_words};
use crate::pages::sorting::{self, Head};
use crate::roster::{self, COLUMNS, Column, NodeRow};
use contract::answers::Fleet;
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;
use std::sync::Arc;

/// Rows drawn at once; the filter and the order choose which. More would make every refresh slow.
const ROWS_MAX: usize = 200;

pub(super) fn table(app: App, found: Signal<Arc<Fleet>>, shown: Memo<Vec<usize>>) -> impl IntoView {
    let sort = Memo::new(move |_| app.address.read().sort.clone());
    let all = RwSignal::new(false);
    let rows = Memo::new(move |_| {
        let found = found.read();
        let mut rows: Vec<NodeRow> = shown.read().iter().map(|i| NodeRow::of(*i, &found.nodes[*i])).collect();
        roster::sort(&mut rows, &sort.read());
        rows
    });
    let limit = move || if all.get() { usize::MAX } else { ROWS_MAX };
    let save = move |_| {
        let range = found.read_untracked().range;
        let name = format::file_name("nodes", range.from_unix_micros, range.to_unix_micros);
        browser::download(&name, "text/csv", &csv::nodes(&rows.read_untracked()));
    };
    let more = move || {
        let hidden = rows.read().len().saturating_sub(limit());
        let label = move || format!("Show {} more", format::counted(hidden as u64, "node"));
        (hidden > 0).then(|| view! { <div class="body"><button class="control" on:click=move |_| all.set(true)>{label()}</button></div> })
    };
    view! {
        <section class="card c12">
            <header>
                <h2>"Nodes"</h2>
                <span class="aside">"at the end of the range"</span>
                <div class="grow"></div>
                <button class="control" on:click=save title="These rows as CSV, exact values">{icon(shape::DOWNLOAD)} "CSV"</button>
            </header>
            <div class="scroller">
                <table class="sticky">
                    <thead><tr>{COLUMNS.map(|c| column(app, sort, c)).into_iter().collect_view()}</tr></thead>
                    <tbody>{move || rows.read().iter().take(limit()).map(|r| row(app, r)).collect_view()}</tbody>
                </table>
            </div>
            {more}
        </section>
    }
}

fn column(app: App, sort: Memo<String>, column: Column) -> impl IntoView {
    let key = column.key;
    let head = Head { key, is_number: column.numeric, is_down_first: column.numeric || key == "state" };
    sorting::head(app, sort, head, column.head)
}

fn number(unit: Unit, value: Option<f64>) -> impl IntoView {
    match value {
        Some(v) => view! { <td class="number" title=format::value(unit, v)>{format::cell(unit, v)}</td> }.into_any(),
        None => view! { <td class="number muted">{format::NOT_REPORTED}</td> }.into_any(),
    }
}

fn row(app: App, row: &NodeRow) -> impl IntoView + use<> {
    let open = Open::Node { cluster: row.cluster.clone(), node: row.node.clone() };
    let (clicked, entered, compared) = (open.clone(), open.clone(), open);
    let keyed = move |e: KeyboardEvent| match e.key().as_str() {
        "Enter" | " " => {
            e.prevent_default();
            app.open(entered.clone());
        }
        key @ ("ArrowDown" | "ArrowUp") => {
            e.prevent_default();
            browser::focus_sibling(&event_target(&e), key == "ArrowDown");
        }
        _ => {}
    };
    let states = states_in_words(&row.gpus);
    view! {
        <tr
            class="pick"
            tabindex="0"
            aria-selected=move || (app.address.read().open.as_ref() == Some(&compared)).to_string()
            on:click=move |_| app.open(clicked.clone())
            on:keydown=keyed
        >
            <td>{row.node.clone()}</td>
            <td class="muted">{row.rack.clone().unwrap_or_else(|| "none".to_owned())}</td>
            <td class="muted">{row.model.clone()}</td>
            <td class="number">{format::count(row.gpu_count())}</td>
            <td title=states.clone() aria-label=states>
                <div class="bar-of-states now">{state_parts(&share::to_floats(&row.gpus), "width")}</div>
            </td>
            {number(Unit::Ratio, row.busy_ratio)}
            {number(Unit::Watts, row.power_watts)}
            {number(Unit::Celsius, row.temperature_celsius_max)}
            {number(Unit::Ratio, row.memory_ratio)}
            <td class="muted">{held_by(&row.users)}</td>
        </tr>
    }
}

/// The first two by name.
fn held_by(users: &[String]) -> String {
    match users {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [one, two] => format!("{one}, {two}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}
