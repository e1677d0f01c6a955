//! The heat map: one row a GPU, one column a bucket of time, racks and nodes set apart.
//!
//! **Invariant:** a cell's place depends on the layout alone, so that what is drawn and what is hit agree.

use contract::answers::FleetNode;

/// Between two nodes of a rack.
const NODE_GAP: f64 = 2.0;
const RACK_GAP: f64 = 8.0;
/// Rows are as high as lets the whole map be about this high: a screen or a little more.
const HEIGHT_WANTED: f64 = 860.0;
/// A row below two pixels cannot be pointed at; one above this looks like a chart of its own.
const ROW_MIN: f64 = 2.0;
const ROW_MAX: f64 = 18.0;
/// The least height at which a name can be read beside its rows.
const LABEL_MIN: f64 = 13.0;

/// A GPU's row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    /// Positions in the answer.
    pub(crate) node: usize,
    pub(crate) gpu: usize,
    pub(crate) top: f64,
}

/// A name beside rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Label {
    pub(crate) text: String,
    pub(crate) top: f64,
    pub(crate) height: f64,
    pub(crate) node: usize,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Layout {
    pub(crate) rows: Vec<Row>,
    pub(crate) row_height: f64,
    pub(crate) racks: Vec<Label>,
    pub(crate) nodes: Vec<Label>,
    pub(crate) height: f64,
}

/// Places the nodes at these positions of the answer.
pub(crate) fn layout(nodes: &[FleetNode], shown: &[usize]) -> Layout {
    let gpus: usize = shown.iter().map(|n| nodes[*n].gpus.len()).sum();
    let place = |n: &FleetNode| (n.cluster.clone(), n.rack.clone());
    let starts_rack = |i: usize| i == 0 || place(&nodes[shown[i]]) != place(&nodes[shown[i - 1]]);
    let racks = (0..shown.len()).filter(|i| starts_rack(*i)).count() as f64;
    let several_clusters = shown.windows(2).any(|w| nodes[w[0]].cluster != nodes[w[1]].cluster);
    let spent = racks * RACK_GAP + shown.len() as f64 * NODE_GAP;
    let row_height = ((HEIGHT_WANTED - spent) / gpus.max(1) as f64).round().clamp(ROW_MIN, ROW_MAX);
    let mut out = Layout { row_height, ..Layout::default() };
    let mut y = 0.0;
    for (i, position) in shown.iter().enumerate() {
        let node = &nodes[*position];
        if starts_rack(i) {
            y += if i > 0 { RACK_GAP } else { 0.0 };
            let text = rack_name(node, several_clusters);
            out.racks.push(Label { text, top: y, height: 0.0, node: *position });
        }
        let top = y;
        for gpu in 0..node.gpus.len() {
            out.rows.push(Row { node: *position, gpu, top: y });
            y += row_height;
        }
        out.nodes.push(Label { text: node.node.clone(), top, height: y - top, node: *position });
        if let Some(rack) = out.racks.last_mut() {
            rack.height = y - rack.top;
        }
        y += NODE_GAP;
    }
    out.height = y;
    drop_crowded(&mut out.nodes);
    drop_crowded(&mut out.racks);
    out
}

fn rack_name(node: &FleetNode, with_cluster: bool) -> String {
    let rack = node.rack.as_deref().unwrap_or("no rack");
    if with_cluster { format!("{} · {rack}", node.cluster) } else { rack.to_owned() }
}

/// Where rows are thin, only so many names stay that none covers another.
fn drop_crowded(labels: &mut Vec<Label>) {
    let mut free_from = f64::MIN;
    labels.retain(|label| {
        let fits = label.top >= free_from;
        if fits {
            free_from = label.top + LABEL_MIN;
        }
        fits
    });
}

/// The row at this height.
pub(crate) fn row_at(layout: &Layout, y: f64) -> Option<usize> {
    let after = layout.rows.partition_point(|row| row.top <= y);
    let found = after.checked_sub(1)?;
    (y < layout.rows[found].top + layout.row_height).then_some(found)
}

/// The bucket at this part of the width, of so many.
pub(crate) fn column_at(x: f64, width: f64, columns: usize) -> Option<usize> {
    if !(0.0..width).contains(&x) || columns == 0 {
        return None;
    }
    Some(((x / width * columns as f64) as usize).min(columns - 1))
}

/// The window of time between two places of the width; nothing where it is too narrow to be meant.
pub(crate) fn brushed(from: i64, to: i64, width: f64, a: f64, b: f64) -> Option<(i64, i64)> {
    /// A click's tremble is not a brush.
    const PIXELS_MIN: f64 = 6.0;
    let (left, right) = (a.min(b).clamp(0.0, width), a.max(b).clamp(0.0, width));
    let at = |x: f64| from + ((to - from) as f64 * x / width.max(1.0)) as i64;
    (right - left >= PIXELS_MIN).then(|| (at(left), at(right)))
}

/// Where on the colour scale a value lies, 0 to 1.
pub(crate) fn position(value: f64, extent: (f64, f64)) -> f64 {
    let (low, high) = extent;
    if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 }
}

/// A colour between the stops of a scale.
pub(crate) fn blend(stops: &[[u8; 3]], position: f64) -> [u8; 3] {
    let Some(last) = stops.len().checked_sub(1) else { return [0; 3] };
    let along = position.clamp(0.0, 1.0) * last as f64;
    let left = (along as usize).min(last.saturating_sub(1));
    let (a, b) = (stops[left], stops[(left + 1).min(last)]);
    let part = along - left as f64;
    std::array::from_fn(|i| (f64::from(a[i]) + (f64::from(b[i]) - f64::from(a[i])) * part).round() as u8)
}

/// Runs of cells without a value: start and length.
pub(crate) fn gaps(cells: &[Option<f64>]) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    for (i, _) in cells.iter().enumerate().filter(|(_, cell)| cell.is_none()) {
        match out.last_mut() {
            Some((start, length)) if *start + *length == i => *length += 1,
            _ => out.push((i, 1)),
        }
    }
    out
}

#[cfg(test)]
mod tests;
