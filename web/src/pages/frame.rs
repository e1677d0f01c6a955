//! What surrounds every page: the rail, the bar and the panel.

mod bar;
mod search;
mod teams;
mod views;
mod window;

use super::app::App;
use super::pieces::{icon, shape};
use super::{browser, fleet, job, jobs, later, overview, panel};
use crate::address::Page;
use leptos::prelude::*;

/// The pages that exist, by group.
const GROUPS: &[(&str, &[(Page, &str)])] = &[
    (
        "Observe",
        &[
            (Page::Overview, shape::OVERVIEW),
            (Page::Fleet, shape::FLEET),
            (Page::Jobs, shape::JOBS),
            (Page::Inference, shape::INFERENCE),
            (Page::Logs, shape::LOGS),
            (Page::Alerts, shape::ALERTS),
            (Page::Incidents, shape::INCIDENTS),
            (Page::Dashboards, shape::DASHBOARDS),
            (Page::Sql, shape::SQL),
        ],
    ),
    ("Spend", &[(Page::Costs, shape::COSTS), (Page::Reports, shape::REPORTS), (Page::Prices, shape::PRICES)]),
    ("System", &[(Page::Settings, shape::SETTINGS)]),
];

pub(crate) fn frame(page: Page) -> impl IntoView {
    let app = App::here();
    app.greet();
    let narrow = RwSignal::new(browser::remembered("coulomb.rail").as_deref() == Some("narrow"));
    let content = match page {
        Page::Overview => overview::overview().into_any(),
        Page::Fleet => fleet::fleet().into_any(),
        Page::Jobs => jobs::jobs().into_any(),
        Page::Job => job::job().into_any(),
        page => later::page(page).unwrap_or_else(|| missing().into_any()),
    };
    view! {
        <div class="frame" class:narrow=move || narrow.get()>
            <a class="skip" href="#content">"Skip to the page"</a>
            {rail(app, narrow)}
            {bar::bar(page)}
            <div class="content" id="content" tabindex="-1">
                <main>{content}</main>
            </div>
            {panel::panel()}
        </div>
    }
}

/// The mark of the product.
pub(crate) fn mark() -> impl IntoView {
    view! {
        <svg viewBox="0 0 32 32" fill="none" aria-hidden="true">
            <path d="M26 9.4a11.4 11.4 0 1 0 0 13.2" stroke="currentColor" stroke-width="4.4" stroke-linecap="round"></path>
            <circle cx="16" cy="16" r="3.6" fill="currentColor"></circle>
        </svg>
    }
}

fn rail(app: App, narrow: RwSignal<bool>) -> impl IntoView {
    let entry = move |(page, path): &(Page, &'static str)| {
        let (page, path) = (*page, *path);
        view! {
            <a
                href=move || app.address.read().to_page(page).href()
                title=move || narrow.get().then_some(page.title())
                aria-label=page.title()
                aria-current=move || (app.address.read().page.of_rail() == page).then_some("page")
            >
                {icon(path)}
                <span>{page.title()}</span>
            </a>
        }
    };
    let group = move |(name, pages): &(&'static str, &'static [(Page, &'static str)])| {
        view! { <h2>{*name}</h2> {pages.iter().map(entry).collect_view()} }
    };
    let toggle = move |_| {
        narrow.update(|n| *n = !*n);
        browser::remember("coulomb.rail", if narrow.get_untracked() { "narrow" } else { "wide" });
    };
    view! {
        <aside class="rail" aria-label="Coulomb">
            <a class="brand" href=move || app.address.read().to_page(Page::Overview).href() aria-label="Coulomb, overview">
                {mark()}
                <span>"Coulomb"</span>
            </a>
            <nav aria-label="Pages">{GROUPS.iter().map(group).collect_view()}</nav>
            <div class="foot">
                <button on:click=toggle aria-expanded=move || (!narrow.get()).to_string() aria-label="Collapse the rail">
                    {icon(shape::COLLAPSE)}
                    <span>"Collapse"</span>
                </button>
            </div>
        </aside>
    }
}

fn missing() -> impl IntoView {
    view! {
        <div class="card c12">
            <div class="say center">
                <h2>"There is no page at this address"</h2>
                <p><a href="/">"Go to the overview"</a></p>
            </div>
        </div>
    }
}
