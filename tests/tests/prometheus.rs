//! PromQL as the real Prometheus answers it: the same samples go into both, the same queries are asked of both.
//!
//! Its answers are kept in `golden/prometheus.json`, so that ours are compared with them on every machine. Where
//! Debian's `prometheus` is installed, the file is compared with it anew, and `promtool` is used as a client.

#[path = "prometheus/queries.rs"]
mod queries;
#[path = "prometheus/rows.rs"]
mod rows;

use coulomb_tests::{Program, Server, run, send, target_dir, workspace_root};
use queries::QUERIES;
use rows::T0;
use serde_json::{Map, Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A mean of floats in another order differs so much at most.
const RELATIVE: f64 = 1e-9;
/// Replaying the blocks of two hours takes it a second.
const READY_AT_MOST: Duration = Duration::from_secs(60);

fn golden_path() -> PathBuf {
    workspace_root().join("tests/golden/prometheus.json")
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// The paths of one query: at a time at which samples are, and over a range whose steps lie between them.
fn paths(query: &str) -> [String; 2] {
    let query = encoded(query);
    let (time, start, end) = (T0 + 5_400, T0 + 2_707, T0 + 5_400);
    [
        format!("/api/v1/query?query={query}&time={time}"),
        format!("/api/v1/query_range?query={query}&start={start}&end={end}&step=673"),
    ]
}

/// What matters of an answer.
fn essence(status: u16, body: &Value) -> Value {
    match body["status"] == "success" {
        true => json!([body["data"]["resultType"], body["data"]["result"]]),
        false => json!([status, body["errorType"]]),
    }
}

fn ask(base: &str, path: &str, headers: &[(&str, &str)]) -> Value {
    let answer = send("GET", &format!("{base}{path}"), headers, b"").unwrap_or_else(|e| panic!("{path}: {e}"));
    essence(answer.status, &answer.json())
}

/// Each query's answers in one line.
fn answers(base: &str, headers: &[(&str, &str)]) -> Map<String, Value> {
    let of = |query: &&str| (query.to_string(), paths(query).map(|path| ask(base, &path, headers)).into());
    QUERIES.iter().map(of).collect()
}

/// A server that has the rows, those of the GPUs in two parts and out of order.
fn server() -> Server {
    let server = Server::start();
    for (sequence, rows) in rows::all().iter().enumerate() {
        let answer = server.ingest(rows.table, "test/1", sequence as u64 + 1, &rows.stream()).expect_status(200).json();
        assert_eq!(answer["rejected"], json!([]), "{}", rows.table);
    }
    server
}

fn answers_of(server: &Server) -> Map<String, Value> {
    let bearer = format!("Bearer {}", server.token);
    answers(&format!("{}/prometheus", server.url), &[("Authorization", &bearer)])
}

fn number(value: &Value) -> Option<f64> {
    match value.as_str()? {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    }
}

fn same_number(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (number(a), number(b)) else { return a == b };
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= RELATIVE * a.abs().max(b.abs())
}

/// A point, or a list of points.
fn same_points(a: &Value, b: &Value) -> bool {
    match (a.as_array().map(Vec::as_slice), b.as_array().map(Vec::as_slice)) {
        (Some([t, a]), Some([u, b])) if t.is_number() => t == u && same_number(a, b),
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_points(a, b)),
        _ => a == b,
    }
}

/// Of what has no order, the series by their labels.
fn series(query: &str, answer: &Value) -> Option<Vec<Value>> {
    let mut series = answer[1].as_array().filter(|_| answer[0] == "vector" || answer[0] == "matrix")?.clone();
    if !["sort", "topk(", "bottomk("].iter().any(|ordered| query.starts_with(ordered)) {
        series.sort_by_key(|series| series["metric"].to_string());
    }
    Some(series)
}

fn same(query: &str, a: &Value, b: &Value) -> bool {
    let (Some(x), Some(y)) = (series(query, a), series(query, b)) else {
        return a[0] == b[0] && same_points(&a[1], &b[1]);
    };
    let same = |(a, b): (&Value, &Value)| {
        a["metric"] == b["metric"] && same_points(&a["value"], &b["value"]) && same_points(&a["values"], &b["values"])
    };
    a[0] == b[0] && x.len() == y.len() && x.iter().zip(&y).all(same)
}

/// The queries whose answers differ, with both.
fn differences(expected: &Map<String, Value>, found: &Map<String, Value>) -> Vec<String> {
    let mut faults = Vec::new();
    for query in QUERIES {
        for (at, form) in ["at one time", "over a range"].iter().enumerate() {
            let (a, b) = (&expected[*query][at], &found[*query][at]);
            if !same(query, a, b) {
                faults.push(format!("{query} {form}\n  expected {a}\n  found    {b}"));
            }
        }
    }
    faults
}

fn golden() -> Map<String, Value> {
    let text = std::fs::read_to_string(golden_path()).expect("the golden file can be read");
    let golden: Map<String, Value> = serde_json::from_str(&text).expect("the golden file is JSON");
    let missing: Vec<_> = QUERIES.iter().filter(|query| !golden.contains_key(**query)).collect();
    assert!(missing.is_empty(), "the golden file lacks {missing:?}: run this test where prometheus is installed");
    golden
}

fn fail_with(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} of {} answers differ:\n{}", faults.len(), 2 * QUERIES.len(), faults.join("\n"));
}

#[test]
fn our_answers_are_those_of_prometheus() {
    assert!(QUERIES.len() >= 80);
    let server = server();
    fail_with(differences(&golden(), &answers_of(&server)));
    // The same from files, which are read in another order than rows in memory.
    let server = server.stop_and_restart();
    fail_with(differences(&golden(), &answers_of(&server)));
}

fn installed(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("skipped: {program} is not installed");
    }
    there
}

/// A real Prometheus that has the samples.
fn prometheus(folder: &Path) -> (Program, String) {
    let mut text = String::new();
    rows::all().iter().for_each(|rows| rows.open_metrics(&mut text));
    text.push_str("# EOF\n");
    let (file, blocks, config) = (folder.join("samples"), folder.join("blocks"), folder.join("none.yml"));
    std::fs::write(&file, text).and_then(|()| std::fs::write(&config, "")).expect("a temporary folder takes files");
    let mut make = Command::new("promtool");
    let made = run(make.args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&file).arg(&blocks));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port is free").port();
    let mut command = Command::new("prometheus");
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--storage.tsdb.retention.time=100y");
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", blocks.display()));
    let program = Program::start(&mut command);
    let url = format!("http://127.0.0.1:{port}");
    let end = Instant::now() + READY_AT_MOST;
    while !send("GET", &format!("{url}/-/ready"), &[], b"").is_ok_and(|answer| answer.status == 200) {
        assert!(Instant::now() < end, "prometheus is not ready; it said:\n{}", program.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    (program, url)
}

#[test]
fn the_golden_answers_are_those_of_the_real_prometheus() {
    if !installed("prometheus") || !installed("promtool") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (_program, url) = prometheus(folder.path());
    let version = send("GET", &format!("{url}/api/v1/status/buildinfo"), &[], b"").expect("it answers").json();
    if !version["data"]["version"].as_str().is_some_and(|version| version.starts_with("2.")) {
        eprintln!("skipped: from 3.0 on the start of a window is no part of it, and this prometheus is {version}");
        return;
    }
    let found = answers(&url, &[]);
    // Beside the golden file's place, so that it can be taken over.
    let fresh = target_dir().join("prometheus.json");
    let lines: Vec<String> = QUERIES.iter().map(|query| format!("{}:{}", json!(query), found[*query])).collect();
    std::fs::write(&fresh, format!("{{\n{}\n}}\n", lines.join(",\n"))).expect("the target folder takes files");
    let text = std::fs::read_to_string(golden_path()).unwrap_or_else(|_| "{}".to_owned());
    let golden: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
    let known = QUERIES.iter().all(|query| golden.contains_key(*query)) && golden.len() == QUERIES.len();
    assert!(known && differences(&golden, &found).is_empty(), "{:?} is old: put {fresh:?} there", golden_path());
}

#[test]
fn promtool_is_a_client() {
    if !installed("promtool") {
        return;
    }
    let server = server();
    // It takes a token as a password of the address only.
    let url = format!("{}/prometheus", server.url.replace("http://", &format!("http://any:{}@", server.token)));
    let ask = |arguments: &[&str]| {
        let output = run(Command::new("promtool").arg("query").args(arguments));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &said)
    };
    let time = (T0 + 5_400).to_string();
    let (good, said) = ask(&["instant", "--time", &time, &url, "count(coulomb_gpu_power_watts)"]);
    assert!(good && said == format!("{{}} => 5 @[{time}]\n"), "{said}");
    let range = ["range", "--start", &T0.to_string(), "--end", &time, "--step", "30m"];
    let (good, said) = ask(&[&range[..], &[&url, "count by (node) (coulomb_gpu_power_watts)"]].concat());
    assert!(good && said.contains("{node=\"n1\"} =>\n3 @[") && said.lines().count() > 6, "{said}");
    let (good, said) = ask(&["series", "--match", "coulomb_gpu_power_watts{job_id=\"102\"}", &url]);
    let labels =
        "cluster=\"alpha\", gpu_index=\"1\", gpu_model=\"H100\", gpu_uuid=\"GPU-a1\", job_id=\"102\", node=\"n1\"";
    assert!(good && said.trim() == format!("{{__name__=\"coulomb_gpu_power_watts\", {labels}}}"), "{said}");
    let (good, said) = ask(&["labels", &url, "node"]);
    assert!(good && said == "n1\nn2\n", "{said}");
    let (good, said) = ask(&["labels", "--start", &T0.to_string(), "--end", &time, &url, "__name__"]);
    let names: Vec<&str> = said.lines().collect();
    assert!(good && names.contains(&"coulomb_gpu_busy_ratio"), "{said}");
    assert!(!names.contains(&"coulomb_gpu_sm_active_ratio"), "nobody reports it");
    let (good, said) = ask(&["instant", &url, "sum("]);
    assert!(!good && said.contains("parse error"), "{said}");
}
