//! Batches of made-up rows for tables that other programs than a collector send: columns by name.

use crate::batch::TableBatch;
use arrow::array::{
    ArrayRef, MapBuilder, MapFieldNames, StringArray, StringBuilder, TimestampMicrosecondArray, new_null_array,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use std::sync::Arc;

pub(super) const MICROS: i64 = 1_000_000;

/// The columns of a table; those that are not given are null.
pub(super) fn batch(
    name: &str,
    rows: usize,
    column: impl Fn(&str) -> Option<ArrayRef>,
) -> Result<TableBatch, ArrowError> {
    let table = contract::table(name).expect("the contract has the table");
    let schema = contract::schema(table);
    let columns = schema
        .fields()
        .iter()
        .map(|field| column(field.name()).unwrap_or_else(|| new_null_array(field.data_type(), rows)));
    let columns = columns.collect();
    Ok((table, RecordBatch::try_new(schema, columns)?))
}

pub(super) fn times(micros: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

pub(super) fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

/// Maps of texts; an empty one is null.
pub(super) fn maps<'a, K: AsRef<str> + 'a, V: AsRef<str> + 'a>(rows: impl Iterator<Item = &'a [(K, V)]>) -> ArrayRef {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for pairs in rows {
        for (key, value) in pairs {
            builder.keys().append_value(key);
            builder.values().append_value(value);
        }
        builder.append(!pairs.is_empty()).expect("keys and values were appended in pairs");
    }
    Arc::new(builder.finish())
}
