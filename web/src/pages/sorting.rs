//! Heads of tables that sort: a click turns the order, the address keeps it.

use super::app::App;
use leptos::prelude::*;

/// A column that the address may sort by.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    pub(crate) key: &'static str,
    pub(crate) is_number: bool,
    /// Whether the first click sorts downwards: numbers are most often wanted largest first, names from A.
    pub(crate) is_down_first: bool,
}

pub(crate) fn head(app: App, sort: Memo<String>, column: Head, label: impl IntoView + 'static) -> impl IntoView {
    let key = column.key;
    let direction = move || match sort.read().strip_prefix('-') {
        Some(by) if by == key => "descending",
        None if *sort.read() == key => "ascending",
        _ => "none",
    };
    let arrow = move || match direction() {
        "ascending" => "↑",
        "descending" => "↓",
        _ => "",
    };
    let turn = move |_| {
        let next = match (untrack(direction), column.is_down_first) {
            ("none", true) | ("ascending", _) => format!("-{key}"),
            _ => key.to_owned(),
        };
        app.amend(|a| a.sort = next);
    };
    view! {
        <th class:number=column.is_number aria-sort=direction scope="col">
            <button on:click=turn>{label} <span class="arrow" aria-hidden="true">{arrow}</span></button>
        </th>
    }
}
