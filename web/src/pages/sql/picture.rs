//! The rows as a picture: lines over time, or bars by name.

use super::Found;
use crate::format;
use crate::instant::SECOND;
use crate::pages::plot::{self, Hover, Look, Plot};
use crate::sql::picture::{Bar, Line, Picture, picture as of_table, step_seconds};
use contract::answers::Range;
use leptos::prelude::*;

const HEIGHT: u32 = 360;

pub(super) fn picture(found: &Found) -> impl IntoView + use<> {
    match of_table(&found.table) {
        None => none().into_any(),
        Some(Picture::Lines { times_unix_micros, lines, unit, left_out, .. }) => {
            let series = Series { times_unix_micros, lines, unit };
            view! { {over_time(series)} {beyond(left_out, "line")} }.into_any()
        }
        Some(Picture::Bars { name, measures, bars, left_out }) => {
            let heads = measures.iter().map(|(name, _)| view! { <th scope="col">{name.clone()}</th> }).collect_view();
            let largest: Vec<f64> = (0..measures.len()).map(|i| largest(&bars, i)).collect();
            let row = |bar: &Bar| {
                let cells = bar.values.iter().zip(&measures).zip(&largest);
                let cells = cells.map(|((value, (_, unit)), most)| measure(*unit, *value, *most)).collect_view();
                view! { <tr><td class="cut">{bar.label.clone().unwrap_or_else(|| "none".to_owned())}</td> {cells}</tr> }
            };
            view! {
                <div class="scroller result" tabindex="0" role="region" aria-label="Bars of the answer">
                    <table class="sticky">
                        <thead><tr><th scope="col">{name}</th> {heads}</tr></thead>
                        <tbody>{bars.iter().map(row).collect_view()}</tbody>
                    </table>
                </div>
                {beyond(left_out, "row")}
            }
            .into_any()
        }
    }
}

fn none() -> impl IntoView {
    view! {
        <div class="say center">
            <h2>"These rows are no picture"</h2>
            <p>"A chart needs a column of numbers beside one of times or names, and no more than 5,000 times."</p>
        </div>
    }
}

fn beyond(left_out: usize, what: &str) -> Option<impl IntoView + use<>> {
    let (count, are) = (format::counted(left_out as u64, what), if left_out == 1 { "is" } else { "are" });
    (left_out > 0).then(
        || view! { <div class="foot small muted">{format!("{count} more {are} not drawn; the table has all.")}</div> },
    )
}

#[derive(Clone, PartialEq)]
struct Series {
    times_unix_micros: Vec<i64>,
    lines: Vec<Line>,
    unit: format::Unit,
}

fn over_time(series: Series) -> impl IntoView {
    let hover: Hover = RwSignal::new(None);
    let kept = StoredValue::new(series);
    let drawn = move || kept.with_value(|s| Some(drawn(s)));
    let legend = kept.with_value(|s| {
        let entry = |line: &Line| view! { <span class="entry">{swatch(line)} <span class="cut">{line.label.clone()}</span></span> };
        s.lines.iter().map(entry).collect_view()
    });
    view! {
        <div class="body">
            <div class="chart" role="img" aria-label="The numbers of the answer over time; the table has the rows">
                {plot::plot(drawn, hover)}
                {move || hover.get().and_then(|(at, x)| kept.with_value(|s| tip(s, at, x)))}
            </div>
            <div class="legend">{legend}</div>
        </div>
    }
}

fn drawn(series: &Series) -> Plot {
    let times = &series.times_unix_micros;
    let step = step_seconds(times);
    let (first, last) = (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0));
    let line = |line: &Line| plot::Line { colour: line.colour, look: Look::Stroke, values: line.values.clone() };
    let is_positive = series.lines.iter().flat_map(|l| l.values.iter().flatten()).all(|v| *v >= 0.0);
    Plot {
        range: Range { from_unix_micros: first, to_unix_micros: last.max(first + step * SECOND) },
        times_unix_micros: times.clone(),
        bucket_seconds: 0,
        lines: series.lines.iter().map(line).collect(),
        height: HEIGHT,
        unit: series.unit,
        low: is_positive.then_some(0.0),
        high: None,
        group: "page",
        has_time_axis: true,
        events: vec![],
        levels: vec![],
    }
}

fn tip(series: &Series, at: usize, x: f64) -> Option<impl IntoView + use<>> {
    let time = *series.times_unix_micros.get(at)?;
    let row = |line: &Line| {
        view! {
            <dt>{swatch(line)} <span class="cut">{line.label.clone()}</span></dt>
            <dd>{format::maybe(series.unit, line.values.get(at).copied().flatten())}</dd>
        }
    };
    let place = plot::beside(x, at * 2 < series.times_unix_micros.len());
    Some(view! {
        <div class="tip" style=place>
            <div class="when">{format::instant(time)}</div>
            <dl>{series.lines.iter().map(row).collect_view()}</dl>
        </div>
    })
}

fn swatch(line: &Line) -> impl IntoView + use<> {
    view! { <i class="swatch" style=format!("--fill:var(--{})", line.colour)></i> }
}

fn largest(bars: &[Bar], at: usize) -> f64 {
    bars.iter().filter_map(|b| b.values[at]).fold(0.0, |most, v| most.max(v.abs()))
}

fn measure(unit: format::Unit, value: Option<f64>, most: f64) -> AnyView {
    let Some(value) = value else { return view! { <td class="muted">{format::NOT_REPORTED}</td> }.into_any() };
    let part = if most > 0.0 { value.abs() / most * 100.0 } else { 0.0 };
    let class = if value < 0.0 { "known below-zero" } else { "known" };
    view! {
        <td>
            <span class="share" title=value.to_string()>
                <span class="track" aria-hidden="true"><span class=class style=format!("width:{part:.2}%")></span></span>
                <span class="percent">{format::value(unit, value)}</span>
            </span>
        </td>
    }
    .into_any()
}
