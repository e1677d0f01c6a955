//! The line above: which document, of which time, by what, and its files.

use super::{kind, month, path};
use crate::address::RANGE;
use crate::books::{FORMATS, GROUPS_MAX, LedgerMonths, REPORTS, Report, label, month_of};
use crate::format::money;
use crate::order;
use crate::pages::api::Asked;
use crate::pages::app::App;
use crate::pages::pieces::{icon, shape};
use leptos::prelude::*;

pub(super) fn controls(app: App, asked: Asked<LedgerMonths>) -> impl IntoView {
    let choice = move |report: Report| {
        view! {
            <button
                title=report.purpose
                aria-pressed=move || (kind(&app.address.read()) == report).to_string()
                on:click=move |_| app.turn(|a| a.set_own("kind", report.name))
            >
                {report.label}
            </button>
        }
    };
    view! {
        <div class="filters">
            <div class="segments" role="group" aria-label="Kind of document">{REPORTS.map(choice).into_iter().collect_view()}</div>
            {months(app, asked)}
            {by(app)}
            <div class="grow"></div>
            {files(app)}
        </div>
    }
}

/// The months of the ledger with this one, the newest first; and the time of the bar.
fn months(app: App, asked: Asked<LedgerMonths>) -> impl IntoView {
    let known = Memo::new(move |_| {
        let mut known: Vec<String> =
            asked.value.get().map(|c| c.months.iter().map(|m| m.period.clone()).collect()).unwrap_or_default();
        known.extend([month_of(app.now_micros())].into_iter().chain(month(app, &app.address.read())));
        order::sort(&mut known);
        known.dedup();
        known.reverse();
        known
    });
    let chosen = Memo::new(move |_| month(app, &app.address.read()).unwrap_or_else(|| RANGE.to_owned()));
    let option = move |period: String| {
        let value = period.clone();
        view! { <option value=value.clone() selected=move || *chosen.read() == value>{money::month(&period)}</option> }
    };
    let choose = move |e| app.turn(|a| a.set_own("month", &event_target_value(&e)));
    view! {
        <label class="choice">
            "Of"
            <select class="control" aria-label="Time of the document" prop:value=move || chosen.get() on:change=choose>
                {move || known.get().into_iter().map(option).collect_view()}
                <option value=RANGE selected=move || *chosen.read() == RANGE>"The time range above"</option>
            </select>
        </label>
    }
}

fn by(app: App) -> impl IntoView {
    let shown = RwSignal::new(false);
    let chosen = Memo::new(move |_| {
        let address = app.address.read();
        kind(&address).chosen(address.own("groups"))
    });
    let choices = Memo::new(move |_| kind(&app.address.read()).choices().collect::<Vec<_>>());
    let shown_label = move || {
        let labels: Vec<&str> = chosen.get().into_iter().map(label).collect();
        match labels.as_slice() {
            [first, second, _, ..] => format!("{first}, {second} and {} more", labels.len() - 2),
            all => all.join(", "),
        }
    };
    let entry = move |(name, label): (&'static str, &'static str)| {
        let is_chosen = move || chosen.read().contains(&name);
        let is_fixed = move || if is_chosen() { chosen.read().len() == 1 } else { chosen.read().len() == GROUPS_MAX };
        let turn = move |_| {
            app.turn(|a| {
                let now = kind(a).turned(a.own("groups"), name);
                a.set_own("groups", &now);
            });
        };
        view! {
            <label class="tick">
                <input type="checkbox" prop:checked=is_chosen disabled=is_fixed on:change=turn />
                {label}
            </label>
        }
    };
    view! {
        <div class="menu" on:keydown=move |e| if e.key() == "Escape" { shown.set(false) }>
            <button class="control" aria-expanded=move || shown.get().to_string() on:click=move |_| shown.update(|s| *s = !*s)>
                "By " <span class="cut">{shown_label}</span>
            </button>
            {move || shown.get().then(|| view! {
                <div class="floating ticks" role="group" aria-label="Groups, six at most">{choices.get().into_iter().map(entry).collect_view()}</div>
            })}
        </div>
    }
}

fn files(app: App) -> impl IntoView {
    let file = move |(format, label): (&'static str, &'static str)| {
        let href = move || path(app, &app.address.read(), format);
        view! { <a class="control" href=href download title=format!("This document as {label}")>{icon(shape::DOWNLOAD)} {label}</a> }
    };
    view! { <div class="files">{FORMATS.map(file).into_iter().collect_view()}</div> }
}
