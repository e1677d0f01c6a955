//! Puts the heat map on its canvas: only the rows in sight, from an image of one pixel a cell.

use crate::charts::heat::{self, Layout};
use crate::metric::Metric;
use crate::pages::browser;
use contract::GpuState;
use contract::answers::Fleet;
use leptos::prelude::document;
use wasm_bindgen::{Clamped, JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

/// Rows this high are told apart by a line between them.
const SEPARATE_FROM: f64 = 6.0;
const HATCH: f64 = 6.0;

/// The cells as pixels, and where there are none.
pub(super) struct Picture {
    image: HtmlCanvasElement,
    columns: usize,
    /// Runs of missing cells, by row.
    gaps: Vec<Vec<(usize, usize)>>,
    hatch: HtmlCanvasElement,
    ratio: f64,
}

fn canvas(width: u32, height: u32) -> Result<(HtmlCanvasElement, CanvasRenderingContext2d), JsValue> {
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.unchecked_into();
    canvas.set_width(width);
    canvas.set_height(height);
    let context = canvas.get_context("2d")?.ok_or("no 2d context")?.unchecked_into();
    Ok((canvas, context))
}

/// Colours of the six states, or of the stops of the scale.
fn colours(metric: &Metric) -> Vec<[u8; 3]> {
    match metric.unit {
        None => GpuState::ALL.map(|s| browser::rgb(&format!("state-{}", s.as_str().replace('_', "-")))).to_vec(),
        Some(_) => (0..5).map(|i| browser::rgb(&format!("heat-{i}"))).collect(),
    }
}

/// Missing is no value, and for states the unknown one.
fn known(metric: &Metric, cell: Option<f64>) -> Option<f64> {
    cell.filter(|v| v.is_finite() && (metric.unit.is_some() || *v < GpuState::Unknown.index() as f64))
}

pub(super) fn picture(
    fleet: &Fleet,
    metric: &Metric,
    layout: &Layout,
    extent: (f64, f64),
    ratio: f64,
) -> Result<Picture, JsValue> {
    let columns = fleet.times_unix_micros.len();
    let stops = colours(metric);
    let mut pixels = vec![0u8; columns * layout.rows.len() * 4];
    let mut gaps = Vec::with_capacity(layout.rows.len());
    for (row, line) in layout.rows.iter().zip(pixels.chunks_exact_mut((columns * 4).max(4))) {
        let cells = &fleet.nodes[row.node].gpus[row.gpu].cells;
        let cells: Vec<Option<f64>> = (0..columns).map(|i| known(metric, cells.get(i).copied().flatten())).collect();
        for (value, pixel) in cells.iter().zip(line.chunks_exact_mut(4)) {
            let Some(value) = value else { continue };
            let [r, g, b] = match metric.unit {
                None => stops[(*value as usize).min(stops.len() - 1)],
                Some(_) => heat::blend(&stops, heat::position(*value, extent)),
            };
            pixel.copy_from_slice(&[r, g, b, 255]);
        }
        gaps.push(heat::gaps(&cells));
    }
    let (image, context) = canvas(columns.max(1) as u32, layout.rows.len().max(1) as u32)?;
    if !pixels.is_empty() {
        let data = ImageData::new_with_u8_clamped_array(Clamped(&pixels), columns as u32)?;
        context.put_image_data(&data, 0.0, 0.0)?;
    }
    Ok(Picture { image, columns, gaps, hatch: hatch(ratio)?, ratio })
}

fn hatch(ratio: f64) -> Result<HtmlCanvasElement, JsValue> {
    let side = (HATCH * ratio).round();
    let (tile, context) = canvas(side as u32, side as u32)?;
    context.set_stroke_style_str(&browser::colour("state-unknown"));
    context.set_line_width(ratio);
    context.set_global_alpha(0.75);
    context.begin_path();
    for shift in [-side, 0.0, side] {
        context.move_to(shift, side);
        context.line_to(shift + side, 0.0);
    }
    context.stroke();
    Ok(tile)
}

/// Draws what lies between `scroll` and the canvas's height below it.
pub(super) fn paint(
    target: &HtmlCanvasElement,
    picture: &Picture,
    layout: &Layout,
    size: (f64, f64),
    scroll: f64,
) -> Result<(), JsValue> {
    let ((width, height), ratio) = (size, picture.ratio);
    target.set_width((width * ratio).round() as u32);
    target.set_height((height * ratio).round() as u32);
    let context: CanvasRenderingContext2d = target.get_context("2d")?.ok_or("no 2d context")?.unchecked_into();
    context.set_image_smoothing_enabled(false);
    let pattern = context.create_pattern_with_html_canvas_element(&picture.hatch, "repeat")?;
    if let Some(pattern) = &pattern {
        context.set_fill_style_canvas_pattern(pattern);
    }
    let separated = if layout.row_height >= SEPARATE_FROM { 1.0 } else { 0.0 };
    let row_height = (layout.row_height - separated) * ratio;
    let cell = width * ratio / picture.columns.max(1) as f64;
    for (i, row) in layout.rows.iter().enumerate() {
        let top = (row.top - scroll) * ratio;
        if top + row_height < 0.0 || top > height * ratio {
            continue;
        }
        context.draw_image_with_html_canvas_element_and_sw_and_sh_and_dx_and_dy_and_dw_and_dh(
            &picture.image,
            0.0,
            i as f64,
            picture.columns.max(1) as f64,
            1.0,
            0.0,
            top,
            width * ratio,
            row_height,
        )?;
        for (start, length) in &picture.gaps[i] {
            context.fill_rect(*start as f64 * cell, top, *length as f64 * cell, row_height);
        }
    }
    Ok(())
}
