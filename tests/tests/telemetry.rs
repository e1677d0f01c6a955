//! What the programs say of themselves, by OpenTelemetry: kept by a third server, and missed by nobody when it is away.

use coulomb_tests::collector::{Collector, until};
use coulomb_tests::{Server, send};
use std::process::Command;
use std::time::{Duration, Instant};

/// The SDK sends spans every five seconds, and has ten for a receiver that does not answer.
const STOP_AT_MOST: Duration = Duration::from_secs(30);

/// Exports there, numbers each second.
fn exporting(mut command: Command, endpoint: &str, token: &str) -> Command {
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{token}"));
    command.env("OTEL_METRIC_EXPORT_INTERVAL", "1000");
    command
}

/// A server that exports, with a folder of its own.
fn exporting_server(endpoint: &str, token: &str) -> (Server, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let mut command = exporting(Server::serve_command(dir.path(), &[]), endpoint, token);
    (Server::start_command(&mut command, dir.path()), dir)
}

fn exporting_collector(server: &Server, endpoint: &str, token: &str) -> (Collector, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let spool = dir.path().join("spool");
    let command = Collector::command(&spool, &server.url, &server.data.join("admin.token"), &[]);
    (Collector::start_command(&mut exporting(command, endpoint, token), &spool), dir)
}

#[test]
fn a_trace_goes_from_the_collector_into_the_server_and_numbers_are_those_of_the_pages() {
    let kept = Server::start();
    let (server, _data) = exporting_server(&kept.url, &kept.token);
    let (mut collector, _spool) = exporting_collector(&server, &kept.url, &kept.token);
    // The request that the server tells of is a child of what the collector sent.
    let joined = "select count(*) from spans child join spans parent on child.trace_id = parent.trace_id \
                  and child.parent_span_id = parent.span_id where parent.service = 'coulomb-collector' \
                  and parent.node = 'here' and parent.name = 'send' and parent.kind = 'client' \
                  and child.service = 'coulomb' and child.kind = 'server' \
                  and child.name = 'POST /v1/ingest/{table}' and child.attributes['http.response.status_code'] = '200'";
    until("a request of the server within a trace of the collector", || kept.query_count(joined) > 0);
    let query =
        server.request("POST", "/api/v1/query", &[("Content-Type", "application/json")], br#"{"sql":"select 1"}"#);
    assert_eq!(query.status, 200);
    let within = "select count(*) from spans query join spans request on query.parent_span_id = request.span_id \
                  where query.name = 'query' and request.attributes['http.route'] = '/api/v1/query'";
    until("a query within its request", || kept.query_count(within) > 0);
    let looks =
        "select count(*) from spans where service = 'coulomb-collector' and name = 'look' and parent_span_id is null";
    assert!(kept.query_count(looks) > 0);

    // Nothing is collected any more, so the last numbers stay.
    let page = send("GET", &collector.metrics(), &[], b"").expect("it answers").text();
    assert!(page.contains("# TYPE coulomb_collector_rows_sent_total counter\n"), "{page}");
    assert!(collector.program.stop(STOP_AT_MOST), "{}", collector.program.log());
    let on_page = |name: &str| {
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok());
        line.unwrap_or_else(|| panic!("no {name} on {page}"))
    };
    for name in ["coulomb_collector_rows_sent_total", "coulomb_collector_frames_sent_total"] {
        let sql =
            format!("select kind, node, cast(max(value) as double) from metrics where name = '{name}' group by 1, 2");
        let rows = kept.query(&sql);
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(rows[0][..2], ["sum", "here"], "{rows:?}");
        let exported: f64 = rows[0][2].parse().expect("a number");
        assert!(exported >= on_page(name), "{exported} of {name} and\n{page}");
    }
    let by_route = "select count(*) from metrics where service = 'coulomb' and name = 'coulomb_http_requests_total' \
                    and attributes['route'] = '/api/v1/query' and attributes['status'] = '200' and value = 1";
    until("the counted query", || kept.query_count(by_route) > 0);
    let page = server.get("/metrics").text();
    assert!(
        page.contains("coulomb_http_requests_total{route=\"/api/v1/query\",method=\"POST\",status=\"200\"} 1\n"),
        "{page}"
    );
}

#[test]
fn a_receiver_that_is_away_is_told_of_once_and_delays_nothing() {
    let (mut server, _data) = exporting_server("http://127.0.0.1:9", "none");
    for _ in 0..50 {
        assert_eq!(server.get("/api/v1/overview").status, 200);
    }
    until("a failed export", || server.program.log().contains("spans of this program are not exported"));
    assert!(!server.program.log().contains("Bearer"), "no secret in the log: {}", server.program.log());
    // A number a second, so some were tried by now.
    until("numbers, too", || server.program.log().contains("numbers of this program are not exported"));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(server.program.log().matches("numbers of this program are not exported").count(), 1);
    let begun = Instant::now();
    assert!(server.program.stop(STOP_AT_MOST), "{}", server.program.log());
    assert!(begun.elapsed() < STOP_AT_MOST);
}

#[test]
fn an_address_that_is_none_is_refused_at_the_start() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let mut command = Server::serve_command(dir.path(), &["--telemetry-endpoint", "not an address"]);
    let said = coulomb_tests::run(&mut command);
    assert!(!said.status.success());
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(text.contains("\"not an address\" is no address that OTLP goes to"), "{text}");
}
