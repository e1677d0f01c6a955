//! The rows of the ledger that figures are summed from, page by page; one of them in full beside.

use crate::address::encode;
use crate::costs::lines::Lines;
use crate::costs::{slice, state_label, table};
use crate::format::{self, money};
use crate::pages::api::{Asked, ask_lines};
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::panel::parts::facts;
use crate::pages::pieces::{failed, icon, shape, skeleton};
use leptos::ev::KeyboardEvent;
use leptos::html::Button;
use leptos::prelude::*;
use std::sync::Arc;

/// Rows of a page.
const ROWS: usize = 50;

pub(super) fn rows(app: App) -> AnyView {
    let path = move |form: &str, limit: usize| {
        app.address.with(|a| {
            let cursor = table::cursor(a.own("rows")).flatten();
            let cursor = cursor.map(|cursor| format!("&cursor={}", encode(&cursor))).unwrap_or_default();
            // An empty cluster would be asked for as one without a name.
            let asked = slice::asked(a).replace("&cluster=&", "&");
            format!("/api/v1/ledger?{}&limit={limit}&format={form}{cursor}", asked.trim_end_matches("&cluster="))
        })
    };
    let asked: Asked<Lines> = ask_lines(move || path("json", ROWS));
    let close = move |_| {
        app.turn(|a| {
            a.set_own("rows", "");
            a.set_own("row", "");
        });
    };
    let inside = move || match (asked.value.get(), asked.problem.get()) {
        (Some(found), _) if found.len() == 0 => {
            view! { <div class="say"><p>"The ledger has no row like this in the range."</p></div> }.into_any()
        }
        (Some(found), _) => listed(app, &found),
        (None, Some(problem)) => failed(problem, move || asked.retry()).into_any(),
        (None, None) => view! { <div class="body">{skeleton(320)}</div> }.into_any(),
    };
    // A refresh that brings the same rows does not take the focus.
    let opened = Memo::new(move |_| {
        let at = app.address.with(|a| a.own("row").parse::<usize>().ok())?;
        asked.value.get().filter(|found| at < found.len()).map(|found| (found, at))
    });
    let panel = move || opened.get().map(|(found, at)| panel(app, &found, at));
    view! {
        <section class="card c12">
            <header>
                <h2>"Which rows of the ledger?"</h2>
                <span class="aside">{move || format!("in order of their hour, {ROWS} at a time")}</span>
                <div class="grow"></div>
                {pager(app, asked)}
                <a class="control" href=move || path("csv", ROWS) download title="These rows with all their columns, exact values">
                    {icon(shape::DOWNLOAD)}
                    "CSV"
                </a>
                <button class="control only" aria-label="Close the rows" title="Close the rows" on:click=close>{icon(shape::CLOSE)}</button>
            </header>
            {inside}
        </section>
        {panel}
    }
    .into_any()
}

/// Forward by the cursor; the way back is the browser's, and to the first page.
fn pager(app: App, asked: Asked<Lines>) -> impl IntoView {
    let is_first = move || app.address.with(|a| a.own("rows") == slice::FIRST);
    let next = move || asked.value.get().and_then(|found| found.next.clone());
    let to = move |cursor: &str| {
        app.turn(|a| {
            a.set_own("rows", cursor);
            a.set_own("row", "");
        });
    };
    let further = move |_| untrack(next).iter().for_each(|cursor| to(cursor));
    view! {
        <button class="control" disabled=is_first on:click=move |_| to(slice::FIRST)>"First rows"</button>
        <button class="control" disabled=move || next().is_none() on:click=further>"Further rows"</button>
    }
}

fn listed(app: App, found: &Lines) -> AnyView {
    let currency = found.text(0, "currency").unwrap_or_default().to_owned();
    let here = app.address.get_untracked();
    let row = |at: usize| {
        let or = |column: &str, none: &str| found.text(at, column).unwrap_or(none).to_owned();
        let mut opened = here.clone();
        opened.set_own("row", &at.to_string());
        let cost = match found.micros(at, "cost_micros") {
            Some(m) => view! { <td class="number" title=money::exact(m, &currency)>{money::money(m)}</td> }.into_any(),
            None => view! { <td class="number muted">"no price"</td> }.into_any(),
        };
        let gpu = or("gpu_uuid", "");
        view! {
            <tr>
                <td><a href=opened.href() title="All of this row, and what it came from">{found.hour(at)}</a></td>
                <td>{or("team", "none")}</td>
                <td>{or("job_id", "no job")}</td>
                <td title=gpu.clone()>{format!("{} {}", or("node", "no node"), format::short_id(&gpu))}</td>
                <td>{state_label(&or("state", "by accounting")).to_owned()}</td>
                <td>{or("category", "")}</td>
                <td class="number">{found.quantity(at)}</td>
                {cost}
                <td class="muted cut brief">{or("price_version", "no price")}</td>
                <td class="muted">{or("policy_version", "")}</td>
            </tr>
        }
    };
    view! {
        <div class="scroller sheet" tabindex="0" role="region" aria-label="Rows of the ledger">
            <table class="sticky">
                <thead>
                    <tr>
                        <th scope="col">"Hour, UTC"</th>
                        <th scope="col">"Team"</th>
                        <th scope="col">"Job"</th>
                        <th scope="col">"Node and GPU"</th>
                        <th scope="col">"State"</th>
                        <th scope="col">"Category"</th>
                        <th scope="col" class="number">"Quantity"</th>
                        <th scope="col" class="number">{format!("Cost, {currency}")}</th>
                        <th scope="col">"Price version"</th>
                        <th scope="col">"Policy"</th>
                    </tr>
                </thead>
                <tbody>{(0..found.len()).map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn close_row(app: App) {
    app.turn(|a| a.set_own("row", ""));
}

/// A row with everything that it leads back to.
fn panel(app: App, found: &Arc<Lines>, at: usize) -> AnyView {
    let closer = window_event_listener(leptos::ev::keydown, move |e: KeyboardEvent| {
        if e.key() == "Escape" && !e.default_prevented() && !browser::has_dialog() {
            close_row(app);
        }
    });
    on_cleanup(move || closer.remove());
    let button = NodeRef::<Button>::new();
    Effect::new(move |_| {
        if let Some(button) = button.get() {
            // Keyboard users go on where the panel opened.
            button.focus().ok();
        }
    });
    let currency = found.text(at, "currency").unwrap_or_default();
    let cost = found.micros(at, "cost_micros").map_or("No price".to_owned(), |m| money::exact(m, currency));
    let lineage = found.lineage(at).into_iter();
    let all = lineage.map(|(label, text)| (label, view! { <span title=text.clone()>{text.clone()}</span> }.into_any()));
    let job = found.text(at, "job_id").map(|job| {
        let cluster = found.text(at, "cluster").unwrap_or_default();
        let href = app.address.with_untracked(|a| a.to_job(cluster, job, None).href());
        view! { <a class="control" href=href>"The job"</a> }
    });
    let prices = found.text(at, "price_version").map(|_| {
        let href = app.address.with_untracked(|a| a.to_page(crate::address::Page::Prices).href());
        view! { <a class="control" href=href>"Prices and policy"</a> }
    });
    view! {
        <aside class="panel" aria-label="A row of the ledger">
            <header>
                <div>
                    <div class="over">{format!("{} · row of the ledger", found.hour(at))}</div>
                    <h2>{cost}</h2>
                </div>
                <div class="grow"></div>
                <button class="control only" node_ref=button aria-label="Close" title="Close (Escape)" on:click=move |_| close_row(app)>
                    {icon(shape::CLOSE)}
                </button>
            </header>
            <div class="inside">
                <p class="told">{format::sentence(&found.sum(at))}</p>
                <div class="lineage">{facts(all.collect())}</div>
                <div class="buttons">{job} {prices}</div>
            </div>
        </aside>
    }
    .into_any()
}
