//! The records of a catalog: rows of CSV, or what lies at the bottom of nested JSON.

use super::super::document::{Document, Faults, Format, Lines, quoted};
use super::map::Level;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a value without a name is called.
const VALUE: &str = "value";
/// Records of one catalog.
const RECORDS_MAX: usize = 1_000_000;

/// Fields by name; empty ones are not there.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Of the catalog, from 1; in JSON always 1.
    pub(super) line: usize,
    fields: BTreeMap<Arc<str>, Arc<str>>,
}

impl Record {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|text| &**text)
    }

    /// For a message.
    pub(super) fn title(&self) -> String {
        let fields = self.fields.iter().filter(|(name, _)| &***name != VALUE).take(6);
        quoted(&fields.map(|(_, text)| &**text).collect::<Vec<_>>().join(", "))
    }
}

pub(super) fn records(catalog: &Document, format: Format, levels: &[Level], faults: &mut Faults) -> Vec<Record> {
    let text = catalog.text.strip_prefix('\u{feff}').unwrap_or(&catalog.text);
    let records = match format {
        Format::Json => match serde_json::from_str::<Value>(text) {
            Ok(value) => {
                let mut found = Vec::new();
                enter(&value, levels, &mut Vec::new(), &mut found);
                found
            }
            Err(error) => {
                faults.add(&catalog.name, error.line().max(1), format!("cannot be read as JSON: {error}"));
                Vec::new()
            }
        },
        _ => csv_records(catalog, text, faults),
    };
    if records.len() > RECORDS_MAX {
        faults.add(&catalog.name, 1, format!("has more than {RECORDS_MAX} records"));
        return Vec::new();
    }
    if records.is_empty() && faults.count() == 0 {
        faults.add(&catalog.name, 1, "has no records where the map looks for them".to_owned());
    }
    records
}

fn csv_records(catalog: &Document, text: &str, faults: &mut Faults) -> Vec<Record> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header: Vec<Arc<str>> = match reader.headers() {
        Ok(header) => header.iter().map(Arc::from).collect(),
        Err(error) => {
            faults.add(&catalog.name, 1, format!("cannot be read as CSV: {error}"));
            return Vec::new();
        }
    };
    let (mut found, lines) = (Vec::new(), Lines::of(text));
    for record in reader.records().take(RECORDS_MAX + 1) {
        match record {
            Ok(record) => {
                let cells = header.iter().zip(&record).filter(|(_, text)| !text.is_empty());
                let fields = cells.map(|(name, text)| (name.clone(), Arc::from(text))).collect();
                found.push(Record { line: lines.of_record(text, &record), fields });
            }
            Err(error) => {
                let line = error.position().map_or(1, |at| at.line() as usize);
                faults.add(&catalog.name, line, format!("cannot be read as CSV: {error}"));
                break;
            }
        }
    }
    found
}

/// Goes down the levels; what does not have them has no records.
fn enter(value: &Value, levels: &[Level], fields: &mut Vec<(Arc<str>, Arc<str>)>, found: &mut Vec<Record>) {
    if found.len() > RECORDS_MAX {
        return;
    }
    let Some((level, rest)) = levels.split_first() else {
        let mut all: BTreeMap<_, _> = fields.iter().cloned().collect();
        match value {
            Value::Object(members) => {
                let texts =
                    members.iter().filter_map(|(name, value)| Some((Arc::from(name.as_str()), text_of(value)?)));
                all.extend(texts);
            }
            value => all.extend(text_of(value).map(|text| (Arc::from(VALUE), text))),
        }
        found.push(Record { line: 1, fields: all });
        return;
    };
    match (level, value) {
        (Level::Key(key), Value::Object(members)) => {
            if let Some(value) = members.get(key) {
                enter(value, rest, fields, found);
            }
        }
        (Level::Each(field), Value::Object(members)) => {
            let field: Arc<str> = field.as_str().into();
            for (key, value) in members {
                fields.push((field.clone(), key.as_str().into()));
                enter(value, rest, fields, found);
                fields.pop();
            }
        }
        (Level::Elements, Value::Array(values)) => values.iter().for_each(|value| enter(value, rest, fields, found)),
        _ => {}
    }
}

/// As written, but for the exponents that JSON may have; nothing of lists and tables.
fn text_of(value: &Value) -> Option<Arc<str>> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => match number.to_string() {
            text if text.contains(['e', 'E']) => rust_decimal::Decimal::from_scientific(&text).ok()?.to_string(),
            text => text,
        },
        Value::Bool(value) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then(|| text.into())
}
