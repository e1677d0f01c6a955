//! CSV with a header, as spreadsheets and databases write it: byte order mark, CRLF, quoted cells.

use super::row::{Cell, Row, Value};
use super::{Document, Faults, Lines, Origin, ROWS_MAX, any_of, quoted};
use std::collections::BTreeMap;

/// The rows of a CSV document, by column. `known` are the columns that there may be, `required` those that must be.
pub(in super::super) fn csv_rows(
    document: &Document,
    known: &[&'static str],
    required: &[&str],
    faults: &mut Faults,
) -> Vec<Row> {
    let text = document.text.strip_prefix('\u{feff}').unwrap_or(&document.text);
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).has_headers(false).from_reader(text.as_bytes());
    let mut records = reader.records();
    let header = match records.next() {
        Some(Ok(header)) => header,
        Some(Err(error)) => {
            faults.add(&document.name, 1, format!("cannot be read as CSV: {error}"));
            return Vec::new();
        }
        None => {
            faults.add(&document.name, 1, format!("is empty; its first line must be {}", known.join(",")));
            return Vec::new();
        }
    };
    let Some(columns) = columns(document, &header, known, required, faults) else { return Vec::new() };
    let (origin, lines) = (Origin::of(document), Lines::of(text));
    let mut rows = Vec::new();
    for record in records {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(1, |at| at.line() as usize);
                faults.add(&document.name, line, format!("cannot be read as CSV: {error}"));
                break;
            }
        };
        if record.iter().all(str::is_empty) {
            continue;
        }
        let line = lines.of_record(text, &record);
        if record.len() != columns.len() {
            let (has, header) = (record.len(), columns.len());
            let why = "put a text with a comma into quotes";
            faults.add(&document.name, line, format!("has {has} cells where the header has {header}; {why}"));
            continue;
        }
        if rows.len() == ROWS_MAX {
            faults.add(&document.name, line, format!("has more than {ROWS_MAX} rows; divide it"));
            break;
        }
        let cells = columns.iter().zip(&record).filter(|(_, text)| !text.is_empty());
        let cells: BTreeMap<_, _> = cells
            .map(|(name, text)| ((*name).to_owned(), Cell { value: Value::Text(text.to_owned()), line }))
            .collect();
        rows.push(Row { origin: origin.clone(), line, cells });
    }
    rows
}

/// The columns in the order of the header; none where it is wrong.
fn columns(
    document: &Document,
    header: &csv::StringRecord,
    known: &[&'static str],
    required: &[&str],
    faults: &mut Faults,
) -> Option<Vec<&'static str>> {
    let before = faults.count();
    let mut columns = Vec::new();
    if header.len() == 1 && header.iter().any(|cell| cell.contains([';', '\t'])) {
        faults.add(&document.name, 1, "is not divided by commas; save it as CSV with commas".to_owned());
        return None;
    }
    for name in header {
        match known.iter().find(|column| **column == name) {
            Some(column) if columns.contains(column) => {
                faults.add(&document.name, 1, format!("names the column {name} twice"));
            }
            Some(column) => columns.push(*column),
            None => {
                let list = any_of(known);
                faults.add(&document.name, 1, format!("has an unknown column {}; a column is {list}", quoted(name)));
            }
        }
    }
    for name in required.iter().filter(|name| !header.iter().any(|cell| cell == **name)) {
        faults.add(&document.name, 1, format!("has no column {name}"));
    }
    (faults.count() == before).then_some(columns)
}
