//! The side panel: a node or a GPU, without leaving the page. The address says which.

mod gpu;
mod node;
pub(super) mod parts;
pub(super) mod series;

use super::app::App;
use super::browser;
use super::pieces::{icon, shape};
use crate::address::Open;
use leptos::html::Button;
use leptos::prelude::*;

pub(crate) fn panel() -> impl IntoView {
    let app = App::here();
    let open = Memo::new(move |_| app.address.read().open.clone());
    let closer = window_event_listener(leptos::ev::keydown, move |e| {
        let closes = e.key() == "Escape" && !e.default_prevented() && !browser::has_dialog();
        if closes && open.with_untracked(Option::is_some) {
            close(app);
        }
    });
    on_cleanup(move || closer.remove());
    move || {
        let inside = match open.get()? {
            Open::Node { cluster, node } => node::node(app, cluster, node).into_any(),
            Open::Gpu(uuid) => gpu::gpu(app, uuid).into_any(),
        };
        Some(view! { <aside class="panel" aria-label="Details">{inside}</aside> })
    }
}

fn close(app: App) {
    app.turn(|a| a.open = None);
}

/// The panel's head; `over` is the line above the title.
fn head(app: App, over: impl IntoView, title: impl IntoView) -> impl IntoView {
    let button = NodeRef::<Button>::new();
    Effect::new(move |_| {
        if let Some(button) = button.get() {
            // Keyboard users go on where the panel opened.
            button.focus().ok();
        }
    });
    view! {
        <header>
            <div>
                <div class="over">{over}</div>
                <h2>{title}</h2>
            </div>
            <div class="grow"></div>
            <button class="control only" node_ref=button aria-label="Close" title="Close (Escape)" on:click=move |_| close(app)>
                {icon(shape::CLOSE)}
            </button>
        </header>
    }
}
