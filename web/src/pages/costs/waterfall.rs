//! What did the money buy? From what was paid to what was worked, as bars of one scale; each leads to who lost it.

use crate::address::Address;
use crate::costs::flow;
use crate::pages::card::{Card, card};
use crate::pages::drawing::drawing;
use contract::answers::Costs;
use leptos::prelude::*;
use std::sync::Arc;

/// `span` is its place on the page; steps lead to their losses on the page of costs at this address.
pub(crate) fn waterfall(
    span: &'static str,
    found: Signal<Arc<Costs>>,
    there: impl Fn() -> Address + Copy + Send + Sync + 'static,
) -> AnyView {
    let head = Card {
        span,
        title: "What did the money buy?".to_owned().into(),
        aside: Signal::derive(move || found.read().currency.clone()),
    };
    let is_known = Memo::new(move |_| !found.read().waterfall.is_empty());
    let has_unknown = Memo::new(move |_| found.read().waterfall.iter().any(|s| s.unknown_micros > 0));
    let sheet = Signal::derive(move || flow::waterfall_sheet(&found.read()));
    card(head, sheet, move || {
        if !is_known.get() {
            return view! { <div class="say"><p>"Nothing is known of what the GPUs of this range did."</p></div> }
                .into_any();
        }
        let picture = drawing("From what was paid to what was worked".to_owned(), move |width| {
            flow::waterfall(&found.read(), &there(), width)
        });
        let key = move || {
            has_unknown.get().then(|| {
                view! {
                    <div class="foot legend">
                        <span class="entry"><i class="swatch unknown"></i> "not measured: it may have got this far, or not"</span>
                    </div>
                }
            })
        };
        view! { <div class="body">{picture}</div> {key} }.into_any()
    })
}
