//! What did the money buy? From what was paid to what was worked, as bars of one scale.

use crate::costs::bar;
use crate::format::{self, money};
use contract::answers::{Costs, WaterfallStep};
use leptos::prelude::*;

/// `class` is its place on the page.
pub(crate) fn waterfall(found: &Costs, class: &'static str) -> impl IntoView + use<> {
    let paid = found.waterfall.first().and_then(|s| s.cost_micros).unwrap_or(0);
    let has_unknown = found.waterfall.iter().any(|s| s.unknown_micros > 0);
    let steps = found.waterfall.iter().map(|s| step(s, paid, &found.currency)).collect_view();
    let body = if found.waterfall.is_empty() {
        view! { <div class="say"><p>"Nothing is known of what the GPUs of this range did."</p></div> }.into_any()
    } else {
        view! { <ol class="waterfall">{steps}</ol> }.into_any()
    };
    let key = has_unknown.then(|| {
        view! {
            <div class="foot legend">
                <span class="entry"><i class="swatch unknown"></i> "not measured: it may have got this far, or not"</span>
            </div>
        }
    });
    view! {
        <section class=class>
            <header><h2>"What did the money buy?"</h2> <span class="aside">{found.currency.clone()}</span></header>
            {body}
            {key}
        </section>
    }
}

fn step(step: &WaterfallStep, paid: i64, currency: &str) -> impl IntoView + use<> {
    let bar = bar(step, paid);
    let amount = match step.cost_micros {
        Some(micros) => {
            view! { <span class="amount" title=money::exact(micros, currency)>{money::money(micros)}</span> }.into_any()
        }
        None => view! { <span class="amount muted">"not known"</span> }.into_any(),
    };
    let of_paid = bar.known.filter(|_| step.stage != "paid").map(|k| format!("{} of paid", format::percent(k)));
    let hours = step.gpu_hours.map(format::gpu_hours);
    let unknown = (step.unknown_micros > 0).then(|| format!("{} not measured", money::money(step.unknown_micros)));
    let detail = [of_paid, hours, unknown].into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let width = |part: f64| format!("width:{:.2}%", part * 100.0);
    view! {
        <li>
            <div class="line"><span title=bar.meaning>{bar.label}</span> {amount}</div>
            <div class="track" aria-hidden="true">
                <span class="known" style=width(bar.known.unwrap_or(0.0))></span>
                <span class="part unknown" style=width(bar.unknown)></span>
            </div>
            <div class="small muted">{detail}</div>
        </li>
    }
}
