//! What the tables hold.

use crate::format;
use crate::order;
use crate::pages::app::App;
use crate::pages::pieces::skeleton;
use contract::answers::{Status, TableStatus};
use leptos::prelude::*;

pub(super) fn kept(app: App) -> impl IntoView {
    let table = move || {
        app.heard.with(|heard| match heard {
            Some(heard) => filled(&heard.status).into_any(),
            None => skeleton(280).into_any(),
        })
    };
    view! {
        <section class="card c12">
            <header>
                <h2>"What is kept?"</h2>
                <div class="grow"></div>
                <a class="small" href="/sql">"Ask them by SQL"</a>
            </header>
            {table}
        </section>
    }
}

fn filled(status: &Status) -> impl IntoView + use<> {
    let mut tables: Vec<&TableStatus> = status.tables.iter().collect();
    order::sort_by(&mut tables, |a, b| b.stored_bytes.cmp(&a.stored_bytes).then_with(|| a.name.cmp(&b.name)));
    let rows: u64 = tables.iter().map(|table| table.rows).sum();
    let bytes: u64 = tables.iter().map(|table| table.stored_bytes).sum();
    view! {
        <p class="body small muted">
            {format!(
                "{} rows in {} of files; rows of the last minutes are in memory and in the log, too.",
                format::count(rows),
                format::bytes(bytes as f64),
            )}
        </p>
        <div class="scroller" tabindex="0">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"Table"</th>
                        <th scope="col" class="number">"Rows"</th>
                        <th scope="col" class="number">"Files"</th>
                        <th scope="col" class="number">"In files"</th>
                        <th scope="col" class="number">"Bytes a row"</th>
                        <th scope="col">"From, UTC"</th>
                        <th scope="col">"To, UTC"</th>
                    </tr>
                </thead>
                <tbody>{tables.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}

fn row(table: &TableStatus) -> impl IntoView + use<> {
    let a_row = (table.rows > 0 && table.files > 0).then(|| table.stored_bytes as f64 / table.rows as f64);
    let instant = |micros: Option<i64>| {
        let hint = micros.map(format::instant).unwrap_or_default();
        view! { <td title=hint>{micros.map_or_else(|| "–".to_owned(), format::short_instant)}</td> }
    };
    let empty = table.rows == 0;
    view! {
        <tr class:muted=empty>
            <td><code>{table.name.clone()}</code></td>
            <td class="number">{format::count(table.rows)}</td>
            <td class="number">{format::count(table.files)}</td>
            <td class="number">{if empty { "–".to_owned() } else { format::bytes(table.stored_bytes as f64) }}</td>
            <td class="number">{a_row.map_or_else(|| "–".to_owned(), |b| format!("{b:.1}"))}</td>
            {instant(table.time_min_unix_micros)}
            {instant(table.time_max_unix_micros)}
        </tr>
    }
}
