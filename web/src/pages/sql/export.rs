//! All rows of the statement as a file, in the four forms of the API.

use super::Desk;
use crate::pages::api::{self, Problem};
use crate::pages::browser;
use crate::pages::pieces::{icon, refused, shape};
use leptos::prelude::*;
use leptos::task::spawn_local;

const FORMS: [(&str, &str, &str); 4] = [
    ("CSV", "csv", "text/csv"),
    ("JSON", "json", "application/json"),
    ("Arrow", "arrow", contract::ARROW_STREAM_MIME),
    ("Parquet", "parquet", "application/vnd.apache.parquet"),
];

pub(super) fn export(desk: Desk, sql: String) -> impl IntoView {
    let shown = RwSignal::new(false);
    let busy = RwSignal::new(false);
    let trouble = RwSignal::new(None::<Problem>);
    let sql = StoredValue::new(sql);
    let save = move |ending: &'static str, accept: &'static str| {
        busy.set(true);
        trouble.set(None);
        spawn_local(async move {
            match api::rows_file(&api::rows_body(&sql.get_value(), &[]), accept).await {
                Ok(bytes) => {
                    browser::save(&format!("coulomb-query.{ending}"), &bytes);
                    shown.try_set(false);
                }
                Err(problem) if problem.status == 401 => desk.app.to_login(),
                Err(problem) => {
                    trouble.try_set(Some(problem));
                }
            }
            busy.try_set(false);
        });
    };
    let button = move |(label, ending, accept): (&'static str, &'static str, &'static str)| {
        view! { <button disabled=move || busy.get() on:click=move |_| save(ending, accept)>{label}</button> }
    };
    view! {
        <div class="menu" on:keydown=move |e| if e.key() == "Escape" { shown.set(false) }>
            <button
                class="control"
                aria-expanded=move || shown.get().to_string()
                title="All rows as a file; the statement runs again for it"
                on:click=move |_| shown.update(|s| *s = !*s)
            >
                {icon(shape::DOWNLOAD)}
                {move || if busy.get() { "Saving …" } else { "Save" }}
            </button>
            {move || shown.get().then(|| view! {
                <div class="floating list">
                    {FORMS.map(button).into_iter().collect_view()}
                    {move || trouble.read().as_ref().map(refused)}
                </div>
            })}
        </div>
    }
}
