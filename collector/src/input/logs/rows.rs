//! Rows of `logs` become Arrow.

use crate::batch::TableBatch;
use crate::source::NodeIdentity;
use arrow::array::{
    ArrayRef, Int64Array, MapBuilder, MapFieldNames, StringArray, StringBuilder, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use std::sync::Arc;

/// What a line or an entry of the journal says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::input) struct LogRow {
    pub time_unix_micros: i64,
    pub observed_unix_micros: i64,
    pub severity_number: Option<i64>,
    pub severity: Option<String>,
    pub body: String,
    pub service: Option<String>,
    pub scope_name: Option<String>,
    pub trace_id: Option<String>,
    pub span_id: Option<String>,
    pub job_id: Option<String>,
    pub attributes: Vec<(String, String)>,
}

impl LogRow {
    /// About what it takes in a batch.
    pub(in crate::input) fn bytes(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
        64 + self.body.len() + attributes
    }
}

pub(in crate::input) fn batch(node: &NodeIdentity, rows: &[LogRow]) -> Result<TableBatch, ArrowError> {
    let no_table = || ArrowError::SchemaError("the contract has no table logs".to_owned());
    let table = contract::table("logs").ok_or_else(no_table)?;
    let schema = contract::schema(table);
    let columns = schema.fields().iter().map(|field| match column(field.name(), node, rows) {
        Some(array) => array,
        None => new_null_array(field.data_type(), rows.len()),
    });
    Ok((table, RecordBatch::try_new(Arc::clone(&schema), columns.collect())?))
}

fn column(name: &str, node: &NodeIdentity, rows: &[LogRow]) -> Option<ArrayRef> {
    let texts =
        |of: fn(&LogRow) -> Option<&str>| -> ArrayRef { Arc::new(rows.iter().map(of).collect::<StringArray>()) };
    let times = |of: fn(&LogRow) -> i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(of)).with_timezone("UTC"))
    };
    let all = |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(|_| text))) };
    Some(match name {
        "time" => times(|row| row.time_unix_micros),
        "time_nanos" => Arc::new(Int64Array::from_iter_values(rows.iter().map(|_| 0))),
        "observed_at" => times(|row| row.observed_unix_micros),
        "severity_number" => Arc::new(rows.iter().map(|row| row.severity_number).collect::<Int64Array>()),
        "severity" => texts(|row| row.severity.as_deref()),
        "body" => texts(|row| Some(&row.body)),
        "service" => texts(|row| row.service.as_deref()),
        "scope_name" => texts(|row| row.scope_name.as_deref()),
        "trace_id" => texts(|row| row.trace_id.as_deref()),
        "span_id" => texts(|row| row.span_id.as_deref()),
        "attributes" => attributes(rows),
        "cluster" => all(&node.cluster),
        "node" => all(&node.node),
        "job_id" => texts(|row| row.job_id.as_deref()),
        _ => return None,
    })
}

fn attributes(rows: &[LogRow]) -> ArrayRef {
    let names = MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (key, value) in &row.attributes {
            builder.keys().append_value(key);
            builder.values().append_value(value);
        }
        builder.append(!row.attributes.is_empty()).expect("keys and values were appended in pairs");
    }
    Arc::new(builder.finish())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_contracts_columns() {
        let node = NodeIdentity { cluster: "c".into(), node: "n".into() };
        let row = LogRow { body: "x".into(), attributes: vec![("a".into(), "b".into())], ..LogRow::default() };
        let (table, batch) = batch(&node, &[row, LogRow::default()]).unwrap();
        assert_eq!(batch.schema(), contract::schema(table));
        assert_eq!(batch.num_rows(), 2);
        for column in table.columns.iter().filter(|column| !["resource"].contains(&column.name)) {
            assert!(self::column(column.name, &node, &[]).is_some(), "nothing fills {}", column.name);
        }
    }
}
