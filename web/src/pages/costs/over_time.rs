//! What did each day cost? The largest groups stacked, the rest as one.

use super::anomalies::{self, Odd};
use crate::costs::{Band, edges};
use crate::format::{self, Unit, money};
use crate::instant::{DAY, SECOND, rfc3339};
use crate::pages::app::App;
use crate::pages::card::{Card, card};
use crate::pages::pieces::turn;
use crate::pages::plot::{Hover, Line, Look, Plot, beside, plot};
use crate::sheet::{self, Field, Sheet};
use contract::answers::{Costs, Range};
use leptos::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

const HEIGHT: u32 = 360;

/// Labels of the bands that are switched off.
type Hidden = RwSignal<BTreeSet<String>>;

pub(super) fn over_time(app: App, found: Signal<Arc<Costs>>, bands: Memo<Vec<Band>>, odd: Odd) -> AnyView {
    let hidden: Hidden = RwSignal::new(BTreeSet::new());
    let hover: Hover = RwSignal::new(None);
    let aside = move || {
        let by = app.address.read().by.word();
        format!("{} a day by {by}", found.read().currency)
    };
    let notes = move || {
        let is_below = bands.read().iter().any(|b| b.by_day_micros.iter().any(|c| *c < 0));
        let left_out = found.read().groups_left_out;
        let below = is_below.then_some(
            "Corrections took some days below zero; these are drawn as nothing, and the hover has the amount.",
        );
        let beyond = (left_out > 0).then(|| {
            format!("{} are too small to be listed and are not drawn.", format::counted(left_out, "further group"))
        });
        let marked = (!anomalies::marks(odd).is_empty())
            .then(|| "Dashed lines mark days that were not like the others; they are told below.".to_owned());
        let text = [below.map(str::to_owned), beyond, marked].into_iter().flatten().collect::<Vec<_>>().join(" ");
        (!text.is_empty()).then(|| view! { <p class="small muted below">{text}</p> })
    };
    let head = Card { span: "c8", title: "What did each day cost?".to_owned().into(), aside: Signal::derive(aside) };
    let sheet = Signal::derive(move || days_sheet(&found.read(), &bands.read()));
    card(head, sheet, move || {
        view! {
            <div class="body">
                <div class="chart" role="img" aria-label="Cost of each day by group; the menu has the rows">
                    {plot(move || Some(stacked(&found.read(), &bands.read(), &hidden.read(), anomalies::marks(odd))), hover)}
                    {move || hover.get().and_then(|(at, x)| tip(&found.read(), &bands.read(), at, x))}
                </div>
                {move || legend(&bands.read(), hidden)}
                {notes}
            </div>
        }
        .into_any()
    })
}

/// A row a day, a column a band.
fn days_sheet(found: &Costs, bands: &[Band]) -> Sheet {
    let day = |(at, time): (usize, &i64)| {
        let micros = |band: &Band| sheet::micros(Some(band.by_day_micros.get(at).copied().unwrap_or(0)));
        let date = Field { shown: format::date(*time), exact: rfc3339(*time) };
        std::iter::once(date).chain(bands.iter().map(micros)).collect()
    };
    let key = |band: &Band| format!("{}_micros", band.label.to_lowercase().replace(' ', "_"));
    let column = |band: &Band| sheet::number(format!("{}, {}", band.label, found.currency), key(band));
    Sheet {
        name: "costs-by-day".to_owned(),
        heads: std::iter::once(sheet::text("Day", "day")).chain(bands.iter().map(column)).collect(),
        rows: found.days_unix_micros.iter().enumerate().map(day).collect(),
    }
}

/// Sums from the bottom up, drawn from the top down so that each lies on what is above it.
fn stacked(found: &Costs, bands: &[Band], hidden: &BTreeSet<String>, events: Vec<(i64, &'static str)>) -> Plot {
    let shown: Vec<&Band> = bands.iter().filter(|b| !hidden.contains(&b.label)).collect();
    let line = |(band, values): (&&Band, Vec<Option<f64>>)| Line { colour: band.colour, look: Look::Area, values };
    let mut lines: Vec<Line> = shown.iter().zip(edges(&shown)).map(line).collect();
    lines.reverse();
    Plot {
        range: days(found),
        times_unix_micros: found.days_unix_micros.clone(),
        bucket_seconds: DAY / SECOND,
        lines,
        height: HEIGHT,
        unit: Unit::Count,
        low: Some(0.0),
        high: None,
        group: "page",
        has_time_axis: true,
        events,
        levels: vec![],
    }
}

/// Whole days, so that the first and the last are as wide as the others.
fn days(found: &Costs) -> Range {
    match (found.days_unix_micros.first(), found.days_unix_micros.last()) {
        (Some(first), Some(last)) => Range { from_unix_micros: *first, to_unix_micros: last.saturating_add(DAY) },
        _ => found.range,
    }
}

/// Top of the stack first, as it lies in the picture.
fn tip(found: &Costs, bands: &[Band], at: usize, x: f64) -> Option<impl IntoView + use<>> {
    let day = *found.days_unix_micros.get(at)?;
    let row = |band: &Band| {
        let micros = band.by_day_micros.get(at).copied().unwrap_or(0);
        view! {
            <dt>{swatch(band)} <span class="cut">{band.label.clone()}</span></dt>
            <dd>{money::money(micros)}</dd>
        }
    };
    let place = beside(x, at * 2 < found.days_unix_micros.len());
    let part =
        if day < found.range.from_unix_micros || day + DAY > found.range.to_unix_micros { ", in part" } else { "" };
    Some(view! {
        <div class="tip" style=place>
            <div class="when">{format!("{}{part} · {}", format::date(day), found.currency)}</div>
            <dl>{bands.iter().rev().map(row).collect_view()}</dl>
        </div>
    })
}

pub(super) fn swatch(band: &Band) -> impl IntoView + use<> {
    view! { <i class="swatch" style=format!("--fill:var(--{})", band.colour)></i> }
}

fn legend(bands: &[Band], hidden: Hidden) -> impl IntoView + use<> {
    let entry = move |band: &Band| {
        let (label, turned) = (band.label.clone(), band.label.clone());
        let turn = move |_| turn(hidden, &turned);
        view! {
            <button aria-pressed=move || (!hidden.read().contains(&label)).to_string() on:click=turn>
                {swatch(band)}
                <span class="cut">{band.label.clone()}</span>
            </button>
        }
    };
    view! { <div class="legend" role="group" aria-label="Groups shown">{bands.iter().map(entry).collect_view()}</div> }
}
