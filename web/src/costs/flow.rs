//! Costs as pictures: who spends, where the money goes, and what it buys; each with the rows behind it. Pure.

use super::slice::{narrowed, within};
use super::{Bar, Dimension, bar};
use crate::address::Address;
use crate::books::{CostPivot, PivotRow};
use crate::charts::colours::{OTHER, colours};
use crate::charts::mark::{Anchor, Fill, Look, Picture, Shape, fitting, label, mark};
use crate::charts::sankey::{Flow, Node, Sankey};
use crate::charts::treemap::Block;
use crate::format::{self, money};
use crate::order;
use crate::sheet::{self, Sheet};
use contract::answers::{Costs, WaterfallStep};

/// Teams that have a node of their own in the flow of money.
const TEAMS_MAX: usize = 8;

fn named(name: &str) -> &'static Dimension {
    Dimension::named(name).expect("a dimension of the list above")
}

/// Teams with their projects, from a pivot of both. What is below zero has no area.
pub(crate) fn blocks(pivot: &CostPivot, here: &Address) -> Vec<Block> {
    let (teams, projects) = (named("team"), named("project"));
    let labels: Vec<String> = pivot.rows.iter().map(|row| teams.label_of(row.name.as_deref())).collect();
    let block = |name: String, micros: i64, colour, href| Block {
        hint: format!("{name}: {}", money::exact(micros, &pivot.currency)),
        value: micros.max(0) as f64,
        amount: money::money(micros),
        name,
        colour,
        href,
        parts: Vec::new(),
    };
    let team = |((row, name), colour): ((&PivotRow, &String), &'static str)| {
        let inside = within(here, teams, row.name.as_deref());
        let part = |column: Option<&Option<String>>, micros: i64| {
            let project = column.and_then(|name| name.as_deref());
            let label = column.map_or("further projects".to_owned(), |_| projects.label_of(project));
            let href = column.map(|_| narrowed(&narrowed(here, teams, row.name.as_deref()), projects, project).href());
            block(label, micros, colour, href)
        };
        let mut parts: Vec<Block> =
            row.cells.iter().map(|cell| part(pivot.columns.get(cell.column as usize), cell.cost_micros)).collect();
        if row.beyond_micros > 0 {
            parts.push(part(None, row.beyond_micros));
        }
        order::sort_by(&mut parts, |a, b| b.value.total_cmp(&a.value));
        Block { parts, ..block(name.clone(), row.cost_micros, colour, Some(inside.href())) }
    };
    let mut blocks: Vec<Block> = pivot.rows.iter().zip(&labels).zip(colours(&labels)).map(team).collect();
    if pivot.rows_left_out > 0 {
        let name = format!("{} more", format::count(pivot.rows_left_out));
        blocks.push(block(name, pivot.rest.cost_micros, OTHER, None));
    }
    order::sort_by(&mut blocks, |a, b| b.value.total_cmp(&a.value));
    blocks
}

/// A row a pair that costs something.
pub(crate) fn pairs(pivot: &CostPivot, rows: &str, columns: &str, name: &str) -> Sheet {
    let (rows, columns) = (named(rows), named(columns));
    let mut out = Vec::new();
    for row in &pivot.rows {
        let mut pair = |column: String, micros: i64| {
            let share = super::share(micros, pivot.total.cost_micros);
            let names = [sheet::named(rows.label_of(row.name.as_deref())), sheet::named(column)];
            out.push(names.into_iter().chain([sheet::micros(Some(micros)), sheet::ratio(share)]).collect());
        };
        for cell in &row.cells {
            let column = pivot.columns.get(cell.column as usize).and_then(|name| name.as_deref());
            pair(columns.label_of(column), cell.cost_micros);
        }
        if row.beyond_micros != 0 {
            pair("further ones".to_owned(), row.beyond_micros);
        }
    }
    let heads = vec![
        sheet::text(rows.label, rows.name),
        sheet::text(columns.label, columns.name),
        sheet::number(format!("Cost, {}", pivot.currency), "cost_micros"),
        sheet::number("Of all", "share_ratio"),
    ];
    Sheet { name: name.to_owned(), heads, rows: out }
}

fn state_fill(state: Option<&str>) -> Fill {
    match state {
        Some("active") => Fill::Solid("state-active"),
        Some("held_idle") => Fill::Solid("state-held-idle"),
        Some("held_empty") => Fill::Solid("state-held-empty"),
        Some("unallocated") => Fill::Solid("state-unallocated"),
        Some("down") => Fill::Solid("state-down"),
        Some("unknown") => Fill::Hatched,
        _ => Fill::Solid(OTHER),
    }
}

/// From what was paid by the states of GPUs to teams, from a pivot of teams and states.
pub(crate) fn flow(pivot: &CostPivot, here: &Address) -> Sankey {
    let (teams, states) = (named("team"), named("state"));
    let currency = &pivot.currency;
    let node = |name: String, micros: i64, fill, href| Node {
        hint: format!("{name}: {}", money::exact(micros, currency)),
        amount: money::money(micros),
        name,
        fill,
        href,
    };
    let of_state = |at: usize| pivot.total.cells.iter().find(|cell| cell.column as usize == at).map(|c| c.cost_micros);
    let state = |(at, name): (usize, &Option<String>)| {
        let (label, href) = (states.label_of(name.as_deref()), narrowed(here, states, name.as_deref()).href());
        node(label, of_state(at).unwrap_or_default(), state_fill(name.as_deref()), Some(href))
    };
    let (top, rest) = pivot.rows.split_at(pivot.rows.len().min(TEAMS_MAX));
    let labels: Vec<String> = top.iter().map(|row| teams.label_of(row.name.as_deref())).collect();
    let team = |((row, name), colour): ((&PivotRow, &String), &'static str)| {
        let href = within(here, teams, row.name.as_deref()).href();
        node(name.clone(), row.cost_micros, Fill::Solid(colour), Some(href))
    };
    let mut last: Vec<Node> = top.iter().zip(&labels).zip(colours(&labels)).map(team).collect();
    let beyond: Vec<&PivotRow> = rest.iter().chain((pivot.rows_left_out > 0).then_some(&pivot.rest)).collect();
    if !beyond.is_empty() {
        let name = format!("{} more", format::count(rest.len() as u64 + pivot.rows_left_out));
        last.push(node(name, beyond.iter().map(|row| row.cost_micros).sum(), Fill::Solid(OTHER), None));
    }
    let flow = |from: usize, to: usize, micros: i64, names: (&str, &str)| Flow {
        from,
        to,
        value: micros as f64,
        hint: format!("{} → {}: {}", names.0, names.1, money::exact(micros, currency)),
    };
    let first = vec![node("Paid".to_owned(), pivot.total.cost_micros, Fill::Solid("accent"), None)];
    let middle: Vec<Node> = pivot.columns.iter().enumerate().map(state).collect();
    let out = pivot.total.cells.iter().map(|cell| {
        let to = cell.column as usize;
        flow(0, to, cell.cost_micros, ("paid", middle.get(to).map_or("", |node| node.name.as_str())))
    });
    let out: Vec<Flow> = out.filter(|flow| flow.to < middle.len()).collect();
    let mut into: Vec<Flow> = Vec::new();
    for (at, row) in top.iter().map(Some).chain([None]).enumerate().take(last.len()) {
        let rows = row.map_or_else(|| beyond.clone(), |row| vec![row]);
        for cell in rows.iter().flat_map(|row| &row.cells).filter(|cell| (cell.column as usize) < middle.len()) {
            let from = cell.column as usize;
            into.push(flow(from, at, cell.cost_micros, (middle[from].name.as_str(), last[at].name.as_str())));
        }
    }
    order::sort_by_key(&mut into, |flow| (flow.from, flow.to));
    Sankey { columns: vec![first, middle, last], flows: vec![out, into] }
}

const STEP: f64 = 62.0;
const TRACK: f64 = 12.0;

/// Bars of one scale, each leading to who lost what on the way to it.
pub(crate) fn waterfall(costs: &Costs, here: &Address, width: f64) -> Picture {
    let paid = paid(costs);
    let mut marks = Vec::new();
    for (at, step) in costs.waterfall.iter().enumerate() {
        let (y, Bar { label: name, meaning, known, unknown }) = (at as f64 * STEP, bar(step, paid));
        let (known, unknown) = (known.unwrap_or(0.0) * width, unknown * width);
        let amount = step.cost_micros.map_or_else(|| "not known".to_owned(), money::money);
        let exact = step.cost_micros.map_or_else(|| amount.clone(), |micros| money::exact(micros, &costs.currency));
        let is_led = step.stage != "paid";
        let hint = format!("{name}: {exact}, {meaning}{}", if is_led { "; who lost the rest?" } else { "" });
        let mut next = here.clone();
        next.set_own("stage", &step.stage);
        let href = is_led.then(|| next.href());
        let rect = |x, width, fill| Shape::Rect { x, y: y + 20.0, width, height: TRACK, fill, edge: None };
        let title = fitting(&name, width * 0.6);
        marks
            .push(label(0.0, y + 13.0, title, Anchor::Start, Look::Strong).hint(hint.clone()).leading_to(href.clone()));
        marks.push(label(width, y + 13.0, amount, Anchor::End, Look::Plain).hint(exact));
        marks.push(mark(rect(0.0, width, Fill::Solid("sunken"))).hint(hint.clone()));
        marks.push(mark(rect(0.0, known, Fill::Solid("accent"))).hint(hint.clone()));
        marks.push(mark(rect(known, unknown, Fill::Hatched)).hint(format!("{name}: not measured")));
        marks.push(label(0.0, y + 47.0, fitting(&detail(step, paid), width), Anchor::Start, Look::Muted));
    }
    Picture { width, height: (costs.waterfall.len() as f64 * STEP - 8.0).max(0.0), marks }
}

fn paid(costs: &Costs) -> i64 {
    costs.waterfall.first().and_then(|step| step.cost_micros).unwrap_or(0)
}

fn detail(step: &WaterfallStep, paid: i64) -> String {
    let known = bar(step, paid).known.filter(|_| step.stage != "paid");
    let of_paid = known.map(|known| format!("{} of paid", format::percent(known)));
    let unknown = (step.unknown_micros > 0).then(|| format!("{} not measured", money::money(step.unknown_micros)));
    [of_paid, step.gpu_hours.map(format::gpu_hours), unknown].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

pub(crate) fn waterfall_sheet(costs: &Costs) -> Sheet {
    let paid = paid(costs);
    let row = |step: &WaterfallStep| {
        vec![
            sheet::named(bar(step, paid).label),
            sheet::micros(step.cost_micros),
            sheet::ratio(bar(step, paid).known),
            sheet::hours(step.gpu_hours),
            sheet::micros(Some(step.unknown_micros)),
        ]
    };
    let heads = vec![
        sheet::text("Step", "stage"),
        sheet::number(format!("Reached, {}", costs.currency), "cost_micros"),
        sheet::number("Of paid", "share_ratio"),
        sheet::number("GPU-hours", "gpu_hours"),
        sheet::number(format!("Not measured, {}", costs.currency), "unknown_micros"),
    ];
    Sheet { name: "waterfall".to_owned(), heads, rows: costs.waterfall.iter().map(row).collect() }
}
