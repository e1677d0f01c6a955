//! What a browser shows. Leptos and the browser's interfaces are named in here and nowhere else.
//!
//! **Invariant:** a view reads signals and draws; numbers become text in `format`, places are computed in `charts`.

mod alerts;
mod api;
mod app;
mod browser;
mod card;
mod costs;
mod dashboards;
mod dialog;
mod drawing;
mod fleet;
mod frame;
mod incidents;
mod inference;
mod job;
mod jobs;
mod later;
mod login;
mod logs;
mod menu;
mod overview;
mod panel;
mod pieces;
mod plot;
mod prices;
mod reports;
mod settings;
mod sorting;
mod sql;
mod stat;
mod text;

use crate::address::Page;
use app::App;
use leptos::prelude::*;

pub(crate) fn start() {
    std::panic::set_hook(Box::new(|info| leptos::logging::error!("{info}")));
    mount_to_body(|| {
        let app = App::start();
        provide_context(app);
        later::fetch_ahead();
        let page = Memo::new(move |_| app.address.read().page);
        move || match page.get() {
            Page::Login => login::login().into_any(),
            page => frame::frame(page).into_any(),
        }
    });
}
