//! Charges as CSV, row by row, and the description of the columns beside them.

use super::{DECIMAL_DIGITS, FocusError, FocusNames, FocusRow, FocusType, FocusValue, FocusVersion, text};
use serde_json::json;
use std::io::Write;

/// Writes charges as CSV. Decimals always have a point, nulls are empty cells, times are UTC.
pub struct FocusCsv<W: Write> {
    version: FocusVersion,
    out: csv::Writer<W>,
}

impl<W: Write> FocusCsv<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// The header cannot be written.
    pub fn new(version: FocusVersion, out: W) -> Result<Self, FocusError> {
        let mut csv = Self { version, out: csv::Writer::from_writer(out) };
        csv.out.write_record(version.columns().iter().map(|column| column.name)).map_err(wrote)?;
        Ok(csv)
    }

    /// # Errors
    /// The row cannot be written.
    pub fn write(&mut self, row: &FocusRow) -> Result<(), FocusError> {
        for value in row.values(self.version) {
            self.out.write_field(cell(value)).map_err(wrote)?;
        }
        self.out.write_record(None::<&[u8]>).map_err(wrote)
    }

    /// Gives the writer back with all rows in it.
    ///
    /// # Errors
    /// The last rows cannot be written.
    pub fn finish(self) -> Result<W, FocusError> {
        self.out.into_inner().map_err(|error| FocusError::Write(error.into_error()))
    }
}

fn wrote(error: csv::Error) -> FocusError {
    match error.into_kind() {
        csv::ErrorKind::Io(io) => FocusError::Write(io),
        other => FocusError::Write(std::io::Error::other(format!("{other:?}"))),
    }
}

fn cell(value: FocusValue) -> String {
    match value {
        FocusValue::Null => String::new(),
        FocusValue::Text(text) => text,
        FocusValue::Time(micros) => text::time(micros),
        FocusValue::Decimal(number) => {
            // A reader that infers types takes a column without points for integers.
            let digits = number.normalize().to_string();
            if digits.contains('.') { digits } else { format!("{digits}.0") }
        }
    }
}

pub(super) fn metadata(version: FocusVersion, names: &FocusNames, schema_id: &str, created_micros: i64) -> String {
    let columns = version.columns().into_iter().map(|column| match column.kind {
        FocusType::Text => json!({"ColumnName": column.name, "DataType": "STRING", "StringEncoding": "UTF-8"}),
        FocusType::Json => json!({"ColumnName": column.name, "DataType": "JSON", "StringEncoding": "UTF-8"}),
        FocusType::Time => json!({"ColumnName": column.name, "DataType": "DATETIME"}),
        FocusType::Decimal => json!({
            "ColumnName": column.name, "DataType": "DECIMAL", "NumericPrecision": 38, "NumberScale": DECIMAL_DIGITS,
        }),
    });
    let document = json!({
        "DataGenerator": {"DataGenerator": names.issuer},
        "Schema": {
            "SchemaId": schema_id,
            "FocusVersion": version.as_str(),
            "CreationDate": text::time(created_micros),
            "ColumnDefinition": columns.collect::<Vec<_>>(),
        },
    });
    format!("{document:#}\n")
}
