//! What a million tokens cost, and of what that is.

use crate::format::{self, money};
use crate::inference::{Basis, InferenceDetail, bill_notes, price};
use crate::pages::panel::parts::facts;
use leptos::prelude::*;

pub(super) fn cost(found: &InferenceDetail, basis: Basis) -> impl IntoView + use<> {
    let (bill, currency) = (&found.bill, &found.currency);
    let unit_cost = basis.unit_cost(bill);
    let all = vec![
        ("Prompt", price(unit_cost.input_micros_per_million_tokens).into_any()),
        ("Prompt, from cache", price(unit_cost.cached_micros_per_million_tokens).into_any()),
        ("Generated", price(unit_cost.output_micros_per_million_tokens).into_any()),
        ("Any token", price(unit_cost.micros_per_million_tokens).into_any()),
    ];
    let paid = match bill.bill_micros {
        None => view! {
            <p class="muted">"No hour of a job that serves it has a price. State prices, and name its jobs like the service."</p>
        }
        .into_any(),
        Some(total) => {
            let amount = |micros: i64| money::money(micros).into_any();
            let parts = vec![
                ("The bill", amount(total)),
                ("Worked", amount(bill.used_micros)),
                ("Held, not worked", amount(bill.idle_micros)),
                ("Of it prompts", amount(bill.prefill_micros)),
                ("Of it answers", amount(bill.decode_micros)),
                ("GPU-hours", format::compact(bill.gpu_hours).into_any()),
            ];
            facts(parts).into_any()
        }
    };
    let notes = bill_notes(bill).into_iter().map(|note| view! { <li>{note}</li> }).collect_view();
    view! {
        <section class="card c4">
            <header>
                <h2>"What does a million tokens cost?"</h2>
                <span class="aside">{currency.clone()}</span>
            </header>
            <div class="body tall">{facts(all)} {paid} <ul class="points small">{notes}</ul></div>
        </section>
    }
}
