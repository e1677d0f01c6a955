//! Traces and logs, and what all signals share.

use super::lenient::{Become, Bytes, Float, Hex, Int, message};
use crate::proto::attribute::{self, any_value};
use crate::proto::logs::{self, ExportLogsServiceRequest};
use crate::proto::trace::{self, ExportTraceServiceRequest};

message!(Traces => ExportTraceServiceRequest { resource_spans: Vec<ResourceSpans> });
message!(ResourceSpans => trace::ResourceSpans {
    resource: Option<Resource>,
    scope_spans: Vec<ScopeSpans>,
});
message!(ScopeSpans => trace::ScopeSpans { scope: Option<Scope>, spans: Vec<Span> });
message!(Span => trace::Span {
    trace_id: Hex,
    span_id: Hex,
    trace_state: String,
    parent_span_id: Hex,
    name: String,
    kind: Int<i32>,
    start_time_unix_nano: Int<u64>,
    end_time_unix_nano: Int<u64>,
    attributes: Vec<KeyValue>,
    events: Vec<Event>,
    links: Vec<Link>,
    status: Option<Status>,
});
message!(Event => trace::Event {
    time_unix_nano: Int<u64>,
    name: String,
    attributes: Vec<KeyValue>,
});
message!(Link => trace::Link {
    trace_id: Hex,
    span_id: Hex,
    trace_state: String,
    attributes: Vec<KeyValue>,
});
message!(Status => trace::Status { message: String, code: Int<i32> });

message!(Logs => ExportLogsServiceRequest { resource_logs: Vec<ResourceLogs> });
message!(ResourceLogs => logs::ResourceLogs {
    resource: Option<Resource>,
    scope_logs: Vec<ScopeLogs>,
});
message!(ScopeLogs => logs::ScopeLogs { scope: Option<Scope>, log_records: Vec<LogRecord> });
message!(LogRecord => logs::LogRecord {
    time_unix_nano: Int<u64>,
    observed_time_unix_nano: Int<u64>,
    severity_number: Int<i32>,
    severity_text: String,
    body: Option<AnyValue>,
    attributes: Vec<KeyValue>,
    trace_id: Hex,
    span_id: Hex,
    event_name: String,
});

message!(Resource => attribute::Resource { attributes: Vec<KeyValue> });
message!(Scope => attribute::InstrumentationScope { name: String });
message!(KeyValue => attribute::KeyValue { key: String, value: Option<AnyValue> });
message!(ArrayValue => attribute::ArrayValue { values: Vec<AnyValue> });
message!(KeyValueList => attribute::KeyValueList { values: Vec<KeyValue> });

/// One of these members, or none.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AnyValue {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<Int<i64>>,
    double_value: Option<Float>,
    array_value: Option<ArrayValue>,
    kvlist_value: Option<KeyValueList>,
    bytes_value: Option<Bytes>,
}

impl Become<attribute::AnyValue> for AnyValue {
    fn become_it(self) -> attribute::AnyValue {
        use any_value::Value;
        let value = (self.string_value.map(Value::StringValue))
            .or(self.bool_value.map(Value::BoolValue))
            .or(self.int_value.map(|Int(value)| Value::IntValue(value)))
            .or(self.double_value.map(|Float(value)| Value::DoubleValue(value)))
            .or(self.array_value.map(|list| Value::ArrayValue(list.become_it())))
            .or(self.kvlist_value.map(|list| Value::KvlistValue(list.become_it())))
            .or(self.bytes_value.map(|bytes| Value::BytesValue(bytes.become_it())));
        attribute::AnyValue { value }
    }
}
