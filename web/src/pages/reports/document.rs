//! The document as it will be sent, in a frame of its own that runs nothing.

use super::{kind, month, path};
use crate::format::money;
use crate::pages::api::{Asked, ask_text};
use crate::pages::app::App;
use crate::pages::pieces::{answered, skeleton, stale_line};
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn document(app: App) -> impl IntoView {
    let asked: Asked<String> = ask_text(move || path(app, &app.address.read(), "html"));
    let title = move || {
        let address = app.address.read();
        let time = month(app, &address).map_or_else(|| "the time range above".to_owned(), |m| money::month(&m));
        format!("{} of {time}", kind(&address).label)
    };
    let purpose = move || kind(&app.address.read()).purpose;
    view! {
        <section class="card c8">
            <header>
                <h2>{title}</h2>
                <span class="aside">{purpose}</span>
            </header>
            <div class="body">
                {stale_line(asked)}
                {answered(asked, || skeleton(640).into_any(), move |found| shown(found).into_any())}
            </div>
        </section>
    }
}

fn shown(found: Signal<Arc<String>>) -> impl IntoView {
    // Without any permission: its own scripts, forms and links do nothing.
    view! { <iframe class="document" sandbox="" title="The document" srcdoc=move || found.get().to_string()></iframe> }
}
