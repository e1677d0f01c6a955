//! SQL over all tables: what there is, a statement, its rows as table, picture and plan.

mod editor;
mod export;
mod history;
mod outcome;
mod picture;
mod plan;
mod rows;
mod schema;

use super::api::{self, Problem};
use super::app::App;
use super::browser;
use crate::sql::answer::Table;
use crate::sql::names::Schema;
use crate::sql::statement;
use leptos::html::Textarea;
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::sync::Arc;
use web_sys::AbortController;

/// What became of the statement that was run last.
#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    Nothing,
    /// Since when, in milliseconds.
    Running(f64),
    Done(Arc<Found>),
    Failed {
        sql: String,
        problem: Problem,
    },
    Stopped,
}

#[derive(Debug, PartialEq)]
struct Found {
    sql: String,
    table: Table,
    /// Of the whole way to the server and back.
    millis: f64,
}

/// What the parts of the page share.
#[derive(Clone, Copy)]
struct Desk {
    app: App,
    text: RwSignal<String>,
    outcome: RwSignal<Outcome>,
    schema: RwSignal<Schema>,
    /// The newest first.
    history: RwSignal<Vec<String>>,
    editor: NodeRef<Textarea>,
    asking: StoredValue<Option<AbortController>, LocalStorage>,
}

const DRAFT: &str = "coulomb.sql.draft";

impl Desk {
    fn new(app: App) -> Self {
        Self {
            app,
            text: RwSignal::new(browser::remembered(DRAFT).unwrap_or_default()),
            outcome: RwSignal::new(Outcome::Nothing),
            schema: RwSignal::new(Schema::default()),
            history: RwSignal::new(history::load()),
            editor: NodeRef::new(),
            asking: StoredValue::new_local(None),
        }
    }

    /// Runs what is in the editor; another statement than the address has becomes the address.
    fn run_text(self) {
        let sql = self.text.get_untracked();
        if sql.trim().is_empty() {
            return;
        }
        if self.app.address.with_untracked(|a| a.own("q") == sql) {
            self.run(sql);
        } else {
            self.app.turn(|a| a.set_own("q", &sql));
        }
    }

    fn run(self, sql: String) {
        self.abort();
        let controller = AbortController::new().ok();
        let signal = controller.as_ref().map(AbortController::signal);
        self.asking.set_value(controller);
        let since = browser::now_millis();
        self.outcome.set(Outcome::Running(since));
        spawn_local(async move {
            let answer = api::rows(&sql, signal.as_ref()).await;
            if signal.is_some_and(|s| s.aborted()) {
                return;
            }
            let millis = browser::now_millis() - since;
            let outcome = match answer.map(|text| Table::parse(&text)) {
                Ok(Some(table)) => {
                    history::keep(self, &sql);
                    Outcome::Done(Arc::new(Found { sql, table, millis }))
                }
                Ok(None) => Outcome::Failed { sql, problem: Problem::not_understood() },
                Err(problem) if problem.status == 401 => return self.app.to_login(),
                Err(problem) => Outcome::Failed { sql, problem },
            };
            self.outcome.try_set(outcome);
        });
    }

    fn cancel(self) {
        if self.abort() {
            self.outcome.set(Outcome::Stopped);
        }
    }

    /// Ends what is under way; the server notices and stops its work.
    fn abort(self) -> bool {
        let is_running = self.outcome.with_untracked(|o| matches!(o, Outcome::Running(_)));
        if let Some(older) = self.asking.try_update_value(Option::take).flatten() {
            older.abort();
        }
        is_running
    }

    fn is_running(self) -> bool {
        self.outcome.with(|o| matches!(o, Outcome::Running(_)))
    }

    /// Puts a text in place of the part of the editor that ends at the caret, and the caret behind it.
    fn insert(self, text: &str, in_place_of: usize) {
        let Some(field) = self.editor.get_untracked() else { return };
        let old = field.value();
        let caret = field.selection_start().ok().flatten().unwrap_or(0);
        let at = statement::bytes_before(&old, caret);
        let start = at.saturating_sub(in_place_of);
        let new = format!("{}{text}{}", &old[..start], &old[at..]);
        let caret = old[..start].encode_utf16().count() + text.encode_utf16().count();
        field.set_value(&new);
        self.text.set(new);
        field.focus().ok();
        field.set_selection_range(caret as u32, caret as u32).ok();
    }
}

pub(crate) fn sql() -> impl IntoView {
    let desk = Desk::new(App::here());
    let asked = Memo::new(move |_| desk.app.address.with(|a| a.own("q").to_owned()));
    Effect::new(move |_| {
        let sql = asked.get();
        if !sql.is_empty() {
            desk.text.set(sql.clone());
            // It reads only, so that a link may run it.
            desk.run(sql);
        }
    });
    Effect::new(move |_| browser::remember(DRAFT, &desk.text.read()));
    on_cleanup(move || {
        desk.abort();
    });
    view! {
        {schema::schema(desk)}
        <div class="c9 stack">
            {editor::editor(desk)}
            {outcome::outcome(desk)}
        </div>
    }
}
