//! A number by name and time as cells of one scale; what is not known is hatched. One pixel a cell, stretched.

use super::chart::no_picture;
use super::panel::Panel;
use crate::boards::drawn::{Cells, cells as of_table};
use crate::charts::axis;
use crate::charts::heat::{blend, column_at, position};
use crate::format::{self, Unit};
use crate::pages::browser;
use leptos::html::Canvas;
use leptos::prelude::*;
use wasm_bindgen::{Clamped, JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

const ROW_HEIGHT: usize = 18;
const TICKS_MAX: i64 = 6;

pub(super) fn cells(panel: Panel) -> impl IntoView {
    let found = Memo::new(move |_| panel.asked.value.with(|rows| of_table(&rows.as_ref()?.table)));
    let is_picture = Memo::new(move |_| found.with(Option::is_some));
    let label = panel.title();
    move || match is_picture.get() {
        true => map(panel, found, &label).into_any(),
        false => no_picture().into_any(),
    }
}

fn map(panel: Panel, found: Memo<Option<Cells>>, label: &str) -> impl IntoView + use<> {
    let unit = panel.unit();
    let host = NodeRef::<Canvas>::new();
    let hover = RwSignal::new(None::<(usize, usize, f64)>);
    Effect::new(move |_| {
        panel.board.app.colours.track();
        let Some(canvas) = host.get() else { return };
        found.with(|found| {
            let drawn = found.as_ref().map(|cells| paint(&canvas, cells, unit));
            if let Some(Err(error)) = drawn {
                leptos::logging::warn!("cells could not be drawn: {error:?}");
            }
        });
    });
    let moved = move |e: leptos::ev::PointerEvent| {
        let Some(canvas) = host.get_untracked() else { return };
        let area = canvas.get_bounding_client_rect();
        let (x, y) = (f64::from(e.client_x()) - area.left(), f64::from(e.client_y()) - area.top());
        let at = found.with_untracked(|found| {
            let cells = found.as_ref()?;
            let row = (y / ROW_HEIGHT as f64) as usize;
            Some((row, column_at(x, area.width(), cells.columns)?, x)).filter(|_| row < cells.names.len())
        });
        hover.set(at);
    };
    let height = move || found.with(|f| f.as_ref().map_or(0, |cells| cells.names.len() * ROW_HEIGHT));
    let names = move || {
        found.with(|f| {
            let name = |name: &String| view! { <span title=name.clone()>{name.clone()}</span> };
            f.as_ref().map(|cells| cells.names.iter().map(name).collect_view())
        })
    };
    view! {
        <div class="body">
            <div class="board-cells">
                <div class="names" style=format!("line-height:{ROW_HEIGHT}px")>{names}</div>
                <div class="field">
                    <canvas
                        node_ref=host
                        role="img"
                        aria-label=format!("{label}, by name and time; its menu has the rows")
                        style=move || format!("height:{}px", height())
                        on:pointermove=moved
                        on:pointerleave=move |_| hover.set(None)
                    ></canvas>
                    {move || found.with(|f| f.as_ref().zip(hover.get()).map(|(cells, at)| tip(cells, unit, at)))}
                    {move || found.with(|f| f.as_ref().map(ticks))}
                </div>
            </div>
            {move || found.with(|f| f.as_ref().map(|cells| scale(cells, unit)))}
        </div>
    }
}

/// The ends of the scale: a share is read against the whole.
fn extent(cells: &Cells, unit: Unit) -> (f64, f64) {
    match unit {
        Unit::Ratio => (0.0, 1.0_f64.max(cells.extent.1)),
        Unit::Celsius | Unit::Hertz => cells.extent,
        _ => (cells.extent.0.min(0.0), cells.extent.1),
    }
}

fn paint(canvas: &HtmlCanvasElement, cells: &Cells, unit: Unit) -> Result<(), JsValue> {
    let stops: Vec<[u8; 3]> = (0..5).map(|i| browser::rgb(&format!("heat-{i}"))).collect();
    let extent = extent(cells, unit);
    let mut pixels = Vec::with_capacity(cells.columns * cells.names.len() * 4);
    for value in cells.values.iter().flatten() {
        match value {
            Some(value) => {
                pixels.extend(blend(&stops, position(*value, extent)));
                pixels.push(255);
            }
            // What lies behind the canvas is hatched.
            None => pixels.extend([0; 4]),
        }
    }
    canvas.set_width(cells.columns as u32);
    canvas.set_height(cells.names.len() as u32);
    let context: CanvasRenderingContext2d = canvas.get_context("2d")?.ok_or("no 2d context")?.unchecked_into();
    let image = ImageData::new_with_u8_clamped_array(Clamped(&pixels), cells.columns as u32)?;
    context.put_image_data(&image, 0.0, 0.0)
}

fn tip(cells: &Cells, unit: Unit, (row, column, x): (usize, usize, f64)) -> impl IntoView + use<> {
    let value = cells.values.get(row).and_then(|line| line.get(column).copied()).flatten();
    let name = cells.names.get(row).cloned().unwrap_or_default();
    let side = if column * 2 < cells.columns {
        format!("left:{:.0}px", x + 14.0)
    } else {
        format!("right:calc(100% - {:.0}px)", x - 14.0)
    };
    view! {
        <div class="tip" style=format!("top:{}px;{side}", row * ROW_HEIGHT + 20)>
            <div class="when">{format::instant(cells.start + column as i64 * cells.step)}</div>
            <dl><dt>{name}</dt> <dd>{format::maybe(unit, value)}</dd></dl>
        </div>
    }
}

fn ticks(cells: &Cells) -> impl IntoView + use<> {
    let span = cells.step * cells.columns as i64;
    let (found, step) = axis::ticks(cells.start, cells.start + span, TICKS_MAX);
    let start = cells.start;
    let place = move |time: i64| (time - start) as f64 / span.max(1) as f64 * 100.0;
    // Half a label does not fit beside the ends.
    let inside = found.into_iter().filter(move |time| (3.0..=97.0).contains(&place(*time)));
    let tick =
        move |time: i64| view! { <span style=format!("left:{:.2}%", place(time))>{format::tick(time, step)}</span> };
    view! { <div class="heat-axis">{inside.map(tick).collect_view()}</div> }
}

fn scale(cells: &Cells, unit: Unit) -> impl IntoView + use<> {
    let (low, high) = extent(cells, unit);
    let beyond = (cells.left_out > 0).then(|| format!("{} more are not drawn", format::count(cells.left_out as u64)));
    view! {
        <div class="scale below">
            <span>{format::axis(unit, low)}</span>
            <span class="ramp"></span>
            <span>{format::axis(unit, high)}</span>
            <span class="swatch unknown"></span>
            <span>"not reported"</span>
            <span>{beyond}</span>
        </div>
    }
}
