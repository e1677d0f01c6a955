//! Every column of a span.

use super::fixture::*;
use crate::proto::attribute::any_value::Value;
use crate::proto::trace::{Event, Link};
use crate::proto::trace::{Span, Status};

#[test]
fn a_span_has_all_its_columns() {
    let mut span = span();
    span.parent_span_id = (0xb1..=0xb8).collect();
    span.trace_state = "a=b".to_owned();
    span.kind = 3;
    span.status = Some(Status { code: 2, message: "no".to_owned() });
    span.attributes = attributes(vec![
        ("n", Value::IntValue(-7)),
        ("yes", Value::BoolValue(true)),
        ("x", Value::DoubleValue(0.1)),
        ("nan", Value::DoubleValue(f64::NAN)),
        ("bytes", Value::BytesValue(vec![0, 255])),
        ("list", list(vec![text("a\"b"), Value::IntValue(1), Value::DoubleValue(f64::INFINITY)])),
        ("map", map(vec![("z", text("1")), ("a", map(vec![]))])),
        ("n", Value::IntValue(7)),
        ("coulomb.rank", Value::IntValue(3)),
        ("coulomb.step", text("42")),
    ]);
    let at = |nanos| START_NANOS + nanos;
    let event = |nanos, name: &str| Event { time_unix_nano: at(nanos), name: name.to_owned(), ..Default::default() };
    span.events = vec![event(1, "first"), Event { attributes: attributes(vec![("k", text("v"))]), ..event(2, "two") }];
    span.links = vec![Link { trace_id: vec![9; 16], span_id: vec![8; 8], ..Default::default() }];
    let of = vec![
        ("service.name", text("train")),
        ("coulomb.cluster", text("blue")),
        ("k8s.cluster.name", text("green")),
        ("host.name", text("n1")),
        ("slurm.job_id", Value::IntValue(123_456)),
        ("coulomb.rank", Value::IntValue(0)),
    ];
    let rows = kept(&traces(of, vec![span]));
    let found = table(&rows, "spans");
    let attributes = "{bytes: AP8=, coulomb.rank: 3, coulomb.step: 42, list: [\"a\\\"b\",1,\"Infinity\"], \
                      map: {\"a\":{},\"z\":\"1\"}, n: 7, nan: \"NaN\", x: 0.1, yes: true}";
    let resource = "{coulomb.cluster: blue, coulomb.rank: 0, host.name: n1, k8s.cluster.name: green, \
                    service.name: train, slurm.job_id: 123456}";
    let events = "[{\"time_unix_nanos\":1699999000123456790,\"name\":\"first\",\"attributes\":{}},\
                  {\"time_unix_nanos\":1699999000123456791,\"name\":\"two\",\"attributes\":{\"k\":\"v\"}}]";
    let links =
        "[{\"trace_id\":\"09090909090909090909090909090909\",\"span_id\":\"0808080808080808\",\"attributes\":{}}]";
    assert_eq!((found.len(), rows.tables.len()), (1, 1));
    expect(
        &found[0],
        &[
            ("time", "1699999000123456"),
            ("time_nanos", "789"),
            ("trace_id", "0102030405060708090a0b0c0d0e0f10"),
            ("span_id", "a1a2a3a4a5a6a7a8"),
            ("parent_span_id", "b1b2b3b4b5b6b7b8"),
            ("trace_state", "a=b"),
            ("name", "work"),
            ("kind", "client"),
            ("duration_seconds", "1.500000001"),
            ("duration_nanos", "1500000001"),
            ("status_code", "error"),
            ("status_message", "no"),
            ("service", "train"),
            ("scope_name", "scope"),
            ("resource", resource),
            ("attributes", attributes),
            ("events", events),
            ("links", links),
            ("cluster", "blue"),
            ("node", "n1"),
            ("job_id", "123456"),
            ("rank", "3"),
            ("step", "42"),
        ],
    );
    for json in [&found[0]["events"], &found[0]["links"]] {
        serde_json::from_str::<serde_json::Value>(json).unwrap();
    }
}

#[test]
fn what_a_span_does_not_say_is_null() {
    let rows = kept(&traces(vec![], vec![span()]));
    expect(
        &table(&rows, "spans")[0],
        &[
            ("time", "1699999000123456"),
            ("time_nanos", "789"),
            ("trace_id", "0102030405060708090a0b0c0d0e0f10"),
            ("span_id", "a1a2a3a4a5a6a7a8"),
            ("name", "work"),
            ("kind", "unspecified"),
            ("duration_seconds", "1.500000001"),
            ("duration_nanos", "1500000001"),
            ("status_code", "unset"),
            ("scope_name", "scope"),
        ],
    );
}

#[test]
fn a_pod_is_a_job_and_its_node_is_not_its_host_name() {
    let of = |more: Vec<(&'static str, Value)>| {
        let mut all = vec![
            ("k8s.namespace.name", text("ml")),
            ("k8s.pod.name", text("train-0")),
            ("host.name", text("train-0")),
            ("k8s.node.name", text("gpu-7")),
        ];
        all.extend(more);
        let rows = kept(&traces(all, vec![span()]));
        let row = table(&rows, "spans").remove(0);
        (row.get("job_id").cloned().unwrap_or_default(), row["node"].clone())
    };
    assert_eq!(of(vec![]), ("ml/train-0".to_owned(), "gpu-7".to_owned()));
    assert_eq!(of(vec![("coulomb.job_id", text("j"))]).0, "j");
    // What cannot be an id stays an attribute.
    assert_eq!(of(vec![("coulomb.job_id", text("a\nb"))]).0, "ml/train-0");
    assert_eq!(of(vec![("coulomb.job_id", text(""))]).0, "ml/train-0");
}

#[test]
fn what_cannot_be_kept_is_told_by_reason() {
    let bad = |change: fn(&mut Span)| {
        let mut span = span();
        change(&mut span);
        refused(&traces(vec![], vec![span]))
    };
    assert!(bad(|s| s.trace_id = vec![1; 15]).contains("trace id"));
    assert!(bad(|s| s.trace_id = vec![0; 16]).contains("trace id"));
    assert!(bad(|s| s.span_id = vec![]).contains("span id"));
    assert!(bad(|s| s.parent_span_id = vec![1; 16]).contains("parent"));
    assert!(bad(|s| s.start_time_unix_nano = 0).contains("no time"));
    assert!(bad(|s| s.end_time_unix_nano = 0).contains("no end"));
    assert!(bad(|s| s.end_time_unix_nano = s.start_time_unix_nano - 1).contains("before it starts"));
    let ahead = (NOW_MICROS as u64 + 3_700_000_000) * 1_000;
    let message = {
        let mut span = span();
        (span.start_time_unix_nano, span.end_time_unix_nano) = (ahead, ahead);
        traces(vec![], vec![span])
    };
    assert!(refused(&message).contains("an hour ahead"));
    // Others of the same message are kept.
    let mixed = traces(vec![], vec![span(), Span::default(), span(), Span::default()]);
    let rows = mixed.rows(NOW_MICROS);
    assert_eq!((rows.kept, rows.rejected.total(), table(&rows, "spans").len()), (2, 2, 2));
    assert!(rows.rejected.message().starts_with("2: its trace id"), "{}", rows.rejected.message());
}
