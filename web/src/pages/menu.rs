//! A button that opens a short list. Escape, a choice and leaving it close it.

use super::pieces::icon;
use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{FocusEvent, Node};

/// `inside` is made when the list opens, with a way to close it.
pub(crate) fn menu(
    label: &'static str,
    shape: &'static str,
    inside: impl Fn(RwSignal<bool>) -> AnyView + Send + Sync + 'static,
) -> AnyView {
    let shown = RwSignal::new(false);
    let host = NodeRef::<Div>::new();
    let left = move |e: FocusEvent| {
        let to = e.related_target().and_then(|to| to.dyn_into::<Node>().ok());
        // A click on what takes no focus leaves nothing.
        if to.is_some_and(|to| host.get_untracked().is_some_and(|here| !here.contains(Some(&to)))) {
            shown.set(false);
        }
    };
    let keyed = move |e: leptos::ev::KeyboardEvent| {
        if e.key() == "Escape" && shown.get_untracked() {
            // What lies behind stays open.
            e.prevent_default();
            shown.set(false);
        }
    };
    view! {
        <div class="menu" node_ref=host on:keydown=keyed on:focusout=left>
            <button
                class="control only"
                aria-label=label
                title=label
                aria-expanded=move || shown.get().to_string()
                on:click=move |_| shown.update(|s| *s = !*s)
            >
                {icon(shape)}
            </button>
            {move || shown.get().then(|| view! { <div class="floating list">{inside(shown)}</div> })}
        </div>
    }
    .into_any()
}

/// A line of the list.
pub(crate) fn item(text: &'static str, shown: RwSignal<bool>, act: impl Fn() + 'static) -> AnyView {
    let act = move |_| {
        shown.set(false);
        act();
    };
    view! { <button on:click=act>{text}</button> }.into_any()
}
