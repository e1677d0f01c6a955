//! Who spends, and where does the money go? Teams with their projects, and the way from what was paid to teams.

use crate::books::CostPivot;
use crate::charts::sankey::sankey;
use crate::charts::treemap::treemap;
use crate::costs::{flow, slice};
use crate::pages::api::{Asked, ask};
use crate::pages::app::App;
use crate::pages::card::{Card, asked_card};
use crate::pages::drawing::drawing;
use leptos::prelude::*;
use std::sync::Arc;

const HEIGHT: u32 = 340;
/// Projects that a team may have in the picture.
const PROJECTS: &str = "&columns=project&columns_max=100";

pub(super) fn spenders(app: App) -> impl IntoView {
    let pivot = move |columns: &'static str| {
        ask::<CostPivot>(move || {
            app.address.with(|a| format!("/api/v1/costs/pivot?{}&rows=team{columns}", slice::asked(a)))
        })
    };
    view! { {who(app, pivot(PROJECTS))} {way(app, pivot("&columns=state"))} }
}

fn none() -> AnyView {
    view! { <div class="say"><p>"Nothing that has a price was used."</p></div> }.into_any()
}

fn who(app: App, asked: Asked<CostPivot>) -> AnyView {
    let head = Card {
        span: "c6",
        title: "Who spends?".to_owned().into(),
        aside: "teams and their projects; an area is its cost".to_owned().into(),
    };
    let sheet = |found: &CostPivot| flow::pairs(found, "team", "project", "spenders");
    asked_card(head, asked, HEIGHT, sheet, move |found: Arc<CostPivot>| {
        if found.total.cost_micros <= 0 {
            return none();
        }
        let picture = drawing("Costs of teams and projects as areas".to_owned(), move |width| {
            treemap(&flow::blocks(&found, &app.address.read()), width, f64::from(HEIGHT))
        });
        view! { <div class="body">{picture}</div> }.into_any()
    })
}

fn way(app: App, asked: Asked<CostPivot>) -> AnyView {
    let head = Card {
        span: "c6",
        title: "Where does the money go?".to_owned().into(),
        aside: "by what GPUs did, to who pays".to_owned().into(),
    };
    let sheet = |found: &CostPivot| flow::pairs(found, "team", "state", "flow-of-money");
    asked_card(head, asked, HEIGHT, sheet, move |found: Arc<CostPivot>| {
        if found.total.cost_micros <= 0 {
            return none();
        }
        let picture = drawing("From what was paid by states of GPUs to teams".to_owned(), move |width| {
            sankey(&flow::flow(&found, &app.address.read()), width, f64::from(HEIGHT))
        });
        view! { <div class="body">{picture}</div> }.into_any()
    })
}
