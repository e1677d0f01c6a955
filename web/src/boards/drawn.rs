//! What is drawn of a panel's rows: lines, a stack, bars, cells, one number. Gaps stay gaps.

use crate::charts::colours::{OTHER, colours};
use crate::format::Unit;
use crate::order;
use crate::sql::answer::{Kind, Table};
use crate::sql::picture::{Line, Picture, micros_of, picture, unit_of};
use contract::{GpuState, UNITS};
use std::collections::BTreeMap;

/// Names of a map of cells; a longer list is a table.
const NAMES_MAX: usize = 64;
const COLUMNS_MAX: usize = 1_000;

/// Numbers at common times.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lines {
    pub(crate) times_unix_micros: Vec<i64>,
    pub(crate) lines: Vec<Line>,
    /// Names that are not drawn.
    pub(crate) left_out: usize,
    /// Whether a line is a name of the rows, rather than a column.
    pub(crate) is_named: bool,
}

/// Of rows with a time; a stack has what is left out as its last part.
pub(crate) fn lines(table: &Table, is_stacked: bool) -> Option<Lines> {
    let Picture::Lines { times_unix_micros, mut lines, mut left_out, rest, .. } = picture(table)? else { return None };
    let is_named = table.columns.iter().any(|c| c.kind == Kind::Text);
    if is_named {
        colour_by_name(&mut lines);
    }
    for line in &mut lines {
        if let Some(state) = GpuState::ALL.into_iter().find(|state| state.as_str() == line.label) {
            line.colour = state_token(state);
        }
        if !is_named {
            line.label = words(&line.label);
        }
    }
    if is_stacked && left_out > 0 {
        lines.push(Line { label: format!("{left_out} more"), colour: OTHER, values: rest });
        left_out = 0;
    }
    let mut found = Lines { times_unix_micros, lines, left_out, is_named };
    with_gaps(&mut found);
    Some(found)
}

/// Panels that show the same names in another order show them in the same colours.
fn colour_by_name(lines: &mut [Line]) {
    let mut names: Vec<String> = lines.iter().map(|line| line.label.clone()).collect();
    order::sort(&mut names);
    let tokens = colours(&names);
    for line in lines {
        if let Ok(at) = names.binary_search(&line.label) {
            line.colour = tokens[at];
        }
    }
}

/// Token of the colour that a state has on all pages.
fn state_token(state: GpuState) -> &'static str {
    match state {
        GpuState::Active => "state-active",
        GpuState::HeldIdle => "state-held-idle",
        GpuState::HeldEmpty => "state-held-empty",
        GpuState::Unallocated => "state-unallocated",
        GpuState::Down => "state-down",
        GpuState::Unknown => "state-unknown",
    }
}

/// A time without values where the distance between two is longer than usual, so that no line is drawn over it.
fn with_gaps(found: &mut Lines) {
    let times = &found.times_unix_micros;
    let Some(step) = times.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0).min() else { return };
    let after: Vec<usize> = (1..times.len()).filter(|at| (times[*at] - times[*at - 1]) * 2 > step * 3).collect();
    let spread = |old: Vec<Option<f64>>| {
        let put = |(at, value)| if after.binary_search(&at).is_ok() { vec![None, value] } else { vec![value] };
        old.into_iter().enumerate().flat_map(put).collect()
    };
    for line in &mut found.lines {
        line.values = spread(std::mem::take(&mut line.values));
    }
    let put = |(at, time): (usize, &i64)| {
        if after.binary_search(&at).is_ok() { vec![times[at - 1] + step, *time] } else { vec![*time] }
    };
    found.times_unix_micros = times.iter().enumerate().flat_map(put).collect();
}

/// Upper edges of lines that lie on each other, from the lowest up; none where nothing is known.
pub(crate) fn edges(lines: &[&Line]) -> Vec<Vec<Option<f64>>> {
    let mut below: Vec<Option<f64>> = Vec::new();
    let mut edge = |line: &&Line| {
        below.resize(line.values.len(), None);
        for (sum, value) in below.iter_mut().zip(&line.values) {
            *sum = match (*sum, value) {
                (sum, Some(value)) => Some(sum.unwrap_or_default() + value.max(0.0)),
                (sum, None) => sum,
            };
        }
        below.clone()
    };
    let edges: Vec<Vec<Option<f64>>> = lines.iter().map(&mut edge).collect();
    // Where anything is known, what is not known adds nothing; where nothing is, there is a gap in all.
    let is_known: Vec<bool> = below.iter().map(Option::is_some).collect();
    let fill =
        |edge: Vec<Option<f64>>| edge.into_iter().zip(&is_known).map(|(v, known)| v.or(known.then_some(0.0))).collect();
    edges.into_iter().map(fill).collect()
}

/// One number: the last one where there are times, with those before it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    pub(crate) value: Option<f64>,
    pub(crate) before: Vec<Option<f64>>,
}

pub(crate) fn figure(table: &Table) -> Option<Figure> {
    let column = table.columns.iter().position(|c| c.kind.is_number())?;
    if table.rows.is_empty() {
        return None;
    }
    if !table.columns.iter().any(|c| c.kind == Kind::Time) {
        return Some(Figure { value: table.number(0, column), before: Vec::new() });
    }
    let before: Vec<Option<f64>> = (0..table.rows.len()).map(|row| table.number(row, column)).collect();
    Some(Figure { value: before.iter().rev().flatten().next().copied(), before })
}

/// A number by name and time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cells {
    pub(crate) names: Vec<String>,
    /// Start of the first column, and length of each.
    pub(crate) start: i64,
    pub(crate) step: i64,
    pub(crate) columns: usize,
    /// By name, then time.
    pub(crate) values: Vec<Vec<Option<f64>>>,
    pub(crate) extent: (f64, f64),
    pub(crate) left_out: usize,
}

pub(crate) fn cells(table: &Table) -> Option<Cells> {
    let at = |fits: fn(Kind) -> bool| table.columns.iter().position(|c| fits(c.kind));
    let (time, name, number) = (at(|k| k == Kind::Time)?, at(|k| k == Kind::Text)?, at(Kind::is_number)?);
    let mut found: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
    for (row, cells) in table.rows.iter().enumerate() {
        let Some(at) = cells[time].as_deref().and_then(micros_of) else { continue };
        let of_name = found.entry(cells[name].clone().unwrap_or_else(|| "none".to_owned())).or_default();
        if let Some(value) = table.number(row, number) {
            of_name.insert(at, value);
        }
    }
    let mut times: Vec<i64> = found.values().flat_map(BTreeMap::keys).copied().collect();
    order::sort(&mut times);
    times.dedup();
    let (start, last) = (*times.first()?, *times.last()?);
    let step = times.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(1).max(1);
    let columns = usize::try_from((last - start) / step + 1).ok().filter(|columns| *columns <= COLUMNS_MAX)?;
    let left_out = found.len().saturating_sub(NAMES_MAX);
    let shown: Vec<(String, BTreeMap<i64, f64>)> = found.into_iter().take(NAMES_MAX).collect();
    let all = || shown.iter().flat_map(|(_, values)| values.values().copied());
    let extent = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let line = |values: &BTreeMap<i64, f64>| {
        let mut line = vec![None; columns];
        for (time, value) in values {
            line[((time - start) / step) as usize] = Some(*value);
        }
        line
    };
    let values = shown.iter().map(|(_, values)| line(values)).collect();
    Some(Cells {
        names: shown.into_iter().map(|(name, _)| name).collect(),
        start,
        step,
        columns,
        values,
        extent,
        left_out,
    })
}

/// What a column is called where its unit is said beside it: `GPU busy` of `gpu_busy_ratio`.
pub(crate) fn words(column: &str) -> String {
    let plain = UNITS.iter().find_map(|unit| column.strip_suffix(&format!("_{unit}"))).unwrap_or(column);
    let word = |word: &str| match word {
        "gpu" | "cpu" | "sm" | "dram" | "kv" | "id" => word.to_ascii_uppercase(),
        "gpus" => "GPUs".to_owned(),
        word => word.to_owned(),
    };
    let text = plain.split('_').map(word).collect::<Vec<_>>().join(" ");
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The unit of a column of a panel: what its name says, or else the panel's.
pub(crate) fn unit_in(column: &str, panel: Unit) -> Unit {
    match unit_of(column) {
        Unit::Count => panel,
        named => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &str, rows: &str) -> Table {
        let column = |text: &str| {
            let (name, kind) = text.split_once(':').expect("name:type");
            format!(r#"{{"name":"{name}","type":"{kind}"}}"#)
        };
        let columns: Vec<String> = columns.split(' ').map(column).collect();
        let text = format!(r#"{{"columns":[{}],"rows":[{rows}],"row_count":0}}"#, columns.join(","));
        Table::parse(&text).expect("an answer")
    }

    fn line(values: &[Option<f64>]) -> Line {
        Line { label: "l".to_owned(), colour: OTHER, values: values.to_vec() }
    }

    #[test]
    fn a_longer_distance_is_a_gap_and_states_have_their_colours() {
        let rows = r#"["2026-11-24T01:00:00Z",1,5],["2026-11-24T02:00:00Z",2,6],["2026-11-24T05:00:00Z",3,7]"#;
        let found = lines(&table("bucket:timestamp active:float64 held_idle:float64", rows), true).expect("lines");
        assert_eq!(found.times_unix_micros.len(), 4);
        assert_eq!(found.lines[0].values, [Some(1.0), Some(2.0), None, Some(3.0)]);
        assert_eq!((found.lines[1].label.as_str(), found.lines[1].colour), ("Held idle", "state-held-idle"));
    }

    #[test]
    fn a_stack_has_the_rest_as_its_last_part() {
        let rows: Vec<String> = (0..10).map(|i| format!(r#"["2026-11-24","n{i}",{}]"#, 20 - i)).collect();
        let found = table("day:date node:string watts:float64", &rows.join(","));
        let stacked = lines(&found, true).expect("lines");
        let last = stacked.lines.last().expect("there is one");
        assert_eq!((last.label.as_str(), last.values[0], stacked.left_out), ("2 more", Some(12.0 + 11.0), 0));
        assert_eq!(lines(&found, false).map(|l| (l.lines.len(), l.left_out)), Some((8, 2)));
    }

    #[test]
    fn edges_rise_and_are_missing_only_where_nothing_is_known() {
        let (a, b) = (line(&[Some(1.0), None, None]), line(&[Some(2.0), Some(5.0), None]));
        assert_eq!(edges(&[&a, &b]), [[Some(1.0), Some(0.0), None], [Some(3.0), Some(5.0), None]]);
        assert!(edges(&[]).is_empty());
    }

    #[test]
    fn one_number_is_the_first_or_the_latest() {
        let plain = figure(&table("n:int64", "[7],[8]")).expect("a figure");
        assert_eq!((plain.value, plain.before.len()), (Some(7.0), 0));
        let over_time =
            figure(&table("t:timestamp n:int64", r#"["2026-11-24T01:00:00Z",7],["2026-11-24T02:00:00Z",null]"#));
        assert_eq!(over_time, Some(Figure { value: Some(7.0), before: vec![Some(7.0), None] }));
        assert_eq!(figure(&table("n:int64", "")), None);
        assert_eq!(figure(&table("n:int64", "[null]")).map(|f| f.value), Some(None));
    }

    #[test]
    fn cells_lie_on_one_grid() {
        let rows = r#"["2026-11-24T01:00:00Z","a",1],["2026-11-24T02:00:00Z","b",2],["2026-11-24T04:00:00Z","a",4]"#;
        let found = cells(&table("t:timestamp node:string n:float64", rows)).expect("cells");
        assert_eq!((found.columns, found.extent), (4, (1.0, 4.0)));
        assert_eq!(found.values[0], [Some(1.0), None, None, Some(4.0)]);
        assert_eq!(found.names, ["a", "b"]);
        assert_eq!(cells(&table("t:timestamp node:string n:float64", "")), None);
    }

    #[test]
    fn columns_read_as_words() {
        for (column, text) in [
            ("gpu_busy_ratio", "GPU busy"),
            ("gpus", "GPUs"),
            ("p95_seconds", "P95"),
            ("job_id", "Job ID"),
            ("node", "Node"),
        ] {
            assert_eq!(words(column), text);
        }
        assert_eq!(unit_in("active", Unit::Hours), Unit::Hours);
        assert_eq!(unit_in("power_watts", Unit::Celsius), Unit::Watts);
    }
}
