//! The tables and their columns with type, unit and meaning; a click puts a name into the statement.

use super::Desk;
use crate::format;
use crate::pages::api::{self, Problem};
use crate::pages::pieces::{failed, skeleton};
use crate::sql::answer::Table;
use crate::sql::names::{ColumnShape, SCHEMA_SQL, Schema, TableShape};
use leptos::prelude::*;
use leptos::task::spawn_local;

type Trouble = RwSignal<Option<Problem>>;

pub(super) fn schema(desk: Desk) -> impl IntoView {
    let trouble: Trouble = RwSignal::new(None);
    let filter = RwSignal::new(String::new());
    load(desk, trouble);
    let inside = move || {
        if let Some(problem) = trouble.get() {
            return failed(problem, move || load(desk, trouble)).into_any();
        }
        let schema = desk.schema.read();
        if schema.tables.is_empty() {
            return view! { <div class="body">{skeleton(420)}</div> }.into_any();
        }
        let words = filter.get().to_lowercase();
        let found: Vec<_> = schema.tables.iter().filter_map(|t| table(desk, t, &words)).collect();
        if found.is_empty() {
            return view! { <p class="say muted">"No table or column has this in its name."</p> }.into_any();
        }
        found.into_any()
    };
    view! {
        <details class="card c3 schema" open=is_wide()>
            <summary><h2>"Tables"</h2></summary>
            <div class="body">
                <input
                    class="control"
                    type="search"
                    placeholder="Table or column"
                    aria-label="Filter tables and columns"
                    on:input=move |e| filter.set(event_target_value(&e))
                />
            </div>
            <div class="tables" tabindex="0" role="region" aria-label="Tables and columns">{inside}</div>
        </details>
    }
}

/// On a phone the statement comes first.
fn is_wide() -> bool {
    const WIDE_PIXELS: f64 = 1100.0;
    window().inner_width().ok().and_then(|w| w.as_f64()).is_none_or(|w| w > WIDE_PIXELS)
}

fn load(desk: Desk, trouble: Trouble) {
    trouble.set(None);
    spawn_local(async move {
        match api::rows(SCHEMA_SQL, None).await {
            Ok(text) => {
                let table = Table::parse(&text).unwrap_or_default();
                let cell = |row: &Vec<Option<String>>, at: usize| row.get(at).cloned().flatten().unwrap_or_default();
                let rows: Vec<[String; 3]> = table.rows.iter().map(|r| [cell(r, 0), cell(r, 1), cell(r, 2)]).collect();
                let rows = rows.iter().map(|[table, column, kind]| (table.as_str(), column.as_str(), kind.as_str()));
                desk.schema.try_set(Schema::of_rows(rows));
            }
            Err(problem) if problem.status == 401 => desk.app.to_login(),
            Err(problem) => {
                trouble.try_set(Some(problem));
            }
        }
    });
}

/// None where neither the table nor a column of it has these words.
fn table(desk: Desk, table: &TableShape, words: &str) -> Option<AnyView> {
    let is_named = table.name.contains(words);
    let columns: Vec<&ColumnShape> =
        table.columns.iter().filter(|c| is_named || c.name.to_lowercase().contains(words)).collect();
    if columns.is_empty() {
        return None;
    }
    let is_open = !words.is_empty() && !is_named;
    let name = table.name.clone();
    let first = format!("select * from {name} limit 100");
    let show = move |_| desk.app.turn(|a| a.set_own("q", &first));
    let rows = rows_of(desk, &table.name);
    Some(
        view! {
            <details open=is_open>
                <summary title=table.meaning><code>{name}</code> <span class="note">{rows}</span></summary>
                <p class="small muted meaning">{table.meaning} " " <button class="link" on:click=show>"First rows"</button></p>
                <ul>{columns.into_iter().map(|c| column(desk, c)).collect_view()}</ul>
            </details>
        }
        .into_any(),
    )
}

/// How many rows it has, as far as the status says; nothing of derived tables.
fn rows_of(desk: Desk, table: &str) -> Option<String> {
    desk.app.heard.with_untracked(|heard| {
        let status = heard.as_ref()?.status.tables.iter().find(|t| t.name == table)?;
        Some(match status.rows {
            0 => "empty".to_owned(),
            few @ ..1000 => format::count(few),
            many => format::compact(many as f64),
        })
    })
}

fn column(desk: Desk, column: &ColumnShape) -> impl IntoView + use<> {
    let name = column.name.clone();
    let unit = if ["", "time"].contains(&column.unit) {
        column.type_name.clone()
    } else {
        format!("{}, {}", column.type_name, column.unit)
    };
    let hint = if column.meaning.is_empty() { "Put into the statement".to_owned() } else { column.meaning.to_owned() };
    let inserted = name.clone();
    view! {
        <li>
            <button title=hint on:click=move |_| desk.insert(&inserted, 0)>
                <code>{name}</code>
                <span class="note">{unit}</span>
            </button>
        </li>
    }
}
