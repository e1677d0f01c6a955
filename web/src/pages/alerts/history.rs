//! What fired and ended within the time of the bar, from the table of changes.

use crate::format;
use crate::instant::{parse_instant, rfc3339};
use crate::pages::api::{Rows, ask_rows, rows_body};
use crate::pages::app::App;
use crate::pages::pieces::{failed, skeleton};
use leptos::prelude::*;

/// The latest of the window; the table has all.
const CHANGES: &str = "select time, rule, state, annotations['summary'] as summary, started_at from alert_changes \
    where time >= $1 and time < $2 and state in ('firing', 'missing', 'resolved') order by time desc limit 200";

pub(super) fn history(app: App) -> impl IntoView {
    let asked = ask_rows(move || {
        let (address, now) = (app.address.get(), app.now_micros());
        let (from, to) = (parse_instant(&address.from, now)?, parse_instant(&address.to, now)?);
        let bounds = [from, to].map(rfc3339);
        Some((rows_body(CHANGES, &bounds), (from, to)))
    });
    let inside = move || match (asked.value.get(), asked.problem.get()) {
        (Some(rows), _) => table(&rows).into_any(),
        (None, Some(problem)) => failed(problem, move || asked.retry()).into_any(),
        (None, None) => skeleton(200).into_any(),
    };
    view! {
        <section class="card c12">
            <header>
                <h2>"What happened?"</h2>
                <div class="grow"></div>
                <a class="small" href="/sql">"Ask alert_changes by SQL"</a>
            </header>
            {inside}
        </section>
    }
}

fn table(rows: &Rows) -> AnyView {
    if rows.table.rows.is_empty() {
        return view! { <p class="body small muted">"Nothing began and nothing ended within this time."</p> }
            .into_any();
    }
    let row = |cells: &Vec<Option<String>>| {
        let cell = |at: usize| cells.get(at).cloned().flatten().unwrap_or_default();
        let time = |text: String| parse_instant(&text, 0).map_or(text, format::short_instant);
        let state = match cell(2).as_str() {
            "missing" => "no data".to_owned(),
            state => state.to_owned(),
        };
        view! {
            <tr>
                <td>{time(cell(0))}</td>
                <td>{cell(1)}</td>
                <td><span class="badge">{state}</span></td>
                <td>{cell(3)}</td>
                <td>{time(cell(4))}</td>
            </tr>
        }
    };
    view! {
        <div class="scroller" tabindex="0">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"When, UTC"</th>
                        <th scope="col">"Rule"</th>
                        <th scope="col">"Became"</th>
                        <th scope="col">"What"</th>
                        <th scope="col">"Firing since, UTC"</th>
                    </tr>
                </thead>
                <tbody>{rows.table.rows.iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}
