//! Days that cost more or less than days like them: marks on the costs over time, and what drove them in words.

use crate::books::{CostAnomalies, CostAnomaly};
use crate::costs::slice;
use crate::costs::table::change;
use crate::format::{self, money};
use crate::instant::{DAY, HOUR, rfc3339};
use crate::pages::api;
use crate::pages::app::App;
use crate::pages::pieces::severity_icon;
use contract::answers::Severity;
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::sync::Arc;

/// None where they were not asked for, or are not there yet.
pub(super) type Odd = RwSignal<Option<Arc<CostAnomalies>>>;

/// Asked for where all costs are shown: a part of them has no expectation of its own.
pub(super) fn asked(app: App, is_whole: Memo<bool>) -> Odd {
    let odd: Odd = RwSignal::new(None);
    let path = Memo::new(move |_| {
        is_whole.get().then(|| app.address.with(|a| format!("/api/v1/anomalies?{}&by=team", a.window_query())))
    });
    Effect::new(move |_| {
        app.refresh.track();
        let Some(path) = path.get() else { return odd.set(None) };
        spawn_local(async move {
            // The page has its figures without them; a failure is in the log, and the marks stay away.
            match api::get::<CostAnomalies>(&path, None).await {
                Ok(found) => {
                    odd.try_set(Some(Arc::new(found)));
                }
                Err(problem) => leptos::logging::warn!("no anomalies: {}", problem.message),
            }
        });
    });
    odd
}

/// A mark stands at noon of its day.
pub(super) fn marks(odd: Odd) -> Vec<(i64, &'static str)> {
    let mark = |a: &CostAnomaly| (a.day_unix_micros + 12 * HOUR, "attention");
    odd.read().as_ref().map(|found| found.anomalies.iter().map(mark).collect()).unwrap_or_default()
}

pub(super) fn anomalies(odd: Odd) -> impl IntoView {
    let app = App::here();
    move || {
        let found = odd.get().filter(|found| !found.anomalies.is_empty())?;
        let earlier = (found.left_out > 0)
            .then(|| view! { <div class="foot small muted">{format!("{} earlier ones are not listed.", format::count(found.left_out))}</div> });
        let days = format!("of {} that were judged", format::counted(found.days, "day"));
        Some(view! {
            <section class="card c12">
                <header>
                    <h2>"Which days were not like the others?"</h2>
                    <span class="aside">{format!("{} {days}", format::counted(found.anomalies.len() as u64, "day"))}</span>
                </header>
                <div class="findings">{found.anomalies.iter().rev().map(|a| one(app, a, &found.currency)).collect_view()}</div>
                {earlier}
            </section>
        })
    }
}

/// Leads to its day, by the team that drove it.
fn one(app: App, odd: &CostAnomaly, currency: &str) -> impl IntoView + use<> {
    let difference = odd.cost_micros.saturating_sub(odd.expected_micros);
    let ratio = format::change(odd.cost_micros as f64, Some(odd.expected_micros as f64));
    let told = change(difference, ratio);
    let severity = if difference > 0 { Severity::Warning } else { Severity::Notice };
    let team = crate::costs::Dimension::named("team").unwrap_or(&crate::costs::DIMENSIONS[0]);
    let href = app.address.with_untracked(|here| {
        let name = odd.drivers.first().map(|driver| driver.name.as_str()).filter(|name| !name.is_empty());
        let mut next = slice::within(here, team, name);
        next.from = rfc3339(odd.day_unix_micros);
        next.to = rfc3339(odd.day_unix_micros + DAY);
        next.href()
    });
    view! {
        <a class="finding" href=href>
            {severity_icon(severity)}
            <div class="title">{format::date(odd.day_unix_micros)}</div>
            <div class="cost" title=money::exact(difference, currency)><span class=told.class>{told.text}</span></div>
            <div class="detail">{format::sentence(&odd.text)}</div>
        </a>
    }
}
