//! The table of a document: its columns, its rows in order, what is left out, the sums.

use super::ReportError;
use super::ask::{Beside, Kind, Request};
use super::document::{Cell, CellKind, Column, Table};
use super::gather::Gathered;
use super::shape::{Of, frame};
use contract::GpuState;
use polars::prelude::*;

/// Sums of `usage_groups` after the six states: a ratio times its hours, and the hours that report it.
const RATIOS: [(&str, &str); 3] =
    [("busy_ratio", "Busy"), ("sm_active_ratio", "SM active"), ("tensor_active_ratio", "Tensor active")];

const JOULES_PER_KWH: f64 = 3_600_000.0;
const GRAMS_PER_KG: f64 = 1_000.0;

fn dimension(at: usize) -> String {
    format!("d{at}")
}

fn dimensions(request: &Request) -> Vec<(String, Of)> {
    (0..request.by.len()).map(|at| (dimension(at), Of::Text)).collect()
}

fn weighted(ratio: &str) -> String {
    format!("{ratio}_hours")
}

/// What is known of energy, in joules and grams.
const ENERGY: [&str; 3] = ["energy", "carbon", "without_factor"];

/// What is summed of each group, beside its names.
fn measures(request: &Request) -> Vec<String> {
    match request.kind {
        kind if kind.is_of_money() => {
            let energy = ENERGY.iter().filter(|_| request.has_energy());
            ["gpu_hours", "cost", "unpriced_gpu_hours"].iter().chain(energy).map(|name| (*name).to_owned()).collect()
        }
        _ => {
            let states = GpuState::ALL.map(|state| state.as_str().to_owned());
            let ratios = RATIOS.iter().flat_map(|(name, _)| [(*name).to_owned(), weighted(name)]);
            let rest = ["idle_cost".to_owned(), "gpu_hours".to_owned()];
            states.into_iter().chain(ratios).chain(rest).collect()
        }
    }
}

/// The groups, the one that matters most first: by cost, or by hours where the document is about use.
pub(super) fn sorted(request: &Request, gathered: &Gathered) -> Result<DataFrame, ReportError> {
    let names: Vec<Expr> = (0..request.by.len()).map(|at| col(dimension(at))).collect();
    let (groups, first) = match request.kind {
        kind if kind.is_of_money() => {
            let measures = [("gpu_hours", Of::Float), ("cost", Of::Int), ("unpriced_gpu_hours", Of::Float)];
            let energy = ENERGY.iter().filter(|_| request.has_energy()).map(|name| (*name, Of::Float));
            let columns = measures.into_iter().chain(energy).map(|(name, of)| (name.to_owned(), of));
            let columns: Vec<_> = dimensions(request).into_iter().chain(columns).collect();
            (frame(&gathered.groups, &columns)?.lazy(), ["cost", "gpu_hours"])
        }
        _ => (usage(request, gathered, &names)?, ["gpu_hours", "idle_cost"]),
    };
    let by: Vec<Expr> = first.iter().map(|name| col(*name)).chain(names).collect();
    let descending: Vec<bool> = (0..by.len()).map(|at| at < first.len()).collect();
    let options = SortMultipleOptions::default().with_order_descending_multi(descending).with_nulls_last(true);
    Ok(groups.sort_by_exprs(by, options).collect()?)
}

/// Hours of use with the money of their idle part. Either may know groups that the other does not.
fn usage(request: &Request, gathered: &Gathered, names: &[Expr]) -> Result<LazyFrame, ReportError> {
    let summed = measures(request).into_iter().filter(|name| !["idle_cost", "gpu_hours"].contains(&name.as_str()));
    let columns: Vec<_> = dimensions(request).into_iter().chain(summed.map(|name| (name, Of::Float))).collect();
    let hours = frame(&gathered.groups, &columns)?.lazy();
    let columns: Vec<_> = dimensions(request).into_iter().chain([("idle_cost".to_owned(), Of::Int)]).collect();
    let money = frame(&gathered.idle_money, &columns)?.lazy();
    let mut args = JoinArgs::new(JoinType::Full).with_coalesce(JoinCoalesce::CoalesceColumns);
    args.nulls_equal = true;
    let states = GpuState::ALL.map(|state| col(state.as_str()).fill_null(lit(0.0)));
    let total = states.clone().into_iter().reduce(|a, b| a + b).unwrap_or_else(|| lit(0.0));
    let joined = hours.join(money, names, names, args).with_columns(states);
    Ok(joined.with_columns([total.alias("gpu_hours")]))
}

/// Names of the group in a row.
pub(super) fn names(request: &Request, sorted: &DataFrame, row: usize) -> Result<Vec<Option<String>>, ReportError> {
    let name = |at| Ok(sorted.column(&dimension(at))?.str()?.get(row).map(str::to_owned));
    (0..request.by.len()).map(name).collect()
}

/// Sums of rows from one on, as a frame of one row.
pub(super) fn sums(request: &Request, sorted: &DataFrame, from: usize) -> Result<DataFrame, ReportError> {
    // A sum of nothing that is known is unknown.
    let sum = |name: &String| match ENERGY.contains(&name.as_str()) {
        true => when(col(name.as_str()).count().gt(lit(0)))
            .then(col(name.as_str()).sum())
            .otherwise(lit(NULL))
            .alias(name.as_str()),
        false => col(name.as_str()).sum(),
    };
    let sums: Vec<Expr> = measures(request).iter().map(sum).collect();
    let part = sorted.slice(i64::try_from(from).unwrap_or(i64::MAX), sorted.height().saturating_sub(from));
    Ok(part.lazy().select(sums).collect()?)
}

pub(super) fn float(frame: &DataFrame, name: &str, row: usize) -> Result<f64, ReportError> {
    Ok(frame.column(name)?.f64()?.get(row).unwrap_or_default())
}

pub(super) fn int(frame: &DataFrame, name: &str, row: usize) -> Result<Option<i64>, ReportError> {
    Ok(frame.column(name)?.i64()?.get(row))
}

pub(super) fn column(name: &str, title: &str, kind: CellKind, exported: bool, shown: bool) -> Column {
    Column { name: name.to_owned(), title: title.to_owned(), kind, exported, shown }
}

fn columns(request: &Request, has_unpriced: bool, has_energy: bool) -> Vec<Column> {
    let of_dimension = |d: &super::Dimension| column(&d.name(), &d.title(), CellKind::Text, true, true);
    let mut columns: Vec<Column> = request.by.iter().map(of_dimension).collect();
    columns.push(column("gpu_hours", "GPU-hours", CellKind::Hours, true, true));
    match request.kind {
        kind if kind.is_of_money() => {
            columns.extend([
                column("cost", "Cost", CellKind::Micros, true, true),
                column("share", "Share", CellKind::Ratio, false, true),
                column("cost_per_gpu_hour", "Per GPU-hour", CellKind::Rate, false, true),
                column("unpriced_gpu_hours", "Unpriced hours", CellKind::Hours, false, has_unpriced),
            ]);
            let named = [(Beside::Energy, "energy_kwh", "Energy, kWh"), (Beside::Carbon, "carbon_kg", "CO₂e, kg")];
            for (beside, name, title) in named.into_iter().filter(|_| request.has_energy()) {
                let is_asked = request.with.contains(&beside);
                columns.push(column(name, title, CellKind::Amount, is_asked, is_asked || has_energy));
            }
        }
        _ => {
            for state in GpuState::ALL {
                let title = state.as_str().replace('_', " ");
                let name = format!("{}_gpu_hours", state.as_str());
                columns.push(column(&name, &capital(&title), CellKind::Hours, true, true));
            }
            columns.extend(RATIOS.map(|(name, title)| column(name, title, CellKind::Ratio, true, true)));
            columns.push(column("idle_cost", "Idle cost", CellKind::Micros, true, true));
        }
    }
    columns
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The measures of a row of `frame`, in the order of [`columns`].
fn cells(request: &Request, frame: &DataFrame, row: usize, whole_micros: i64) -> Result<Vec<Cell>, ReportError> {
    let kind = request.kind;
    let micros = |value: Option<i64>| value.map_or(Cell::Empty, Cell::Micros);
    let hours = float(frame, "gpu_hours", row)?;
    let mut cells = vec![Cell::Hours(hours)];
    if kind == Kind::Utilization {
        for state in GpuState::ALL {
            cells.push(Cell::Hours(float(frame, state.as_str(), row)?));
        }
        for (name, _) in RATIOS {
            let watched = float(frame, &weighted(name), row)?;
            let ratio = float(frame, name, row)? / watched;
            cells.push(if watched > 0.0 { Cell::Ratio(ratio) } else { Cell::Empty });
        }
        cells.push(micros(int(frame, "idle_cost", row)?));
        return Ok(cells);
    }
    let cost = int(frame, "cost", row)?;
    let unpriced = float(frame, "unpriced_gpu_hours", row)?;
    let priced = hours - unpriced;
    let unpriced_cell = if unpriced > 0.0 { Cell::Hours(unpriced) } else { Cell::Empty };
    let share =
        |cost: i64| if whole_micros == 0 { Cell::Empty } else { Cell::Ratio(cost as f64 / whole_micros as f64) };
    let rate = |cost: i64| if priced > 0.0 { Cell::Rate(super::figures::units(cost) / priced) } else { Cell::Empty };
    cells.extend([micros(cost), cost.map_or(Cell::Empty, share), cost.map_or(Cell::Empty, rate), unpriced_cell]);
    if request.has_energy() {
        // What was not measured, and what has no factor, is not reported; neither is 0.
        let amount = |name: &str, unit: f64| -> Result<Cell, ReportError> {
            let value = frame.column(name)?.f64()?.get(row);
            Ok(value.map_or(Cell::Empty, |value| Cell::Amount(value / unit)))
        };
        cells.extend([amount("energy", JOULES_PER_KWH)?, amount("carbon", GRAMS_PER_KG)?]);
    }
    Ok(cells)
}

/// The table with at most `shown` groups in rows; those after them are summed.
pub(super) fn table(
    request: &Request,
    sorted: &DataFrame,
    shown: usize,
    has_unpriced: bool,
) -> Result<Table, ReportError> {
    let kind = request.kind;
    let all = sums(request, sorted, 0)?;
    let has_energy = request.has_energy() && all.column("energy")?.f64()?.get(0).is_some();
    let whole = if kind == Kind::Utilization { 0 } else { int(&all, "cost", 0)?.unwrap_or_default() };
    let height = sorted.height();
    let mut rows = Vec::with_capacity(height.min(shown));
    for row in 0..height.min(shown) {
        let mut line: Vec<Cell> =
            names(request, sorted, row)?.into_iter().map(|name| name.map_or(Cell::Empty, Cell::Text)).collect();
        line.extend(cells(request, sorted, row, whole)?);
        rows.push(line);
    }
    let under = |frame: &DataFrame| -> Result<Vec<Cell>, ReportError> {
        let blank = vec![Cell::Empty; request.by.len()];
        Ok(blank.into_iter().chain(cells(request, frame, 0, whole)?).collect())
    };
    let rest = match height > shown {
        true => Some((height - shown, under(&sums(request, sorted, shown)?)?)),
        false => None,
    };
    Ok(Table { columns: columns(request, has_unpriced, has_energy), rows, rest, total: under(&all)? })
}
