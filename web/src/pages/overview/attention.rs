//! What needs attention: findings by what they cost, and what is wrong just now, worst first, each leading to what it
//! is about.

use crate::address::{Address, Open, Page};
use crate::format;
use crate::insight::{FindingList, Item, merged};
use crate::pages::app::App;
use crate::pages::incidents::told;
use crate::pages::pieces::{Waiting, severity_icon};
use contract::answers::{Attention, Overview};
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn attention(app: App, found: Signal<Arc<Overview>>, findings: Waiting<FindingList>) -> impl IntoView {
    // What is wrong now does not wait for what it costs.
    let items = Memo::new(move |_| {
        let findings = findings.get().0;
        let (told, currency) =
            findings.as_ref().map(|f| (f.findings.as_slice(), f.currency.clone())).unwrap_or_default();
        (merged(&found.read().attention, told), currency)
    });
    let count = move || items.read().0.len() as u64;
    let rows = move || {
        let (found, address, items) = (found.read(), app.address.get_untracked(), items.read());
        if items.0.is_empty() {
            return view! { <div class="say"><p>"Nothing is down, lost or held in vain in this range."</p></div> }
                .into_any();
        }
        let now = found.range.to_unix_micros;
        let row = |item: &Item| match item {
            Item::Finding(finding) => told::finding(&address, finding, &items.1, now),
            Item::Attention(entry) => self::finding(&address, entry, now),
        };
        items.0.iter().map(row).collect_view().into_any()
    };
    let all = move || {
        let mut all = app.address.read().to_page(Page::Incidents);
        all.set_own("view", "waste");
        all.href()
    };
    view! {
        <section class="card c4">
            <header>
                <h2>"What needs attention?"</h2>
                <span class="aside">{move || (count() > 0).then(|| format::counted(count(), "finding"))}</span>
                <div class="grow"></div>
                <a class="small" href=all>"All, by money"</a>
            </header>
            <div class="findings" tabindex="0" role="region" aria-label="What needs attention">{rows}</div>
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
