//! What did it cost, what did the money buy, and who spent it? A glance; the page of costs has the rest.

use crate::address::Page;
use crate::costs::{Dimension, share};
use crate::format::{self, money};
use crate::pages::app::App;
use crate::pages::costs::waterfall::waterfall;
use crate::pages::pieces::{Waiting, refused, skeleton};
use contract::answers::{CostGroup, Costs};
use leptos::prelude::*;

/// A glance has no more rows.
const TEAMS_MAX: usize = 8;

pub(super) fn money(app: App, costs: Waiting<Costs>) -> impl IntoView {
    move || match costs.get() {
        (Some(found), _) if !found.has_prices => no_prices().into_any(),
        (Some(found), _) => {
            let bought = found.clone();
            let there = move || app.address.read().to_page(Page::Costs);
            view! { {waterfall("c5", Signal::derive(move || bought.clone()), there)} {spenders(app, &found)} }
                .into_any()
        }
        (None, Some(problem)) => {
            view! { <section class="card c12"><div class="body">{refused(&problem)}</div></section> }.into_any()
        }
        (None, None) => {
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

fn spenders(app: App, found: &Costs) -> impl IntoView + use<> {
    let by = Dimension::named("team").expect("costs are grouped by team");
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
        <section class="card c7">
            <header>
                <h2>"Who spends?"</h2>
                <span class="aside">{found.currency.clone()}</span>
                <div class="grow"></div>
                <a class="small" href=move || app.address.read().to_page(Page::Costs).href()>"All costs"</a>
            </header>
            <ol class="waterfall spenders">{found.groups.iter().take(TEAMS_MAX).map(row).collect_view()}</ol>
            {more.map(|more| view! { <div class="foot small muted">{more}</div> })}
        </section>
    }
}
