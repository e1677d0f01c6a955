//! The tables as Arrow schemas. Each field carries `unit` and `doc`, each schema its name and version.

use crate::tables::{CONTRACT_VERSION, Column, Kind, Table};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use std::collections::HashMap;
use std::sync::Arc;

/// The Arrow type in which a column is sent and stored.
///
/// Signed integers only, because Delta tables have no unsigned ones; the wire may carry any type that
/// casts without loss.
pub fn arrow_type(kind: Kind) -> DataType {
    let list = |of: DataType| DataType::List(Arc::new(Field::new("element", of, true)));
    match kind {
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Text => DataType::Utf8,
        Kind::Int => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Decimal => DataType::Decimal128(38, 18),
        Kind::TextList => list(DataType::Utf8),
        Kind::IntList => list(DataType::Int64),
        Kind::FloatList => list(DataType::Float64),
        Kind::TextMap => {
            let entry =
                Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)]);
            DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry), false)), false)
        }
    }
}

fn notes<const N: usize>(pairs: [(&str, &str); N]) -> HashMap<String, String> {
    pairs.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

fn of_types(table: &Table, of: fn(Kind) -> DataType) -> SchemaRef {
    let field = |c: &Column| {
        Field::new(c.name, of(c.kind), c.nullable).with_metadata(notes([("unit", c.unit), ("doc", c.doc)]))
    };
    let version = CONTRACT_VERSION.to_string();
    let metadata = notes([("table", table.name), ("doc", table.doc), ("contract_version", &version)]);
    Arc::new(Schema::new_with_metadata(table.columns.iter().map(field).collect::<Vec<_>>(), metadata))
}

/// The schema in which rows are sent and stored.
pub fn schema(table: &Table) -> SchemaRef {
    of_types(table, arrow_type)
}

/// The schema in which rows are read: texts are string views, which the query engine groups fastest.
pub fn read_schema(table: &Table) -> SchemaRef {
    of_types(table, |kind| if kind == Kind::Text { DataType::Utf8View } else { arrow_type(kind) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::TABLES;

    #[test]
    fn every_field_has_a_unit_and_a_doc_line() {
        for table in TABLES {
            let schema = schema(table);
            assert_eq!(schema.metadata()["table"], table.name);
            for field in schema.fields() {
                assert!(field.metadata().contains_key("unit"), "{}.{}", table.name, field.name());
                assert!(!field.metadata()["doc"].is_empty(), "{}.{}", table.name, field.name());
            }
        }
    }

    #[test]
    fn reading_changes_texts_only() {
        for table in TABLES {
            for (sent, read) in schema(table).fields().iter().zip(read_schema(table).fields()) {
                assert_eq!(sent.name(), read.name());
                assert!(sent.data_type() == read.data_type() || sent.data_type() == &DataType::Utf8);
            }
        }
    }
}
