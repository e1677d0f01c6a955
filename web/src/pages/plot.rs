//! Series over time on a canvas, by the chart library. Rebuilt when its values, size or colours change.
//!
//! **Invariant:** what the library calls back is kept alive exactly as long as the drawing.

use super::app::App;
use super::browser;
use crate::address::Address;
use crate::charts::axis;
use crate::format::{self, Unit};
use contract::answers::Range;
use leptos::html::Div;
use leptos::prelude::*;
use serde_json::json;
use std::time::Duration;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    type Drawing;
    #[wasm_bindgen(js_name = coulombPlot, catch)]
    fn coulomb_plot(
        host: &web_sys::HtmlElement,
        spec: &JsValue,
        columns: &js_sys::Array,
        calls: &JsValue,
    ) -> Result<Drawing, JsValue>;
    #[wasm_bindgen(method)]
    fn destroy(this: &Drawing);
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// Token of its colour.
    pub(crate) colour: &'static str,
    pub(crate) look: Look,
    pub(crate) values: Vec<Option<f64>>,
}

/// Where a tip stands: beside the crosshair, on the side where there is room.
pub(crate) fn beside(x: f64, is_right: bool) -> String {
    if is_right {
        format!("top:8px;left:{:.0}px", x + 14.0)
    } else {
        format!("top:8px;right:calc(100% - {:.0}px)", x - 14.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Stroke,
    /// Filled down to the axis, without a line.
    Area,
    Hatched,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plot {
    pub(crate) range: Range,
    pub(crate) times_unix_micros: Vec<i64>,
    pub(crate) bucket_seconds: i64,
    /// Drawn in this order, one over the other.
    pub(crate) lines: Vec<Line>,
    pub(crate) height: u32,
    pub(crate) unit: Unit,
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
    /// Plots of one group share their crosshair.
    pub(crate) group: &'static str,
    pub(crate) has_time_axis: bool,
    /// Time and colour token.
    pub(crate) events: Vec<(i64, &'static str)>,
    /// Lines across at a value: thresholds, with their colour tokens.
    pub(crate) levels: Vec<(f64, &'static str)>,
}

/// Which bucket is pointed at, and where in the plot, in pixels.
pub(crate) type Hover = RwSignal<Option<(usize, f64)>>;

struct Kept {
    drawing: Drawing,
    _calls: Calls,
}

type Calls = (
    Closure<dyn Fn(f64) -> String>,
    Closure<dyn Fn(f64) -> String>,
    Closure<dyn Fn() -> js_sys::Array>,
    Closure<dyn Fn(i32, f64)>,
    Closure<dyn Fn(f64, f64)>,
);

const MICROS: f64 = 1e6;
/// Room for the labels of the value axis.
const GUTTER: u32 = 56;
/// A label of the time axis with its distance to the next, in pixels.
const TICK_WIDTH: i64 = 64;

pub(crate) fn plot(what: impl Fn() -> Option<Plot> + Send + Sync + 'static, hover: Hover) -> impl IntoView {
    let app = App::here();
    app.want_charts();
    let host = NodeRef::<Div>::new();
    let kept = StoredValue::new_local(None::<Kept>);
    let what = Memo::new(move |_| what());
    let height = move || what.with(|p| p.as_ref().map_or(0, |p| p.height));
    Effect::new(move |_| {
        app.colours.track();
        let ready = app.charts_ready.get();
        let (Some(host), Some(plot), true) = (host.get(), what.get(), ready) else { return };
        let drawing = move || {
            kept.try_update_value(|slot| {
                remove(slot);
                *slot = draw(app, &host, &plot, hover);
            });
        };
        // A task each: a dozen charts in one would make the page deaf for that long.
        set_timeout(drawing, Duration::ZERO);
    });
    on_cleanup(move || {
        kept.try_update_value(remove);
    });
    view! { <div class="chart" node_ref=host style=move || format!("height:{}px", height())></div> }
}

fn remove(slot: &mut Option<Kept>) {
    if let Some(old) = slot.take() {
        old.drawing.destroy();
    }
}

fn draw(app: App, host: &web_sys::HtmlElement, plot: &Plot, hover: Hover) -> Option<Kept> {
    let spec = js_sys::JSON::parse(&spec(plot).to_string()).ok()?;
    let (calls, object) = calls(app, plot, hover, host.client_width()).ok()?;
    match coulomb_plot(host, &spec, &columns(plot), &object) {
        Ok(drawing) => Some(Kept { drawing, _calls: calls }),
        Err(error) => {
            leptos::logging::warn!("a chart could not be drawn: {error:?}");
            None
        }
    }
}

fn spec(plot: &Plot) -> serde_json::Value {
    let series = plot.lines.iter().map(|line| {
        let colour = browser::colour(line.colour);
        match line.look {
            Look::Stroke => json!({ "color": colour, "width": 1.5 }),
            Look::Area => json!({ "color": colour, "fill": colour, "width": 0 }),
            Look::Hatched => json!({ "color": colour, "hatched": true, "width": 0 }),
        }
    });
    let events = plot
        .events
        .iter()
        .map(|(time, token)| json!({ "time": *time as f64 / MICROS, "color": browser::colour(token) }));
    let levels = plot.levels.iter().map(|(at, token)| json!({ "at": at, "color": browser::colour(token) }));
    json!({
        "height": plot.height,
        "group": plot.group,
        "from": plot.range.from_unix_micros as f64 / MICROS,
        "to": plot.range.to_unix_micros as f64 / MICROS,
        "low": plot.low,
        "high": plot.high,
        "axis": plot.has_time_axis,
        "gutter": GUTTER,
        "ticks": match plot.unit {
            Unit::Bytes | Unit::BytesPerSecond => "bytes",
            Unit::Seconds => "duration",
            _ => "",
        },
        "stacked": plot.lines.iter().any(|l| l.look != Look::Stroke),
        "font": "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif",
        "text": browser::colour("text-muted"),
        "grid": browser::colour("line"),
        "series": series.collect::<Vec<_>>(),
        "events": events.collect::<Vec<_>>(),
        "levels": levels.collect::<Vec<_>>(),
    })
}

/// Seconds, then one column a line. The last bucket is drawn to its end, as each stands for the time after it.
fn columns(plot: &Plot) -> js_sys::Array {
    let mut times: Vec<f64> = plot.times_unix_micros.iter().map(|t| *t as f64 / MICROS).collect();
    let end = plot.range.to_unix_micros as f64 / MICROS;
    if let Some(last) = times.last().copied() {
        times.push((last + plot.bucket_seconds as f64).min(end).max(last));
    }
    let column = |line: &Line| {
        let mut values: Vec<f64> = line.values.iter().map(|v| v.unwrap_or(f64::NAN)).collect();
        values.extend(values.last().copied());
        JsValue::from(js_sys::Float64Array::from(values.as_slice()))
    };
    let times = JsValue::from(js_sys::Float64Array::from(times.as_slice()));
    std::iter::once(times).chain(plot.lines.iter().map(column)).collect()
}

fn calls(app: App, plot: &Plot, hover: Hover, width: i32) -> Result<(Calls, JsValue), JsValue> {
    let Range { from_unix_micros: from, to_unix_micros: to } = plot.range;
    let room = (i64::from(width) - i64::from(GUTTER)) / TICK_WIDTH;
    let (ticks, step) = axis::ticks(from, to, room.clamp(2, 9));
    let ticks: js_sys::Array = ticks.iter().map(|t| JsValue::from_f64(*t as f64 / MICROS)).collect();
    let (unit, buckets) = (plot.unit, plot.times_unix_micros.len());
    let calls: Calls = (
        Closure::new(move |value| format::axis(unit, value)),
        Closure::new(move |seconds: f64| format::tick((seconds * MICROS) as i64, step)),
        Closure::new(move || ticks.clone()),
        Closure::new(move |index: i32, x: f64| {
            let at = usize::try_from(index).ok().filter(|_| buckets > 0).map(|i| (i.min(buckets - 1), x));
            if hover.try_get_untracked().is_some_and(|old| old != at) {
                hover.set(at);
            }
        }),
        Closure::new(move |a: f64, b: f64| {
            if app.address.with_untracked(Address::has_range) {
                app.set_window((a * MICROS) as i64, (b * MICROS) as i64);
            }
        }),
    );
    let object = js_sys::Object::new();
    let put = |name: &str, call: &JsValue| js_sys::Reflect::set(&object, &JsValue::from_str(name), call);
    put("tick", calls.0.as_ref())?;
    put("time", calls.1.as_ref())?;
    put("splits", calls.2.as_ref())?;
    put("hover", calls.3.as_ref())?;
    put("brush", calls.4.as_ref())?;
    Ok((calls, object.into()))
}
