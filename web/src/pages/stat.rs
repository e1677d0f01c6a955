//! A headline number with its unit, its change and a note.

use super::pieces::sparkline;
use leptos::prelude::*;
use std::borrow::Cow;

/// Whether more of it is good, bad or neither.
#[derive(Clone, Copy, Default)]
pub(crate) enum More {
    Good,
    Bad,
    #[default]
    Neutral,
}

#[derive(Default)]
pub(crate) struct Stat {
    pub(crate) label: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) value: String,
    /// The value in full, for a hover.
    pub(crate) exact: Option<String>,
    pub(crate) unit: Cow<'static, str>,
    /// Text of the change and its direction.
    pub(crate) change: Option<(String, f64)>,
    pub(crate) more: More,
    pub(crate) note: String,
    /// Whether the note is something to look after.
    pub(crate) needs_attention: bool,
    pub(crate) spark: Option<(&'static str, Vec<Option<f64>>)>,
}

pub(crate) fn stat(stat: Stat) -> impl IntoView {
    let class = |change: f64| match stat.more {
        _ if change.abs() < 5e-4 => "change",
        More::Neutral => "change",
        More::Good if change > 0.0 => "change good",
        More::Bad if change < 0.0 => "change good",
        More::Good | More::Bad => "change bad",
    };
    let change = stat.change.map(|(text, change)| {
        view! { <span class=class(change) title="Against the same length of time just before">{text}</span> }
    });
    let unit = (!stat.unit.is_empty()).then(|| view! { <span class="unit">{stat.unit}</span> });
    let rest = if stat.needs_attention { "rest attention" } else { "rest" };
    view! {
        <section class="card stat c3">
            <h2 class="label" title=stat.hint>{stat.label}</h2>
            <div class="value" title=stat.exact>{stat.value} {unit}</div>
            {stat.spark.map(|(class, values)| sparkline(class, &values))}
            <div class="note">{change} <span class=rest title=stat.note.clone()>{stat.note.clone()}</span></div>
        </section>
    }
}
