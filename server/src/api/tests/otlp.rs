//! OTLP over HTTP: status codes, bodies in the encoding of the request, and rows that are there afterwards.

use super::fixture::{Asked, Fixture, Got, NOW};
use serde_json::{Value, json};
use std::io::Write;

const PROTOBUF: &str = "application/x-protobuf";

fn nanos(seconds_ago: i64) -> String {
    ((NOW - seconds_ago * 1_000_000) * 1_000 + 7).to_string()
}

fn spans(spans: Vec<Value>) -> Value {
    let resource = json!({ "attributes": [
        { "key": "service.name", "value": { "stringValue": "s" } },
        { "key": "coulomb.cluster", "value": { "stringValue": "c" } },
    ] });
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": spans }] }] })
}

fn span(attributes: Value) -> Value {
    json!({
        "traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708", "name": "chat m", "kind": 3,
        "startTimeUnixNano": nanos(60), "endTimeUnixNano": nanos(58), "attributes": attributes,
    })
}

fn request() -> Value {
    json!([
        { "key": "gen_ai.operation.name", "value": { "stringValue": "chat" } },
        { "key": "gen_ai.request.model", "value": { "stringValue": "m" } },
        { "key": "gen_ai.usage.input_tokens", "value": { "intValue": "11" } },
        { "key": "gen_ai.usage.output_tokens", "value": { "intValue": 5 } },
    ])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn rows(server: &Fixture, sql: &str) -> Value {
    server.sql(sql).send().json()["rows"].clone()
}

#[test]
fn spans_are_rows_and_gen_ai_spans_are_requests_too() {
    let server = Fixture::start();
    let body = spans(vec![span(request()), span(json!([])), json!({ "name": "nowhere" })]);
    let sent = server.ask("POST", "/v1/traces").json(&body).send();
    assert_eq!((sent.status, sent.header("content-type")), (200, Some("application/json")));
    let partial = &sent.json()["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "1");
    assert!(partial["errorMessage"].as_str().unwrap().contains("trace id"), "{partial}");
    assert_eq!(rows(&server, "SELECT count(*), min(time_nanos), min(cluster) FROM spans"), json!([[2, 7, "c"]]));
    let asked = "SELECT service, model, input_tokens, output_tokens, duration_seconds, status FROM inference_requests";
    assert_eq!(rows(&server, asked), json!([["s", "m", 11, 5, 2.0, "ok"]]));
    let metrics = server.ask("GET", "/metrics").send().text();
    for line in [
        "coulomb_ingest_rows_total{table=\"spans\"} 2\n",
        "coulomb_ingest_rows_total{table=\"inference_requests\"} 1\n",
        "coulomb_ingest_rejected_rows_total 1\n",
        "coulomb_http_requests_total{route=\"/v1/traces\",method=\"POST\",status=\"200\"} 1\n",
    ] {
        assert!(metrics.contains(line), "no {line:?} in\n{metrics}");
    }
}

#[test]
fn logs_and_metrics_come_packed_or_not_in_both_encodings() {
    let server = Fixture::start();
    let log = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [
        { "timeUnixNano": nanos(5), "severityNumber": 9, "body": { "stringValue": "hello" } },
    ] }] }] });
    let log = log.to_string().into_bytes();
    let zstd = zstd::stream::encode_all(&*log, 1).unwrap();
    for (body, packing) in [(log.clone(), "identity"), (gzip(&log), "gzip"), (zstd, "zstd")] {
        let asked = server.ask("POST", "/v1/logs").body(body, "application/json; charset=utf-8");
        let sent = asked.with("Content-Encoding", packing).send();
        assert_eq!((sent.status, sent.text().as_str()), (200, "{}"), "{packing}");
    }
    assert_eq!(rows(&server, "SELECT body, count(*) FROM logs GROUP BY 1"), json!([["hello", 3]]));
    // A gauge without attributes, byte for byte: resource metrics, scope metrics, metric, name, gauge, point.
    let time = (NOW as u64 * 1_000).to_le_bytes();
    let point = [&[0x19][..], &time, &[0x21], &2.5_f64.to_le_bytes()].concat();
    let metric = [&[0x0a, 1, b'g'][..], &field(5, &field(1, &point))].concat();
    let body = field(1, &field(2, &field(2, &metric)));
    for body in [body.clone(), Vec::new()] {
        let sent = server.ask("POST", "/v1/metrics").body(body, PROTOBUF).send();
        assert_eq!((sent.status, sent.header("content-type"), sent.body.len()), (200, Some(PROTOBUF), 0));
    }
    assert_eq!(rows(&server, "SELECT name, kind, value FROM metrics"), json!([["g", "gauge", 2.5]]));
}

/// A field that holds fewer than 128 bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[(number << 3) | 2, bytes.len() as u8][..], bytes].concat()
}

/// The code within a `google.rpc.Status`, which is its first field.
fn code(answer: &Got) -> u8 {
    assert_eq!(answer.header("content-type"), Some(PROTOBUF), "{}", answer.text());
    assert_eq!(answer.body[0], 0x08);
    answer.body[1]
}

#[test]
fn each_refusal_has_its_status_in_the_encoding_that_was_sent() {
    let server = Fixture::start();
    let (viewer, _) = server.token("viewer");
    let post = |path: &str| server.ask("POST", path);
    let large = vec![0; crate::ingest::BODY_BYTES_MAX + 1];
    let cases: Vec<(Asked, u16, u8)> = vec![
        (post("/v1/traces").body("no", PROTOBUF), 400, 3),
        (post("/v1/logs").body(vec![0x0a, 0xff], PROTOBUF), 400, 3),
        (post("/v1/logs").body("{}", PROTOBUF).with("Content-Encoding", "gzip"), 400, 3),
        (post("/v1/logs").body("{}", PROTOBUF).with("Content-Encoding", "zstd"), 400, 3),
        (post("/v1/logs").body("{}", PROTOBUF).with("Content-Encoding", "br"), 415, 3),
        (post("/v1/metrics").body("x", "text/plain"), 415, 3),
        (post("/v1/metrics"), 415, 3),
        (post("/v1/metrics").body(large.clone(), PROTOBUF), 413, 8),
        (post("/v1/metrics").body(large.clone(), PROTOBUF).chunked(), 413, 8),
        (post("/v1/metrics").body(gzip(&large), PROTOBUF).with("Content-Encoding", "gzip"), 413, 8),
        (post("/v1/traces").body("", PROTOBUF).without_token(), 401, 16),
        (post("/v1/traces").body("", PROTOBUF).with_token("nobody"), 401, 16),
        (post("/v1/traces").body("", PROTOBUF).with_token(&viewer), 403, 7),
        (server.ask("PUT", "/v1/traces").body("", PROTOBUF), 405, 12),
    ];
    for (asked, status, expected) in cases {
        let answer = asked.send();
        assert_eq!((answer.status, code(&answer)), (status, expected), "{}", answer.text());
    }
    let json = post("/v1/traces").body("{", "application/json").send();
    assert_eq!((json.status, json.json()["code"].clone()), (400, json!(3)), "{}", json.text());
    assert!(json.json()["message"].as_str().unwrap().starts_with("not an OTLP message"), "{}", json.text());
    assert_eq!(rows(&server, "SELECT count(*) FROM spans"), json!([[0]]));

    server.store.fail("the disk fails");
    let body = spans(vec![span(json!([]))]).to_string();
    let refused = post("/v1/traces").body(body, "application/json").send();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    let told = refused.json();
    assert_eq!((told["code"].clone(), told["details"][0]["retryDelay"].clone()), (json!(14), json!("5s")));
}
