//! What did it cost, what did the money buy, and who spent it? A glance; the page of costs has the rest.

use crate::address::Page;
use crate::costs::{Dimension, share};
use crate::format::{self, money};
use crate::pages::api::Problem;
use crate::pages::app::App;
use crate::pages::card::{Card, card};
use crate::pages::costs::waterfall::waterfall;
use crate::pages::pieces::{Waiting, refused, skeleton};
use crate::sheet::gpus;
use contract::answers::{CostGroup, Costs};
use leptos::prelude::*;
use std::sync::Arc;

/// A glance has no more rows.
const TEAMS_MAX: usize = 8;

/// What is known of the money. A refresh that changes none of it leaves the cards as they are.
#[derive(Clone, PartialEq)]
enum Known {
    Nothing,
    Problem(Problem),
    NoPrices,
    NotYet,
    Costs,
}

pub(super) fn money(app: App, costs: Waiting<Costs>) -> impl IntoView {
    let known = Memo::new(move |_| match costs.get() {
        (Some(found), _) if found.has_prices && found.gpu_hours > 0.0 => Known::Costs,
        (Some(found), _) if found.has_prices => Known::NotYet,
        (Some(_), _) => Known::NoPrices,
        (None, Some(problem)) => Known::Problem(problem),
        (None, None) => Known::Nothing,
    });
    let found = Signal::derive(move || costs.get().0.unwrap_or_default());
    let there = move || app.address.read().to_page(Page::Costs);
    move || match known.get() {
        Known::Costs => view! { {waterfall("c5", found, there)} {spenders(app, found)} }.into_any(),
        Known::NoPrices => no_prices().into_any(),
        Known::NotYet => not_yet().into_any(),
        Known::Problem(problem) => {
            view! { <section class="card c12"><div class="body">{refused(&problem)}</div></section> }.into_any()
        }
        Known::Nothing => {
            view! { <div class="c5">{skeleton(360)}</div> <div class="c7">{skeleton(360)}</div> }.into_any()
        }
    }
}

fn no_prices() -> impl IntoView {
    view! {
        <section class="card c12">
            <div class="say">
                <h3>"What does it cost? No price is known yet"</h3>
                <p>"With a price for a GPU-hour, each hour above becomes money, those of the past, too."</p>
                <div class="code">"coulomb import prices FILE"</div>
            </div>
        </section>
    }
}

fn not_yet() -> impl IntoView {
    view! {
        <section class="card c12">
            <div class="say">
                <h3>"What did it cost? Nothing in this range is charged yet"</h3>
                <p>"An hour is charged once it is over. Of a long history that has just come in, that takes some minutes."</p>
            </div>
        </section>
    }
}

fn spenders(app: App, found: Signal<Arc<Costs>>) -> AnyView {
    let by = Dimension::named("team").expect("costs are grouped by team");
    let aside = Signal::derive(move || found.read().currency.clone());
    let head = Card { span: "c7", title: "Who spends?".to_owned().into(), aside };
    card(head, Signal::derive(move || gpus::spenders(&found.read(), by)), move || bars(app, &found.read(), by))
}

fn bars(app: App, found: &Costs, by: &Dimension) -> AnyView {
    let most = found.groups.iter().map(|group| group.cost_micros).max().unwrap_or(0);
    let row = |group: &CostGroup| {
        let label = by.label_of(group.name.as_deref());
        let of_all = share(group.cost_micros, found.cost_micros).map(format::percent);
        let width = share(group.cost_micros, most).unwrap_or(0.0) * 100.0;
        view! {
            <li>
                <div class="line">
                    <span class="cut" class:muted=group.name.is_none()>{label}</span>
                    <span class="amount" title=money::exact(group.cost_micros, &found.currency)>
                        {money::money(group.cost_micros)}
                    </span>
                </div>
                <div class="track" aria-hidden="true"><span class="known" style=format!("width:{width:.2}%")></span></div>
                <div class="small muted">
                    {[of_all, Some(format::gpu_hours(group.gpu_hours))].into_iter().flatten().collect::<Vec<_>>().join(" · ")}
                </div>
            </li>
        }
    };
    let left = (found.groups.len() as u64).saturating_sub(TEAMS_MAX as u64) + found.groups_left_out;
    let more = (left > 0).then(|| format!("{} more", format::counted(left, "team")));
    view! {
        <ol class="waterfall spenders">{found.groups.iter().take(TEAMS_MAX).map(row).collect_view()}</ol>
        <div class="foot legend">
            <span class="muted">{more}</span>
            <span class="grow"></span>
            <a href=move || app.address.read().to_page(Page::Costs).href()>"All costs"</a>
        </div>
    }
    .into_any()
}
