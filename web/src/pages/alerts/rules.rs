//! What is watched for: every rule, and how its looks go.

use super::{editor, rule};
use crate::alerts::{AlertRule, Alerts, condition, severity};
use crate::format;
use crate::pages::app::App;
use crate::pages::dialog::dialog;
use crate::pages::pieces::severity_icon;
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn rules(app: App, found: Signal<Arc<Alerts>>) -> impl IntoView {
    let (shown, edited) = (RwSignal::new(None::<AlertRule>), RwSignal::new(None::<AlertRule>));
    let count = move || {
        let found = found.read();
        let failing = found.rules.iter().filter(|rule| rule.health == "failing").count();
        let failing = if failing > 0 { format!(", {failing} failing") } else { String::new() };
        format!("{}{failing}", format::counted(found.rules.len() as u64, "rule"))
    };
    let rows = move || found.get().rules.iter().map(|rule| row(shown, rule)).collect_view();
    view! {
        <section class="card c12">
            <header>
                <h2>"What is watched?"</h2>
                <span class="small muted">{count}</span>
            </header>
            <div class="scroller" tabindex="0">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Rule"</th>
                            <th scope="col">"Fires when"</th>
                            <th scope="col">"Health"</th>
                            <th scope="col" class="number">"Alerts"</th>
                            <th scope="col" class="number">"A look takes"</th>
                            <th scope="col">"Text"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            {dialog(shown, |rule: &AlertRule| rule.name.clone(), move |rule| rule::rule(app, rule, shown, edited).into_any())}
            {dialog(edited, |rule: &AlertRule| format!("{}.toml", rule.text), move |rule| editor::editor(app, rule).into_any())}
        </section>
    }
}

/// A rule that is not well says why.
fn health(rule: &AlertRule) -> (&'static str, String) {
    match rule.health.as_str() {
        "well" => ("", "well".to_owned()),
        "no_data" => ("muted", "what it needs has not arrived".to_owned()),
        "waiting" => ("muted", "not looked at yet".to_owned()),
        _ => ("attention", rule.error.clone().unwrap_or_else(|| "failing".to_owned())),
    }
}

fn row(shown: RwSignal<Option<AlertRule>>, rule: &AlertRule) -> impl IntoView + use<> {
    let (class, told) = health(rule);
    let opened = rule.clone();
    view! {
        <tr>
            <td>
                <span class="line">
                    {severity_icon(severity(&rule.severity))}
                    <button class="link" title="Show what it asks and how often it would have fired" on:click=move |_| shown.set(Some(opened.clone()))>{rule.name.clone()}</button>
                </span>
            </td>
            <td class="small">{condition(rule)}</td>
            <td class=format!("small cut {class}") title=told.clone()>{told.clone()}</td>
            <td class="number">{if rule.alerts > 0 { rule.alerts.to_string() } else { "–".to_owned() }}</td>
            <td class="number">{format!("{} ms", format::digits(rule.took_seconds * 1000.0))}</td>
            <td class="small"><code>{format!("{}.toml:{}", rule.text, rule.line)}</code></td>
        </tr>
    }
}
