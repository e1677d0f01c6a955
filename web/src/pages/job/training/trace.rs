//! Who did what when in one step? Its spans, rank by rank.

use super::super::super::api::{Asked, ask};
use super::super::super::app::App;
use super::super::super::card::{Card, asked_card};
use super::super::super::drawing::drawing;
use crate::address::{Address, encode};
use crate::charts::waterfall::waterfall;
use crate::format;
use crate::training::{Category, JobTrace, TraceSpan, trace_sheet};
use leptos::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn at(here: &Address, step: Option<i64>, ranks: &str) -> String {
    let mut there = here.clone();
    there.set_own("step", &step.map(|step| step.to_string()).unwrap_or_default());
    there.set_own("ranks", ranks);
    there.href()
}

pub(super) fn trace(app: App) -> AnyView {
    let asked: Asked<JobTrace> = ask(move || {
        app.address.with(|a| {
            let mut path = format!("/api/v1/jobs/{}/{}/trace?", encode(&a.job.0), encode(&a.job.1));
            for key in ["step", "ranks"] {
                if !a.own(key).is_empty() {
                    path.push_str(&format!("{key}={}&", encode(a.own(key))));
                }
            }
            path.trim_end_matches(['?', '&']).to_owned()
        })
    });
    let title = move || match asked.value.get().and_then(|found| found.step) {
        Some(step) => format!("Who did what in step {step}?"),
        None => "Who did what in a step?".to_owned(),
    };
    let aside = move || {
        asked.value.get().map(|found| {
            let left_out = match found.spans_left_out {
                0 => String::new(),
                more => format!("; {} not drawn", format::counted(more, "span")),
            };
            format!("{} of {}{left_out}", found.ranks.len(), format::counted(found.ranks_total, "rank"))
        })
    };
    let card =
        Card { span: "c12", title: Signal::derive(title), aside: Signal::derive(move || aside().unwrap_or_default()) };
    let job = move || app.address.with_untracked(|a| a.job.1.clone());
    asked_card(card, asked, 240, move |found| trace_sheet(found, &job()), move |found| body(app, found))
}

fn body(app: App, found: Arc<JobTrace>) -> AnyView {
    let here = app.address.get_untracked();
    if found.spans.is_empty() {
        return view! { <div class="say"><p>"There is no span of this step."</p></div> }.into_any();
    }
    let ranks = here.own("ranks").to_owned();
    let turn = |step: Option<i64>, text: &'static str| {
        step.map(|step| view! { <a class="control" href=at(&here, Some(step), &ranks)>{text}</a> })
    };
    let all = (!ranks.is_empty()).then(|| {
        view! { <a class="control" href=at(&here, found.step, "")>"Show the slowest ranks"</a> }
    });
    let names: BTreeMap<&str, &Category> =
        found.spans.iter().map(|s| (s.name.as_str(), Category::named(&s.name))).collect();
    let entry = |(name, category): (&str, &Category)| {
        let name = name.replace('_', " ");
        view! { <span class="entry"><i class="swatch" style=format!("--fill:var(--{})", category.colour)></i> {name}</span> }
    };
    let legend = names.into_iter().map(entry).collect_view();
    let (previous, next) = (turn(found.previous_step, "Step before"), turn(found.next_step, "Next step"));
    let (drawn, from) = (Arc::clone(&found), here.clone());
    let picture = drawing("Spans of the step over its time, by rank".to_owned(), move |width| {
        let leads = |span: &TraceSpan| span.rank.map(|rank| at(&from, drawn.step, &rank.to_string()));
        waterfall(&drawn, width, leads)
    });
    view! {
        <div class="body trace" tabindex="0" role="region" aria-label="Spans of the step">{picture}</div>
        <div class="foot legend">{legend} <div class="grow"></div> {all} {previous} {next}</div>
    }
    .into_any()
}
