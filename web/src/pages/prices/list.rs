//! The documents that hold now, by kind.

use crate::books::{DocumentEntry, DocumentKind, KINDS};
use crate::csv;
use crate::format;
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::pieces::{icon, shape};
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn list(app: App, found: Signal<Arc<Vec<DocumentEntry>>>) -> impl IntoView {
    let save =
        move |_| browser::download("coulomb-documents.csv", "text/csv", &csv::documents(&found.read_untracked()));
    let rows = move || found.read().iter().map(|entry| row(app, entry)).collect_view();
    let none = move || {
        found.read().is_empty().then(|| {
            view! {
                <div class="say">
                    <h3>"Nothing has been stated yet"</h3>
                    <p>"Begin with prices: what a GPU-hour costs. Hours of the past are charged, too, from where each price begins."</p>
                </div>
            }
        })
    };
    view! {
        <section class="card c5">
            <header>
                <h2>"What holds now"</h2>
                <div class="grow"></div>
                {move || app.keeps_books().then(|| state(app))}
                <button class="control" title="This list as CSV" on:click=save>{icon(shape::DOWNLOAD)} "CSV"</button>
            </header>
            {none}
            <div class="scroller" hidden=move || found.read().is_empty()>
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Document"</th>
                            <th scope="col">"By"</th>
                            <th scope="col">"Stated, UTC"</th>
                            <th scope="col">"Version"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
}

/// Chooses what to state; the text follows beside it.
fn state(app: App) -> impl IntoView {
    let option = |k: &'static DocumentKind| view! { <option value=k.name title=k.meaning>{k.label}</option> };
    let choose = move |e| {
        let kind = event_target_value(&e);
        app.turn(|a| {
            a.set_own("kind", &kind);
            a.set_own("name", "");
        });
    };
    view! {
        <select class="control" aria-label="State a document of this kind" prop:value="" on:change=choose>
            <option value="" selected=true>"New …"</option>
            {KINDS.iter().map(option).collect_view()}
        </select>
    }
}

fn row(app: App, entry: &DocumentEntry) -> impl IntoView + use<> {
    let (kind, name) = (entry.kind.clone(), entry.name.clone());
    let label = DocumentKind::named(&kind).map_or_else(|| kind.clone(), |k| k.label.to_owned());
    let meaning = DocumentKind::named(&kind).map_or("", |k| k.meaning);
    let (k, n) = (kind.clone(), name.clone());
    let is_chosen = move || app.address.with(|a| a.own("kind") == k && a.own("name") == n);
    let href = {
        let (kind, name) = (kind, name.clone());
        move || {
            let mut address = app.address.get();
            address.set_own("kind", &kind);
            address.set_own("name", &name);
            address.href()
        }
    };
    let when = entry.stated_unix_micros;
    view! {
        <tr aria-current=move || is_chosen().then_some("true")>
            <td title=meaning><a href=href>{name}</a> <div class="small muted">{label}</div></td>
            <td class="cut">{entry.author.clone()}</td>
            <td title=format::instant(when)>{format::short_instant(when)}</td>
            <td><code>{entry.version.clone()}</code></td>
        </tr>
    }
}
