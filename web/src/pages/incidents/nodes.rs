//! Nodes on which something failed, lemons first.

use crate::address::{Address, Open};
use crate::format::{self, money};
use crate::insight::{IncidentList, NodeFailures};
use crate::pages::app::App;
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn nodes(app: App, found: Signal<Arc<IncidentList>>) -> impl IntoView {
    let aside = move || {
        let lemons = found.read().nodes.iter().filter(|node| node.is_lemon).count() as u64;
        if lemons > 0 {
            format!("{} among them", format::counted(lemons, "lemon"))
        } else {
            "no lemon among them".to_owned()
        }
    };
    let rows = move || {
        let (found, here) = (found.get(), app.address.get());
        if found.nodes.is_empty() {
            return view! { <div class="say"><p>"No node, link or driver failed."</p></div> }.into_any();
        }
        view! {
            <div class="scroller sheet" tabindex="0" role="region" aria-label="Nodes on which something failed">
                <table class="sticky">
                    <thead>
                        <tr>
                            <th scope="col">"Node"</th>
                            <th scope="col" class="number">"Incidents"</th>
                            <th scope="col" class="number" title="Attempts of jobs that failures of the node ended, of all that ended on it">"Attempts failed"</th>
                            <th scope="col" class="number">{format!("Lost, {}", found.currency)}</th>
                        </tr>
                    </thead>
                    <tbody>{found.nodes.iter().map(|node| row(&here, node)).collect_view()}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    view! {
        <section class="card c5">
            <header>
                <h2>"Which nodes fail?"</h2>
                <span class="aside">{aside}</span>
            </header>
            {rows}
        </section>
    }
}

fn row(here: &Address, node: &NodeFailures) -> impl IntoView + use<> {
    let open = here.to_open(Open::Node { cluster: node.cluster.clone(), node: node.node.clone() });
    let why = format!(
        "At least {} of attempts fail here with 95 % confidence, {} over the fleet",
        format::percent(node.failed_ratio_at_least),
        format::percent(node.fleet_ratio)
    );
    let lemon = node.is_lemon.then(|| view! { <span class="badge" title=why.clone()>"lemon"</span> });
    view! {
        <tr>
            <td><span class="line"><a href=open.href()>{node.node.clone()}</a> {lemon}</span></td>
            <td class="number">{format::count(node.incidents)}</td>
            <td class="number" title=why>{format!("{} of {}", node.failed, format::count(node.attempts))}</td>
            <td class="number">{node.cost_micros.map_or_else(|| "no price".to_owned(), money::money)}</td>
        </tr>
    }
}
