//! Pages that come in a piece of the program of their own, once somebody opens one or the browser has time.
//!
//! **Invariant:** the pages that people begin with, and the frame, are in the first piece. What several pieces use
//! is found, and put where all reach it, by the tool that cuts.

use super::api::Problem;
use super::pieces::{failed, skeleton};
use super::{alerts, costs, dashboards, incidents, inference, logs, prices, reports, settings, sql};
use crate::address::Page;
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::pin::Pin;
use std::time::Duration;
use wasm_split_helpers::{SplitLoaderError, wasm_split};

/// The first page has what it asks for by then.
const FETCH_AHEAD_AFTER: Duration = Duration::from_secs(2);

/// Makes the view of a page.
type Make = fn() -> AnyView;
type Piece = Pin<Box<dyn Future<Output = Result<Make, Lacking>>>>;

/// The piece did not come.
#[derive(Debug, Clone, Copy)]
struct Lacking;

impl From<SplitLoaderError> for Lacking {
    fn from(_: SplitLoaderError) -> Self {
        Self
    }
}

#[wasm_split(watch, fallible, preload(watch))]
fn alerts_page() -> Result<Make, Lacking> {
    Ok(|| alerts::alerts().into_any())
}

#[wasm_split(watch, fallible)]
fn incidents_page() -> Result<Make, Lacking> {
    Ok(|| incidents::incidents().into_any())
}

#[wasm_split(watch, fallible)]
fn logs_page() -> Result<Make, Lacking> {
    Ok(|| logs::logs().into_any())
}

#[wasm_split(watch, fallible)]
fn inference_page() -> Result<Make, Lacking> {
    Ok(|| inference::inference().into_any())
}

#[wasm_split(spend, fallible, preload(spend))]
fn costs_page() -> Result<Make, Lacking> {
    Ok(|| costs::costs().into_any())
}

#[wasm_split(spend, fallible)]
fn reports_page() -> Result<Make, Lacking> {
    Ok(|| reports::reports().into_any())
}

#[wasm_split(spend, fallible)]
fn prices_page() -> Result<Make, Lacking> {
    Ok(|| prices::prices().into_any())
}

#[wasm_split(ask, fallible, preload(ask))]
fn sql_page() -> Result<Make, Lacking> {
    Ok(|| sql::sql().into_any())
}

#[wasm_split(ask, fallible)]
fn dashboards_page() -> Result<Make, Lacking> {
    Ok(|| dashboards::list().into_any())
}

#[wasm_split(ask, fallible)]
fn dashboard_page() -> Result<Make, Lacking> {
    Ok(|| dashboards::board().into_any())
}

#[wasm_split(ask, fallible)]
fn settings_page() -> Result<Make, Lacking> {
    Ok(|| settings::settings().into_any())
}

/// The piece that a page is in; none for those of the first.
fn piece(page: Page) -> Option<Piece> {
    Some(match page {
        Page::Alerts => Box::pin(alerts_page()),
        Page::Incidents => Box::pin(incidents_page()),
        Page::Logs => Box::pin(logs_page()),
        Page::Inference => Box::pin(inference_page()),
        Page::Costs => Box::pin(costs_page()),
        Page::Reports => Box::pin(reports_page()),
        Page::Prices => Box::pin(prices_page()),
        Page::Sql => Box::pin(sql_page()),
        Page::Dashboards => Box::pin(dashboards_page()),
        Page::Dashboard => Box::pin(dashboard_page()),
        Page::Settings => Box::pin(settings_page()),
        Page::Overview | Page::Fleet | Page::Jobs | Page::Job | Page::Login | Page::Missing => return None,
    })
}

/// A page whose piece comes first; none when it needs no other than the one that runs.
pub(crate) fn page(page: Page) -> Option<AnyView> {
    let made = RwSignal::new(None::<Result<Make, Lacking>>);
    let fetch = move || {
        let piece = piece(page)?;
        spawn_local(async move {
            let result = piece.await;
            // Whoever asked may be elsewhere by now.
            made.try_set(Some(result));
        });
        Some(())
    };
    fetch()?;
    let again = move || {
        made.set(None);
        fetch();
    };
    let view = move || match made.get() {
        None => skeleton(480).into_any(),
        Some(Ok(make)) => make(),
        Some(Err(Lacking)) => view! { <div class="card c12">{failed(Problem::lacking(), again)}</div> }.into_any(),
    };
    Some(view.into_any())
}

/// Fetches the other pieces while nobody waits, so that the next page is there at once.
pub(crate) fn fetch_ahead() {
    set_timeout(
        || {
            spawn_local(async {
                // A piece that does not come now is asked for, and missed, when its page is opened.
                drop((watch().await, spend().await, ask().await));
            });
        },
        FETCH_AHEAD_AFTER,
    );
}
