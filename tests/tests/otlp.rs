//! OTLP by its real senders: OpenTelemetry's Python SDK over HTTP and gRPC; ports; a kill.

use coulomb_tests::collector::{Collector, until};
use coulomb_tests::{Answer, Server, binary, run, send, target_dir, workspace_root};
use serde_json::json;
use std::process::Command;

fn token(server: &Server, role: &str) -> String {
    let body = json!({ "name": role, "role": role }).to_string();
    let headers = [("Content-Type", "application/json")];
    let made = server.request("POST", "/api/v1/tokens", &headers, body.as_bytes()).expect_status(201).json();
    made["secret"].as_str().unwrap_or_else(|| panic!("no secret in {made}")).to_owned()
}

/// Runs the SDK with these arguments.
fn python_sdk(arguments: &[&str]) {
    let python = target_dir().join("python/bin/python");
    assert!(python.is_file(), "{python:?} is missing: `cargo xtask test` installs it");
    let said = run(Command::new(python).arg(workspace_root().join("tests/python/otlp.py")).args(arguments));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn the_python_sdk_sends_all_signals_over_http_and_grpc() {
    let server = Server::start();
    let (writer, viewer) = (token(&server, "writer"), token(&server, "viewer"));
    python_sdk(&[&server.url, &server.otlp_url, &server.token, &writer, &viewer]);
}

const LISTEN: [&str; 4] = ["--otlp-listen", "127.0.0.1:0", "--otlp-grpc-listen", "127.0.0.1:0"];

#[test]
fn the_python_sdk_sends_all_signals_through_a_collector() {
    let server = Server::start();
    let secret = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(secret.path(), "of the collector\n").expect("a temporary file can be written");
    let file = secret.path().to_string_lossy().into_owned();
    let collector = Collector::start(&server, &[&LISTEN[..], &["--otlp-token-file", &file]].concat());
    let (http, grpc, metrics) = (collector.otlp_http(), collector.otlp_grpc(), collector.metrics());
    python_sdk(&[&http, &grpc, &server.token, "of the collector", "another", &server.url, &metrics]);
}

fn post_json(collector: &str, path: &str, body: &[u8]) -> Option<Answer> {
    send("POST", &format!("{collector}{path}"), &[("Content-Type", "application/json")], body).ok()
}

#[test]
fn what_a_collector_has_answered_survives_its_kill() {
    const SENDERS: usize = 4;
    const SPANS: usize = 5;
    const NUMBERS: usize = 1_000_000;
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let (spool, token) = (dir.path().join("spool"), server.data.join("admin.token"));
    // Nobody is there to send to, so what is answered is on its disk only.
    let mut collector = Collector::start_in(&spool, "http://127.0.0.1:9", &token, &LISTEN);
    let address = collector.otlp_http();
    let answered: Vec<usize> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let address = &address;
                scope.spawn(move || {
                    let mut count = 0;
                    // Until the connection breaks: everything before was answered, the last one may be kept, too.
                    while let Some(answer) =
                        post_json(address, "/v1/traces", &spans(1 + sender * NUMBERS + count, SPANS))
                    {
                        assert_eq!(answer.expect_status(200).text(), "{}");
                        count += SPANS;
                    }
                    count
                })
            })
            .collect();
        std::thread::sleep(std::time::Duration::from_secs(2));
        collector.program.kill();
        senders.into_iter().map(|sender| sender.join().expect("no sender panics")).collect()
    });
    assert!(answered.iter().all(|count| *count > 0), "{answered:?}");
    let again = Collector::start_in(&spool, &server.url, &token, &LISTEN);
    let of = |table: &str, number: &str, sender: usize| {
        let (from, to) = (1 + sender * NUMBERS, (sender + 1) * NUMBERS);
        let sql = format!("SELECT count(DISTINCT {number}) FROM {table} WHERE {number} BETWEEN {from} AND {to}");
        server.query_count(&sql) as usize
    };
    // The test's span ids are numbers, and so are its tokens.
    let number = "CAST(map_extract(attributes, 'gen_ai.usage.input_tokens')[1] AS BIGINT)";
    for (sender, count) in answered.iter().enumerate() {
        until("all spans", || of("spans", number, sender) >= *count);
        until("all requests", || of("inference_requests", "input_tokens", sender) >= *count);
        assert!(of("spans", number, sender) <= count + SPANS);
    }
    // A new start is a new sender of the same spool, and no row came twice.
    assert_eq!(server.query_count("SELECT count(*) - count(DISTINCT span_id) FROM spans"), 0);
    let more = post_json(&again.otlp_http(), "/v1/traces", &spans(SENDERS * NUMBERS + 7, 1)).expect("it answers");
    more.expect_status(200);
    until("a span after the kill", || of("spans", number, SENDERS) == 1);
    assert_eq!(server.query("SELECT DISTINCT cluster, node FROM spans"), [["default", "here"]]);
}

#[test]
fn a_full_spool_refuses_otlp_and_drops_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let (spool, token) = (dir.path().join("spool"), dir.path().join("no token"));
    let flags = [&LISTEN[..], &["--spool-bytes-max", "1MiB"]].concat();
    let collector = Collector::start_in(&spool, "http://127.0.0.1:9", &token, &flags);
    let address = collector.otlp_http();
    let refused = (0..2_000).find_map(|round| {
        let answer = post_json(&address, "/v1/traces", &spans(1 + round * 500, 500)).expect("it answers");
        (answer.status != 200).then_some(answer)
    });
    let refused = refused.expect("the spool is full at some time").expect_status(503);
    assert_eq!(refused.header("Retry-After"), Some("5"));
    assert_eq!(refused.json()["code"], 14);
    assert!(refused.text().contains("the spool is full"), "{}", refused.text());
    let own = send("GET", &collector.metrics(), &[], b"").expect("the collector answers").text();
    assert!(own.contains("\ncoulomb_collector_rows_dropped_total 0\n"), "{own}");
    assert!(own.contains("\ncoulomb_collector_otlp_refused_total 1\n"), "{own}");
}

#[test]
fn a_collector_refuses_what_the_server_refuses() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "of the collector").expect("a temporary file can be written");
    let file = secret.to_string_lossy().into_owned();
    let flags = [&LISTEN[..], &["--otlp-token-file", &file]].concat();
    let collector = Collector::start_in(&dir.path().join("spool"), "http://127.0.0.1:9", &secret, &flags);
    let address = collector.otlp_http();
    let bearer = ("Authorization", "Bearer of the collector");
    let protobuf = ("Content-Type", "application/x-protobuf");
    let large = vec![0; (16 << 20) + 1];
    let traces = "/v1/traces";
    let packed = |name| [bearer, protobuf, ("Content-Encoding", name)];
    let cases: [(&str, &str, &[(&str, &str)], &[u8], u16, u8); 14] = [
        ("POST", traces, &[bearer, protobuf], b"", 200, 0),
        ("POST", traces, &[bearer, protobuf], b"no", 400, 3),
        ("POST", "/v1/logs", &[bearer, protobuf], b"\x0a\xff", 400, 3),
        ("POST", "/v1/logs", &packed("gzip"), b"{}", 400, 3),
        ("POST", "/v1/logs", &packed("zstd"), b"{}", 400, 3),
        ("POST", "/v1/logs", &packed("br"), b"{}", 415, 3),
        ("POST", "/v1/metrics", &[bearer, ("Content-Type", "text/plain")], b"x", 415, 3),
        ("POST", "/v1/metrics", &[bearer], b"", 415, 3),
        ("POST", "/v1/metrics", &[bearer, protobuf], &large, 413, 8),
        ("POST", traces, &[protobuf], b"", 401, 16),
        ("POST", traces, &[protobuf, ("Authorization", "Bearer of the others")], b"", 401, 16),
        ("PUT", traces, &[bearer, protobuf], b"", 405, 12),
        ("POST", "/v1/profiles", &[bearer, protobuf], b"", 404, 5),
        ("GET", "/", &[], b"", 404, 5),
    ];
    for (method, path, headers, body, status, code) in cases {
        let answer = send(method, &format!("{address}{path}"), headers, body).expect("it answers");
        let expected = if code == 0 { None } else { Some(&code) };
        assert_eq!((answer.status, answer.header("content-type")), (status, Some(protobuf.1)), "{path} {headers:?}");
        // The code within a `google.rpc.Status`, which is its first field.
        assert_eq!(answer.body.get(1), expected, "{path} {headers:?}");
    }
    let json = [bearer, ("Content-Type", "application/json")];
    let answer = send("POST", &format!("{address}{traces}"), &json, b"{").expect("it answers").expect_status(400);
    assert!(answer.json()["message"].as_str().expect("a text").starts_with("not an OTLP message"), "{}", answer.text());
    // gRPC by another media type is none, on either port.
    let method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    send("POST", &format!("{address}{method}"), &json, b"{}").expect("it answers").expect_status(415);
    any_body_is_kept_or_refused(&address, bearer);
}

/// Any bytes, packed or not, in both encodings.
fn any_body_is_kept_or_refused(address: &str, bearer: (&str, &str)) {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let good = spans(1, 1);
    for round in 0..400 {
        let mut body: Vec<u8> = match round % 2 {
            0 => (0..random() % 80).map(|_| random() as u8).collect(),
            _ => good.clone(),
        };
        for _ in 0..random() % 4 {
            let at = random() as usize % body.len().max(1);
            if let Some(byte) = body.get_mut(at) {
                *byte = random() as u8;
            }
        }
        let kind = ["application/json", "application/x-protobuf"][random() as usize % 2];
        let packing = ["identity", "gzip", "zstd"][random() as usize % 3];
        let path = ["/v1/traces", "/v1/logs", "/v1/metrics"][random() as usize % 3];
        let headers = [bearer, ("Content-Type", kind), ("Content-Encoding", packing)];
        let answer = send("POST", &format!("{address}{path}"), &headers, &body).expect("it answers");
        assert!([200, 400, 413].contains(&answer.status), "{}: {body:?}", answer.status);
    }
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
