//! OTLP by its real senders: OpenTelemetry's Python SDK over HTTP and gRPC; ports; a kill.

use coulomb_tests::{Server, binary, run, target_dir, workspace_root};
use serde_json::json;
use std::process::Command;

fn token(server: &Server, role: &str) -> String {
    let body = json!({ "name": role, "role": role }).to_string();
    let headers = [("Content-Type", "application/json")];
    let made = server.request("POST", "/api/v1/tokens", &headers, body.as_bytes()).expect_status(201).json();
    made["secret"].as_str().unwrap_or_else(|| panic!("no secret in {made}")).to_owned()
}

#[test]
fn the_python_sdk_sends_all_signals_over_http_and_grpc() {
    let python = target_dir().join("python/bin/python");
    assert!(python.is_file(), "{python:?} is missing: `cargo xtask test` installs it");
    let server = Server::start();
    let mut clients = Command::new(python);
    clients.arg(workspace_root().join("tests/python/otlp.py")).args([&server.url, &server.otlp_url, &server.token]);
    let said = run(clients.args([token(&server, "writer"), token(&server, "viewer")]));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

fn spans(from: usize, count: usize) -> Vec<u8> {
    let span = |number: usize| {
        json!({
            "traceId": format!("{number:032x}"), "spanId": format!("{number:016x}"), "name": "chat", "kind": 2,
            "startTimeUnixNano": "1700000000000000001", "endTimeUnixNano": "1700000001000000001",
            "attributes": [
                { "key": "gen_ai.usage.input_tokens", "value": { "intValue": number } },
                { "key": "gen_ai.usage.output_tokens", "value": { "intValue": 1 } },
            ],
        })
    };
    let spans: Vec<_> = (from..from + count).map(span).collect();
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string().into_bytes()
}

#[test]
fn what_was_answered_is_there_after_a_kill_in_both_tables() {
    const SENDERS: usize = 8;
    const BODIES: usize = 10;
    const SPANS: usize = 5;
    let server = Server::start();
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let server = &server;
            scope.spawn(move || {
                for body in 0..BODIES {
                    let first = 1 + (sender * BODIES + body) * SPANS;
                    let headers = [("Content-Type", "application/json")];
                    let sent = server.request("POST", "/v1/traces", &headers, &spans(first, SPANS));
                    assert_eq!(sent.expect_status(200).text(), "{}");
                }
            });
        }
    });
    let all = (SENDERS * BODIES * SPANS) as u64;
    let check = |server: &Server| {
        assert_eq!(server.query_count("SELECT count(DISTINCT span_id) FROM spans"), all);
        assert_eq!(server.query_count("SELECT count(*) FROM spans"), all);
        assert_eq!(server.query_count("SELECT sum(input_tokens) FROM inference_requests"), all * (all + 1) / 2);
    };
    check(&server);
    let server = server.kill_and_restart();
    check(&server);
    let server = server.stop_and_restart();
    check(&server);
    // A new start is a new sender, whose rows come after all others.
    let headers = [("Content-Type", "application/json")];
    server.request("POST", "/v1/traces", &headers, &spans(1_000_000, 1)).expect_status(200);
    assert_eq!(server.query_count("SELECT count(*) FROM spans"), all + 1);
}

fn post(server: &Server, path: &str, body: &serde_json::Value) {
    let sent = server.request("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes());
    assert_eq!(sent.expect_status(200).text(), "{}");
}

#[test]
fn questions_of_the_documentation_are_answered() {
    let server = Server::start();
    let (trace, id) = (format!("{:032x}", 7), format!("{:016x}", 7));
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let int = |key: &str, value: i64| json!({ "key": key, "value": { "intValue": value } });
    let span = |name: &str, attributes: Vec<serde_json::Value>| {
        json!({
            "traceId": trace, "spanId": id, "name": name, "kind": 3, "status": { "code": 2 },
            "startTimeUnixNano": "1700000000000000001", "endTimeUnixNano": "1700000002000000001",
            "attributes": attributes,
        })
    };
    let step = span("step", vec![text("slurm.job_id", "4711"), int("coulomb.step", 3)]);
    let tokens = vec![int("gen_ai.usage.input_tokens", 5), int("gen_ai.usage.output_tokens", 2)];
    let first = json!({ "key": "gen_ai.response.time_to_first_chunk", "value": { "doubleValue": 0.5 } });
    let chat = span("chat m", [tokens, vec![text("gen_ai.request.model", "m"), first]].concat());
    post(&server, "/v1/traces", &json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [step, chat] }] }] }));
    let record = json!({
        "timeUnixNano": "1700000001000000001", "traceId": trace, "spanId": id, "body": { "stringValue": "out of memory" },
    });
    post(&server, "/v1/logs", &json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record] }] }] }));
    let path = workspace_root().join("docs/otlp.md");
    let document = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {path:?}: {e}"));
    let questions = document.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let answers: Vec<_> = questions.map(|sql| server.query(sql)).collect();
    let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let logged = |name| row(&["2023-11-14T22:13:21.000000Z", name, "", "out of memory"]);
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0], [row(&["3", "1", "2.0", "2.0"])]);
    assert_eq!(answers[1], [row(&["unknown_service", "m", "1", "5", "2", "0.5"])]);
    let mut failed = answers[2].clone();
    failed.sort();
    assert_eq!(failed, [logged("chat m"), logged("step")]);
}

#[test]
fn a_port_that_was_asked_for_must_be_free() {
    let server = Server::start();
    let address = server.otlp_url.trim_start_matches("grpc://");
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let mut second = Command::new(binary("coulomb"));
    second.args(["serve", "--log", "error", "--listen", "127.0.0.1:0", "--flight-listen", "off"]);
    let ended = run(second.args(["--otlp-listen", address]).arg("--data").arg(data.path()));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "{said}");
    let expected = format!("coulomb: cannot listen on {address} for OTLP: ");
    assert!(said.starts_with(&expected) && said.trim_end().lines().count() == 1, "{said}");
}

#[test]
fn a_default_port_that_is_taken_is_said_and_left() {
    // Whoever has it: this test, or another program.
    let _taken = std::net::TcpListener::bind("127.0.0.1:4317");
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let mut command = Command::new(binary("coulomb"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--flight-listen", "off"]).arg("--data").arg(data.path());
    let mut program = coulomb_tests::Program::start(&mut command);
    program.wait_for_line("coulomb: listening on ", std::time::Duration::from_secs(60));
    let log = program.log();
    assert!(log.contains("cannot listen on 127.0.0.1:4317 for OTLP"), "{log}");
    assert!(log.contains("OTLP is taken over HTTP only"), "{log}");
}
