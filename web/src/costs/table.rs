//! Who paid how much: rows of one or two dimensions, sorted, as the page and its CSV have them. Pure.
//!
//! **Invariant:** the rows with the rest are the total, as the server has it.

use super::slice::FIRST;
use super::{Dimension, Priced, priced, rate};
use crate::books::{CostPivot, PivotRow, signed};
use crate::format;
use crate::order;
use crate::sheet::{self, Field, Head, Sheet};
use contract::answers::{CostGroup, Costs, Energy};

/// A group, the sum of those that are not listed, or of all.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: Option<String>,
    pub(crate) label: String,
    pub(crate) cost_micros: i64,
    pub(crate) gpu_hours: f64,
    pub(crate) unpriced_gpu_hours: f64,
    pub(crate) before_micros: Option<i64>,
    /// By column, and of the columns beyond; none where nothing has a price.
    pub(crate) cells: Vec<Option<i64>>,
    pub(crate) energy: Energy,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    /// Names of the columns; the last one may be of those beyond.
    pub(crate) columns: Vec<String>,
    pub(crate) has_before: bool,
    pub(crate) rows: Vec<Row>,
    /// Of groups that are not listed.
    pub(crate) rest: Option<Row>,
    pub(crate) total: Row,
}

impl Row {
    pub(crate) fn rate(&self) -> Option<i64> {
        rate(self.cost_micros, self.gpu_hours, self.unpriced_gpu_hours)
    }

    /// None where hours have no price at all, which is not a cost of nothing.
    pub(crate) fn cost(&self) -> Option<i64> {
        let nothing = self.cost_micros == 0 && self.gpu_hours > 0.0;
        let known = !nothing || priced(self.gpu_hours, self.unpriced_gpu_hours) != Priced::Nothing;
        known.then_some(self.cost_micros)
    }

    /// Against the range before, with its part of it.
    pub(crate) fn change(&self) -> Option<(i64, Option<f64>)> {
        let before = self.before_micros?;
        let change = self.cost_micros.saturating_sub(before);
        Some((change, format::change(self.cost_micros as f64, Some(before as f64))))
    }
}

/// Of an answer by one dimension.
pub(crate) fn of_costs(costs: &Costs, by: &Dimension) -> Table {
    let row = |group: &CostGroup| Row {
        name: group.name.clone(),
        label: by.label_of(group.name.as_deref()),
        cost_micros: group.cost_micros,
        gpu_hours: group.gpu_hours,
        unpriced_gpu_hours: group.unpriced_gpu_hours,
        energy: group.energy,
        ..Row::default()
    };
    let rows: Vec<Row> = costs.groups.iter().map(row).collect();
    let total = Row {
        label: "All".to_owned(),
        cost_micros: costs.cost_micros,
        gpu_hours: costs.gpu_hours,
        unpriced_gpu_hours: costs.unpriced_gpu_hours,
        energy: costs.energy,
        ..Row::default()
    };
    let sum = |of: fn(&Row) -> f64| rows.iter().map(of).sum::<f64>();
    let rest = (costs.groups_left_out > 0).then(|| Row {
        label: more(costs.groups_left_out),
        cost_micros: rows.iter().fold(total.cost_micros, |left, row| left.saturating_sub(row.cost_micros)),
        gpu_hours: (total.gpu_hours - sum(|row| row.gpu_hours)).max(0.0),
        unpriced_gpu_hours: (total.unpriced_gpu_hours - sum(|row| row.unpriced_gpu_hours)).max(0.0),
        ..Row::default()
    });
    Table { rows, rest, total, ..Table::default() }
}

fn more(count: u64) -> String {
    format!("{} more", format::count(count))
}

/// Of an answer by two dimensions, or with the range before. Its groups' energy is in the other answer.
pub(crate) fn of_pivot(pivot: &CostPivot, costs: &Costs, by: &Dimension, columns: Option<&Dimension>) -> Table {
    let mut names: Vec<String> = columns
        .map(|columns| pivot.columns.iter().map(|name| columns.label_of(name.as_deref())).collect())
        .unwrap_or_default();
    let is_cut = pivot.columns_left_out > 0;
    let listed = names.len();
    if is_cut {
        names.push(more(pivot.columns_left_out));
    }
    let row = |found: &PivotRow, label: String| {
        let mut cells = vec![None; listed];
        for cell in &found.cells {
            if let Some(place) = cells.get_mut(cell.column as usize) {
                *place = Some(cell.cost_micros);
            }
        }
        if is_cut {
            cells.push(Some(found.beyond_micros));
        }
        Row {
            name: found.name.clone(),
            label,
            cost_micros: found.cost_micros,
            gpu_hours: found.gpu_hours,
            unpriced_gpu_hours: found.unpriced_gpu_hours,
            before_micros: found.before_micros,
            cells,
            energy: Energy::default(),
        }
    };
    let group = |found: &PivotRow| {
        let energy = costs.groups.iter().find(|group| group.name == found.name).map(|group| group.energy);
        Row { energy: energy.unwrap_or_default(), ..row(found, by.label_of(found.name.as_deref())) }
    };
    let total = Row { energy: costs.energy, ..row(&pivot.total, "All".to_owned()) };
    Table {
        columns: names,
        has_before: pivot.before.is_some(),
        rows: pivot.rows.iter().map(group).collect(),
        rest: (pivot.rows_left_out > 0).then(|| row(&pivot.rest, more(pivot.rows_left_out))),
        total,
    }
}

/// Keys of the columns: a table has twelve, and one of those beyond.
pub(crate) const COLUMN_KEYS: [&str; 13] =
    ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11", "c12"];

/// Sorts by a key of a head, with a leading `-` for downwards; an unknown one leaves the rows as they are.
pub(crate) fn sort(table: &mut Table, sort: &str, by: &Dimension) {
    let (key, down) = sort.strip_prefix('-').map_or((sort, false), |key| (key, true));
    let rows = &mut table.rows;
    match key {
        // Months are in the order of time, whatever their names are.
        "name" if by.name == "period" => order::sort_by(rows, |a, b| a.name.cmp(&b.name)),
        "name" => order::sort_by_key(rows, |row| row.label.to_lowercase()),
        "gpu_hours" => order::sort_by(rows, |a, b| a.gpu_hours.total_cmp(&b.gpu_hours)),
        "cost" => order::sort_by_key(rows, |row| row.cost_micros),
        "rate" => order::sort_by_key(rows, Row::rate),
        "unpriced" => order::sort_by(rows, |a, b| a.unpriced_gpu_hours.total_cmp(&b.unpriced_gpu_hours)),
        "before" => order::sort_by_key(rows, |row| row.before_micros),
        "change" => order::sort_by_key(rows, |row| row.change().map(|(change, _)| change)),
        "energy" => order::sort_by(rows, |a, b| {
            let joules = |row: &Row| row.energy.measured_joules.unwrap_or(-1.0);
            joules(a).total_cmp(&joules(b))
        }),
        key => match COLUMN_KEYS.iter().position(|known| *known == key) {
            Some(at) => order::sort_by_key(rows, |row| row.cells.get(at).copied().flatten()),
            None => return,
        },
    }
    if down {
        rows.reverse();
    }
}

const JOULES_PER_KWH: f64 = 3_600_000.0;

/// What stands beside money: kilowatt-hours and kilograms, none where they are not known.
pub(crate) fn beside(energy: &Energy) -> (Option<f64>, Option<f64>) {
    (energy.measured_joules.map(|joules| joules / JOULES_PER_KWH), energy.carbon_grams.map(|grams| grams / 1000.0))
}

/// A column after the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Cell(usize),
    Share,
    Hours,
    Cost,
    Before,
    /// In money and as a part.
    Change,
    Rate,
    Unpriced,
    Energy,
    Carbon,
}

impl Table {
    /// What is shown: a table with columns of its own has no room for all the rest.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = (0..self.columns.len()).map(Kind::Cell).collect();
        let has_cells = !kinds.is_empty();
        match has_cells {
            true => kinds.push(Kind::Cost),
            false => kinds.extend([Kind::Share, Kind::Hours, Kind::Cost]),
        }
        if self.has_before {
            kinds.extend([Kind::Before, Kind::Change]);
        }
        match has_cells {
            true => kinds.push(Kind::Hours),
            false => kinds.extend([Kind::Rate, Kind::Unpriced, Kind::Energy, Kind::Carbon]),
        }
        kinds
    }

    fn heads(&self, kind: Kind, currency: &str) -> Vec<Head> {
        let key = |name: &str| format!("{}_micros", name.to_lowercase().replace(' ', "_"));
        let of_all = |name: &str, key: &str| vec![sheet::number(name, key)];
        match kind {
            Kind::Cell(at) => {
                let name = self.columns.get(at).map_or("", String::as_str);
                vec![sheet::number(format!("{name}, {currency}"), key(name))]
            }
            Kind::Share => of_all("Share", "share_ratio"),
            Kind::Hours => of_all("GPU-hours", "gpu_hours"),
            Kind::Cost => of_all("Cost", "cost_micros"),
            Kind::Before => of_all("Before", "before_micros"),
            Kind::Change => vec![sheet::number("Change", "change_micros"), sheet::number("Change", "change_ratio")],
            Kind::Rate => of_all("Cost per GPU-hour", "cost_per_gpu_hour_micros"),
            Kind::Unpriced => of_all("Without a price", "unpriced_gpu_hours"),
            Kind::Energy => of_all("Energy", "energy_kwh"),
            Kind::Carbon => of_all("CO2e", "carbon_kg"),
        }
    }

    fn fields(&self, kind: Kind, row: &Row) -> Vec<Field> {
        let change = || row.change();
        match kind {
            Kind::Cell(at) => vec![sheet::micros(row.cells.get(at).copied().flatten())],
            Kind::Share => vec![sheet::ratio(super::share(row.cost_micros, self.total.cost_micros))],
            Kind::Hours => vec![sheet::hours(Some(row.gpu_hours))],
            Kind::Cost => vec![sheet::micros(row.cost())],
            Kind::Before => vec![sheet::micros(row.before_micros)],
            Kind::Change => {
                let ratio = change().and_then(|(_, ratio)| ratio);
                vec![sheet::micros(change().map(|(micros, _)| micros)), sheet::ratio(ratio)]
            }
            Kind::Rate => vec![sheet::micros(row.rate())],
            Kind::Unpriced => vec![sheet::hours(Some(row.unpriced_gpu_hours))],
            Kind::Energy => vec![sheet::hours(beside(&row.energy).0)],
            Kind::Carbon => vec![sheet::hours(beside(&row.energy).1)],
        }
    }

    /// Exactly what is shown, in its order.
    pub(crate) fn sheet(&self, by: &Dimension, currency: &str) -> Sheet {
        let kinds = self.kinds();
        let heads = kinds.iter().flat_map(|kind| self.heads(*kind, currency));
        let heads = std::iter::once(sheet::text(by.label, by.name)).chain(heads);
        let fields = |row: &Row| {
            let values = kinds.iter().flat_map(|kind| self.fields(*kind, row));
            std::iter::once(sheet::named(row.label.clone())).chain(values).chain([sheet::named(currency)]).collect()
        };
        Sheet {
            name: format!("costs-by-{}", by.name),
            heads: heads.chain([sheet::text("Currency", "currency")]).collect(),
            rows: self.rows.iter().chain(&self.rest).chain([&self.total]).map(fields).collect(),
        }
    }
}

/// How much more or less, with sign, percent and word: colour alone says nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) text: String,
    pub(crate) class: &'static str,
}

pub(crate) fn change(micros: i64, ratio: Option<f64>) -> Change {
    let (word, class) = match micros {
        0 => return Change { text: "the same".to_owned(), class: "change" },
        1.. => ("more", "change bad"),
        _ => ("less", "change good"),
    };
    let percent = match ratio {
        Some(ratio) => format!(" ({})", format::signed_percent(ratio)),
        None if micros > 0 => " (new)".to_owned(),
        None => String::new(),
    };
    Change { text: format!("{}{percent} {word}", signed(micros)), class }
}

/// The page of rows that the address asks for; none while no rows are shown.
pub(crate) fn cursor(own: &str) -> Option<Option<String>> {
    match own {
        "" => None,
        FIRST => Some(None),
        cursor => Some(Some(cursor.to_owned())),
    }
}
