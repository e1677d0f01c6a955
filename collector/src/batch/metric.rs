//! Points of metrics become Arrow, in the columns of the table `metrics`.

use super::{TableBatch, cut, floats, ints, texts, times};
use crate::batch::BatchError;
use crate::source::NodeIdentity;
use arrow::array::{
    ArrayRef, Float64Builder, Int64Builder, ListBuilder, MapBuilder, MapFieldNames, PrimitiveBuilder, StringBuilder,
};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field};
use std::sync::Arc;

/// One row of `metrics`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetricRow {
    pub time_unix_micros: i64,
    pub started_unix_micros: Option<i64>,
    pub name: String,
    pub unit: String,
    pub kind: &'static str,
    pub value: Option<f64>,
    pub histogram_count: Option<i64>,
    pub histogram_sum: Option<f64>,
    /// Bounds, and one count more than bounds.
    pub buckets: Option<(Vec<f64>, Vec<i64>)>,
    pub node: NodeIdentity,
    pub service: Arc<str>,
    pub job_id: Option<String>,
    /// In the order of their names.
    pub attributes: Vec<(String, String)>,
}

/// All rows as record batches of at most [`super::BATCH_ROWS_MAX`] rows.
pub(crate) fn metrics(rows: &[MetricRow]) -> Result<Vec<TableBatch>, BatchError> {
    let mut out = Vec::new();
    cut("metrics", rows, column, &mut out)?;
    Ok(out)
}

fn column(name: &str, rows: &[MetricRow]) -> Option<ArrayRef> {
    Some(match name {
        "time" => times(rows, |r| Some(r.time_unix_micros)),
        "started_at" => times(rows, |r| r.started_unix_micros),
        "name" => texts(rows, |r| Some(&r.name)),
        "unit" => texts(rows, |r| Some(&r.unit)),
        "kind" => texts(rows, |r| Some(r.kind)),
        "value" => floats(rows, |r| r.value),
        "histogram_count" => ints(rows, |r| r.histogram_count),
        "histogram_sum" => floats(rows, |r| r.histogram_sum),
        "histogram_bounds" => {
            lists(rows, Float64Builder::new(), |r| r.buckets.as_ref().map(|(bounds, _)| bounds.as_slice()))
        }
        "histogram_counts" => {
            lists(rows, Int64Builder::new(), |r| r.buckets.as_ref().map(|(_, counts)| counts.as_slice()))
        }
        "cluster" => texts(rows, |r| Some(&r.node.cluster)),
        "node" => texts(rows, |r| Some(&r.node.node)),
        "service" => texts(rows, |r| Some(&r.service)),
        "job_id" => texts(rows, |r| r.job_id.as_deref()),
        "attributes" => maps(rows),
        _ => return None,
    })
}

fn lists<'a, T: ArrowPrimitiveType>(
    rows: &'a [MetricRow],
    values: PrimitiveBuilder<T>,
    of: impl Fn(&'a MetricRow) -> Option<&'a [T::Native]>,
) -> ArrayRef {
    let element = Field::new("element", T::DATA_TYPE, true);
    let mut builder = ListBuilder::new(values).with_field(Arc::new(element));
    for row in rows {
        builder.append_option(of(row).map(|items| items.iter().copied().map(Some)));
    }
    Arc::new(builder.finish())
}

fn maps(rows: &[MetricRow]) -> ArrayRef {
    let names = MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new())
        .with_values_field(Field::new("value", DataType::Utf8, true));
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
    use arrow::array::{Array as _, AsArray as _};
    use arrow::datatypes::Int64Type;

    #[test]
    fn each_column_of_the_contract_is_filled() {
        let node = NodeIdentity { cluster: "c".into(), node: "n".into() };
        let row = MetricRow {
            time_unix_micros: 5,
            started_unix_micros: None,
            name: "latency".to_owned(),
            unit: String::new(),
            kind: "histogram",
            value: None,
            histogram_count: Some(3),
            histogram_sum: Some(1.5),
            buckets: Some((vec![0.5], vec![1, 2])),
            node,
            service: "s".into(),
            job_id: None,
            attributes: vec![("a".to_owned(), "b".to_owned())],
        };
        let plain = MetricRow { buckets: None, attributes: Vec::new(), ..row.clone() };
        let [(table, batch)] = &metrics(&[row, plain]).unwrap()[..] else { panic!("one batch") };
        assert_eq!((table.name, batch.num_rows()), ("metrics", 2));
        let counts = batch["histogram_counts"].as_list::<i32>();
        assert_eq!(counts.value(0).as_primitive::<Int64Type>().values(), &[1, 2]);
        assert!(counts.is_null(1) && batch["attributes"].is_null(1));
        assert!(metrics(&[]).unwrap().is_empty());
    }
}
