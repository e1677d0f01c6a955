//! The statement: a text field that completes names. Ctrl-Enter runs it, Tab takes the name that is offered.

use super::{Desk, history};
use crate::pages::pieces::{icon, shape};
use crate::sql::names::{Offer, offers, word_before};
use crate::sql::statement::bytes_before;
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

/// Names that would go on at the caret.
#[derive(Debug, Clone, Default, PartialEq)]
struct Offered {
    list: Vec<Offer>,
    chosen: usize,
    /// Bytes of the word that was begun.
    begun: usize,
    /// Where it began: line and column, from 0.
    line: usize,
    column: usize,
    scrolled: i32,
}

pub(super) fn editor(desk: Desk) -> impl IntoView {
    let offered = RwSignal::new(Offered::default());
    let close = move || {
        if offered.with_untracked(|o| !o.list.is_empty()) {
            offered.set(Offered::default());
        }
    };
    let typed = move |e| {
        desk.text.set(event_target_value(&e));
        offered.set(looked_up(desk));
    };
    view! {
        <section class="card">
            <header>
                <h2>"Statement"</h2>
                <span class="aside">"reads only; Ctrl Enter runs it, Tab completes a name"</span>
                <div class="grow"></div>
                {history::history(desk)}
                {run_button(desk)}
            </header>
            <div class="editor">
                <textarea
                    node_ref=desk.editor
                    aria-label="SQL statement"
                    aria-describedby="offers"
                    rows="8"
                    wrap="off"
                    spellcheck="false"
                    autocapitalize="off"
                    placeholder="select * from gpu_samples limit 100"
                    prop:value=move || desk.text.get()
                    on:input=typed
                    on:keydown=move |e| keyed(desk, offered, &e)
                    on:click=move |_| close()
                    on:blur=move |_| close()
                ></textarea>
                <div id="offers" role="status">{move || (!offered.read().list.is_empty()).then(|| list(desk, offered))}</div>
            </div>
        </section>
    }
}

fn run_button(desk: Desk) -> impl IntoView {
    let is_running = Memo::new(move |_| desk.is_running());
    move || {
        if is_running.get() {
            let cancel = move |_| desk.cancel();
            return view! { <button class="control" on:click=cancel>{icon(shape::STOP)} "Cancel"</button> }.into_any();
        }
        let is_empty = move || desk.text.read().trim().is_empty();
        let run = move |_| desk.run_text();
        view! {
            <button class="control button" title="Run (Ctrl Enter)" disabled=is_empty on:click=run>{icon(shape::RUN)} "Run"</button>
        }
        .into_any()
    }
}

fn looked_up(desk: Desk) -> Offered {
    let Some(field) = desk.editor.get_untracked() else { return Offered::default() };
    let text = field.value();
    let caret = field.selection_start().ok().flatten().unwrap_or(0);
    let at = bytes_before(&text, caret);
    let begun = word_before(&text, at).len();
    let before = &text[..at - begun];
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    Offered {
        list: desk.schema.with_untracked(|schema| offers(schema, &text, at)),
        chosen: 0,
        begun,
        line: before.matches('\n').count(),
        column,
        scrolled: field.scroll_top(),
    }
}

fn keyed(desk: Desk, offered: RwSignal<Offered>, e: &KeyboardEvent) {
    let count = offered.with_untracked(|o| o.list.len());
    match e.key().as_str() {
        "Enter" if e.ctrl_key() || e.meta_key() => {
            offered.set(Offered::default());
            desk.run_text();
        }
        "Tab" if count > 0 && !e.shift_key() => take(desk, offered, None),
        "ArrowDown" if count > 0 => offered.update(|o| o.chosen = (o.chosen + 1) % count),
        "ArrowUp" if count > 0 => offered.update(|o| o.chosen = (o.chosen + count - 1) % count),
        "Escape" if count > 0 => offered.set(Offered::default()),
        "Escape" if untrack(|| desk.is_running()) => desk.cancel(),
        key => {
            if count > 0 && (key.starts_with("Arrow") || ["Enter", "Home", "End"].contains(&key)) {
                offered.set(Offered::default());
            }
            return;
        }
    }
    e.prevent_default();
    e.stop_propagation();
}

/// Puts the chosen name, or this one, in place of the word that was begun.
fn take(desk: Desk, offered: RwSignal<Offered>, at: Option<usize>) {
    let now = offered.get_untracked();
    if let Some(offer) = now.list.get(at.unwrap_or(now.chosen)) {
        desk.insert(&offer.text, now.begun);
    }
    offered.set(Offered::default());
}

fn list(desk: Desk, offered: RwSignal<Offered>) -> impl IntoView {
    let now = offered.get_untracked();
    // The list lies in the font of the text, whose letters are one `ch` wide and 20 pixels high.
    let top = (now.line as i32 + 1) * 20 - now.scrolled;
    let place = format!("top:calc({top}px + var(--s3) + 2px);left:min(calc({}ch + var(--s4)), 60%)", now.column);
    let row = move |(at, offer): (usize, Offer)| {
        view! {
            // Before the field loses the focus.
            <li
                class:chosen=move || offered.read().chosen == at
                on:mousedown=move |e| {
                    e.prevent_default();
                    take(desk, offered, Some(at));
                }
            >
                <span>{offer.text}</span>
                <span class="note">{offer.note}</span>
            </li>
        }
    };
    view! { <ul class="offers" style=place>{now.list.into_iter().enumerate().map(row).collect_view()}</ul> }
}
