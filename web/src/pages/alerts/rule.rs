//! A rule: what it asks, and how often it would have fired.

use super::desk::may_keep_watch;
use crate::alerts::{AlertRule, RuleFiring, RulePreview, RulePreviewRequest, condition, place, spans, unit, verdict};
use crate::format::{self, Unit};
use crate::pages::api::{self, Problem};
use crate::pages::app::App;
use crate::pages::pieces::{failed, skeleton};
use crate::pages::plot::{Hover, Line, Look, Plot, plot};
use contract::answers::Range;
use leptos::prelude::*;
use leptos::task::spawn_local;

const HEIGHT: u32 = 180;
/// Beginnings that are listed; the latest.
const LISTED_MAX: usize = 20;

pub(super) fn rule(
    app: App,
    rule: AlertRule,
    shown: RwSignal<Option<AlertRule>>,
    edited: RwSignal<Option<AlertRule>>,
) -> impl IntoView {
    let language = if rule.language == "sql" { "SQL" } else { "PromQL" };
    let looked = rule.looked_unix_micros.map_or_else(|| "never".to_owned(), format::instant);
    let asked = Asked::of(&rule, None);
    asked.start(app);
    let of_rule = rule.clone();
    let edit = move |_| {
        shown.set(None);
        edited.set(Some(of_rule.clone()));
    };
    let label = if may_keep_watch(app) { "Change its text" } else { "Show its text" };
    view! {
        <div class="inside">
            <p>{rule.summary.clone()}</p>
            <p class="small muted">{condition(&rule)}</p>
            {preview(app, asked, unit(&rule.summary))}
            <pre class="at small" tabindex="0" role="region" aria-label=language>{rule.statement.trim().to_owned()}</pre>
            <p class="small muted">{format!("$1 and $2 are the start and the end of the time that is looked at. Last look: {looked}.")}</p>
            <div class="buttons">
                <code class="small">{format!("{}.toml:{}", rule.text, rule.line)}</code>
                <div class="grow"></div>
                <button class="control" on:click=edit>{label}</button>
            </div>
        </div>
    }
}

/// A question how often a rule would have fired, and its answer.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    request: StoredValue<(String, Option<String>)>,
    found: RwSignal<Option<RulePreview>>,
    problem: RwSignal<Option<Problem>>,
}

impl Asked {
    /// Of the rule as it is watched, or as a text has it.
    pub(super) fn of(rule: &AlertRule, text: Option<String>) -> Self {
        let request = StoredValue::new((rule.name.clone(), text));
        Self { request, found: RwSignal::new(None), problem: RwSignal::new(None) }
    }

    pub(super) fn start(self, app: App) {
        self.problem.set(None);
        let (rule, text) = self.request.get_value();
        spawn_local(async move {
            let request = RulePreviewRequest { rule, text };
            match api::post::<RulePreview>("/api/v1/rules/preview", &request).await {
                Ok(found) => drop(self.found.try_set(Some(found))),
                Err(problem) if problem.status == 401 => app.to_login(),
                Err(problem) => drop(self.problem.try_set(Some(problem))),
            }
        });
    }
}

pub(super) fn preview(app: App, asked: Asked, unit: Unit) -> impl IntoView {
    move || match (asked.found.get(), asked.problem.get()) {
        (_, Some(problem)) => failed(problem, move || asked.start(app)).into_any(),
        (Some(found), None) => drawn(found, unit).into_any(),
        (None, None) => view! {
            <div class="tried" role="status">
                <p class="small muted">"Looking at the last 30 days …"</p>
                {skeleton(HEIGHT)}
            </div>
        }
        .into_any(),
    }
}

fn drawn(found: RulePreview, unit: Unit) -> impl IntoView {
    let hover: Hover = RwSignal::new(None);
    let strips = spans(&found).into_iter().map(|(from, length)| {
        view! { <span style=format!("left:{:.3}%;width:{:.3}%", from * 100.0, length * 100.0)></span> }
    });
    let strips = strips.collect_view();
    let (said, firings) = (verdict(&found), firings(&found.firings));
    let has_values = found.values.iter().any(Option::is_some);
    let kept = StoredValue::new(found);
    let chart = has_values.then(|| {
        view! {
            <div class="chart" role="img" aria-label="The worst value of each look, with the limit">
                {plot(move || Some(kept.with_value(|found| chart_of(found, unit))), hover)}
                {move || hover.get().and_then(|(at, x)| kept.with_value(|found| tip(found, unit, at, x)))}
            </div>
            <div class="fired" role="img" aria-label="When it would have fired">{strips}</div>
        }
    });
    view! {
        <div class="tried">
            <p>{said}</p>
            {chart}
            {(!has_values).then(|| view! { <p class="small muted">"There was nothing to see within this time."</p> })}
            {firings}
        </div>
    }
}

fn chart_of(found: &RulePreview, unit: Unit) -> Plot {
    let limit = found.above.or(found.below);
    let values = || found.values.iter().flatten().copied().chain(limit);
    let (least, greatest) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let room = ((greatest - least) * 0.1).max(greatest.abs() * 0.01);
    Plot {
        range: Range { from_unix_micros: found.from_unix_micros, to_unix_micros: found.to_unix_micros },
        times_unix_micros: found.times_unix_micros.clone(),
        bucket_seconds: 0,
        lines: vec![Line { colour: "series-0", look: Look::Stroke, values: found.values.clone() }],
        height: HEIGHT,
        unit,
        low: Some(if least >= 0.0 { 0.0 } else { least - room }),
        high: Some(greatest + room),
        group: "rule",
        has_time_axis: true,
        events: vec![],
        levels: limit.map(|at| (at, "broken")).into_iter().collect(),
    }
}

fn tip(found: &RulePreview, unit: Unit, at: usize, x: f64) -> Option<impl IntoView + use<>> {
    let time = *found.times_unix_micros.get(at)?;
    let value = format::maybe(unit, found.values.get(at).copied().flatten());
    Some(view! {
        <div class="tip" style=format!("left:{x:.0}px")>
            <div class="when">{format::instant(time)}</div>
            <div class="name">{value}</div>
        </div>
    })
}

/// The latest first.
fn firings(all: &[RuleFiring]) -> Option<impl IntoView + use<>> {
    let row = |firing: &RuleFiring| {
        let lasted = firing.ended_unix_micros.map(|end| format::duration(end - firing.started_unix_micros));
        view! {
            <tr>
                <td>{format::short_instant(firing.started_unix_micros)}</td>
                <td class="number">{lasted.unwrap_or_else(|| "still".to_owned())}</td>
                <td class="wrap" title=place(&firing.labels)>{firing.summary.clone()}</td>
            </tr>
        }
    };
    (!all.is_empty()).then(|| {
        view! {
            <div class="scroller" tabindex="0" role="region" aria-label="The latest times that it would have fired">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Began, UTC"</th>
                            <th scope="col" class="number">"For"</th>
                            <th scope="col">"What"</th>
                        </tr>
                    </thead>
                    <tbody>{all.iter().rev().take(LISTED_MAX).map(row).collect_view()}</tbody>
                </table>
            </div>
        }
    })
}
