//! `[[case.load]]`: rows of a table, and columns as series.

use super::{Row, offset};
use crate::cost::{TomlDocument, TomlFields};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::de::DeValue;

/// Rows of a case.
pub(super) const ROWS_MAX: usize = 100_000;
const MINUTE: i64 = 60_000_000;
/// Of each of the numbers that a series says: minutes of two months.
const REPEATS_MAX: usize = ROWS_MAX;

/// A row and when it was measured, from the start of the case.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    pub table: Arc<str>,
    pub at_micros: i64,
    pub row: Row,
    /// Of its load, from 1.
    pub line: usize,
}

/// Rows of a table that come together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Load {
    table: Arc<str>,
    /// Each with its time.
    rows: Vec<(i64, Row)>,
    every_micros: i64,
    times: usize,
    line: usize,
}

impl Load {
    pub(super) fn read<'t>(
        document: &mut TomlDocument<'t>,
        mut table: TomlFields<'t>,
        defaults: &BTreeMap<Arc<str>, Row>,
    ) -> Option<Self> {
        let (at, line) = (table.at, document.line_of(table.at));
        let name = document.needed_text(&mut table, "table");
        let usual = defaults.get(&name).cloned().unwrap_or_default();
        let every_micros = document.span(&mut table, "every").unwrap_or(MINUTE).max(1);
        let times_at = table.at_of("times").unwrap_or(at);
        let times = document.number(&mut table, "times").unwrap_or(1.0);
        if !(1.0..=ROWS_MAX as f64).contains(&times) || times.fract() != 0.0 {
            document.fault(times_at, format!("times is a whole number from 1 to {ROWS_MAX}"));
        }
        let mut rows = Vec::new();
        if let Some(value) = table.take_spanned("rows") {
            match value.get_ref() {
                DeValue::Array(list) => {
                    for value in list.iter() {
                        rows.extend(timed(document, value.span().start, value.get_ref(), &usual));
                    }
                }
                _ => document.fault(value.span().start, "rows is a list of tables".to_owned()),
            }
        }
        let start_at = table.at_of("at").unwrap_or(at);
        let start = document.text(&mut table, "at").map_or(Some(0), |text| offset(&text));
        if start.is_none() {
            document.fault(start_at, "at is a time from the start, like \"-10m\"".to_owned());
        }
        let own = row(document, &mut table, "row");
        let series = document.named_texts(&mut table, "series");
        let series = columns(document, series);
        let usual = merged(&usual, own);
        rows.extend(series_rows(&series, start.unwrap_or_default(), every_micros, &usual));
        if rows.is_empty() {
            document.fault(at, "a load has rows, or series with numbers".to_owned());
        }
        document.finish(table);
        let times = if series.is_empty() { times as usize } else { 1 };
        (rows.len().saturating_mul(times) <= ROWS_MAX)
            .then_some(Self { table: name, rows, every_micros, times, line })
            .or_else(|| {
                document.fault(at, format!("a load has more than {ROWS_MAX} rows"));
                None
            })
    }

    pub(super) fn played(self) -> impl Iterator<Item = Played> {
        let Self { table, rows, every_micros, times, line } = self;
        rows.into_iter().flat_map(move |(at, row)| {
            let table = Arc::clone(&table);
            (0..times).map(move |time| {
                let at_micros = at.saturating_add(every_micros.saturating_mul(time as i64));
                Played { table: Arc::clone(&table), at_micros, row: row.clone(), line }
            })
        })
    }
}

/// A row with its `at`, over what is usual.
fn timed(document: &mut TomlDocument<'_>, at: usize, value: &DeValue<'_>, usual: &Row) -> Option<(i64, Row)> {
    let Value::Object(mut row) = json(value) else {
        document.fault(at, "a row is a table of its columns".to_owned());
        return None;
    };
    let time = match row.remove("at") {
        None => Some(0),
        Some(value) => value.as_str().and_then(offset),
    };
    if time.is_none() {
        document.fault(at, "at is a time from the start, like \"-10m\"".to_owned());
    }
    Some((time.unwrap_or_default(), merged(usual, row)))
}

fn merged(usual: &Row, own: Row) -> Row {
    let mut row = usual.clone();
    row.extend(own);
    row
}

/// A table of columns.
pub(super) fn row<'t>(document: &mut TomlDocument<'t>, table: &mut TomlFields<'t>, name: &'static str) -> Row {
    let Some(value) = table.take_spanned(name) else { return Row::new() };
    match json(value.get_ref()) {
        Value::Object(row) => row,
        _ => {
            document.fault(value.span().start, format!("{name} is a table of columns"));
            Row::new()
        }
    }
}

fn columns(
    document: &mut TomlDocument<'_>,
    series: Vec<(usize, String, String)>,
) -> BTreeMap<String, Vec<Option<f64>>> {
    let mut columns = BTreeMap::new();
    for (at, name, text) in series {
        match numbers(&text) {
            Some(numbers) => drop(columns.insert(name, numbers)),
            None => {
                let what = "a series is written like \"60 61 60+5x10 90x3 _x2\"";
                document.fault(at, format!("series.{name}: {what}"));
            }
        }
    }
    columns
}

/// A row for each step at which one of the columns has a number.
fn series_rows(series: &BTreeMap<String, Vec<Option<f64>>>, start: i64, every: i64, usual: &Row) -> Vec<(i64, Row)> {
    let steps = series.values().map(Vec::len).max().unwrap_or_default().min(ROWS_MAX);
    let mut rows = Vec::new();
    for step in 0..steps {
        let mut row = usual.clone();
        let mut has_any = false;
        for (name, numbers) in series {
            let number = numbers.get(step).copied().flatten();
            has_any |= number.is_some();
            row.insert(name.clone(), number.map_or(Value::Null, plain_number));
        }
        if has_any {
            rows.push((start.saturating_add(every.saturating_mul(step as i64)), row));
        }
    }
    rows
}

/// Whole numbers as such: columns of integers take no others.
fn plain_number(number: f64) -> Value {
    /// Below it each whole number is one of its own.
    const WHOLE_MAX: f64 = 9e15;
    match number.fract() == 0.0 && number.abs() < WHOLE_MAX {
        true => Value::from(number as i64),
        false => Value::from(number),
    }
}

/// As promtool writes series: `1`, `1x3` (four times), `1+2x3`, `1-2x3`, `_` and `_x3` for none.
fn numbers(text: &str) -> Option<Vec<Option<f64>>> {
    let mut all = Vec::new();
    for word in text.split_whitespace() {
        let (step, repeats) = match word.rsplit_once('x') {
            Some((step, repeats)) => (step, Some(repeats.parse::<usize>().ok().filter(|n| *n <= REPEATS_MAX)?)),
            None => (word, None),
        };
        if step == "_" {
            all.extend(std::iter::repeat_n(None, repeats.unwrap_or(1)));
        } else {
            // A sign in front belongs to the number, and one behind an e to its power.
            let bytes = step.as_bytes();
            let sign = (1..bytes.len()).find(|at| b"+-".contains(&bytes[*at]) && !b"eE".contains(&bytes[*at - 1]));
            let (first, by) = match sign {
                Some(at) => (step[..at].parse::<f64>().ok()?, step[at..].parse::<f64>().ok()?),
                None => (step.parse::<f64>().ok()?, 0.0),
            };
            all.extend((0..=repeats.unwrap_or(0)).map(|step| Some(first + by * step as f64)));
        }
        if all.len() > ROWS_MAX {
            return None;
        }
    }
    let is_good = !all.is_empty() && all.iter().flatten().all(|number| number.is_finite());
    is_good.then_some(all)
}

/// A value of TOML as one of JSON.
pub(super) fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Integer(number) if number.radix() == 10 => {
            number.as_str().replace('_', "").parse::<i64>().map_or(Value::Null, Value::from)
        }
        DeValue::Float(_) => number(value).map_or(Value::Null, Value::from),
        DeValue::Integer(number) => Value::from(number.as_str()),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(list) => list.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(name, value)| (name.get_ref().to_string(), json(value.get_ref()))).collect()
        }
    }
}

pub(super) fn number(value: &DeValue<'_>) -> Option<f64> {
    let text = match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => return None,
    };
    text.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite())
}
