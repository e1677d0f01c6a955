//! The months of the ledger: closed ones never change, and what corrects them lies in the open one.

use crate::format::{self, money};
use contract::answers::{CostMonth, Costs};
use leptos::prelude::*;

pub(super) fn months(found: &Costs, width: &'static str) -> Option<impl IntoView + use<>> {
    if found.months.is_empty() {
        return None;
    }
    let rows = found.months.iter().map(|m| month(m, &found.currency)).collect_view();
    Some(view! {
        <section class=format!("card {width}")>
            <header><h2>"Months"</h2> <span class="aside">"a closed month never changes"</span></header>
            <table>
                <thead>
                    <tr>
                        <th scope="col">"Month"</th>
                        <th scope="col">"State"</th>
                        <th scope="col" class="number">{format!("Cost, {}", found.currency)}</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </section>
    })
}

fn month(month: &CostMonth, currency: &str) -> impl IntoView + use<> {
    let (state, class) = if month.is_closed { ("closed", "badge") } else { ("open", "badge open") };
    let unpriced = (month.unpriced_gpu_hours > 0.0).then(|| {
        let text = format!("{} without a price", format::gpu_hours(month.unpriced_gpu_hours));
        view! { <div class="small attention">{text}</div> }
    });
    let correction = (month.correction_micros != 0).then(|| {
        let exact = money::exact(month.correction_micros, currency);
        let text = format!("of it corrections {}", money::money(month.correction_micros));
        view! { <div class="small muted" title=exact>{text}</div> }
    });
    view! {
        <tr class="tall">
            <td>{money::month(&month.period)} {unpriced}</td>
            <td><span class=class>{state}</span></td>
            <td class="number" title=money::exact(month.cost_micros, currency)>
                {money::money(month.cost_micros)}
                {correction}
            </td>
        </tr>
    }
}
