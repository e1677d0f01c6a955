//! A picture that was computed, in a place whose width it follows.

use crate::charts::mark::{Picture, svg};
use leptos::html::Div;
use leptos::prelude::*;
use std::sync::Arc;
use wasm_bindgen::prelude::*;

/// `name` says what it shows; `make` is given the width.
pub(crate) fn drawing(name: String, make: impl Fn(f64) -> Picture + Send + Sync + 'static) -> AnyView {
    place(name, Arc::new(make))
}

fn place(name: String, make: Arc<dyn Fn(f64) -> Picture + Send + Sync>) -> AnyView {
    let width = RwSignal::new(0.0);
    let host = NodeRef::<Div>::new();
    follow_width(host, width);
    let text = Memo::new(move |_| match width.get() {
        room if room < 1.0 => String::new(),
        room => svg(&make(room), &name),
    });
    view! { <div class="drawn" node_ref=host inner_html=move || text.get()></div> }.into_any()
}

/// An element's width, now and whenever it changes.
pub(crate) fn follow_width(area: NodeRef<Div>, width: RwSignal<f64>) {
    let watching = StoredValue::new_local(None::<(web_sys::ResizeObserver, Closure<dyn Fn()>)>);
    Effect::new(move |_| {
        let Some(element) = area.get() else { return };
        let measured = element.clone();
        let changed = Closure::<dyn Fn()>::new(move || {
            width.try_set(f64::from(measured.client_width()));
        });
        if let Ok(observer) = web_sys::ResizeObserver::new(changed.as_ref().unchecked_ref()) {
            observer.observe(&element);
            watching.set_value(Some((observer, changed)));
        }
    });
    on_cleanup(move || {
        if let Some((observer, _)) = watching.try_update_value(Option::take).flatten() {
            observer.disconnect();
        }
    });
}
