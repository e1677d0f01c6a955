//! Groups of GPUs' hours and of jobs' waits, side by side, and the table of them.

use super::super::ask::{Dimension, Request};
use super::super::document::{Cell, CellKind, Column, Table};
use super::super::gather::Columns;
use super::super::table::column;
use std::collections::BTreeMap;

/// How long jobs waited that started.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wait {
    pub(super) jobs: i64,
    pub(super) median_seconds: Option<f64>,
    pub(super) p95_seconds: Option<f64>,
}

impl Wait {
    /// From this column on.
    pub(super) fn read(at: usize, columns: &Columns, row: usize) -> Option<Self> {
        let jobs = columns.int(at, row)?;
        Some(Self { jobs, median_seconds: columns.float(at + 1, row), p95_seconds: columns.float(at + 2, row) })
    }
}

/// GPU-hours of a group.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Line {
    pub(super) gpus: i64,
    pub(super) used: f64,
    /// Held by a job that does nothing with it.
    pub(super) idle: f64,
    pub(super) free: f64,
    /// The part of it beside GPUs of the same node that are held.
    pub(super) beside: f64,
    pub(super) down: f64,
    pub(super) unknown: f64,
    /// None where nobody knows which jobs belong to the group.
    pub(super) wait: Option<Wait>,
}

impl Line {
    /// From this column on: GPUs, the six states in the order of [`contract::GpuState::ALL`], free beside jobs.
    pub(super) fn read(at: usize, columns: &Columns, row: usize) -> Self {
        let mut line = Self { gpus: columns.int(at, row).unwrap_or_default(), ..Self::default() };
        for (place, state) in (at + 1..).zip(contract::GpuState::ALL) {
            let hours = columns.float(place, row).unwrap_or_default();
            match state {
                contract::GpuState::Active => line.used += hours,
                contract::GpuState::HeldIdle | contract::GpuState::HeldEmpty => line.idle += hours,
                contract::GpuState::Unallocated => line.free += hours,
                contract::GpuState::Down => line.down += hours,
                contract::GpuState::Unknown => line.unknown += hours,
            }
        }
        line.beside = columns.float(at + 1 + contract::GpuState::ALL.len(), row).unwrap_or_default();
        line
    }

    pub(super) fn allocated(&self) -> f64 {
        self.used + self.idle
    }

    /// Those of which it is known what the GPUs did.
    pub(super) fn known(&self) -> f64 {
        self.allocated() + self.free + self.down
    }

    pub(super) fn all(&self) -> f64 {
        self.known() + self.unknown
    }

    /// As the chart stacks them.
    pub(super) fn drawn(&self) -> [f64; 6] {
        [self.used, self.idle, (self.free - self.beside).max(0.0), self.beside, self.down, self.unknown]
    }

    fn with(mut self, other: &Self) -> Self {
        // GPUs and waits of several groups have no sum: the same may be in many.
        self.used += other.used;
        self.idle += other.idle;
        self.free += other.free;
        self.beside += other.beside;
        self.down += other.down;
        self.unknown += other.unknown;
        self
    }
}

/// Every group that GPUs or jobs have, in the order of their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(BTreeMap<Vec<Option<String>>, (Option<Line>, Option<Wait>)>);

impl Lines {
    fn group(&mut self, by: usize, columns: &Columns, row: usize) -> &mut (Option<Line>, Option<Wait>) {
        let names = (0..by).map(|at| columns.text(at, row).map(str::to_owned)).collect();
        self.0.entry(names).or_default()
    }

    pub(super) fn add_hours(&mut self, by: usize, columns: &Columns, row: usize) {
        self.group(by, columns, row).0 = Some(Line::read(by, columns, row));
    }

    pub(super) fn add_wait(&mut self, by: usize, columns: &Columns, row: usize) {
        self.group(by, columns, row).1 = Wait::read(by, columns, row);
    }
}

fn columns(request: &Request) -> Vec<Column> {
    let of_dimension = |d: &Dimension| column(&d.name(), &d.title(), CellKind::Text, true, true);
    let hours = |name: &str, title: &str, shown| column(name, title, CellKind::Hours, true, shown);
    let mut columns: Vec<Column> = request.by.iter().map(of_dimension).collect();
    columns.extend([
        column("gpus", "GPUs", CellKind::Count, true, true),
        hours("gpu_hours", "GPU-hours", true),
        hours("allocated_gpu_hours", "Allocated", true),
        hours("used_gpu_hours", "Used", true),
        hours("idle_gpu_hours", "Held idle", true),
        hours("unallocated_gpu_hours", "Free", true),
        hours("fragmented_gpu_hours", "Free beside jobs", false),
        hours("down_gpu_hours", "Down", true),
        hours("unknown_gpu_hours", "Unknown", true),
        column("allocated_ratio", "Allocated", CellKind::Ratio, true, true),
        column("used_ratio", "Used", CellKind::Ratio, true, true),
        column("fragmented_ratio", "Free beside jobs", CellKind::Ratio, true, true),
        column("jobs_started", "Jobs", CellKind::Count, true, true),
        column("wait_seconds_median", "Median wait", CellKind::Seconds, true, true),
        column("wait_seconds_p95", "Wait, p95", CellKind::Seconds, true, true),
    ]);
    columns
}

/// Of a group that has no GPUs, nothing is known of hours; of one without jobs, no job started where jobs are known.
fn cells(line: Option<&Line>, has_gpus: bool, wait: Option<&Wait>) -> Vec<Cell> {
    let ratio = |part: f64, whole: f64| if whole > 0.0 { Cell::Ratio(part / whole) } else { Cell::Empty };
    let mut cells = match line {
        None => vec![Cell::Empty; 12],
        Some(line) => vec![
            if has_gpus { Cell::Count(line.gpus) } else { Cell::Empty },
            Cell::Hours(line.all()),
            Cell::Hours(line.allocated()),
            Cell::Hours(line.used),
            Cell::Hours(line.idle),
            Cell::Hours(line.free),
            Cell::Hours(line.beside),
            Cell::Hours(line.down),
            Cell::Hours(line.unknown),
            ratio(line.allocated(), line.known()),
            ratio(line.used, line.known()),
            ratio(line.beside, line.free),
        ],
    };
    let seconds = |value: Option<f64>| value.map_or(Cell::Empty, Cell::Seconds);
    cells.push(wait.map_or(Cell::Empty, |wait| Cell::Count(wait.jobs)));
    cells.push(seconds(wait.and_then(|wait| wait.median_seconds)));
    cells.push(seconds(wait.and_then(|wait| wait.p95_seconds)));
    cells
}

/// The table with at most `shown` groups in rows; those after them are summed.
pub(super) fn table(request: &Request, lines: &Lines, whole: &Line, shown: usize) -> Table {
    let waits_are_known = super::sql::waits(request, &request.by, 1).is_some();
    let none_started = Wait::default();
    let row = |(names, (line, wait)): (&Vec<Option<String>>, &(Option<Line>, Option<Wait>))| -> Vec<Cell> {
        let names = names.iter().map(|name| name.clone().map_or(Cell::Empty, Cell::Text));
        let wait = wait.as_ref().or(waits_are_known.then_some(&none_started));
        names.chain(cells(line.as_ref(), true, wait)).collect()
    };
    let under =
        |cells: Vec<Cell>| -> Vec<Cell> { vec![Cell::Empty; request.by.len()].into_iter().chain(cells).collect() };
    let left_out = lines.0.len().saturating_sub(shown);
    let rest = (left_out > 0).then(|| {
        let rest = lines.0.values().skip(shown).filter_map(|(line, _)| line.as_ref());
        let sum = rest.fold(Line::default(), |sum, line| sum.with(line));
        (left_out, under(cells(Some(&sum), false, None)))
    });
    Table {
        columns: columns(request),
        rows: lines.0.iter().take(shown).map(row).collect(),
        rest,
        total: under(cells(Some(whole), true, whole.wait.as_ref())),
    }
}
