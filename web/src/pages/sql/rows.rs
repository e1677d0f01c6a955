//! The rows of an answer, a page at a time.

use super::Found;
use crate::format;
use crate::sql::answer::{Cell, Column, Kind};
use crate::sql::cells::shown;
use leptos::prelude::*;
use std::sync::Arc;

/// More rows at once would make a page slow.
const PAGE_ROWS: usize = 100;

pub(super) fn rows(found: Arc<Found>) -> impl IntoView {
    if found.table.columns.is_empty() || found.table.rows.is_empty() {
        return none(&found).into_any();
    }
    let page = RwSignal::new(0usize);
    let count = found.table.rows.len();
    let heads = found.table.columns.iter().map(head).collect_view();
    let is_cut = found.table.is_cut.then(|| {
        view! { <div class="foot small muted">"The answer has more rows than a browser takes; save it to have all, or add a LIMIT."</div> }
    });
    let body = move || {
        let columns = &found.table.columns;
        let row = |cells: &Vec<Cell>| view! { <tr>{columns.iter().zip(cells).map(cell).collect_view()}</tr> };
        let start = page.get() * PAGE_ROWS;
        found.table.rows.iter().skip(start).take(PAGE_ROWS).map(row).collect_view()
    };
    view! {
        <div class="scroller result" tabindex="0" role="region" aria-label="Rows of the answer">
            <table class="sticky">
                <thead><tr>{heads}</tr></thead>
                <tbody>{body}</tbody>
            </table>
        </div>
        {(count > PAGE_ROWS).then(|| pager(page, count))}
        {is_cut}
    }
    .into_any()
}

fn none(found: &Found) -> impl IntoView + use<> {
    let names = found.table.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>().join(", ");
    view! {
        <div class="say center">
            <h2>"No row fits"</h2>
            <p>"The statement is right and nothing in the tables answers it. Try a longer time or fewer conditions."</p>
            {(!names.is_empty()).then(|| view! { <p class="small muted">{format!("Its columns are {names}.")}</p> })}
        </div>
    }
}

fn head(column: &Column) -> impl IntoView + use<> {
    let zone = if column.type_name == "timestamp" { "UTC" } else { &column.type_name };
    view! {
        <th class:number=column.kind.is_number() scope="col">
            {column.name.clone()} " " <span class="note">{zone.to_owned()}</span>
        </th>
    }
}

fn cell((column, cell): (&Column, &Cell)) -> AnyView {
    let is_number = column.kind.is_number();
    match cell {
        None => view! { <td class="muted null" class:number=is_number>{format::NOT_REPORTED}</td> }.into_any(),
        Some(text) => {
            let class = if column.kind == Kind::Other { "cut mono" } else { "cut" };
            view! { <td class=class class:number=is_number title=text.clone()>{shown(column.kind, text)}</td> }
                .into_any()
        }
    }
}

fn pager(page: RwSignal<usize>, count: usize) -> impl IntoView {
    let last = (count - 1) / PAGE_ROWS;
    let text = move || {
        let first = page.get() * PAGE_ROWS + 1;
        let end = (first + PAGE_ROWS - 1).min(count);
        format!("{} to {} of {}", format::count(first as u64), format::count(end as u64), format::count(count as u64))
    };
    let turn = move |to: fn(usize) -> usize| page.update(|p| *p = to(*p).min(last));
    view! {
        <div class="foot pager">
            <button class="control" disabled=move || page.get() == 0 on:click=move |_| turn(|p| p.saturating_sub(1))>"Before"</button>
            <span class="small muted" role="status">{text}</span>
            <button class="control" disabled=move || page.get() == last on:click=move |_| turn(|p| p + 1)>"Next"</button>
        </div>
    }
}
