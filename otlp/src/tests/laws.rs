//! For any message: each record is kept or counted. For any bytes: an answer, in bounded memory.

use super::fixture::{self, NOW_MICROS, any as value, list, map, text};
use crate::proto::attribute::KeyValue;
use crate::proto::attribute::Resource;
use crate::proto::attribute::any_value::Value;
use crate::proto::logs::ExportLogsServiceRequest;
use crate::proto::logs::{LogRecord, ResourceLogs, ScopeLogs};
use crate::proto::metrics::ExportMetricsServiceRequest;
use crate::proto::metrics::metric::Data;
use crate::proto::metrics::{
    Buckets, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use crate::proto::trace::ExportTraceServiceRequest;
use crate::proto::trace::{ResourceSpans, ScopeSpans, Span};
use crate::{Encoding, Message, OtlpError, Signal, decode, weigh};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        ".{0,12}".prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        any::<f64>().prop_map(Value::DoubleValue),
        vec(any::<u8>(), 0..8).prop_map(Value::BytesValue),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(list),
            vec(inner, 0..3).prop_map(|values| map(values.into_iter().map(|value| ("k", value)).collect())),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let names = [
        "a",
        "service.name",
        "coulomb.job_id",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "host.name",
        "",
    ];
    let pair = (prop::sample::select(names.to_vec()), prop::option::of(values()));
    let pair = pair.prop_map(|(key, of)| KeyValue { key: key.to_owned(), value: of.map(value), ..Default::default() });
    vec(pair, 0..5)
}

fn resources() -> impl Strategy<Value = Option<Resource>> {
    prop::option::of(attributes().prop_map(|attributes| Resource { attributes, ..Default::default() }))
}

/// Around now, at the edges, and nowhere.
fn times() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), any::<u64>(), 1_600_000_000_000_000_000..1_800_000_000_000_000_000_u64]
}

fn ids(bytes: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => vec(any::<u8>(), bytes..=bytes), 1 => vec(any::<u8>(), 0..20), 1 => Just(vec![0; bytes])]
}

fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let span = (ids(16), ids(8), times(), times(), -1..8_i32, attributes(), ".{0,9}");
    let span = span.prop_map(|(trace_id, span_id, start, end, kind, attributes, name)| Span {
        trace_id,
        span_id,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        kind,
        attributes,
        name,
        ..Default::default()
    });
    let group = (resources(), vec(vec(span, 0..5), 0..3)).prop_map(|(resource, scopes)| ResourceSpans {
        resource,
        scope_spans: scopes.into_iter().map(|spans| ScopeSpans { spans, ..Default::default() }).collect(),
        ..Default::default()
    });
    vec(group, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let record = (times(), times(), prop::option::of(values()), attributes(), ids(16)).prop_map(
        |(time, observed, body, attributes, trace_id)| LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: observed,
            body: body.map(value),
            attributes,
            trace_id,
            ..Default::default()
        },
    );
    let group = (resources(), vec(record, 0..6)).prop_map(|(resource, log_records)| ResourceLogs {
        resource,
        scope_logs: vec![ScopeLogs { log_records, ..Default::default() }],
        ..Default::default()
    });
    vec(group, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let of = prop_oneof![
        any::<f64>().prop_map(number_data_point::Value::AsDouble),
        any::<i64>().prop_map(number_data_point::Value::AsInt)
    ];
    let number =
        (times(), attributes(), prop::option::of(of), 0..2_u32).prop_map(|(time, attributes, value, flags)| {
            NumberDataPoint { time_unix_nano: time, attributes, value, flags, ..Default::default() }
        });
    let number = number.boxed();
    let point = (times(), vec(any::<u64>(), 0..4), vec(any::<f64>(), 0..4), any::<u64>()).prop_map(
        |(time, bucket_counts, explicit_bounds, count)| HistogramDataPoint {
            time_unix_nano: time,
            bucket_counts,
            explicit_bounds,
            count,
            ..Default::default()
        },
    );
    let data = prop_oneof![
        vec(number.clone(), 0..4).prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (vec(number, 0..4), 0..4_i32)
            .prop_map(|(data_points, aggregation_temporality)| Data::Sum(Sum { data_points, aggregation_temporality })),
        (vec(point, 0..4), 0..4_i32).prop_map(|(data_points, aggregation_temporality)| Data::Histogram(Histogram {
            data_points,
            aggregation_temporality
        })),
    ];
    let metric = ("[ab]?", prop::option::of(data)).prop_map(|(name, data)| Metric { name, data, ..Default::default() });
    let group = (resources(), vec(metric, 0..4)).prop_map(|(resource, metrics)| ResourceMetrics {
        resource,
        scope_metrics: vec![ScopeMetrics { metrics, ..Default::default() }],
        ..Default::default()
    });
    vec(group, 0..3).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

fn messages() -> impl Strategy<Value = Message> {
    prop_oneof![
        traces().prop_map(Message::Traces),
        logs().prop_map(Message::Logs),
        metrics().prop_map(Message::Metrics)
    ]
}

fn encoded(message: &Message) -> Vec<u8> {
    match message {
        Message::Traces(request) => request.encode_to_vec(),
        Message::Logs(request) => request.encode_to_vec(),
        Message::Metrics(request) => request.encode_to_vec(),
    }
}

proptest! {
    #[test]
    fn each_record_is_kept_or_counted(message in messages()) {
        let rows = message.rows(NOW_MICROS);
        prop_assert_eq!(rows.kept + rows.rejected.total(), message.records());
        let first = rows.tables.first().map_or(0, |(_, batch)| batch.num_rows() as u64);
        prop_assert_eq!(first, rows.kept);
        for (table, batch) in &rows.tables {
            prop_assert_eq!(batch.schema(), contract::schema(table));
            prop_assert!(batch.num_rows() > 0);
        }
        // Nothing depends on when it is asked.
        prop_assert_eq!(message.rows(NOW_MICROS), rows);
    }

    #[test]
    fn protobuf_comes_back_and_weighs_what_it_takes(message in messages()) {
        let bytes = encoded(&message);
        let weight = weigh(message.signal(), Encoding::Protobuf, &bytes).unwrap();
        prop_assert!(weight >= bytes.len() as u64 / 2, "{} of {}", weight, bytes.len());
        prop_assert!(message.rows_bytes().is_ok());
        let back = decode(message.signal(), Encoding::Protobuf, &bytes).unwrap();
        // A float that is not a number is not equal to itself.
        prop_assert_eq!(format!("{back:?}"), format!("{message:?}"));
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in vec(any::<u8>(), 0..300), signal in prop::sample::select(Signal::ALL.to_vec())) {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let weighed = weigh(signal, encoding, &bytes);
            if let (Ok(_), Ok(message)) = (weighed, decode(signal, encoding, &bytes)) {
                let rows = message.rows(NOW_MICROS);
                prop_assert_eq!(rows.kept + rows.rejected.total(), message.records());
            }
        }
    }

    #[test]
    fn damaged_messages_get_an_answer(
        message in messages(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encoded(&message);
        if !bytes.is_empty() {
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] ^= byte;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        if let (Ok(_), Ok(read)) = (
            weigh(message.signal(), Encoding::Protobuf, &bytes),
            decode(message.signal(), Encoding::Protobuf, &bytes),
        ) {
            let rows = read.rows(NOW_MICROS);
            prop_assert_eq!(rows.kept + rows.rejected.total(), read.records());
        }
    }
}

/// Small bodies that would become large.
#[test]
fn what_would_not_fit_is_refused_before_it_is_built() {
    // Empty spans of two bytes each.
    let spans = [0x12, 0].repeat(4 << 20);
    let scope = framed(2, &spans);
    let body = framed(1, &scope);
    let too_large = Err(OtlpError::TooLarge("unpacked"));
    assert_eq!(weigh(Signal::Traces, Encoding::Protobuf, &body), too_large);
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}{{}}]}}]}}]}}"#, "{},".repeat(1 << 20));
    assert_eq!(weigh(Signal::Traces, Encoding::Json, json.as_bytes()), too_large);
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"gauge":{{"dataPoints":[{}{{}}]}}}}]}}]}}]}}"#,
        "{},".repeat(1 << 20)
    );
    assert_eq!(weigh(Signal::Metrics, Encoding::Json, json.as_bytes()), too_large);
    // A large resource that many small records share.
    let resource = Some(Resource {
        attributes: vec![KeyValue {
            key: "k".to_owned(),
            value: Some(value(text(&"x".repeat(1 << 20)))),
            ..Default::default()
        }],
        ..Default::default()
    });
    let log_records = vec![LogRecord { time_unix_nano: 1, ..Default::default() }; 1_000];
    let scope_logs = vec![ScopeLogs { log_records, ..Default::default() }];
    let resource_logs = vec![ResourceLogs { resource, scope_logs, ..Default::default() }];
    let message = Message::Logs(ExportLogsServiceRequest { resource_logs });
    assert!(weigh(Signal::Logs, Encoding::Protobuf, &encoded(&message)).is_ok());
    assert_eq!(message.rows_bytes(), Err(OtlpError::TooLarge("in rows")));
    // Buckets of a byte each, which become a bound and a count.
    let buckets = Buckets { offset: 0, bucket_counts: vec![1; 5 << 20] };
    let data_points = vec![ExponentialHistogramDataPoint { positive: Some(buckets), ..Default::default() }];
    let data = Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality: 1 });
    let message = fixture::metrics(vec![], vec![fixture::metric("m", data)]);
    assert!(weigh(Signal::Metrics, Encoding::Protobuf, &encoded(&message)).is_ok());
    assert_eq!(message.rows_bytes(), Err(OtlpError::TooLarge("in rows")));
}

/// A field that holds bytes.
fn framed(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![(number << 3) | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}
