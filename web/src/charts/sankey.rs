//! Where amounts flow: columns of nodes, and bands between them that are as thick as what flows. Pure.

use super::mark::{Anchor, Fill, Look, Mark, Picture, Shape, fitting, label, mark};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) fill: Fill,
    pub(crate) hint: String,
    pub(crate) amount: String,
    pub(crate) href: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Flow {
    /// Places in a column and in the next one.
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) value: f64,
    pub(crate) hint: String,
}

/// Columns from the left, and the flows out of each but the last.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sankey {
    pub(crate) columns: Vec<Vec<Node>>,
    pub(crate) flows: Vec<Vec<Flow>>,
}

const NODE_WIDTH: f64 = 12.0;
const GAP: f64 = 10.0;
/// Room for names right of the last column.
const NAMES_RATIO: f64 = 0.3;
const NAMES_MAX: f64 = 210.0;
/// Above a name there is nothing else.
const LINE: f64 = 15.0;

/// Top and height of each node of each column.
pub(crate) fn places(sankey: &Sankey, height: f64) -> Vec<Vec<(f64, f64)>> {
    let values: Vec<Vec<f64>> = (0..sankey.columns.len()).map(|at| amounts(sankey, at)).collect();
    // One scale for all columns: what is the same amount is the same height.
    let scale = |values: &Vec<f64>| {
        let gaps = GAP * values.len().saturating_sub(1) as f64;
        let sum: f64 = values.iter().sum();
        if sum > 0.0 { (height - gaps).max(0.0) / sum } else { f64::MAX }
    };
    let scale = values.iter().map(scale).fold(f64::MAX, f64::min);
    let scale = if scale == f64::MAX { 0.0 } else { scale };
    let column = |values: &Vec<f64>| {
        let mut top = 0.0;
        let place = |value: &f64| {
            let place = (top, value * scale);
            top += value * scale + GAP;
            place
        };
        values.iter().map(place).collect()
    };
    values.iter().map(column).collect()
}

/// What goes through each node of a column: what comes in, or in the first column what goes out.
fn amounts(sankey: &Sankey, at: usize) -> Vec<f64> {
    let mut sums = vec![0.0; sankey.columns[at].len()];
    let (flows, comes_in) = match at.checked_sub(1) {
        Some(before) => (sankey.flows.get(before), true),
        None => (sankey.flows.first(), false),
    };
    for flow in flows.into_iter().flatten() {
        let node = if comes_in { flow.to } else { flow.from };
        sums[node] += flow.value.max(0.0);
    }
    sums
}

pub(crate) fn sankey(what: &Sankey, width: f64, height: f64) -> Picture {
    let places = places(what, height);
    let steps = what.columns.len().saturating_sub(1).max(1) as f64;
    let names = (width * NAMES_RATIO).min(NAMES_MAX);
    let x = |column: usize| column as f64 * (width - names - NODE_WIDTH) / steps;
    let mut marks: Vec<Mark> = Vec::new();
    for (at, flows) in what.flows.iter().enumerate() {
        bands(what, &places, at, flows, (x(at) + NODE_WIDTH, x(at + 1)), &mut marks);
    }
    let room = (width - names) / steps - NODE_WIDTH - 16.0;
    for (column, nodes) in what.columns.iter().enumerate() {
        let room = if column + 1 == what.columns.len() { names - NODE_WIDTH } else { room };
        let mut free_from = f64::MIN;
        for (node, (top, size)) in nodes.iter().zip(&places[column]).filter(|(_, (_, size))| *size > 0.0) {
            let (x, height) = (x(column), size.max(1.0));
            let shape = Shape::Rect { x, y: *top, width: NODE_WIDTH, height, fill: node.fill, edge: None };
            marks.push(mark(shape).hint(node.hint.clone()).leading_to(node.href.clone()));
            // Names that would lie on the one above are left to the hover and the table.
            let middle = (top + size / 2.0 + 4.0).max(12.0);
            if middle >= free_from {
                let whole = format!("{}  {}", node.name, node.amount);
                // Where not both fit, the name alone says more than half of the amount.
                let text = if fitting(&whole, room) == whole { whole } else { fitting(&node.name, room) };
                marks.push(label(x + NODE_WIDTH + 6.0, middle, text, Anchor::Start, Look::Plain));
                free_from = middle + LINE;
            }
        }
    }
    Picture { width, height, marks }
}

fn bands(what: &Sankey, places: &[Vec<(f64, f64)>], at: usize, flows: &[Flow], x: (f64, f64), marks: &mut Vec<Mark>) {
    let (from, to) = x;
    let middle = (from + to) / 2.0;
    let amounts = amounts(what, at);
    let mut out: Vec<f64> = places[at].iter().map(|(top, _)| *top).collect();
    let mut into: Vec<f64> = places[at + 1].iter().map(|(top, _)| *top).collect();
    for flow in flows.iter().filter(|flow| flow.value > 0.0 && amounts[flow.from] > 0.0) {
        let thick = flow.value / amounts[flow.from] * places[at][flow.from].1;
        let (a, b) = (out[flow.from], into[flow.to]);
        out[flow.from] += thick;
        into[flow.to] += thick;
        let (c, d) = (a + thick, b + thick);
        let path = format!(
            "M{from:.1} {a:.1}C{middle:.1} {a:.1} {middle:.1} {b:.1} {to:.1} {b:.1}L{to:.1} {d:.1}\
             C{middle:.1} {d:.1} {middle:.1} {c:.1} {from:.1} {c:.1}Z"
        );
        let fill = match what.columns[at + 1][flow.to].fill {
            // The colour of states goes on to where they lead.
            _ if at > 0 => soft(what.columns[at][flow.from].fill),
            fill => soft(fill),
        };
        marks.push(mark(Shape::Area { path, fill }).hint(flow.hint.clone()));
    }
}

fn soft(fill: Fill) -> Fill {
    match fill {
        Fill::Solid(token) | Fill::Soft(token) => Fill::Soft(token),
        Fill::Hatched => Fill::Hatched,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Node {
        let text = name.to_owned();
        Node { name: text.clone(), fill: Fill::Solid("accent"), hint: text, amount: String::new(), href: None }
    }

    fn flow(from: usize, to: usize, value: f64) -> Flow {
        Flow { from, to, value, hint: String::new() }
    }

    fn example() -> Sankey {
        Sankey {
            columns: vec![vec![node("paid")], vec![node("active"), node("idle")], vec![node("a"), node("b")]],
            flows: vec![
                vec![flow(0, 0, 6.0), flow(0, 1, 2.0)],
                vec![flow(0, 0, 5.0), flow(0, 1, 1.0), flow(1, 1, 2.0), flow(1, 0, -1.0)],
            ],
        }
    }

    #[test]
    fn equal_amounts_are_equally_high_in_all_columns() {
        let found = places(&example(), 210.0);
        let heights: Vec<f64> = found.iter().flatten().map(|(_, size)| *size).collect();
        assert_eq!(heights, [200.0, 150.0, 50.0, 125.0, 75.0], "below zero nothing flows");
        assert_eq!(found[1][1].0, 160.0, "below the first and a gap");
        let picture = sankey(&example(), 600.0, 210.0);
        let bands = picture.marks.iter().filter(|m| matches!(m.shape, Shape::Area { .. })).count();
        assert_eq!(bands, 5);
    }

    #[test]
    fn nothing_flows_where_there_is_nothing() {
        assert!(sankey(&Sankey::default(), 600.0, 200.0).marks.is_empty());
        let empty = Sankey { columns: vec![vec![node("paid")], vec![]], flows: vec![vec![]] };
        assert!(sankey(&empty, 600.0, 200.0).marks.is_empty());
    }
}
