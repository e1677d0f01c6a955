//! The lines above: what costs are grouped by, what they are held against, and which part of them is looked at.

use crate::costs::slice::{self, Filter};
use crate::costs::{DIMENSIONS, Dimension};
use crate::pages::app::App;
use crate::pages::pieces::{icon, shape};
use leptos::prelude::*;

/// Value of the address, label, hint.
const AGAINST: [(&str, &str, &str); 3] = [
    ("", "Nothing", "The range alone"),
    ("before", "Range before", "The range of the same length that ends where this one begins"),
    ("policies", "Policies", "Two policies on the same month"),
];

pub(super) fn controls(app: App) -> impl IntoView {
    let by = Memo::new(move |_| app.address.read().by.name);
    let columns = Memo::new(move |_| app.address.read().own("columns").to_owned());
    let choose_by = move |e| {
        if let Some(by) = Dimension::named(&event_target_value(&e)) {
            app.turn(|a| {
                a.by = by;
                a.sort.clear();
                if a.own("columns") == by.name {
                    a.set_own("columns", "");
                }
            });
        }
    };
    let choose_columns = move |e| {
        app.turn(|a| {
            a.sort.clear();
            a.set_own("columns", &event_target_value(&e));
        });
    };
    let option = move |d: &'static Dimension| {
        view! { <option value=d.name selected=move || by.get() == d.name>{d.label}</option> }
    };
    let column = move |d: &'static Dimension| {
        view! { <option value=d.name selected=move || *columns.read() == d.name disabled=move || by.get() == d.name>{d.label}</option> }
    };
    let against = move |(name, label, hint): (&'static str, &'static str, &'static str)| {
        let is_chosen = move || app.address.with(|a| a.own("compare") == name);
        view! {
            <button title=hint aria-pressed=move || is_chosen().to_string() on:click=move |_| app.turn(|a| a.set_own("compare", name))>
                {label}
            </button>
        }
    };
    view! {
        <div class="filters">
            <label class="choice">
                "By"
                <select class="control" aria-label="Group costs by" prop:value=move || by.get() on:change=choose_by>
                    {DIMENSIONS.iter().map(option).collect_view()}
                </select>
            </label>
            <label class="choice">
                "and"
                <select class="control" aria-label="Columns of the table" prop:value=move || columns.get() on:change=choose_columns>
                    <option value="" selected=move || columns.read().is_empty()>"nothing else"</option>
                    {DIMENSIONS.iter().map(column).collect_view()}
                </select>
            </label>
            <div class="choice">
                "Against"
                <div class="segments" role="group" aria-label="What costs are held against">
                    {AGAINST.map(against).into_iter().collect_view()}
                </div>
            </div>
        </div>
        {move || chips(app, &slice::parse(app.address.read().own("where")))}
    }
}

/// The names that rows must have, each of which can be let go.
fn chips(app: App, filters: &[Filter]) -> Option<impl IntoView + use<>> {
    if filters.is_empty() {
        return None;
    }
    let chip = |(at, filter): (usize, &Filter)| {
        let label = format!("{}: {}", filter.by.label, filter.by.label_of(filter.name.as_deref()));
        let hint = format!("Let go of {label}");
        let drop = move |_| {
            app.go(app.address.with_untracked(|here| {
                let mut rest = slice::parse(here.own("where"));
                let by = rest.remove(at).by;
                let mut next = slice::with(here, &rest);
                next.by = by;
                next
            }));
        };
        view! {
            <button class="control chip" title=hint.clone() aria-label=hint on:click=drop>
                <span class="cut">{label}</span>
                {icon(shape::CLOSE)}
            </button>
        }
    };
    let all = move |_| app.go(app.address.with_untracked(|here| slice::with(here, &[])));
    let rows = move || {
        app.address.with(|here| {
            let mut next = here.clone();
            next.set_own("rows", slice::FIRST);
            next.href()
        })
    };
    let has_rows = move || app.address.with(|a| !a.own("rows").is_empty());
    Some(view! {
        <div class="filters" role="group" aria-label="Only rows with">
            <span class="muted small">"Only"</span>
            {filters.iter().enumerate().map(chip).collect_view()}
            <button class="control" on:click=all>"All costs"</button>
            {move || (!has_rows()).then(|| view! { <a class="control" href=rows>"Rows of the ledger"</a> })}
        </div>
    })
}
