//! The heat map: rack × GPU over time. Pointing tells, a click opens the GPU, a brush narrows the time.

use super::paint;
use crate::address::Open;
use crate::charts::{axis, heat};
use crate::format;
use crate::instant::SECOND;
use crate::metric::Metric;
use crate::pages::app::App;
use crate::pages::card::{Card, card};
use crate::pages::drawing::follow_width;
use crate::pages::pieces::{state_label, state_name};
use crate::sheet::gpus;
use contract::GpuState;
use contract::answers::{Fleet, FleetGpu};
use leptos::html::{Canvas, Div};
use leptos::prelude::*;
use std::sync::Arc;
use web_sys::PointerEvent;

/// Width of the names beside the rows; the style sheet has the same.
const NAMES: f64 = 144.0;
/// Height of what is in sight; the style sheet has the same.
const SIGHT: f64 = 720.0;

/// Where the pointer is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spot {
    row: usize,
    column: usize,
    /// In the plot.
    x: f64,
    /// In the part that is in sight.
    y: f64,
}

#[derive(Clone, Copy)]
struct Map {
    app: App,
    found: Signal<Arc<Fleet>>,
    metric: Memo<&'static Metric>,
    layout: Memo<heat::Layout>,
    extent: Memo<(f64, f64)>,
    width: RwSignal<f64>,
    scroll: RwSignal<f64>,
    spot: RwSignal<Option<Spot>>,
    /// Where a brush began and is now, in the plot.
    brush: RwSignal<Option<(f64, f64)>>,
}

pub(super) fn heat(app: App, found: Signal<Arc<Fleet>>, shown: Memo<Vec<usize>>) -> AnyView {
    let metric = Memo::new(move |_| Metric::named(&found.read().metric).unwrap_or(&crate::metric::METRICS[0]));
    let map = Map {
        app,
        found,
        metric,
        layout: Memo::new(move |_| heat::layout(&found.read().nodes, &shown.read())),
        extent: Memo::new(move |_| {
            let found = found.read();
            let gpus = found.nodes.iter().flat_map(|n| &n.gpus);
            metric.get().extent(gpus.flat_map(|g| g.cells.iter().flatten().copied()))
        }),
        width: RwSignal::new(0.0),
        scroll: RwSignal::new(0.0),
        spot: RwSignal::new(None),
        brush: RwSignal::new(None),
    };
    let bucket = move || format::duration(found.read().bucket_seconds * SECOND);
    let head = Card {
        span: "c12",
        title: Signal::derive(move || metric.get().question.to_owned()),
        aside: Signal::derive(move || format!("one row a GPU, one column {}; drag to zoom in time", bucket())),
    };
    let sheet = Signal::derive(move || gpus::heat(&found.read(), metric.get(), &shown.read()));
    let is_empty = Memo::new(move |_| map.layout.read().rows.is_empty());
    card(head, sheet, move || {
        view! {
            <div class="body">{move || if is_empty.get() { nothing().into_any() } else { plot(map).into_any() }}</div>
            <div class="foot">{move || key(metric.get(), map.extent.get())}</div>
        }
        .into_any()
    })
}

fn nothing() -> impl IntoView {
    view! { <div class="say"><p>"No node matches the filter."</p></div> }
}

/// What the colours mean.
fn key(metric: &'static Metric, extent: (f64, f64)) -> AnyView {
    let Some(unit) = metric.unit else {
        let entry = |s| view! { <span class="entry">{state_name(s)}</span> };
        return view! { <div class="legend">{GpuState::ALL.map(entry).into_iter().collect_view()}</div> }.into_any();
    };
    view! {
        <div class="scale">
            {format::axis(unit, extent.0)} <span class="ramp"></span> {format::axis(unit, extent.1)}
            <span class="state"><i class="swatch unknown"></i> {format::NOT_REPORTED}</span>
        </div>
    }
    .into_any()
}

fn plot(map: Map) -> impl IntoView {
    let canvas = NodeRef::<Canvas>::new();
    let area = NodeRef::<Div>::new();
    follow_width(area, map.width);
    draw(map, canvas);
    let sight = move || map.layout.read().height.min(SIGHT);
    let scrolled = move |e: leptos::ev::Event| {
        map.scroll.set(f64::from(event_target::<web_sys::Element>(&e).scroll_top()));
        map.spot.set(None);
    };
    view! {
        <div class="chart">
            <div class="heat-scroll" on:scroll=scrolled>
                <div class="heat" style=move || format!("height:{:.0}px", map.layout.read().height)>
                    {names(map)}
                    <div
                        class="heat-plot"
                        node_ref=area
                        role="img"
                        aria-label="Heat map of all GPUs over time; the table below has every node"
                        on:pointermove=move |e| moved(map, area, &e)
                        on:pointerleave=move |_| map.spot.set(None)
                        on:pointerdown=move |e| pressed(map, area, &e)
                        on:pointerup=move |e| released(map, area, &e)
                        on:pointercancel=move |_| map.brush.set(None)
                    >
                        <canvas node_ref=canvas style=move || format!("width:100%;height:{:.0}px", sight())></canvas>
                        {move || overlays(map)}
                    </div>
                </div>
            </div>
            {move || axis_below(map)}
            {move || map.spot.get().filter(|_| map.brush.read().is_none()).and_then(|spot| tip(map, spot))}
        </div>
    }
}

/// The picture changes with data and colours, the canvas also with scroll and size.
fn draw(map: Map, canvas: NodeRef<Canvas>) {
    let picture = StoredValue::new_local(None::<paint::Picture>);
    let drawn = RwSignal::new(0u32);
    Effect::new(move |_| {
        map.app.colours.track();
        let ratio = window().device_pixel_ratio().max(1.0);
        let made = paint::picture(&map.found.read(), map.metric.get(), &map.layout.read(), map.extent.get(), ratio);
        picture.set_value(made.ok());
        drawn.update(|n| *n += 1);
    });
    Effect::new(move |_| {
        drawn.track();
        let (width, scroll) = (map.width.get(), map.scroll.get());
        let Some(canvas) = canvas.get() else { return };
        let layout = map.layout.read();
        let size = (width, layout.height.min(SIGHT));
        let painted = picture.with_value(|p| p.as_ref().map(|p| paint::paint(&canvas, p, &layout, size, scroll)));
        if let Some(Err(error)) = painted {
            leptos::logging::warn!("the heat map could not be drawn: {error:?}");
        }
    });
}

fn names(map: Map) -> impl IntoView {
    let place = |label: &heat::Label| format!("top:{:.0}px;height:{:.0}px", label.top, label.height);
    let inside = move || {
        let (layout, found) = (map.layout.read(), map.found.read());
        let rack =
            |l: &heat::Label| view! { <span class="rack-name" style=place(l)>{l.text.clone()}</span> }.into_any();
        let node = |l: &heat::Label| {
            let node = &found.nodes[l.node];
            let open = Open::Node { cluster: node.cluster.clone(), node: node.node.clone() };
            let href = map.app.address.with_untracked(|a| a.to_open(open).href());
            view! { <a href=href style=place(l) title=l.text.clone()>{l.text.clone()}</a> }.into_any()
        };
        layout.racks.iter().map(rack).chain(layout.nodes.iter().map(node)).collect_view()
    };
    view! { <div class="heat-names">{inside}</div> }
}

/// Crosshair and brush.
fn overlays(map: Map) -> impl IntoView {
    let spot = map.spot.get();
    let layout = map.layout.read();
    let row = spot.and_then(|s| layout.rows.get(s.row)).map(|row| {
        let style = format!("top:{:.0}px;height:{:.0}px", row.top, layout.row_height);
        view! { <div class="heat-row" style=style></div> }
    });
    let brush = map.brush.get().map(|(a, b)| {
        let style = format!("left:{:.0}px;width:{:.0}px", a.min(b), (a - b).abs());
        view! { <div class="heat-brush" style=style></div> }
    });
    let line = spot.map(|s| view! { <div class="heat-line" style=format!("left:{:.0}px", s.x)></div> });
    view! { {row} {line} {brush} }
}

fn axis_below(map: Map) -> impl IntoView {
    let (range, width) = (map.found.read().range, map.width.get());
    let (from, to) = (range.from_unix_micros, range.to_unix_micros);
    let (ticks, step) = axis::ticks(from, to, ((width / 110.0) as i64).clamp(2, 12));
    let at = move |t: i64| NAMES + (t - from) as f64 / (to - from).max(1) as f64 * width;
    // A label centred too near an end would be cut off.
    let shown = ticks.into_iter().filter(move |t| (NAMES + 24.0..NAMES + width - 24.0).contains(&at(*t)));
    let label = move |t| view! { <span style=format!("left:{:.1}px", at(t))>{format::tick(t, step)}</span> };
    view! { <div class="heat-axis" aria-hidden="true">{shown.map(label).collect_view()}</div> }
}

/// Where an event is, in the plot.
fn place(area: NodeRef<Div>, event: &PointerEvent) -> Option<(f64, f64)> {
    let rect = area.get_untracked()?.get_bounding_client_rect();
    Some((f64::from(event.client_x()) - rect.left(), f64::from(event.client_y()) - rect.top()))
}

fn moved(map: Map, area: NodeRef<Div>, event: &PointerEvent) {
    let Some((x, y)) = place(area, event) else { return };
    if let Some((start, _)) = map.brush.get_untracked() {
        map.brush.set(Some((start, x.clamp(0.0, map.width.get_untracked()))));
    }
    let row = map.layout.with_untracked(|l| heat::row_at(l, y));
    let columns = map.found.with_untracked(|f| f.times_unix_micros.len());
    let column = heat::column_at(x, map.width.get_untracked(), columns);
    let y = y - map.scroll.get_untracked();
    map.spot.set(row.zip(column).map(|(row, column)| Spot { row, column, x, y }));
}

fn pressed(map: Map, area: NodeRef<Div>, event: &PointerEvent) {
    if let (0, Some((x, _)), Some(element)) = (event.button(), place(area, event), area.get_untracked()) {
        // A brush goes on outside of the plot; where capture is refused it ends at the edge.
        element.set_pointer_capture(event.pointer_id()).ok();
        map.brush.set(Some((x, x)));
    }
}

/// The end of a brush, or a click.
fn released(map: Map, area: NodeRef<Div>, event: &PointerEvent) {
    let Some((start, end)) = map.brush.get_untracked() else { return };
    map.brush.set(None);
    let range = map.found.with_untracked(|f| f.range);
    let width = map.width.get_untracked();
    if let Some((from, to)) = heat::brushed(range.from_unix_micros, range.to_unix_micros, width, start, end) {
        map.app.set_window(from, to);
        return;
    }
    let row =
        place(area, event).and_then(|(_, y)| map.layout.with_untracked(|l| heat::row_at(l, y).map(|i| l.rows[i])));
    if let Some(row) = row {
        let uuid = map.found.with_untracked(|f| f.nodes[row.node].gpus[row.gpu].gpu_uuid.clone());
        map.app.open(Open::Gpu(uuid));
    }
}

fn value_text(metric: &Metric, gpu: &FleetGpu, column: usize) -> AnyView {
    let cell = gpu.cells.get(column).copied().flatten();
    match metric.unit {
        Some(unit) => format::maybe(unit, cell).into_any(),
        None => {
            let state = cell.and_then(|v| GpuState::ALL.get(v as usize).copied()).unwrap_or(GpuState::Unknown);
            view! { <i class=format!("swatch {}", state.as_str())></i> " " {state_label(state)} }.into_any()
        }
    }
}

fn tip(map: Map, spot: Spot) -> Option<impl IntoView> {
    let (layout, found, metric) = (map.layout.read(), map.found.read(), map.metric.get());
    let row = layout.rows.get(spot.row)?;
    let node = found.nodes.get(row.node)?;
    let gpu = node.gpus.get(row.gpu)?;
    let start = *found.times_unix_micros.get(spot.column)?;
    let end = start + found.bucket_seconds * SECOND;
    let job = gpu.jobs.iter().find(|j| j.from_unix_micros < end && j.to_unix_micros > start);
    let side = if spot.x < map.width.get() * 0.6 {
        format!("left:{:.0}px", NAMES + spot.x + 16.0)
    } else {
        format!("right:calc(100% - {:.0}px)", NAMES + spot.x - 16.0)
    };
    // Above the pointer in the lower half, so that it stays in sight.
    let level = if spot.y < SIGHT / 2.0 {
        format!("top:{:.0}px", spot.y + 12.0)
    } else {
        format!("bottom:calc(100% - {:.0}px)", spot.y - 12.0)
    };
    let pair = |name: &'static str, text: String| view! { <dt>{name}</dt> <dd>{text}</dd> };
    Some(view! {
        <div class="tip" style=format!("{side};{level}")>
            <div class="name">{format!("{} · GPU {}", node.node, gpu.gpu_index)}</div>
            <div class="when">{format::window(start, end)}</div>
            <dl>
                <dt>{metric.label}</dt>
                <dd>{value_text(metric, gpu, spot.column)}</dd>
                {job.map(|j| pair("Job", j.name.as_ref().map_or(j.job_id.clone(), |n| format!("{} {n}", j.job_id))))}
                {job.and_then(|j| j.user.clone()).map(|user| pair("User", user))}
                {job.is_none().then(|| pair("Job", "none".to_owned()))}
            </dl>
        </div>
    })
}
