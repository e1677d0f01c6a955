//! What became of the statement: rows as table, chart or plan, or why there are none.

use super::{Desk, Found, Outcome, export, picture, plan, rows};
use crate::format;
use crate::pages::api::Problem;
use crate::pages::pieces::{icon, shape, skeleton};
use crate::sql::statement::{EXAMPLES, offset_of, place_of};
use leptos::prelude::*;
use std::sync::Arc;

const VIEWS: [(&str, &str); 3] = [("", "Table"), ("chart", "Chart"), ("plan", "Plan")];

pub(super) fn outcome(desk: Desk) -> impl IntoView {
    move || match desk.outcome.get() {
        Outcome::Nothing => examples(desk).into_any(),
        Outcome::Running(since) => running(desk, since).into_any(),
        Outcome::Stopped => stopped().into_any(),
        Outcome::Failed { sql, problem } => failed(desk, &sql, problem).into_any(),
        Outcome::Done(found) => done(desk, found).into_any(),
    }
}

fn examples(desk: Desk) -> impl IntoView {
    let example = move |(question, sql): (&'static str, &'static str)| {
        let href = move || {
            let mut address = desk.app.address.get();
            address.set_own("q", sql);
            address.href()
        };
        view! { <li><a href=href>{question}</a> <code class="cut">{sql.replace('\n', " ")}</code></li> }
    };
    view! {
        <section class="card">
            <header><h2>"Ask one of these to begin with"</h2></header>
            <ul class="examples">{EXAMPLES.map(example).into_iter().collect_view()}</ul>
        </section>
    }
}

fn running(desk: Desk, since: f64) -> impl IntoView {
    let elapsed = move || format!("Running for {} s", ((desk.app.now_millis.get() - since).max(0.0) / 1000.0).floor());
    view! {
        <section class="card">
            <header>
                <h2>"Result"</h2>
                <span class="aside" role="status">{elapsed}</span>
            </header>
            <div class="body">{skeleton(320)}</div>
        </section>
    }
}

fn stopped() -> impl IntoView {
    view! {
        <section class="card">
            <div class="say center">
                <h2>"The query was stopped"</h2>
                <p>"The server has ended its work, too."</p>
            </div>
        </section>
    }
}

/// The message in place, with the line that it is about.
fn failed(desk: Desk, sql: &str, problem: Problem) -> impl IntoView + use<> {
    let place = place_of(&problem.message).filter(|(line, _)| *line <= sql.lines().count());
    let at = place.map(|(line, column)| {
        let text = sql.lines().nth(line - 1).unwrap_or_default().to_owned();
        let caret = format!("{}^", " ".repeat(column.saturating_sub(1).min(text.chars().count())));
        let offset = offset_of(sql, (line, column));
        let go = move |_| {
            if let Some(field) = desk.editor.get_untracked() {
                field.focus().ok();
                field.set_selection_range(offset, offset).ok();
            }
        };
        view! {
            <pre class="code at" tabindex="0">{format!("{text}\n{caret}")}</pre>
            <button class="link" on:click=go>{format!("Go to line {line}, column {column}")}</button>
        }
    });
    let id = problem.request_id.map(|id| view! { <p class="small muted">"Request " <code>{id}</code></p> });
    view! {
        <section class="card">
            <div class="say failed wide" role="alert">
                {icon(shape::CRITICAL)}
                <h3>"The statement was refused"</h3>
                <p>{format::sentence(&problem.message)}</p>
                {at}
                {id}
            </div>
        </section>
    }
}

fn done(desk: Desk, found: Arc<Found>) -> impl IntoView {
    let chosen = Memo::new(move |_| desk.app.address.with(|a| a.own("view").to_owned()));
    let tab = move |(key, label): (&'static str, &'static str)| {
        view! {
            <button
                aria-pressed=move || (*chosen.read() == key).to_string()
                on:click=move |_| desk.app.turn(|a| a.set_own("view", key))
            >
                {label}
            </button>
        }
    };
    let more = if found.table.is_cut { "the first " } else { "" };
    let counted = format::counted(found.table.rows.len() as u64, "row");
    let facts = format!("{more}{counted} in {}", taken(found.millis));
    let inside = {
        let found = Arc::clone(&found);
        move || match chosen.read().as_str() {
            "chart" => picture::picture(&found).into_any(),
            "plan" => plan::plan(desk, &found).into_any(),
            _ => rows::rows(Arc::clone(&found)).into_any(),
        }
    };
    view! {
        <section class="card">
            <header>
                <h2>"Result"</h2>
                <span class="aside" role="status" title="Time until the answer was here">{facts}</span>
                <div class="grow"></div>
                <div class="segments" role="group" aria-label="Show as">{VIEWS.map(tab).into_iter().collect_view()}</div>
                {export::export(desk, found.sql.clone())}
            </header>
            {inside}
        </section>
    }
}

fn taken(millis: f64) -> String {
    if millis < 1000.0 { format!("{millis:.0} ms") } else { format!("{} s", format::digits(millis / 1000.0)) }
}
