//! What was paid for? Its rows of the ledger, summed by what they are for.

use crate::format::{self, money};
use crate::jobs::cost;
use crate::pages::pieces::{state_label, state_name};
use contract::GpuState;
use contract::answers::{JobCost, JobDetail};
use leptos::prelude::*;

pub(super) fn costs(found: &JobDetail) -> impl IntoView + use<> {
    let (total, _) = cost(found);
    let body = match found.costs.is_empty() {
        true => view! { <div class="say"><p>"The ledger has whole hours; this job has none that is over."</p></div> }
            .into_any(),
        false => table(found, total).into_any(),
    };
    view! {
        <section class="card c4">
            <header><h2>"What was paid for?"</h2> <span class="aside">{found.currency.clone()}</span></header>
            {body}
        </section>
    }
}

fn table(found: &JobDetail, total: Option<i64>) -> impl IntoView + use<> {
    let foot = total.map(|micros| {
        view! {
            <tfoot>
                <tr><td>"All"</td><td></td><td class="number" title=money::exact(micros, "")>{money::money(micros)}</td></tr>
            </tfoot>
        }
    });
    view! {
        <div class="scroller" tabindex="0">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"For"</th>
                        <th scope="col" class="number">"Quantity"</th>
                        <th scope="col" class="number">"Cost"</th>
                    </tr>
                </thead>
                <tbody>{found.costs.iter().map(row).collect_view()}</tbody>
                {foot}
            </table>
        </div>
    }
}

fn row(part: &JobCost) -> impl IntoView + use<> {
    let state = part.state.as_deref().and_then(GpuState::parse);
    let what = match (state, part.category.as_str()) {
        (Some(state), "gpu") => view! { {state_name(state)} }.into_any(),
        (Some(state), category) => view! { {format!("{category}, {}", state_label(state))} }.into_any(),
        (None, "gpu") => view! { "GPUs, by accounting" }.into_any(),
        (None, category) => view! { {category.to_owned()} }.into_any(),
    };
    let cost = match part.cost_micros {
        Some(micros) => {
            view! { <td class="number" title=money::exact(micros, "")>{money::money(micros)}</td> }.into_any()
        }
        None => view! { <td class="number muted">"no price"</td> }.into_any(),
    };
    view! {
        <tr>
            <td>{what}</td>
            <td class="number" title=format!("{} {}", part.quantity, part.unit)>{format::hours(part.quantity)} " " <span class="muted">{part.unit.clone()}</span></td>
            {cost}
        </tr>
    }
}
