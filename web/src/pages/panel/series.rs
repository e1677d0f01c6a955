//! Charts one below the other with one crosshair.

use super::parts::event_look;
use crate::charts::series::{self, Known};
use crate::format::{self, Unit};
use crate::pages::plot::{Hover, Line, Look, Plot, plot};
use contract::answers::{DeviceEvent, Range, Series};
use leptos::prelude::*;

/// What all charts of an answer share.
#[derive(Clone)]
pub(in crate::pages) struct Shared {
    pub(in crate::pages) range: Range,
    pub(in crate::pages) times_unix_micros: Vec<i64>,
    pub(in crate::pages) bucket_seconds: i64,
    pub(in crate::pages) events: Vec<DeviceEvent>,
}

const HEIGHT: u32 = 72;
/// The last one carries the time axis.
const HEIGHT_WITH_AXIS: u32 = 100;

/// `hover` outlives a refresh, so that the crosshair's readings do not jump.
pub(in crate::pages) fn charts(shared: &Shared, series: &[Series], hover: Hover) -> impl IntoView + use<> {
    let Known { shown, missing } = series::arrange(series);
    let last = shown.len().saturating_sub(1);
    let chart = |(i, s): (usize, &Series)| one(shared, s, i == last, hover);
    let times = shared.times_unix_micros.clone();
    let when = move || match hover.get().and_then(|(at, _)| times.get(at).copied()) {
        Some(time) => format::instant(time),
        None => "drag to zoom in time".to_owned(),
    };
    let missing = (!missing.is_empty()).then(|| {
        let names = missing.iter().map(|s| series::label(&s.name)).collect::<Vec<_>>().join(", ");
        view! { <p class="small muted">{format!("Not reported: {names}.")}</p> }
    });
    view! {
        <section>
            <h3>"Telemetry" <span class="aside">{when}</span></h3>
            <div class="series">{shown.iter().copied().enumerate().map(chart).collect_view()} {missing}</div>
        </section>
    }
}

fn one(shared: &Shared, series: &Series, is_last: bool, hover: Hover) -> impl IntoView + use<> {
    let unit = Unit::of_series(&series.unit);
    let what = Plot {
        range: shared.range,
        times_unix_micros: shared.times_unix_micros.clone(),
        bucket_seconds: shared.bucket_seconds,
        lines: vec![Line { colour: "series-0", look: Look::Stroke, values: series.values.clone() }],
        height: if is_last { HEIGHT_WITH_AXIS } else { HEIGHT },
        unit,
        // Temperatures and clocks move within a band; all else is read against zero.
        low: (!matches!(unit, Unit::Celsius | Unit::Hertz)).then_some(0.0),
        high: (unit == Unit::Ratio).then_some(1.0),
        group: "panel",
        has_time_axis: is_last,
        events: shared.events.iter().map(|e| (e.time_unix_micros, event_look(&e.severity).0)).collect(),
        levels: vec![],
    };
    let values = series.values.clone();
    let latest = values.iter().rev().flatten().next().copied();
    let reading = move || match hover.get() {
        Some((at, _)) => format::maybe(unit, values.get(at).copied().flatten()),
        None => format::maybe(unit, latest),
    };
    view! {
        <div>
            <div class="head"><span>{series::label(&series.name)}</span> <span class="now">{reading}</span></div>
            {plot(move || Some(what.clone()), hover)}
        </div>
    }
}
