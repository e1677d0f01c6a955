//! The records themselves; one opens to everything that is known of it.

use super::Older;
use crate::address::{Address, Open};
use crate::format;
use crate::logs::{self, Level, LogRecord, Logs, details};
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::pieces::{icon, refused, shape};
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn records(app: App, found: Signal<Arc<Logs>>, older: Older) -> impl IntoView {
    let save = move |_| {
        let mut all = found.read_untracked().records.clone();
        all.extend(older.records.get_untracked());
        let bounds = (all.last().map(|r| r.time_unix_micros), all.first().map(|r| r.time_unix_micros));
        let name = format::file_name("logs", bounds.0.unwrap_or(0), bounds.1.unwrap_or(0));
        browser::download(&name, "text/csv", &logs::csv(&all));
    };
    let shown = move || {
        let count = found.read().records.len() + older.records.with(Vec::len);
        format!("the newest {}", format::counted(count as u64, "record"))
    };
    let newest = move || list(app, &found.read().records);
    let rest = move || older.records.with(|records| list(app, records));
    view! {
        <section class="card c12">
            <header>
                <h2>"What was said?"</h2>
                <span class="aside">{shown}</span>
                <div class="grow"></div>
                <button class="control" on:click=save title="The records that are loaded, as CSV">{icon(shape::DOWNLOAD)} "CSV"</button>
            </header>
            {table(app, view! { {newest} {rest} }.into_any())}
            {move || more(app, found, older)}
        </section>
    }
}

/// Records within another page.
pub(in crate::pages) fn few(app: App, records: &[LogRecord]) -> AnyView {
    table(app, list(app, records).into_any()).into_any()
}

fn table(app: App, rows: AnyView) -> impl IntoView {
    let wraps = move || app.address.with(|a| a.own("wrap").is_empty());
    let heads = ["Time, UTC", "Severity", "Node", "Job", "Message"];
    let heads = heads.map(|head| view! { <th>{head}</th> }).into_iter().collect_view();
    view! {
        <div class="scroller" tabindex="0">
            <table class="sticky logs" class:wrap=wraps>
                <thead><tr><th><span class="visually-hidden">"More"</span></th> {heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

fn more(app: App, found: Signal<Arc<Logs>>, older: Older) -> impl IntoView {
    let problem = older.problem.get().map(|problem| refused(&problem));
    let next = older.next(&found.read()).map(|before| {
        let load = move |_| older.load(app, before.clone());
        view! { <button class="control" disabled=move || older.busy.get() on:click=load>"Load older records"</button> }
    });
    (problem.is_some() || next.is_some()).then(|| view! { <div class="body">{problem} {next}</div> })
}

fn list(app: App, records: &[LogRecord]) -> Vec<AnyView> {
    let address = app.address.get_untracked();
    records.iter().map(|record| one(&address, record).into_any()).collect()
}

fn one(address: &Address, record: &LogRecord) -> impl IntoView + use<> {
    let is_open = RwSignal::new(false);
    let level = Level::of(record.severity_number);
    let cluster = record.cluster.clone().unwrap_or_default();
    let node = record.node.clone().map(|node| {
        let href = address.to_open(Open::Node { cluster: cluster.clone(), node: node.clone() }).href();
        view! { <a href=href>{node}</a> }
    });
    let job = record.job_id.clone().map(|job| {
        let href = address.to_job(&cluster, &job, None).href();
        view! { <a href=href>{job}</a> }
    });
    let rest = details(record);
    let time = record.time_unix_micros;
    let opened = move || {
        is_open.get().then(|| {
            let pair = |(name, value): &(String, String)| view! { <dt>{name.clone()}</dt> <dd>{value.clone()}</dd> };
            view! { <tr class="details"><td></td><td colspan="5"><dl>{rest.iter().map(pair).collect_view()}</dl></td></tr> }
        })
    };
    view! {
        <tr class=level.word()>
            <td>
                <button
                    class="control only plain"
                    aria-expanded=move || is_open.get().to_string()
                    aria-label="What is known of this record"
                    on:click=move |_| is_open.update(|open| *open = !*open)
                >{icon(shape::MORE)}</button>
            </td>
            <td class="when" title=format::instant(time)>{clock(time)}</td>
            <td>{badge(level)}</td>
            <td>{node}</td>
            <td>{job}</td>
            <td class="message">{record.body.clone()}</td>
        </tr>
        {opened}
    }
}

/// Day and time of day, to the millisecond.
fn clock(time: i64) -> String {
    let text = crate::instant::rfc3339(time);
    let millis = time.rem_euclid(1_000_000) / 1000;
    format!("{} {}.{millis:03}", text.get(5..10).unwrap_or_default(), text.get(11..19).unwrap_or_default())
}

/// Severities differ in shape as well as colour, and the word stands beside it.
fn badge(level: Level) -> impl IntoView {
    let (class, path) = match level {
        Level::None => return view! { <span class="muted">"–"</span> }.into_any(),
        Level::Debug => ("level muted", shape::MORE),
        Level::Info => ("level severity notice", shape::NOTICE),
        Level::Warn => ("level severity warning", shape::WARNING),
        Level::Error | Level::Fatal => ("level severity critical", shape::CRITICAL),
    };
    view! { <span class=class>{icon(path)} <span>{level.word()}</span></span> }.into_any()
}
