//! The table as one Arrow batch, for Parquet.

use super::ReportError;
use super::document::{Cell, CellKind, Document};
use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;

/// Digits of an amount, and how many of them stand after the point.
const AMOUNT: (u8, i8) = (20, 6);

/// The columns of the CSV form: names as text, hours and ratios as float64, amounts as decimal(20,6).
pub fn record_batch(document: &Document) -> Result<RecordBatch, ReportError> {
    let rows = &document.table.rows;
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (at, column) in document.table.exported() {
        let (kind, values): (DataType, ArrayRef) = match column.kind {
            CellKind::Text => {
                let names = rows.iter().map(|row| match &row[at] {
                    Cell::Text(name) => Some(name.as_str()),
                    _ => None,
                });
                (DataType::Utf8, Arc::new(names.collect::<StringArray>()))
            }
            CellKind::Micros => {
                let amounts = rows.iter().map(|row| match row[at] {
                    Cell::Micros(micros) => Some(i128::from(micros)),
                    _ => None,
                });
                let amounts = amounts.collect::<Decimal128Array>().with_precision_and_scale(AMOUNT.0, AMOUNT.1);
                (DataType::Decimal128(AMOUNT.0, AMOUNT.1), Arc::new(amounts.map_err(ReportError::internal)?))
            }
            CellKind::Count => {
                let counts = rows.iter().map(|row| match row[at] {
                    Cell::Count(count) => Some(count),
                    _ => None,
                });
                (DataType::Int64, Arc::new(counts.collect::<Int64Array>()))
            }
            CellKind::Hours | CellKind::Ratio | CellKind::Rate | CellKind::Amount | CellKind::Seconds => {
                let numbers = rows.iter().map(|row| match row[at] {
                    Cell::Hours(value)
                    | Cell::Ratio(value)
                    | Cell::Rate(value)
                    | Cell::Amount(value)
                    | Cell::Seconds(value) => Some(value),
                    _ => None,
                });
                (DataType::Float64, Arc::new(numbers.collect::<Float64Array>()))
            }
        };
        fields.push(Field::new(&column.name, kind, true));
        columns.push(values);
    }
    if document.has_money() {
        fields.push(Field::new("currency", DataType::Utf8, false));
        columns.push(Arc::new(StringArray::from(vec![document.currency.as_str(); rows.len()])));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(ReportError::internal)
}
