//! Documents about money for those who pay, now and by schedule, and the months of the ledger: which are closed,
//! which may be.

mod closing;
mod controls;
mod document;
mod months;
mod schedules;

use super::api::{Asked, ask};
use super::app::App;
use crate::address::{Address, RANGE, encode};
use crate::books::{LedgerMonths, MONTHS_PATH, Report, month_of};
use leptos::prelude::*;

pub(crate) fn reports() -> impl IntoView {
    let app = App::here();
    let asked: Asked<LedgerMonths> = ask(|| MONTHS_PATH.to_owned());
    view! {
        {controls::controls(app, asked)}
        {document::document(app)}
        {months::months(app, asked)}
        {schedules::schedules(app)}
    }
}

/// The kind that the address names.
fn kind(address: &Address) -> Report {
    Report::named(address.own("kind"))
}

/// The month that the document is about; none where it is about the time of the bar.
fn month(app: App, address: &Address) -> Option<String> {
    match address.own("month") {
        "" => Some(month_of(app.now_micros())),
        RANGE => None,
        month => Some(month.to_owned()),
    }
}

fn path(app: App, address: &Address, format: &str) -> String {
    let time = match month(app, address) {
        Some(month) => format!("month={}", encode(&month)),
        None => address.window_query(),
    };
    let kind = kind(address);
    let by = kind.chosen(address.own("groups")).join(",");
    format!("/api/v1/reports/{}?{time}&by={by}&format={format}", kind.name)
}
