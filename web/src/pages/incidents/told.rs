//! A finding as it is told: what, what it costs a month, how sure, and the one next thing to do.

use crate::address::Address;
use crate::alerts::severity;
use crate::format::{self, money};
use crate::insight::{FindingEntry, leads_to, place};
use crate::pages::pieces::severity_icon;
use leptos::prelude::*;

pub(in crate::pages) fn finding(here: &Address, finding: &FindingEntry, currency: &str, now: i64) -> AnyView {
    let title = match leads_to(here, finding) {
        Some(there) => view! { <a href=there.href()>{finding.title.clone()}</a> }.into_any(),
        None => view! { <span>{finding.title.clone()}</span> }.into_any(),
    };
    let hours = finding.gpu_hours.map(format::gpu_hours);
    let cost = match finding.cost_micros_per_month {
        Some(cost) => Some(format!("{} {currency}/month", money::money(cost))),
        None => hours.clone(),
    };
    let meant = match (finding.is_waste, finding.cost_micros) {
        (_, None) => "No price, or no time that is lost by it".to_owned(),
        (true, Some(cost)) => {
            format!("{} wasted in the range, {}", money::exact(cost, currency), hours.unwrap_or_default())
        }
        (false, Some(cost)) => {
            format!("What the time costs that it is about: {} in the range", money::exact(cost, currency))
        }
    };
    let since = match finding.is_ongoing {
        true => format!("since {}", format::age(now - finding.since_unix_micros)),
        false => format!("until {} ago", format::age(now - finding.until_unix_micros)),
    };
    let sure = format!("{:.0} % sure", finding.confidence * 100.0);
    view! {
        <div class="finding">
            {severity_icon(severity(&finding.severity))}
            <div class="title">{title}</div>
            <div class="cost" class:muted=!finding.is_waste title=meant>{cost}</div>
            <div class="detail">{format::sentence(&finding.detail)} " " <strong>{finding.action.clone()}</strong></div>
            <div class="where">
                <span title=format::instant(finding.since_unix_micros)>{format!("{} · {since} · ", place(finding))}</span>
                <span class="hint" title=format::sentence(&finding.confidence_reason)>{sure}</span>
            </div>
        </div>
    }
    .into_any()
}
