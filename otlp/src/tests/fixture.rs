//! Messages in few words, and rows as texts.

use crate::proto::attribute::Resource;
use crate::proto::attribute::any_value::Value;
use crate::proto::attribute::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use crate::proto::logs::ExportLogsServiceRequest;
use crate::proto::logs::{LogRecord, ResourceLogs, ScopeLogs};
use crate::proto::metrics::ExportMetricsServiceRequest;
use crate::proto::metrics::metric::Data;
use crate::proto::metrics::{Metric, ResourceMetrics, ScopeMetrics};
use crate::proto::trace::ExportTraceServiceRequest;
use crate::proto::trace::{ResourceSpans, ScopeSpans, Span};
use crate::{Message, Rows};
use arrow::array::{Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::collections::BTreeMap;

pub(super) const NOW_MICROS: i64 = 1_700_000_000_000_000;
pub(super) const START_NANOS: u64 = 1_699_999_000_123_456_789;

pub(super) fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

pub(super) fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

pub(super) fn list(values: Vec<Value>) -> Value {
    Value::ArrayValue(ArrayValue { values: values.into_iter().map(any).collect() })
}

pub(super) fn map(values: Vec<(&str, Value)>) -> Value {
    Value::KvlistValue(KeyValueList { values: attributes(values) })
}

pub(super) fn attributes(pairs: Vec<(&str, Value)>) -> Vec<KeyValue> {
    let pair =
        |(key, value): (&str, Value)| KeyValue { key: key.to_owned(), value: Some(any(value)), ..Default::default() };
    pairs.into_iter().map(pair).collect()
}

pub(super) fn resource(pairs: Vec<(&str, Value)>) -> Option<Resource> {
    Some(Resource { attributes: attributes(pairs), ..Default::default() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: "scope".to_owned() })
}

pub(super) fn span() -> Span {
    Span {
        trace_id: (1..=16).collect(),
        span_id: (0xa1..=0xa8).collect(),
        name: "work".to_owned(),
        start_time_unix_nano: START_NANOS,
        end_time_unix_nano: START_NANOS + 1_500_000_001,
        ..Default::default()
    }
}

pub(super) fn traces(of: Vec<(&str, Value)>, spans: Vec<Span>) -> Message {
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..Default::default() }];
    let resource_spans = vec![ResourceSpans { resource: resource(of), scope_spans, ..Default::default() }];
    Message::Traces(ExportTraceServiceRequest { resource_spans })
}

pub(super) fn logs(of: Vec<(&str, Value)>, log_records: Vec<LogRecord>) -> Message {
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..Default::default() }];
    let resource_logs = vec![ResourceLogs { resource: resource(of), scope_logs, ..Default::default() }];
    Message::Logs(ExportLogsServiceRequest { resource_logs })
}

pub(super) fn metrics(of: Vec<(&str, Value)>, metrics: Vec<Metric>) -> Message {
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..Default::default() }];
    let resource_metrics = vec![ResourceMetrics { resource: resource(of), scope_metrics, ..Default::default() }];
    Message::Metrics(ExportMetricsServiceRequest { resource_metrics })
}

pub(super) fn metric(name: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: "s".to_owned(), data: Some(data), ..Default::default() }
}

/// The values of a row that are not null, by column.
pub(super) type Row = BTreeMap<String, String>;

pub(super) fn table(rows: &Rows, name: &str) -> Vec<Row> {
    let found = rows.tables.iter().find(|(table, _)| table.name == name);
    found.map_or_else(Vec::new, |(table, batch)| {
        assert_eq!(batch.schema(), contract::schema(table));
        (0..batch.num_rows()).map(|row| cells(batch, row)).collect()
    })
}

fn cells(batch: &RecordBatch, row: usize) -> Row {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).filter(|(_, column)| column.is_valid(row));
    let options = FormatOptions::default().with_null("null");
    let shown = |(field, column): (&std::sync::Arc<arrow::datatypes::Field>, &arrow::array::ArrayRef)| {
        // Times as they are: the names of zones are a feature that another crate asks for, or does not.
        let column = match field.data_type() {
            DataType::Timestamp(..) => &cast(column, &DataType::Int64).unwrap(),
            _ => column,
        };
        let formatter = ArrayFormatter::try_new(column, &options).unwrap();
        (field.name().clone(), formatter.value(row).to_string())
    };
    columns.map(shown).collect()
}

/// The rows of a message that loses nothing.
pub(super) fn kept(message: &Message) -> Rows {
    let rows = message.rows(NOW_MICROS);
    assert_eq!((rows.kept, rows.rejected.total()), (message.records(), 0), "{}", rows.rejected.message());
    rows
}

/// The only reason for which the only record is not kept.
pub(super) fn refused(message: &Message) -> &'static str {
    let rows = message.rows(NOW_MICROS);
    assert_eq!((rows.kept, rows.rejected.total(), rows.tables.len()), (0, 1, 0));
    rows.rejected.reasons()[0].0
}

pub(super) fn expect(row: &Row, cells: &[(&str, &str)]) {
    let expected: Row = cells.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(row, &expected);
}
