//! TOML made of `[[name]]` tables.

use super::row::{Cell, Row, Value};
use super::{Document, Faults, Lines, Origin, ROWS_MAX, any_of, quoted};
use std::ops::Range;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// Where a document is being read.
struct Place<'a> {
    lines: Lines,
    origin: &'a Arc<Origin>,
}

impl Place<'_> {
    fn at(&self, span: &Range<usize>) -> usize {
        self.lines.at(span.start)
    }
}

/// The tables of a TOML document in the order of their lines, each with the place of its name in `names`.
pub(in super::super) fn toml_rows(document: &Document, names: &[&str], faults: &mut Faults) -> Vec<(usize, Row)> {
    let text = document.text.strip_prefix('\u{feff}').unwrap_or(&document.text);
    let origin = Origin::of(document);
    let lines = Place { lines: Lines::of(text), origin: &origin };
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let why = error.message().lines().collect::<Vec<_>>().join(", ");
        let line = error.span().map_or(1, |span| lines.at(&span));
        faults.add(&document.name, line, format!("cannot be read as TOML: {why}"));
    }
    let mut rows = Vec::new();
    if !errors.is_empty() {
        return rows;
    }
    for (key, value) in root.into_inner() {
        let (line, name) = (lines.at(&key.span()), key.into_inner());
        let tables = match (names.iter().position(|known| *known == name), value.into_inner()) {
            (Some(at), DeValue::Array(tables)) => tables.into_iter().map(move |table| (at, table)),
            (Some(_), _) => {
                faults.add(&document.name, line, format!("{name} must be written as [[{name}]] with its keys below"));
                continue;
            }
            (None, _) => {
                let known: Vec<String> = names.iter().map(|name| format!("[[{name}]]")).collect();
                let known = any_of(&known.iter().map(String::as_str).collect::<Vec<_>>());
                faults.add(&document.name, line, format!("{} is unknown here; there may be {known}", quoted(&name)));
                continue;
            }
        };
        for (at, table) in tables {
            let span = table.span();
            match table.into_inner() {
                DeValue::Table(table) => rows.push((at, row(table, &span, &lines))),
                _ => faults.add(&document.name, lines.at(&span), format!("{name} must be written as [[{name}]]")),
            }
        }
    }
    if rows.len() > ROWS_MAX {
        faults.add(&document.name, 1, format!("has more than {ROWS_MAX} tables; divide it"));
        rows.clear();
    }
    rows.sort_by_key(|(_, row)| row.line);
    rows
}

fn row(table: DeTable<'_>, span: &Range<usize>, lines: &Place<'_>) -> Row {
    let cells = table.into_iter().map(|(key, value)| {
        let line = lines.at(&value.span());
        (key.into_inner().into_owned(), Cell { value: cell(value.into_inner(), lines), line })
    });
    Row { origin: lines.origin.clone(), line: lines.at(span), cells: cells.collect() }
}

fn cell(value: DeValue<'_>, lines: &Place<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.trim().to_owned()),
        DeValue::Integer(number) => Value::Text(number.to_string()),
        DeValue::Float(number) => Value::Text(number.as_str().to_owned()),
        DeValue::Boolean(value) => Value::Text(value.to_string()),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(values) => {
            let cells = values.into_iter().map(|value| {
                let line = lines.at(&value.span());
                Cell { value: cell(value.into_inner(), lines), line }
            });
            Value::List(cells.collect())
        }
        DeValue::Table(table) => Value::Table(row(table, &(0..0), lines)),
    }
}
