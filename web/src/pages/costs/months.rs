//! The months of the ledger: closed ones never change, and what corrects them lies in the open one.

use crate::format::{self, money};
use crate::instant::{month_range, rfc3339};
use crate::pages::app::App;
use contract::answers::{CostMonth, Costs};
use leptos::prelude::*;

pub(super) fn months(app: App, found: &Costs) -> Option<impl IntoView + use<>> {
    if found.months.is_empty() {
        return None;
    }
    let rows = found.months.iter().map(|m| month(app, m, &found.currency)).collect_view();
    Some(view! {
        <section class="card c12">
            <header><h2>"Months"</h2> <span class="aside">"a closed month never changes; what corrects it lies in the open one"</span></header>
            <div class="scroller" tabindex="0" role="region" aria-label="Months of the ledger">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Month"</th>
                            <th scope="col">"State"</th>
                            <th scope="col" class="number">{format!("Cost, {}", found.currency)}</th>
                            <th scope="col" class="number">{format!("Of it corrections, {}", found.currency)}</th>
                            <th scope="col">"Without a price"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    })
}

/// Leads to the costs of its days.
fn month(app: App, month: &CostMonth, currency: &str) -> impl IntoView + use<> {
    let (state, class) = if month.is_closed { ("closed", "badge") } else { ("open", "badge open") };
    let correction = match month.correction_micros {
        0 => view! { <td class="number muted">"none"</td> }.into_any(),
        micros => {
            view! { <td class="number" title=money::exact(micros, currency)>{money::money(micros)}</td> }.into_any()
        }
    };
    let hours = month.unpriced_gpu_hours;
    let unpriced = if hours > 0.0 {
        view! { <td class="attention" title=format!("{hours} GPU-h")>{format::gpu_hours(hours)}</td> }.into_any()
    } else {
        view! { <td class="muted">"none"</td> }.into_any()
    };
    let name = money::month(&month.period);
    let name = match month_range(&month.period) {
        Some((from, to)) => {
            let href = app.address.with_untracked(|here| {
                let mut next = here.clone();
                (next.from, next.to) = (rfc3339(from), rfc3339(to));
                next.set_own("rows", "");
                next.href()
            });
            view! { <a href=href title="The costs of this month">{name}</a> }.into_any()
        }
        None => name.into_any(),
    };
    view! {
        <tr>
            <td>{name}</td>
            <td><span class=class>{state}</span></td>
            <td class="number" title=money::exact(month.cost_micros, currency)>{money::money(month.cost_micros)}</td>
            {correction}
            {unpriced}
        </tr>
    }
}
