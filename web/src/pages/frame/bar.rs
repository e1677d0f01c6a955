//! The bar above a page: where one is, which cluster and time, how old the data is, theme and user.

use super::{search, teams, views, window};
use crate::address::{Open, Page};
use crate::format;
use crate::instant::MINUTE;
use crate::pages::api;
use crate::pages::app::{App, Heard, Theme};
use crate::pages::pieces::{icon, shape};
use leptos::prelude::*;
use leptos::task::spawn_local;

/// Collectors send at least twice a minute; silence beyond this is no delay but a fault.
const LATE_AFTER: i64 = 2 * MINUTE;

pub(super) fn bar(page: Page) -> impl IntoView {
    let app = App::here();
    let has_range = Memo::new(move |_| app.address.read().has_range());
    let part = move || {
        let name = app.address.with(|a| match &a.open {
            _ if page == Page::Job => Some(a.job.1.clone()),
            _ if page == Page::Dashboard => Some(a.board.clone()),
            _ if page == Page::Inference => Some(a.own("service").to_owned()).filter(|name| !name.is_empty()),
            Some(Open::Node { node, .. }) => Some(node.clone()),
            Some(Open::Gpu(uuid)) => Some(format::short_id(uuid)),
            None => (!a.cluster.is_empty()).then(|| a.cluster.clone()),
        })?;
        Some(view! { <span class="part">{name}</span> })
    };
    view! {
        <header class="bar">
            <nav class="crumbs" aria-label="Breadcrumbs"><h1>{page.title()}</h1> {part}</nav>
            <div class="grow"></div>
            {age(app)}
            {search::search(app)}
            {views::views_menu(app)}
            {move || has_range.get().then(|| view! { {clusters(app)} {(page == Page::Costs).then(|| teams::teams(app))} {window::window(app)} {live(app)} })}
            {theme(app)}
            {user(app)}
            {move || (app.working.get() > 0).then(|| view! { <div class="working" role="progressbar" aria-label="Loading"></div> })}
        </header>
    }
}

/// How old the newest row is by now, in microseconds; the browser's clock only measures since the answer.
fn data_age(heard: &Heard, now_millis: f64) -> Option<i64> {
    let since = ((now_millis - heard.at_millis).max(0.0) * 1000.0) as i64;
    heard.status.data_time_unix_micros.map(|t| heard.status.now_unix_micros - t + since)
}

fn age(app: App) -> impl IntoView {
    move || {
        let heard = app.heard.get()?;
        let status = &heard.status;
        let rejected = status.rows_rejected_total;
        let age = data_age(&heard, app.now_millis.get());
        let age_text = age.map(|a| format!("{} old", format::age(a)));
        let (class, text, hint) = match age_text {
            _ if status.rows_lost_total > 0 => (
                "age lost",
                format!(
                    "{} rows lost{}",
                    format::compact(status.rows_lost_total as f64),
                    age_text.map(|t| format!(" · {t}")).unwrap_or_default()
                ),
                format!(
                    "Collectors dropped {} rows because their spool was full. The server refused {}.",
                    format::count(status.rows_lost_total),
                    format::count(rejected)
                ),
            ),
            None => ("age none", "no data yet".to_owned(), "No collector has sent a sample".to_owned()),
            Some(text) => {
                let late = age.is_some_and(|a| a > LATE_AFTER);
                let refused = if rejected > 0 {
                    format!(" The server refused {} rows.", format::count(rejected))
                } else {
                    String::new()
                };
                let newest = status.data_time_unix_micros.map(format::instant).unwrap_or_default();
                (if late { "age late" } else { "age" }, text, format!("Newest sample: {newest}.{refused}"))
            }
        };
        Some(view! { <span class=class title=hint role="status"><i class="dot"></i> {text}</span> })
    }
}

fn clusters(app: App) -> impl IntoView {
    let names =
        Memo::new(move |_| app.heard.with(|h| h.as_ref().map(|h| h.status.clusters.clone()).unwrap_or_default()));
    move || {
        let chosen = app.address.read().cluster.clone();
        let mut names = names.get();
        if names.len() < 2 && chosen.is_empty() {
            return None;
        }
        if !chosen.is_empty() && !names.contains(&chosen) {
            names.push(chosen.clone());
        }
        let option = |name: String| {
            let selected = name == chosen;
            view! { <option value=name.clone() selected=selected>{name.clone()}</option> }
        };
        Some(view! {
            <select
                class="control"
                aria-label="Cluster"
                on:change=move |e| app.turn(|a| a.cluster = event_target_value(&e))
            >
                <option value="" selected=chosen.is_empty()>"All clusters"</option>
                {names.into_iter().map(option).collect_view()}
            </select>
        })
    }
}

fn live(app: App) -> impl IntoView {
    let on = move || app.live.get() && app.is_relative();
    let hint = move || match (app.is_relative(), app.live.get()) {
        (false, _) => "The range ends in the past; choose one that ends now to follow it",
        (true, true) => "The page follows new data; click to hold it still",
        (true, false) => "The page is held still; click to follow new data",
    };
    view! {
        <button
            class="control"
            aria-pressed=move || on().to_string()
            title=hint
            disabled=move || !app.is_relative()
            on:click=move |_| app.toggle_live()
        >
            "Live"
        </button>
        <button
            class="control only"
            aria-label="Refresh now"
            title="Refresh now"
            on:click=move |_| app.refresh.update(|n| *n += 1)
        >
            {icon(shape::REFRESH)}
        </button>
    }
}

/// One button that goes round: system, light, dark.
fn theme(app: App) -> impl IntoView {
    let now = move || match app.theme.get() {
        Theme::System => (shape::SYSTEM, "Theme: as the system", Theme::Light),
        Theme::Light => (shape::LIGHT, "Theme: light", Theme::Dark),
        Theme::Dark => (shape::DARK, "Theme: dark", Theme::System),
    };
    view! {
        <button
            class="control only"
            aria-label=move || now().1
            title=move || now().1
            on:click=move |_| app.choose_theme(untrack(now).2)
        >
            {move || icon(now().0)}
        </button>
    }
}

fn user(app: App) -> impl IntoView {
    let shown = RwSignal::new(false);
    let log_out = move |_| {
        spawn_local(async move {
            if let Err(problem) = api::delete("/api/v1/session").await {
                leptos::logging::warn!("logging out failed: {}", problem.message);
            }
            app.to_login();
        });
    };
    let menu = move || {
        let session = app.session.get();
        let who = session.map(|s| view! { <div class="who">{s.name} <div class="small muted">{s.role}</div></div> });
        view! { <div class="floating list">{who} <button on:click=log_out>"Log out"</button></div> }
    };
    view! {
        <div class="menu" on:keydown=move |e| if e.key() == "Escape" { shown.set(false) }>
            <button
                class="control only"
                aria-label="User"
                aria-expanded=move || shown.get().to_string()
                on:click=move |_| shown.update(|s| *s = !*s)
            >
                {icon(shape::USER)}
            </button>
            {move || shown.get().then(menu)}
        </div>
    }
}
