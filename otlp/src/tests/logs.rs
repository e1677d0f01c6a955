//! Every column of a log record.

use super::fixture::*;
use crate::proto::attribute::any_value::Value;
use crate::proto::logs::LogRecord;

#[test]
fn a_record_has_all_its_columns() {
    let record = LogRecord {
        time_unix_nano: START_NANOS,
        observed_time_unix_nano: START_NANOS + 1_000_000,
        severity_number: 17,
        severity_text: "ERROR".to_owned(),
        body: Some(any(map(vec![("loss", Value::DoubleValue(1.25)), ("at", text("x"))]))),
        attributes: attributes(vec![("coulomb.job_id", text("7")), ("zone", text("a"))]),
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        event_name: "diverged".to_owned(),
        ..Default::default()
    };
    let rows = kept(&logs(vec![("service.name", text("train")), ("k8s.cluster.name", text("c"))], vec![record]));
    expect(
        &table(&rows, "logs")[0],
        &[
            ("time", "1699999000123456"),
            ("time_nanos", "789"),
            ("observed_at", "1699999000124456"),
            ("severity_number", "17"),
            ("severity", "ERROR"),
            ("body", "{\"at\":\"x\",\"loss\":1.25}"),
            ("service", "train"),
            ("scope_name", "scope"),
            ("trace_id", "01010101010101010101010101010101"),
            ("span_id", "0202020202020202"),
            ("resource", "{k8s.cluster.name: c, service.name: train}"),
            ("attributes", "{coulomb.job_id: 7, event.name: diverged, zone: a}"),
            ("cluster", "c"),
            ("job_id", "7"),
        ],
    );
}

#[test]
fn a_record_without_a_time_was_seen_when_it_was_collected() {
    let seen = LogRecord {
        observed_time_unix_nano: START_NANOS,
        body: Some(any(text("hello"))),
        severity_number: 99,
        // No such ids: the record belongs to no trace.
        trace_id: vec![1; 3],
        span_id: vec![0; 8],
        ..Default::default()
    };
    let rows = kept(&logs(vec![], vec![seen]));
    expect(
        &table(&rows, "logs")[0],
        &[
            ("time", "1699999000123456"),
            ("time_nanos", "789"),
            ("observed_at", "1699999000123456"),
            ("body", "hello"),
            ("scope_name", "scope"),
        ],
    );
    assert!(refused(&logs(vec![], vec![LogRecord::default()])).contains("no time"));
    let ahead = LogRecord { time_unix_nano: u64::MAX, ..Default::default() };
    assert!(refused(&logs(vec![], vec![ahead])).contains("an hour ahead"));
}
