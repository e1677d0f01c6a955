//! The team whose costs are shown: a short way to a filter of the page of costs.

use crate::books::CostPivot;
use crate::costs::slice::{self, Filter};
use crate::costs::{DIMENSIONS, Dimension};
use crate::order;
use crate::pages::api;
use crate::pages::app::App;
use leptos::prelude::*;
use leptos::task::spawn_local;

/// Teams that paid something lately.
const TEAMS: &str = "/api/v1/costs/pivot?rows=team&from=now-30d&to=now";

fn team() -> &'static Dimension {
    &DIMENSIONS[0]
}

pub(super) fn teams(app: App) -> AnyView {
    let names = RwSignal::new(Vec::<String>::new());
    let is_asked = StoredValue::new(false);
    // Who does not look at the list does not ask for it.
    let load = move || {
        if is_asked.get_value() {
            return;
        }
        is_asked.set_value(true);
        spawn_local(async move {
            match api::get::<CostPivot>(TEAMS, None).await {
                Ok(found) => {
                    names.try_set(found.rows.into_iter().filter_map(|row| row.name).collect());
                }
                Err(problem) => leptos::logging::warn!("no list of teams: {}", problem.message),
            }
        });
    };
    let chosen = Memo::new(move |_| {
        let filters = app.address.with(|a| slice::parse(a.own("where")));
        filters.into_iter().find(|f| f.by == team()).and_then(|f| f.name).unwrap_or_default()
    });
    let choose = move |e| {
        let name = event_target_value(&e);
        app.go(app.address.with_untracked(|here| {
            let mut filters = slice::parse(here.own("where"));
            filters.retain(|f| f.by != team());
            if !name.is_empty() {
                filters.insert(0, Filter { by: team(), name: Some(name.clone()) });
            }
            slice::with(here, &filters)
        }));
    };
    let options = move || {
        let mut names = names.get();
        let now = chosen.get();
        if !now.is_empty() && !names.contains(&now) {
            names.push(now);
        }
        order::sort(&mut names);
        let option = |name: String| {
            let value = name.clone();
            view! { <option value=name.clone() selected=move || *chosen.read() == value>{name.clone()}</option> }
        };
        names.into_iter().map(option).collect_view()
    };
    view! {
        <select
            class="control"
            aria-label="Team"
            prop:value=move || chosen.get()
            on:focus=move |_| load()
            on:pointerenter=move |_| load()
            on:change=choose
        >
            <option value="" selected=move || chosen.read().is_empty()>"All teams"</option>
            {options}
        </select>
    }
    .into_any()
}
