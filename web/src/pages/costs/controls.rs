//! The line above: what costs are grouped by, and the rows as a file.

use crate::costs::{DIMENSIONS, Dimension};
use crate::pages::app::App;
use crate::pages::pieces::{icon, shape};
use leptos::prelude::*;

pub(super) fn controls(app: App) -> impl IntoView {
    let chosen = Memo::new(move |_| app.address.read().by.name);
    let option = move |d: &'static Dimension| {
        view! { <option value=d.name selected=move || chosen.get() == d.name>{d.label}</option> }
    };
    let choose = move |e| {
        if let Some(by) = Dimension::named(&event_target_value(&e)) {
            app.turn(|a| a.by = by);
        }
    };
    let report = move || {
        // A document is about all clusters; one more dimension tells them apart.
        app.address.with(|a| {
            let by = if a.cluster.is_empty() { a.by.name.to_owned() } else { format!("cluster,{}", a.by.name) };
            format!("/api/v1/reports/chargeback?{}&by={by}&format=csv", a.window_query())
        })
    };
    view! {
        <div class="filters">
            <label class="choice">
                "By"
                <select class="control" aria-label="Group costs by" prop:value=move || chosen.get() on:change=choose>
                    {DIMENSIONS.iter().map(option).collect_view()}
                </select>
            </label>
            <div class="grow"></div>
            <a class="control" href=report download title="All groups of this range, exact amounts, as CSV">
                {icon(shape::DOWNLOAD)}
                "CSV"
            </a>
        </div>
    }
}
