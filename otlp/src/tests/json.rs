//! OTLP/JSON as the standard describes it, and as real senders write it.

use super::fixture::*;
use crate::proto::attribute::any_value::Value;
use crate::proto::metrics::metric::Data;
use crate::proto::metrics::number_data_point::Value as Number;
use crate::{Encoding, Message, OtlpError, Signal, decode, weigh};
use serde_json::json;

fn read(signal: Signal, body: &str) -> Result<Message, OtlpError> {
    weigh(signal, Encoding::Json, body.as_bytes())?;
    decode(signal, Encoding::Json, body.as_bytes())
}

fn spans(span: serde_json::Value) -> Result<Vec<crate::proto::trace::Span>, OtlpError> {
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] });
    match read(Signal::Traces, &body.to_string())? {
        Message::Traces(mut request) => Ok(request.resource_spans.remove(0).scope_spans.remove(0).spans),
        other => panic!("{other:?}"),
    }
}

fn value(json: serde_json::Value) -> Result<Option<Value>, OtlpError> {
    let mut span = spans(json!({ "attributes": [{ "key": "k", "value": json }] }))?.remove(0);
    Ok(span.attributes.remove(0).value.and_then(|any| any.value))
}

#[test]
fn a_span_reads_as_its_protobuf() {
    let json = json!({
        "traceId": "0102030405060708090A0B0c0d0e0f10", "spanId": "A1a2a3a4a5a6a7a8",
        "name": "work", "kind": 2, "flags": 257, "droppedEventsCount": 3,
        "startTimeUnixNano": "1699999000123456789", "endTimeUnixNano": 1_699_999_001_623_456_790_u64,
        "attributes": [{ "key": "a", "value": { "stringValue": "b" } }],
        "events": [{ "timeUnixNano": "1699999000123456790", "name": "e" }],
        "status": { "code": 1 }, "anythingNew": { "deep": [1, { "er": null }] },
    });
    let mut expected = span();
    expected.kind = 2;
    expected.attributes = attributes(vec![("a", text("b"))]);
    expected.events = vec![crate::proto::trace::Event {
        time_unix_nano: START_NANOS + 1,
        name: "e".to_owned(),
        ..Default::default()
    }];
    expected.status = Some(crate::proto::trace::Status { code: 1, message: String::new() });
    assert_eq!(spans(json).unwrap(), [expected]);
}

#[test]
fn values_of_every_kind_are_read_and_new_kinds_are_empty() {
    for (json, expected) in [
        (json!({ "stringValue": "é\u{1}" }), Some(text("é\u{1}"))),
        (json!({ "boolValue": false }), Some(Value::BoolValue(false))),
        (json!({ "intValue": "-9223372036854775808" }), Some(Value::IntValue(i64::MIN))),
        (json!({ "intValue": 12 }), Some(Value::IntValue(12))),
        (json!({ "intValue": 1e3 }), Some(Value::IntValue(1_000))),
        (json!({ "doubleValue": 1 }), Some(Value::DoubleValue(1.0))),
        (json!({ "doubleValue": "-Infinity" }), Some(Value::DoubleValue(f64::NEG_INFINITY))),
        (json!({ "bytesValue": "AP8=" }), Some(Value::BytesValue(vec![0, 255]))),
        (json!({ "bytesValue": "AP8" }), Some(Value::BytesValue(vec![0, 255]))),
        (json!({ "bytesValue": "__8" }), Some(Value::BytesValue(vec![255, 255]))),
        (json!({ "arrayValue": {} }), Some(list(vec![]))),
        (json!({ "arrayValue": { "values": [{ "intValue": 1 }] } }), Some(list(vec![Value::IntValue(1)]))),
        (json!({ "kvlistValue": {} }), Some(map(vec![]))),
        (json!({ "kvlistValue": { "values": null } }), Some(map(vec![]))),
        (json!({ "newValue": { "of": [{}] } }), None),
        (json!({ "newValue": 1, "stringValue": "s" }), Some(text("s"))),
        (json!({ "stringValue": null }), None),
        (json!({}), None),
        (json!(null), None),
    ] {
        assert_eq!(value(json.clone()).unwrap(), expected, "{json}");
    }
    for bad in [
        json!({ "intValue": "1.5" }),
        json!({ "intValue": 1.5 }),
        json!({ "intValue": "9223372036854775808" }),
        json!({ "doubleValue": "many" }),
        json!({ "bytesValue": "*" }),
        json!({ "boolValue": "true" }),
        json!({ "stringValue": 1 }),
        json!("text"),
    ] {
        assert!(matches!(value(bad.clone()), Err(OtlpError::Malformed(_))), "{bad}");
    }
}

#[test]
fn what_is_absent_is_empty_and_names_are_in_one_spelling() {
    assert_eq!(read(Signal::Traces, "{}").unwrap().records(), 0);
    assert_eq!(read(Signal::Logs, r#"{"resourceLogs":null}"#).unwrap().records(), 0);
    assert_eq!(read(Signal::Logs, r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#).unwrap().records(), 1);
    assert_eq!(read(Signal::Traces, r#"{"resource_spans":[{}]}"#).unwrap().records(), 0);
    let null = spans(json!({ "attributes": null, "name": null, "status": null, "startTimeUnixNano": null })).unwrap();
    assert_eq!(null, [Default::default()]);
    for bad in [
        json!({ "kind": "SPAN_KIND_SERVER" }),
        json!({ "traceId": "xyz" }),
        json!({ "traceId": "abc" }),
        json!({ "traceId": "0xab" }),
        json!({ "startTimeUnixNano": -1 }),
        json!({ "startTimeUnixNano": "yesterday" }),
        json!({ "attributes": {} }),
        json!([]),
    ] {
        assert!(matches!(spans(bad.clone()), Err(OtlpError::Malformed(_))), "{bad}");
    }
    for bad in ["", "{", "[]", "null", "{}x", "\u{feff}{}", "{\"resourceSpans\":1}", "nonsense"] {
        assert!(matches!(read(Signal::Traces, bad), Err(OtlpError::Malformed(_))), "{bad}");
    }
}

#[test]
fn points_are_read_as_javascript_writes_them() {
    let body = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [
        { "name": "g", "gauge": { "dataPoints": [
            { "timeUnixNano": "1699999000123456789", "asDouble": 3, "attributes": [] },
            { "timeUnixNano": "1699999000123456789", "asDouble": "NaN" },
            { "timeUnixNano": "1699999000123456789", "asInt": "12", "exemplars": [{ "asInt": 1, "traceId": "" }] },
        ] } },
        { "name": "h", "histogram": { "aggregationTemporality": 2, "dataPoints": [
            { "timeUnixNano": "1699999000123456789", "count": 3, "sum": 1, "bucketCounts": ["1", 2], "explicitBounds": [0.5] },
        ] } },
        { "name": "e", "exponentialHistogram": { "aggregationTemporality": 2, "dataPoints": [
            { "timeUnixNano": "1699999000123456789", "count": "1", "scale": -1, "zeroCount": 1,
              "positive": { "offset": 0, "bucketCounts": [] } },
        ] } },
        { "name": "s", "summary": { "dataPoints": [
            { "timeUnixNano": "1699999000123456789", "count": 1, "sum": 2, "quantileValues": [{ "quantile": 1, "value": 2 }] },
        ] } },
        { "name": "new", "newKind": { "dataPoints": [{}] } },
    ] }] }] });
    let message = read(Signal::Metrics, &body.to_string()).unwrap();
    let Message::Metrics(request) = &message else { panic!("{message:?}") };
    let first = &request.resource_metrics[0].scope_metrics[0].metrics[0];
    let Some(Data::Gauge(gauge)) = &first.data else { panic!("{first:?}") };
    let values: Vec<_> = gauge.data_points.iter().map(|point| point.value).collect();
    assert_eq!((values[0], values[2]), (Some(Number::AsDouble(3.0)), Some(Number::AsInt(12))));
    let rows = kept(&message);
    assert_eq!((rows.kept, table(&rows, "metrics").len()), (6, 7));
}

#[test]
fn nesting_has_a_bound_that_both_encodings_share() {
    use prost::Message as _;
    let deep = |levels: usize| {
        let mut value = text("x");
        for _ in 0..levels {
            value = list(vec![value]);
        }
        traces(vec![("deep", value)], vec![span()])
    };
    let json = |levels: usize| {
        let value =
            format!("{}{}{}", r#"{"arrayValue":{"values":["#.repeat(levels), r#"{"intValue":1}"#, "]}}".repeat(levels));
        format!(r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"k","value":{value}}}]}}}}]}}"#)
    };
    let Message::Traces(fine) = deep(20) else { unreachable!() };
    assert!(weigh(Signal::Traces, Encoding::Protobuf, &fine.encode_to_vec()).is_ok());
    assert!(decode(Signal::Traces, Encoding::Protobuf, &fine.encode_to_vec()).is_ok());
    assert!(read(Signal::Traces, &json(20)).is_ok());
    for levels in [100, 400] {
        let Message::Traces(request) = deep(levels) else { unreachable!() };
        let weighed = weigh(Signal::Traces, Encoding::Protobuf, &request.encode_to_vec());
        assert!(matches!(weighed, Err(OtlpError::Malformed(_))), "{weighed:?}");
        assert!(matches!(read(Signal::Traces, &json(levels)), Err(OtlpError::Malformed(_))));
    }
}
