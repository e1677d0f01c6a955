//! The fleet at a glance: one cell a node, filled by the states of its GPUs, grouped by rack.

use crate::address::{Address, Open, Page};
use crate::charts::share;
use crate::format;
use crate::pages::app::App;
use crate::pages::card::{Card, card};
use crate::pages::pieces::{state_label, state_parts, states_in_words};
use crate::sheet::gpus;
use contract::GpuState;
use contract::answers::{NodeCell, Overview};
use leptos::prelude::*;
use std::sync::Arc;

/// So many nodes fit as large cells.
const ROOMY_UP_TO: usize = 64;

pub(super) fn strip(app: App, found: Signal<Arc<Overview>>) -> AnyView {
    let aside = move || {
        let found = found.read();
        let gpus = GpuState::ALL.into_iter().map(|s| found.gpus_now.get(s)).sum::<u64>();
        let (nodes, gpus) = (format::counted(found.nodes_now, "node"), format::counted(gpus, "GPU"));
        format!("{nodes}, {gpus}, at the end of the range")
    };
    let head = Card { span: "c7", title: "Which nodes?".to_owned().into(), aside: Signal::derive(aside) };
    let sheet = Signal::derive(move || gpus::nodes(&found.read()));
    card(head, sheet, move || cells(app, &found.read()))
}

fn cells(app: App, found: &Overview) -> AnyView {
    let address = app.address.get_untracked();
    let mut racks: Vec<(String, Vec<&NodeCell>)> = Vec::new();
    let several = found.nodes.windows(2).any(|w| w[0].cluster != w[1].cluster);
    for node in &found.nodes {
        let rack = node.rack.as_deref().unwrap_or("no rack");
        let name = if several { format!("{} · {rack}", node.cluster) } else { rack.to_owned() };
        match racks.last_mut().filter(|(last, _)| *last == name) {
            Some((_, cells)) => cells.push(node),
            None => racks.push((name, vec![node])),
        }
    }
    let rack = |(name, cells): (String, Vec<&NodeCell>)| {
        view! {
            <div class="rack">
                <div class="name">{name}</div>
                <div class="cells">{cells.into_iter().map(|n| cell(&address, n)).collect_view()}</div>
            </div>
        }
    };
    let roomy = found.nodes.len() <= ROOMY_UP_TO;
    let entry = |state: GpuState| {
        let n = *found.gpus_now.get(state);
        let class = format!("swatch {}", state.as_str());
        view! { <span class="entry"><i class=class></i> {format!("{} {}", format::count(n), state_label(state))}</span> }
    };
    view! {
        <div class="body">
            <div class="racks" class:roomy=roomy>{racks.into_iter().map(rack).collect_view()}</div>
        </div>
        <div class="foot legend">
            {GpuState::ALL.map(entry).into_iter().collect_view()}
            <span class="grow"></span>
            <a href=address.to_page(Page::Fleet).href()>"Open the fleet"</a>
        </div>
    }
    .into_any()
}

fn cell(address: &Address, node: &NodeCell) -> impl IntoView + use<> {
    let label = format!("{}: {}", node.node, states_in_words(&node.gpus));
    let open = Open::Node { cluster: node.cluster.clone(), node: node.node.clone() };
    view! {
        <a class="node-cell" href=address.to_open(open).href() title=label.clone() aria-label=label>
            {state_parts(&share::to_floats(&node.gpus), "height")}
        </a>
    }
}
