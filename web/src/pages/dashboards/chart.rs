//! Numbers over time: lines or a stack, with a legend that hides and a reading at the crosshair, which all panels share.

use super::panel::{HEIGHT, Panel, token};
use super::rows::reading;
use crate::boards::drawn::{Lines, edges, lines};
use crate::format::{self, NOT_REPORTED, Unit};
use crate::pages::pieces::turn;
use crate::pages::plot::{self, Hover, Look, Plot, plot};
use crate::sql::picture::Line;
use contract::answers::Range;
use leptos::prelude::*;
use std::collections::BTreeSet;

/// Names that the legend has hidden.
type Hidden = RwSignal<BTreeSet<String>>;
type Found = Memo<Option<(Lines, Range)>>;

pub(super) fn chart(panel: Panel) -> impl IntoView {
    let is_stacked = panel.kind_is(&["stacked"]);
    let unit = panel.unit();
    let found: Found = Memo::new(move |_| {
        panel.asked.value.with(|rows| {
            let rows = rows.as_ref()?;
            let range = Range { from_unix_micros: rows.from, to_unix_micros: rows.to };
            Some((lines(&rows.table, is_stacked)?, range))
        })
    });
    let levels = StoredValue::new(
        panel.definition.with_value(|d| d.thresholds.iter().map(|t| (t.at, token(&t.severity))).collect::<Vec<_>>()),
    );
    let hidden: Hidden = RwSignal::new(BTreeSet::new());
    let (hover, is_over): (Hover, _) = (RwSignal::new(None), RwSignal::new(false));
    let what = move || {
        found.with(|found| {
            let (lines, range) = found.as_ref()?;
            let shown: Vec<&Line> = hidden.with(|h| lines.lines.iter().filter(|l| !h.contains(&l.label)).collect());
            Some(drawn(lines, *range, &shown, (unit, is_stacked), levels.get_value()))
        })
    };
    let is_picture = Memo::new(move |_| found.with(Option::is_some));
    let tip = move || {
        let (at, x) = hover.get().filter(|_| is_over.get())?;
        found.with(|found| tip(&found.as_ref()?.0, (unit, is_stacked), &hidden.read(), (at, x)))
    };
    let label = format!("{}, over time; its menu has the rows", panel.title());
    move || match is_picture.get() {
        false => no_picture().into_any(),
        true => view! {
            <div class="body">
                <div
                    class="chart"
                    role="img"
                    aria-label=label.clone()
                    on:pointerenter=move |_| is_over.set(true)
                    on:pointerleave=move |_| is_over.set(false)
                >
                    {plot(what, hover)}
                    {tip}
                </div>
                {move || found.with(|f| f.as_ref().map(|(lines, _)| legend(lines, hidden)))}
            </div>
        }
        .into_any(),
    }
}

pub(super) fn no_picture() -> impl IntoView {
    view! {
        <div class="body nothing">
            <p class="muted">"These rows cannot be drawn as the panel says; its menu shows them as a table."</p>
        </div>
    }
}

fn drawn(
    all: &Lines,
    range: Range,
    shown: &[&Line],
    (unit, is_stacked): (Unit, bool),
    levels: Vec<(f64, &'static str)>,
) -> Plot {
    let times = &all.times_unix_micros;
    let line = |line: &&Line, values: Vec<Option<f64>>, look| plot::Line { colour: line.colour, look, values };
    let lines: Vec<plot::Line> = if is_stacked {
        let look = |line: &Line| if line.colour == "state-unknown" { Look::Hatched } else { Look::Area };
        // The highest first, so that each lies on what is above it.
        shown.iter().zip(edges(shown)).rev().map(|(l, edge)| line(l, edge, look(l))).collect()
    } else {
        shown.iter().map(|l| line(l, l.values.clone(), Look::Stroke)).collect()
    };
    let values = || lines.iter().flat_map(|l| l.values.iter().flatten().copied());
    let greatest = values().fold(0.0, f64::max);
    let is_band = matches!(unit, Unit::Celsius | Unit::Hertz) || values().any(|v| v < 0.0);
    let step = times.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(0);
    Plot {
        range,
        times_unix_micros: times.clone(),
        bucket_seconds: if is_stacked { step / crate::instant::SECOND } else { 0 },
        height: HEIGHT,
        unit,
        low: (!is_band).then_some(0.0),
        // A share that comes near the whole is read against it.
        high: (unit == Unit::Ratio && (0.5..=1.0).contains(&greatest)).then_some(1.0),
        lines,
        group: "page",
        has_time_axis: true,
        events: vec![],
        levels,
    }
}

/// As it lies in the picture: of a stack, the top first.
fn tip(
    all: &Lines,
    (unit, is_stacked): (Unit, bool),
    hidden: &BTreeSet<String>,
    (at, x): (usize, f64),
) -> Option<impl IntoView + use<>> {
    let time = *all.times_unix_micros.get(at)?;
    let mut shown: Vec<&Line> = all.lines.iter().filter(|l| !hidden.contains(&l.label)).collect();
    let sum: f64 = shown.iter().filter_map(|l| l.values.get(at).copied().flatten()).sum();
    if is_stacked {
        shown.reverse();
    }
    let row = |line: &&Line| {
        let value = line.values.get(at).copied().flatten();
        view! {
            <dt>{swatch(line)} <span class="cut">{line.label.clone()}</span></dt>
            <dd>{value.map_or_else(|| NOT_REPORTED.to_owned(), |v| reading(unit, v))}</dd>
        }
    };
    let total = (is_stacked && shown.len() > 1).then(|| view! { <dt>"Sum"</dt> <dd>{reading(unit, sum)}</dd> });
    let place = plot::beside(x, at * 2 < all.times_unix_micros.len());
    Some(view! {
        <div class="tip" style=place>
            <div class="when">{format::instant(time)}</div>
            <dl>{shown.iter().map(row).collect_view()} {total}</dl>
        </div>
    })
}

fn swatch(line: &Line) -> impl IntoView + use<> {
    match line.colour {
        "state-unknown" => view! { <i class="swatch unknown"></i> }.into_any(),
        colour => view! { <i class="swatch" style=format!("--fill:var(--{colour})")></i> }.into_any(),
    }
}

fn legend(all: &Lines, hidden: Hidden) -> impl IntoView + use<> {
    let entry = move |line: &Line| {
        let (label, turned) = (line.label.clone(), line.label.clone());
        let turn = move |_| turn(hidden, &turned);
        view! {
            <button aria-pressed=move || (!hidden.read().contains(&label)).to_string() on:click=turn>
                {swatch(line)}
                <span class="cut">{line.label.clone()}</span>
            </button>
        }
    };
    let beyond = (all.left_out > 0).then(|| {
        let told = format!("{} more are not drawn", format::count(all.left_out as u64));
        view! { <span class="entry muted">{told}</span> }
    });
    // A column alone is what the title says; a name alone is not.
    let is_alone = all.lines.len() == 1 && all.left_out == 0 && !all.is_named;
    (!is_alone).then(|| {
        view! { <div class="legend" role="group" aria-label="Series shown">{all.lines.iter().map(entry).collect_view()} {beyond}</div> }
    })
}
