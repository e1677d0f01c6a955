//! Azure's inference requests, sent as gen_ai spans over OTLP: tokens, rates and percentiles of the reference.

use crate::{Case, compare, data_dir, is_same};
use coulomb_tests::Server;
use serde_json::{Value, json};
use std::path::Path;

/// Spans of one body.
const SPANS: usize = 2_000;
const NANOS_PER_MICRO: usize = 1_000;

const CASES: &[Case] = &[
    (
        "length_percentiles",
        "",
        "SELECT service, percentile_cont(0.5) WITHIN GROUP (ORDER BY i), percentile_cont(0.9) WITHIN GROUP (ORDER BY i),
            percentile_cont(0.99) WITHIN GROUP (ORDER BY i), max(i), percentile_cont(0.5) WITHIN GROUP (ORDER BY o),
            percentile_cont(0.9) WITHIN GROUP (ORDER BY o), percentile_cont(0.99) WITHIN GROUP (ORDER BY o), max(o)
         FROM (SELECT service, input_tokens::double i, output_tokens::double o FROM inference_requests)
         GROUP BY 1 ORDER BY 1",
    ),
    (
        "peak_requests_per_second",
        "svc n",
        "SELECT service, max(n) FROM (SELECT service, date_trunc('second', time), count(*) n FROM inference_requests
            GROUP BY 1, 2) GROUP BY 1 ORDER BY 1",
    ),
    (
        "peak_requests_per_minute",
        "svc n ti tou",
        "SELECT service, n, i, o FROM (SELECT *, row_number() OVER (PARTITION BY service ORDER BY n DESC) r FROM
            (SELECT service, date_trunc('minute', time) m, count(*) n, sum(input_tokens) i, sum(output_tokens) o
             FROM inference_requests GROUP BY 1, 2)) WHERE r = 1 ORDER BY 1",
    ),
    (
        "by_minute_first_10",
        "svc n in_tokens out_tokens",
        "SELECT service, count(*), sum(input_tokens), sum(output_tokens) FROM inference_requests
         GROUP BY service, date_trunc('minute', time) ORDER BY service, date_trunc('minute', time) LIMIT 10",
    ),
];

#[test]
fn azure_requests_as_spans_give_the_reference_tokens() {
    let Some(data) = data_dir() else { return };
    let folder = data.join("inference_azure2023");
    if !folder.is_dir() {
        eprintln!("skipped: there is no {folder:?}");
        return;
    }
    let server = Server::start();
    let mut nanos = 0;
    for service in ["code", "conv"] {
        let spans = spans(&folder.join(format!("AzureLLMInferenceTrace_{service}.csv")));
        nanos += (0..spans.len()).map(beyond_micros).sum::<usize>();
        for part in spans.chunks(SPANS) {
            let resource = json!({ "attributes": [attribute("service.name", json!({ "stringValue": service }))] });
            let body = json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": part }] }] });
            let headers = [("Content-Type", "application/json")];
            let sent = server.request("POST", "/v1/traces", &headers, body.to_string().as_bytes());
            assert_eq!(sent.expect_status(200).text(), "{}");
        }
    }
    compare(&server, &data, "inference_azure2023", CASES);
    let text = std::fs::read_to_string(data.join("answers/inference_azure2023.answers.json")).expect("answers");
    let answers: Value = serde_json::from_str(&text).expect("the answers are JSON");
    let totals =
        "SELECT service, count(*), sum(input_tokens), sum(output_tokens), avg(input_tokens), avg(output_tokens),
            count(*) FILTER (WHERE output_tokens = 0) FROM inference_requests GROUP BY 1 ORDER BY 1";
    for (found, expected) in server.query(totals).iter().zip(answers["totals"]["rows"].as_array().expect("rows")) {
        for (cell, at) in found.iter().zip([0, 1, 4, 5, 6, 7, 8]) {
            assert!(is_same(cell, &expected[at]), "{found:?} is not {expected}");
        }
    }
    // Sums of tenants are those of all, and nothing of a span's time is lost.
    let tenants = server.query("SELECT tenant, sum(input_tokens) FROM inference_requests GROUP BY 1 ORDER BY 1");
    assert_eq!(tenants.len(), 3);
    let sum: u64 = tenants.iter().map(|row| row[1].parse::<u64>().expect("a sum")).sum();
    assert_eq!(Some(sum), answers["totals"]["rows"][2][4].as_u64());
    assert_eq!(server.query_count("SELECT sum(time_nanos) FROM spans"), nanos as u64);
    assert_eq!(server.query_count("SELECT count(DISTINCT time_nanos) FROM spans"), NANOS_PER_MICRO as u64);
}

/// The trace's times are whole microseconds; what the spans have beyond them is ours.
fn beyond_micros(number: usize) -> usize {
    number % NANOS_PER_MICRO
}

fn attribute(key: &str, value: Value) -> Value {
    json!({ "key": key, "value": value })
}

fn spans(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("cannot read {file:?}: {e}"));
    let lines = text.lines().skip(1).filter(|line| !line.is_empty()).enumerate();
    lines.map(|(number, line)| span(number, &line.split(',').collect::<Vec<_>>())).collect()
}

/// The trace has neither ids nor durations; these are ours.
fn span(number: usize, cells: &[&str]) -> Value {
    let start = chrono::NaiveDateTime::parse_from_str(cells[0], "%Y-%m-%d %H:%M:%S%.f").expect("a time");
    let start = start.and_utc().timestamp_nanos_opt().expect("a time of this century");
    assert_eq!(start % NANOS_PER_MICRO as i64, 0, "{cells:?}");
    let start = start + beyond_micros(number) as i64;
    json!({
        "traceId": format!("{:032x}", number + 1), "spanId": format!("{:016x}", number + 1),
        "name": "chat", "kind": 2,
        "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + 1_000_000_000).to_string(),
        "attributes": [
            attribute("gen_ai.operation.name", json!({ "stringValue": "chat" })),
            attribute("coulomb.tenant", json!({ "stringValue": format!("tenant-{}", number % 3) })),
            attribute("gen_ai.usage.input_tokens", json!({ "intValue": cells[1].trim() })),
            attribute("gen_ai.usage.output_tokens", json!({ "intValue": cells[2].trim() })),
        ],
    })
}
