//! Curves or bands over time, one picture below the other, with one crosshair and a reading at it.

use crate::format::{self, NOT_REPORTED, Unit};
use crate::inference::{Curve, InferenceDetail, curves_sheet, has_values, stacked};
use crate::instant::SECOND;
use crate::pages::card::{Card, card};
use crate::pages::plot::{Hover, Line, Look, Plot, beside, plot};
use leptos::prelude::*;
use std::sync::Arc;

const HEIGHT: u32 = 152;
/// Where a card has one picture only.
const HEIGHT_ALONE: u32 = 260;

type Found = Signal<Arc<InferenceDetail>>;

#[derive(Clone, Copy)]
pub(super) struct Chart {
    pub(super) span: &'static str,
    pub(super) title: &'static str,
    pub(super) aside: &'static str,
    /// Of its file.
    pub(super) name: &'static str,
    /// Said where there is no value.
    pub(super) missing: &'static str,
    pub(super) times: fn(&InferenceDetail) -> Vec<i64>,
}

/// One picture of a card.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) curves: fn(&InferenceDetail) -> Vec<Curve>,
    pub(super) is_stacked: bool,
    pub(super) high: Option<f64>,
}

pub(super) fn chart(what: Chart, parts: Vec<Part>, found: Found, hover: Hover) -> AnyView {
    let head = Card { span: what.span, title: what.title.to_owned().into(), aside: what.aside.to_owned().into() };
    let all = parts.clone();
    let sheet = Signal::derive(move || {
        let found = found.read();
        let curves: Vec<Curve> = all.iter().flat_map(|part| (part.curves)(&found)).collect();
        curves_sheet(what.name, &(what.times)(&found), &curves)
    });
    card(head, sheet, move || {
        let parts = StoredValue::new(parts.clone());
        let shown = Memo::new(move |_| {
            let found = found.read();
            parts.with_value(|all| all.iter().map(|part| has_values(&(part.curves)(&found))).collect::<Vec<bool>>())
        });
        let body = move || {
            let shown = shown.get();
            let drawn: Vec<Part> =
                parts.with_value(|all| all.iter().zip(&shown).filter(|(_, is)| **is).map(|(part, _)| *part).collect());
            if drawn.is_empty() {
                return view! { <div class="say"><p>{what.missing}</p></div> }.into_any();
            }
            let (count, height) = (drawn.len(), if drawn.len() == 1 { HEIGHT_ALONE } else { HEIGHT });
            let one = |(at, part): (usize, Part)| picture(what, part, (height, at + 1 == count), found, hover);
            view! { <div class="body">{drawn.into_iter().enumerate().map(one).collect_view()}</div> }.into_any()
        };
        view! { {body} }.into_any()
    })
}

fn picture(what: Chart, part: Part, (height, has_axis): (u32, bool), found: Found, hover: Hover) -> AnyView {
    let is_over = RwSignal::new(false);
    let drawn = move || Some(drawing(what, part, (height, has_axis), &found.read()));
    let tip = move || {
        let (at, x) = hover.get().filter(|_| is_over.get())?;
        tip(what, part, &found.read(), at, x)
    };
    let curves = Memo::new(move |_| (part.curves)(&found.read()));
    let label = move || {
        let names = curves.read().iter().map(|curve| curve.label).collect::<Vec<_>>().join(", ");
        format!("{names} over time; the menu has the rows")
    };
    view! {
        <div
            class="chart"
            role="img"
            aria-label=label
            on:pointerenter=move |_| is_over.set(true)
            on:pointerleave=move |_| is_over.set(false)
        >
            {plot(drawn, hover)}
            {tip}
        </div>
        <div class="legend">{move || curves.read().iter().map(entry).collect_view()}</div>
    }
    .into_any()
}

fn entry(curve: &Curve) -> impl IntoView + use<> {
    view! { <span class="entry">{swatch(curve)} {curve.label}</span> }
}

fn swatch(curve: &Curve) -> impl IntoView + use<> {
    view! { <i class="swatch" style=format!("--fill:var(--{})", curve.colour)></i> }
}

fn drawing(what: Chart, part: Part, (height, has_time_axis): (u32, bool), found: &InferenceDetail) -> Plot {
    let curves = (part.curves)(found);
    let unit = curves.first().map_or(Unit::Count, |curve| curve.unit);
    let look = if part.is_stacked { Look::Area } else { Look::Stroke };
    let edges = part.is_stacked.then(|| stacked(&curves));
    let line = |(at, curve): (usize, &Curve)| {
        let values = edges.as_ref().map_or_else(|| curve.values.clone(), |edges| edges[at].clone());
        Line { colour: curve.colour, look, values }
    };
    let mut lines: Vec<Line> = curves.iter().enumerate().map(line).collect();
    if part.is_stacked {
        // Each band lies on what is above it.
        lines.reverse();
    }
    Plot {
        range: found.range,
        times_unix_micros: (what.times)(found),
        bucket_seconds: found.bucket_seconds,
        lines,
        height,
        unit,
        low: Some(0.0),
        high: part.high,
        group: "page",
        has_time_axis,
        events: vec![],
        levels: vec![],
    }
}

/// The top of a stack first, as it lies in the picture.
fn tip(what: Chart, part: Part, found: &InferenceDetail, at: usize, x: f64) -> Option<impl IntoView + use<>> {
    let times = (what.times)(found);
    let start = *times.get(at)?;
    let mut curves = (part.curves)(found);
    if part.is_stacked {
        curves.reverse();
    }
    let row = |curve: &Curve| {
        let value = curve.values.get(at).copied().flatten();
        let text = value.map_or_else(|| NOT_REPORTED.to_owned(), |value| format::value(curve.unit, value));
        view! { <dt>{swatch(curve)} {curve.label}</dt> <dd>{text}</dd> }
    };
    let place = beside(x, at * 2 < times.len());
    Some(view! {
        <div class="tip" style=place>
            <div class="when">{format::window(start, start + found.bucket_seconds * SECOND)}</div>
            <dl>{curves.iter().map(row).collect_view()}</dl>
        </div>
    })
}
