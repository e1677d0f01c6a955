//! What a reader has to know of the figures, as sentences.

use crate::format;
use crate::pages::pieces::severity_icon;
use contract::answers::{CostNotice, Costs, Severity};
use leptos::prelude::*;

pub(super) fn notices(found: &Costs) -> Option<impl IntoView + use<>> {
    if found.notices.is_empty() {
        return None;
    }
    let line = |notice: &CostNotice| {
        let severity = if tells_of_prices(&notice.code) { Severity::Warning } else { Severity::Notice };
        view! { <li title=notice.code.clone()>{severity_icon(severity)} <span>{format::sentence(&notice.text)}</span></li> }
    };
    Some(view! {
        <section class="card c12">
            <header>
                <h2>"What to know about these figures"</h2>
                <span class="aside">{format::counted(found.notices.len() as u64, "notice")}</span>
            </header>
            <ul class="notices">{found.notices.iter().map(line).collect_view()}</ul>
        </section>
    })
}

/// Hours are without a cost because of it.
fn tells_of_prices(code: &str) -> bool {
    code.contains("price")
}
