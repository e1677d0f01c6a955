//! The bill of failures: by what they are put down to, by node, by user, by month.

use crate::costs::share;
use crate::format::{self, money};
use crate::insight::{FailureMonth, FailureSum, IncidentList, category_label};
use crate::pages::app::App;
use crate::pages::card::{Card, card};
use crate::sheet::{self, Sheet};
use leptos::prelude::*;
use std::sync::Arc;

/// What the bill may be grouped by; the first is what it is grouped by unless it is told.
const GROUPS: [(&str, &str); 4] = [("", "Cause"), ("node", "Node"), ("user", "User"), ("month", "Month")];

pub(super) fn bill(app: App, found: Signal<Arc<IncidentList>>) -> impl IntoView {
    let by = Memo::new(move |_| app.address.with(|a| a.own("bill").to_owned()));
    let lines = Signal::derive(move || lines(&found.read(), &by.read()));
    let head = Card {
        span: "c7",
        title: "What did failures cost?".to_owned().into(),
        aside: Signal::derive(move || format!("in {}", found.read().currency)),
    };
    let sheet = Signal::derive(move || sheet_of(&lines.read(), &by.read(), &found.read().currency));
    let choice = move |(name, label): (&'static str, &'static str)| {
        view! {
            <button
                aria-pressed=move || (by.read().as_str() == name).to_string()
                on:click=move |_| app.turn(|a| a.set_own("bill", name))
            >
                {label}
            </button>
        }
    };
    card(head, sheet, move || {
        let segments = GROUPS.map(choice).into_iter().collect_view();
        view! {
            <div class="body still"><div class="segments" role="group" aria-label="Grouped by">{segments}</div></div>
            {move || table(app, &lines.read(), &by.read(), &found.read().currency)}
        }
        .into_any()
    })
}

/// A line, and the category that a click on it chooses.
#[derive(Clone, PartialEq)]
struct Line {
    name: String,
    chooses: Option<String>,
    sum: FailureSum,
}

fn lines(found: &IncidentList, by: &str) -> Vec<Line> {
    let plain = |sum: &FailureSum, nobody: &str| Line {
        name: sum.name.clone().unwrap_or_else(|| nobody.to_owned()),
        chooses: None,
        sum: sum.clone(),
    };
    match by {
        "node" => found.by_node.iter().map(|sum| plain(sum, "several nodes")).collect(),
        "user" => found.by_user.iter().map(|sum| plain(sum, "GPUs without a job")).collect(),
        "month" => found.by_month.iter().map(month).collect(),
        _ => {
            let planned = (found.planned.incidents > 0)
                .then(|| FailureSum { name: Some("planned".to_owned()), ..found.planned.clone() });
            let category = |sum: &FailureSum| {
                let word = sum.name.clone().unwrap_or_default();
                Line { name: category_label(&word), chooses: Some(word), sum: sum.clone() }
            };
            found.by_category.iter().chain(planned.iter()).map(category).collect()
        }
    }
}

fn month(line: &FailureMonth) -> Line {
    let sum = FailureSum {
        name: None,
        incidents: line.incidents,
        jobs: 0,
        gpu_hours_lost: line.gpu_hours_lost,
        cost_micros: line.cost_micros,
    };
    Line { name: format!("{}, {}", money::month(&line.month), category_label(&line.category)), chooses: None, sum }
}

fn label(by: &str) -> &'static str {
    GROUPS.iter().find(|(name, _)| *name == by).map_or("Cause", |(_, label)| label)
}

fn sheet_of(lines: &[Line], by: &str, currency: &str) -> Sheet {
    let row = |line: &Line| {
        vec![
            sheet::named(line.name.clone()),
            sheet::count(line.sum.incidents),
            sheet::hours(Some(line.sum.gpu_hours_lost)),
            sheet::micros(line.sum.cost_micros),
        ]
    };
    Sheet {
        name: "bill-of-failures".to_owned(),
        heads: vec![
            sheet::text(label(by), "name"),
            sheet::number("Incidents", "incidents"),
            sheet::number("GPU-hours lost", "gpu_hours_lost"),
            sheet::number(format!("Lost, {currency}"), "cost_micros"),
        ],
        rows: lines.iter().map(row).collect(),
    }
}

fn table(app: App, lines: &[Line], by: &str, currency: &str) -> AnyView {
    // Hours where nothing has a price.
    let all_micros: i64 = lines.iter().filter_map(|line| line.sum.cost_micros).sum();
    let all_hours: f64 = lines.iter().map(|line| line.sum.gpu_hours_lost).sum();
    let part = |sum: &FailureSum| match sum.cost_micros {
        Some(cost) if all_micros > 0 => share(cost, all_micros).unwrap_or(0.0),
        _ if all_hours > 0.0 && all_micros == 0 => sum.gpu_hours_lost / all_hours,
        _ => 0.0,
    };
    let row = |line: &Line| {
        let percent = part(&line.sum) * 100.0;
        let cost = line.sum.cost_micros;
        view! {
            <tr>
                <td>{name(app, line)}</td>
                <td>
                    <span class="share">
                        <span class="track" aria-hidden="true"><span class="known" style=format!("width:{percent:.2}%")></span></span>
                        <span class="percent">{format!("{percent:.1} %")}</span>
                    </span>
                </td>
                <td class="number" title=cost.map(|cost| money::exact(cost, currency))>
                    {cost.map_or_else(|| "no price".to_owned(), money::money)}
                </td>
                <td class="number">{format::hours(line.sum.gpu_hours_lost)}</td>
                <td class="number">{format::count(line.sum.incidents)}</td>
            </tr>
        }
    };
    view! {
        <div class="scroller sheet" tabindex="0" role="region" aria-label="The bill of failures">
            <table class="sticky">
                <thead>
                    <tr>
                        <th scope="col">{label(by)}</th>
                        <th scope="col">"Of all"</th>
                        <th scope="col" class="number">{format!("Lost, {currency}")}</th>
                        <th scope="col" class="number">"GPU-hours"</th>
                        <th scope="col" class="number">"Incidents"</th>
                    </tr>
                </thead>
                <tbody>{lines.iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn name(app: App, line: &Line) -> AnyView {
    let text = line.name.clone();
    match line.chooses.clone() {
        Some(word) => {
            view! { <button class="link" title="List these" on:click=move |_| app.turn(|a| a.set_own("category", &word))>{text}</button> }
                .into_any()
        }
        None => view! { <span class="cut">{text}</span> }.into_any(),
    }
}
