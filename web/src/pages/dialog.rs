//! A question above the page, which has to be answered or closed. Escape closes it, the focus stays in it.

use super::browser;
use super::pieces::{icon, shape};
use leptos::html::Dialog;
use leptos::prelude::*;

/// Shown while there is something to ask about; `inside` is made anew for each.
pub(crate) fn dialog<T: Clone + Send + Sync + 'static>(
    about: RwSignal<Option<T>>,
    title: impl Fn(&T) -> String + Send + Sync + 'static,
    inside: impl Fn(T) -> AnyView + Send + Sync + 'static,
) -> impl IntoView {
    move || {
        let what = about.get()?;
        let name = title(&what);
        let host = NodeRef::<Dialog>::new();
        Effect::new(move |_| {
            if let Some(host) = host.get().filter(|host| !host.has_attribute("open")) {
                browser::show_modal(&host);
            }
        });
        Some(view! {
            <dialog class="dialog" node_ref=host aria-label=name.clone() on:close=move |_| about.set(None)>
                <div class="head">
                    <h2>{name.clone()}</h2>
                    <div class="grow"></div>
                    <button class="control only" aria-label="Close" title="Close (Escape)" on:click=move |_| about.set(None)>
                        {icon(shape::CLOSE)}
                    </button>
                </div>
                {inside(what)}
            </dialog>
        })
    }
}
