//! How do services of inference do, what do their tokens cost and whom, and how many replicas do they need?

mod chart;
mod cost;
mod lines;
mod list;
mod service;
mod sizing;
mod stats;

use super::app::App;
use leptos::prelude::*;

pub(crate) fn inference() -> impl IntoView {
    let app = App::here();
    let has_service = Memo::new(move |_| app.address.with(|a| !a.own("service").is_empty()));
    move || match has_service.get() {
        true => service::service(app).into_any(),
        false => list::list(app).into_any(),
    }
}
