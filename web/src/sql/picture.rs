//! The picture that fits an answer: numbers over time as lines, numbers by name as bars.

use super::answer::{Kind, Table};
use crate::charts::colours::{SERIES, colours};
use crate::format::Unit;
use crate::instant::parse_instant;
use crate::order;
use std::collections::BTreeMap;

/// A longer list is a table.
pub(crate) const BARS_MAX: usize = 50;
/// More points than a screen has pixels are no picture.
const TIMES_MAX: usize = 5_000;
const BAR_COLUMNS_MAX: usize = 3;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Picture {
    Lines {
        times_unix_micros: Vec<i64>,
        lines: Vec<Line>,
        unit: Unit,
        /// Series that have no colour any more, and their sums.
        left_out: usize,
        rest: Vec<Option<f64>>,
    },
    Bars {
        name: String,
        /// Name and unit of each column of numbers.
        measures: Vec<(String, Unit)>,
        bars: Vec<Bar>,
        left_out: usize,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) label: String,
    /// Token of its colour.
    pub(crate) colour: &'static str,
    pub(crate) values: Vec<Option<f64>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    pub(crate) label: Option<String>,
    pub(crate) values: Vec<Option<f64>>,
}

/// None where there is no time or name, or no number.
pub(crate) fn picture(table: &Table) -> Option<Picture> {
    let at = |fits: fn(Kind) -> bool| table.columns.iter().position(|c| fits(c.kind));
    let numbers: Vec<usize> = (0..table.columns.len()).filter(|i| table.columns[*i].kind.is_number()).collect();
    if table.rows.is_empty() || numbers.is_empty() {
        return None;
    }
    let (time, name) = (at(|k| k == Kind::Time), at(|k| k == Kind::Text));
    match (time, name) {
        (Some(time), Some(name)) => lines_by_name(table, time, name, numbers[0]),
        (Some(time), None) => lines(table, time, &numbers),
        (None, Some(name)) => Some(bars(table, name, &numbers)),
        (None, None) => None,
    }
}

/// By the suffix of a column's name, which says its unit.
pub(crate) fn unit_of(column: &str) -> Unit {
    let base = column.trim_end_matches("_total");
    let suffix = ["bytes_per_second", "joules_per_second"].into_iter().find(|s| base.ends_with(s));
    Unit::of_series(suffix.unwrap_or_else(|| base.rsplit('_').next().unwrap_or_default()))
}

/// Of a time or a date, to the second.
pub(crate) fn micros_of(text: &str) -> Option<i64> {
    if text.contains('T') { parse_instant(text, 0) } else { parse_instant(&format!("{text}T00:00:00Z"), 0) }
}

/// Distinct times in order, with the rows of each.
fn by_time(table: &Table, time: usize) -> Option<BTreeMap<i64, Vec<usize>>> {
    let mut out: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (i, row) in table.rows.iter().enumerate() {
        if let Some(at) = row[time].as_deref().and_then(micros_of) {
            out.entry(at).or_default().push(i);
        }
    }
    (1..=TIMES_MAX).contains(&out.len()).then_some(out)
}

fn lines(table: &Table, time: usize, numbers: &[usize]) -> Option<Picture> {
    let rows = by_time(table, time)?;
    let shown = &numbers[..numbers.len().min(SERIES.len())];
    let line = |(slot, column): (usize, &usize)| Line {
        label: table.columns[*column].name.clone(),
        colour: SERIES[slot],
        values: rows.values().map(|at| table.number(at[0], *column)).collect(),
    };
    Some(Picture::Lines {
        times_unix_micros: rows.keys().copied().collect(),
        lines: shown.iter().enumerate().map(line).collect(),
        unit: unit_of(&table.columns[shown[0]].name),
        left_out: numbers.len() - shown.len(),
        rest: Vec::new(),
    })
}

/// One line a name, those with the largest sums.
fn lines_by_name(table: &Table, time: usize, name: usize, number: usize) -> Option<Picture> {
    let rows = by_time(table, time)?;
    let label = |row: usize| table.rows[row][name].clone().unwrap_or_else(|| "none".to_owned());
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for row in 0..table.rows.len() {
        *sums.entry(label(row)).or_default() += table.number(row, number).map_or(0.0, f64::abs);
    }
    let mut ranked: Vec<(String, f64)> = sums.into_iter().collect();
    order::sort_by(&mut ranked, |a, b| b.1.total_cmp(&a.1));
    let others: Vec<String> =
        ranked.split_off(ranked.len().min(SERIES.len())).into_iter().map(|(label, _)| label).collect();
    let rest = |at: &Vec<usize>| {
        let values =
            at.iter().filter(|row| others.contains(&label(**row))).filter_map(|row| table.number(*row, number));
        values.reduce(|a, b| a + b)
    };
    let labels: Vec<String> = ranked.into_iter().map(|(label, _)| label).collect();
    let line = |(text, colour): (&String, &'static str)| {
        let value =
            |at: &Vec<usize>| at.iter().find(|row| label(**row) == *text).and_then(|r| table.number(*r, number));
        Line { label: text.clone(), colour, values: rows.values().map(value).collect() }
    };
    Some(Picture::Lines {
        times_unix_micros: rows.keys().copied().collect(),
        lines: labels.iter().zip(colours(&labels)).map(line).collect(),
        unit: unit_of(&table.columns[number].name),
        left_out: others.len(),
        rest: rows.values().map(rest).collect(),
    })
}

fn bars(table: &Table, name: usize, numbers: &[usize]) -> Picture {
    let shown = &numbers[..numbers.len().min(BAR_COLUMNS_MAX)];
    let bar = |row: usize| Bar {
        label: table.rows[row][name].clone(),
        values: shown.iter().map(|column| table.number(row, *column)).collect(),
    };
    let measure = |column: &usize| (table.columns[*column].name.clone(), unit_of(&table.columns[*column].name));
    Picture::Bars {
        name: table.columns[name].name.clone(),
        measures: shown.iter().map(measure).collect(),
        bars: (0..table.rows.len().min(BARS_MAX)).map(bar).collect(),
        left_out: table.rows.len().saturating_sub(BARS_MAX),
    }
}

/// The shortest distance between two times, in whole seconds; what a point stands for.
pub(crate) fn step_seconds(times: &[i64]) -> i64 {
    let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000);
    gaps.filter(|gap| *gap > 0).min().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &str, rows: &str) -> Table {
        let columns: Vec<String> = columns
            .split(' ')
            .map(|c| c.split_once(':').expect("name:type"))
            .map(|(name, kind)| format!(r#"{{"name":"{name}","type":"{kind}"}}"#))
            .collect();
        let text = format!(r#"{{"columns":[{}],"rows":[{rows}],"row_count":0}}"#, columns.join(","));
        Table::parse(&text).expect("an answer")
    }

    #[test]
    fn numbers_over_time_are_lines() {
        let rows = r#"["2026-11-24T02:00:00Z",2.5,null],["2026-11-24T01:00:00Z",1,7]"#;
        let found = picture(&table("hour:timestamp power_watts:float64 n:int64", rows));
        let Some(Picture::Lines { times_unix_micros, lines, unit, left_out: 0, .. }) = found else {
            panic!("{found:?}")
        };
        assert_eq!(step_seconds(&times_unix_micros), 3600);
        assert_eq!(unit, Unit::Watts);
        assert_eq!(lines[0].values, [Some(1.0), Some(2.5)]);
        assert_eq!((lines[1].label.as_str(), &lines[1].values), ("n", &vec![Some(7.0), None]));
    }

    #[test]
    fn a_name_beside_a_time_is_a_line_each() {
        let rows = r#"["2026-11-24","b",1],["2026-11-25","b",2],["2026-11-25","a",9],["2026-11-25",null,1]"#;
        let found = picture(&table("day:date team:string cost:float64", rows));
        let Some(Picture::Lines { lines, times_unix_micros, .. }) = found else { panic!("{found:?}") };
        assert_eq!(times_unix_micros.len(), 2);
        let labels: Vec<&str> = lines.iter().map(|l| l.label.as_str()).collect();
        assert_eq!(labels, ["a", "b", "none"]);
        assert_eq!(lines[0].values, [None, Some(9.0)]);
    }

    #[test]
    fn numbers_by_name_are_bars_and_some_answers_are_no_picture() {
        let found = picture(&table("node:string memory_used_bytes:int64", r#"["a",1],[null,2]"#));
        let Some(Picture::Bars { bars, measures, left_out: 0, .. }) = found else { panic!("{found:?}") };
        assert_eq!(measures, [("memory_used_bytes".to_owned(), Unit::Bytes)]);
        assert_eq!((bars[1].label.clone(), bars[1].values.clone()), (None, vec![Some(2.0)]));
        for (columns, rows) in
            [("a:int64 b:int64", "[1,2]"), ("a:string b:string", r#"["x","y"]"#), ("a:string b:int64", "")]
        {
            assert_eq!(picture(&table(columns, rows)), None, "{columns}");
        }
        assert_eq!(unit_of("disk_read_bytes_per_second"), Unit::BytesPerSecond);
        assert_eq!(unit_of("energy_joules_total"), Unit::Joules);
    }
}
