//! How the engine would run the statement, as it says itself.

use super::{Desk, Found};
use crate::pages::api::{self, Problem};
use crate::pages::pieces::{refused, skeleton};
use crate::sql::answer::Table;
use crate::sql::statement::explain;
use leptos::prelude::*;
use leptos::task::spawn_local;

pub(super) fn plan(desk: Desk, found: &Found) -> impl IntoView + use<> {
    let Some(sql) = explain(&found.sql) else { return told(&found.table).into_any() };
    let answer = RwSignal::new(None::<Result<Table, Problem>>);
    spawn_local(async move {
        let found = api::rows(&sql, None).await.map(|text| Table::parse(&text).unwrap_or_default());
        if found.as_ref().is_err_and(|problem| problem.status == 401) {
            return desk.app.to_login();
        }
        answer.try_set(Some(found));
    });
    (move || match answer.read().as_ref() {
        None => view! { <div class="body">{skeleton(320)}</div> }.into_any(),
        Some(Err(problem)) => view! { <div class="body">{refused(problem)}</div> }.into_any(),
        Some(Ok(table)) => told(table).into_any(),
    })
    .into_any()
}

/// A step a line; each works on what the steps that are further right give it.
fn told(table: &Table) -> impl IntoView + use<> {
    let text = |row: &Vec<Option<String>>, at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    let part = |row: &Vec<Option<String>>| {
        let title = text(row, 0).replace('_', " ");
        view! { <h3>{title}</h3> <pre class="code" tabindex="0">{text(row, 1)}</pre> }
    };
    view! {
        <div class="body plan" tabindex="0" role="region" aria-label="Plan of the query">
            {table.rows.iter().map(part).collect_view()}
            <p class="small muted">
                "Each line works on what the lines indented below it give. Run the statement with "
                <code>"explain analyze"</code> " before it to have measured rows and times."
            </p>
        </div>
    }
}
