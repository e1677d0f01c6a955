//! What needs attention: findings, worst first, each leading to its node or GPU.

use crate::address::{Address, Open};
use crate::format;
use crate::pages::app::App;
use crate::pages::pieces::severity_icon;
use contract::answers::{Attention, Overview};
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn attention(app: App, found: Signal<Arc<Overview>>) -> impl IntoView {
    let count = move || found.read().attention.len() as u64;
    let rows = move || {
        let (found, address) = (found.read(), app.address.get_untracked());
        if found.attention.is_empty() {
            return view! { <div class="say"><p>"Nothing is down, lost or held in vain in this range."</p></div> }
                .into_any();
        }
        found.attention.iter().map(|a| finding(&address, a, found.range.to_unix_micros)).collect_view().into_any()
    };
    view! {
        <section class="card c4">
            <header>
                <h2>"What needs attention?"</h2>
                <span class="aside">{move || (count() > 0).then(|| format::counted(count(), "finding"))}</span>
            </header>
            <div class="findings">{rows}</div>
        </section>
    }
}

fn finding(address: &Address, a: &Attention, now: i64) -> AnyView {
    let open = match (&a.gpu_uuid, &a.node) {
        (Some(uuid), _) => Some(Open::Gpu(uuid.clone())),
        (None, Some(node)) => Some(Open::Node { cluster: a.cluster.clone(), node: node.clone() }),
        (None, None) => None,
    };
    let place = [Some(a.cluster.clone()), a.node.clone(), a.job_id.as_ref().map(|j| format!("job {j}"))];
    let place = place.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let inside = view! {
        {severity_icon(a.severity)}
        <div class="title">{a.title.clone()}</div>
        <div class="cost">{a.gpu_hours.map(format::gpu_hours)}</div>
        <div class="detail">{format::sentence(&a.detail)}</div>
        <div class="where" title=format::instant(a.since_unix_micros)>
            {format!("{place} · since {}", format::age(now - a.since_unix_micros))}
        </div>
    };
    match open {
        Some(open) => view! { <a class="finding" href=address.to_open(open).href()>{inside}</a> }.into_any(),
        None => view! { <div class="finding">{inside}</div> }.into_any(),
    }
}
