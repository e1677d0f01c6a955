//! The dashboards of the product against a real server: each panel answers, each picture is drawn, Grafana's files are
//! true; and the user's own are kept, read again and removed.

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::ipc::writer::StreamWriter;
use coulomb_tests::{Program, Server, binary, run, target_dir, workspace_root};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const NAMES: [&str; 7] = ["fleet", "node", "job", "inference", "cost", "capacity", "self"];
/// Seconds, about, until use that is over is in the ledger.
const HOURS_TRIES_MAX: usize = 180;
const HISTORY_AT_MOST: Duration = Duration::from_secs(180);
const JSON: [(&str, &str); 2] = [("Content-Type", "application/json"), ("Accept", "application/json")];
const TOML: [(&str, &str); 1] = [("Content-Type", "application/toml")];

/// Panels about things that need not have happened: a fleet of some hours may be free of them.
const MAY_BE_EMPTY: [(&str, &str); 6] = [
    ("fleet", "Device events"),
    ("fleet", "By kind and code"),
    ("node", "Events of its devices"),
    ("node", "Jobs that held its GPUs"),
    ("cost", "What the ledger tells"),
    ("self", "What the ledger tells"),
];

/// A statement with what it takes of all values, as the page asks it.
fn ask(server: &Server, of: &Value, all: &[String], place: &str) -> Vec<Value> {
    let sql = of["sql"].as_str().expect("its sql");
    let takes = of["takes"].as_array().expect("what it takes").iter().filter_map(Value::as_u64);
    let parameters: Vec<&String> = takes.map(|at| &all[at as usize]).collect();
    let body = json!({ "sql": sql, "parameters": parameters }).to_string();
    let answer = server.request("POST", "/api/v1/query", &JSON, body.as_bytes());
    assert_eq!(answer.status, 200, "{place}: {}", answer.text());
    answer.json()["rows"].as_array().cloned().unwrap_or_else(|| panic!("{place}: no rows"))
}

fn board(server: &Server, name: &str) -> Value {
    server.get(&format!("/api/v1/dashboards/{name}")).expect_status(200).json()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The values of the variables as the page has them when nobody chose any.
fn parameters(server: &Server, board: &Value, range: [&str; 2]) -> Vec<String> {
    let range = range.map(str::to_owned);
    let mut all = range.to_vec();
    for variable in board["variables"].as_array().expect("variables") {
        let place = format!("variable {}", variable["name"]);
        let value = match (&variable["default"], &variable["all"], variable["kind"].as_str()) {
            (Value::String(default), _, _) => default.clone(),
            (_, Value::String(_), _) => String::new(),
            (_, _, Some("step")) => "300 seconds".to_owned(),
            (_, _, Some("sql")) => {
                let rows = ask(server, variable, &range, &place);
                rows.first().and_then(|row| row[0].as_str()).unwrap_or_default().to_owned()
            }
            _ => texts(&variable["choices"]).remove(0),
        };
        all.push(value);
    }
    all
}

fn import(server: &Server, kind: &str, file: &str) {
    let path = workspace_root().join("docs/prices").join(file);
    let done = run(server.command(&["import", kind]).arg(path));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Requests of two models, one in ten of which failed.
fn requests(server: &Server, now: i64) {
    const COUNT: i64 = 400;
    let rows = || 0..COUNT;
    let text = |of: &dyn Fn(i64) -> &'static str| Arc::new(StringArray::from_iter_values(rows().map(of))) as ArrayRef;
    let int = |of: &dyn Fn(i64) -> i64| Arc::new(Int64Array::from_iter_values(rows().map(of))) as ArrayRef;
    let float = |of: &dyn Fn(i64) -> f64| Arc::new(Float64Array::from_iter_values(rows().map(of))) as ArrayRef;
    let times = rows().map(|i| now - i * 30_000_000);
    let batch = RecordBatch::try_from_iter([
        ("time", Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")) as ArrayRef),
        ("service", text(&|_| "chat")),
        ("model", text(&|i| if i % 3 == 0 { "small" } else { "large" })),
        ("tenant", text(&|i| if i % 2 == 0 { "a" } else { "b" })),
        ("input_tokens", int(&|i| 200 + i)),
        ("cached_tokens", int(&|i| i)),
        ("output_tokens", int(&|i| 10 + i % 90)),
        ("queue_seconds", float(&|i| 0.01 * (i % 7) as f64)),
        ("time_to_first_token_seconds", float(&|i| 0.2 + 0.001 * i as f64)),
        ("duration_seconds", float(&|i| 2.0 + 0.01 * i as f64)),
        ("status", text(&|i| if i % 10 == 0 { "timeout" } else { "ok" })),
    ]);
    let batch = batch.expect("the columns have one length");
    let mut out = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("memory takes bytes");
    out.write(&batch).and_then(|()| out.finish()).expect("memory takes bytes");
    let stream = out.into_inner().expect("memory takes bytes");
    server.ingest("inference_requests", "gateway/1", 1, &stream).expect_status(200);
}

/// What a server exports of itself: how often a route was answered, at two times, and a span of it.
fn told_of_itself(server: &Server, now: i64) {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let resource = json!({ "attributes": [text("service.name", "coulomb")] });
    let labels = json!([text("route", "/api/v1/query"), text("method", "POST"), text("status", "200")]);
    let nanos = |minutes: i64| ((now - minutes * 60_000_000) * 1000).to_string();
    let point =
        |minutes: i64, value: f64| json!({ "timeUnixNano": nanos(minutes), "asDouble": value, "attributes": labels });
    let sum =
        json!({ "isMonotonic": true, "aggregationTemporality": 2, "dataPoints": [point(30, 5.0), point(10, 9.0)] });
    let metrics = json!([{ "name": "coulomb_http_requests_total", "unit": "1", "sum": sum }]);
    let span = json!([{
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "POST /api/v1/query",
        "kind": 2, "startTimeUnixNano": nanos(10), "endTimeUnixNano": nanos(9),
    }]);
    let headers = [("Content-Type", "application/json")];
    for (path, body) in [
        (
            "/v1/metrics",
            json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [{ "metrics": metrics }] }] }),
        ),
        ("/v1/traces", json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": span }] }] })),
    ] {
        server.request("POST", path, &headers, body.to_string().as_bytes()).expect_status(200);
    }
}

/// A fleet with its prices and owners, and the ledger of its hours.
fn full() -> (Server, Program) {
    let server = Server::start_with(&["--flush-after-seconds", "1"]);
    import(&server, "prices", "demo.csv");
    import(&server, "ownership", "demo-owners.toml");
    let mut fleet = Command::new(binary("coulomb-collector"));
    fleet.args(["simulate", "--gpus", "64", "--backfill", "12h", "--server", &server.url]);
    fleet.arg("--token-file").arg(server.data.join("admin.token"));
    let mut fleet = Program::start(&mut fleet);
    fleet.wait_for_line("coulomb-collector: history sent", HISTORY_AT_MOST);
    let now = server.get("/api/v1/status").json()["now_unix_micros"].as_i64().expect("the server's time");
    requests(&server, now);
    told_of_itself(&server, now);
    // The hours of use are derived in the background, and the ledger follows them.
    for _ in 0..HOURS_TRIES_MAX {
        server.request("POST", "/api/v1/ledger/refresh", &[], b"").expect_status(204);
        if server.query_count("select count(cost_micros) from ledger where state = 'active'") > 0 {
            return (server, fleet);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("no hour of use has come into the ledger; the server said:\n{}", server.program.log())
}

#[test]
fn every_panel_of_every_dashboard_has_rows_and_a_picture_where_its_telemetry_has_arrived() {
    let (server, _fleet) = full();
    let all = server.get("/api/v1/dashboards").expect_status(200).json();
    let names: Vec<&str> = all.as_array().expect("a list").iter().filter_map(|entry| entry["name"].as_str()).collect();
    assert_eq!(names, NAMES);
    for entry in all.as_array().expect("a list") {
        assert_eq!((&entry["offered"], &entry["origin"]), (&json!(true), &json!("shipped")), "{entry}");
    }
    let window = server.query("select now() - interval '10 hours', now()").remove(0);
    for name in NAMES {
        let board = board(&server, name);
        let parameters = parameters(&server, &board, [&window[0], &window[1]]);
        let mut titles = BTreeSet::new();
        for (at, panel) in board["panels"].as_array().expect("panels").iter().enumerate() {
            let title = panel["title"].as_str().expect("a title");
            let place = format!("{name}, panel {title:?}");
            titles.insert(title);
            let rows = ask(&server, panel, &parameters, &place);
            let may_be_empty = MAY_BE_EMPTY.contains(&(name, title)) || title == "KV cache in use";
            assert!(!rows.is_empty() || may_be_empty, "{place} has no rows with {parameters:?}");
            if let Some(promql) = panel["promql"].as_str() {
                asked_of_prometheus(&server, promql, &board, &parameters, &place);
            }
            drawn(&server, (name, at), panel["kind"].as_str().expect("a kind"), &place);
        }
        assert!(titles.len() >= 6, "{name} has few panels: {titles:?}");
    }
}

/// What Grafana would ask, with the values that the page has.
fn asked_of_prometheus(server: &Server, promql: &str, board: &Value, parameters: &[String], place: &str) {
    let names = board["variables"].as_array().expect("variables").iter().filter_map(|v| v["name"].as_str());
    let values = names.zip(&parameters[2..]);
    // Nothing chosen is any, there.
    let put = |query: String, (name, value): (&str, &String)| {
        query.replace(&format!("${name}"), if value.is_empty() { ".*" } else { value })
    };
    let query = values.fold(promql.to_owned(), put);
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = format!("query={encoded}");
    let answer = server.request("POST", "/prometheus/api/v1/query", &form, body.as_bytes());
    assert_eq!(answer.status, 200, "{place}: {query}: {}", answer.text());
    let found = answer.json()["data"]["result"].as_array().map_or(0, Vec::len);
    // A job may have ended before now.
    assert!(found > 0 || query.contains("job_id"), "{place}: {query} finds nothing");
}

/// Numbers over time have a picture of the server's; nothing else does.
fn drawn(server: &Server, (name, at): (&str, usize), kind: &str, place: &str) {
    let answer = server.get(&format!("/api/v1/dashboards/{name}/panels/{at}.svg?from=now-10h"));
    if !["timeseries", "stacked"].contains(&kind) {
        assert_eq!(answer.status, 400, "{place}: {}", answer.text());
        return;
    }
    let svg = answer.expect_status(200).text();
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"), "{place}: {svg}");
    let reported = !svg.contains("Nothing was reported");
    assert!(!reported || svg.contains("<path d=\"M"), "{place} draws nothing: {svg}");
}

#[test]
fn an_empty_server_offers_nothing_and_plans_every_panel() {
    let server = Server::start();
    let all = server.get("/api/v1/dashboards").expect_status(200).json();
    for entry in all.as_array().expect("a list") {
        assert_eq!(entry["offered"], json!(false), "{entry}");
        assert!(!texts(&entry["missing"]).is_empty(), "{entry}");
    }
    for name in NAMES {
        let board = board(&server, name);
        let parameters = parameters(&server, &board, ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]);
        for panel in board["panels"].as_array().expect("panels") {
            let place = format!("{name}, panel {}", panel["title"]);
            ask(&server, panel, &parameters, &place);
        }
    }
}

/// No two panels lie on each other, none leaves the grid, and each is asked of a data source that is chosen above.
fn check_grafana(name: &str, made: &Value) {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{name}: {value} is no number"));
    assert!(number(&made["schemaVersion"]) >= 36 && made["uid"] == json!(format!("coulomb-{name}")), "{name}");
    let panels = made["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels {
        let place = format!("{name}, {}", panel["title"]);
        assert!(ids.insert(number(&panel["id"])), "{place}: its id is there twice");
        let at = &panel["gridPos"];
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| number(&at[key]));
        assert!(w > 0 && h > 0 && x + w <= 24, "{place}: {at}");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{place} lies on another panel at {cell:?}");
        }
        if panel["type"] == "row" {
            continue;
        }
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{place} asks nothing");
        for target in targets {
            check_target(target, &place);
        }
    }
    let variables = made["templating"]["list"].as_array().expect("variables");
    let sources: Vec<&Value> = variables.iter().filter(|v| v["type"] == "datasource").map(|v| &v["query"]).collect();
    assert_eq!(sources, [&json!("prometheus"), &json!("yesoreyeram-infinity-datasource")], "{name}");
}

fn check_target(target: &Value, place: &str) {
    match target["datasource"]["uid"].as_str() {
        Some("${prometheus}") => assert!(target["expr"].as_str().is_some_and(|e| e.contains("coulomb_")), "{place}"),
        Some("${sql}") => {
            let sent = target["url_options"]["data"].as_str().expect("a body");
            // Grafana puts values where the variables stand.
            let mut parts = sent.split("${");
            let mut text = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                text.push('x');
                text.push_str(part.split_once('}').expect("a variable ends").1);
            }
            let body: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{place}: {e}: {text}"));
            assert!(body["sql"].is_string() && body["parameters"].is_array(), "{place}: {body}");
        }
        other => panic!("{place}: {other:?} is no data source of the dashboard"),
    }
}

#[test]
fn the_files_for_grafana_are_those_that_the_server_makes() {
    let server = Server::start();
    let fresh = target_dir().join("grafana");
    fs::create_dir_all(&fresh).expect("a folder can be made");
    let mut stale = Vec::new();
    for name in NAMES {
        let answer = server.get(&format!("/api/v1/dashboards/{name}?format=grafana")).expect_status(200);
        check_grafana(name, &answer.json());
        let text = serde_json::to_string_pretty(&answer.json()).expect("JSON is text") + "\n";
        let kept = workspace_root().join(format!("dashboards/grafana/{name}.json"));
        if fs::read_to_string(&kept).ok().as_ref() != Some(&text) {
            fs::write(fresh.join(format!("{name}.json")), text).expect("a file can be written");
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "dashboards/grafana/ is not what dashboards/*.toml say of {stale:?}: copy {fresh:?} there"
    );
}

const OWN: &str = r#"title = "Mine"
description = "Of a test."
needs = ["gpu_samples"]

[[panel]]
title = "Rows"
kind = "stat"
unit = "count"
sql = "select count(*) as n from gpu_samples where time >= $1 and time < $2"
"#;

fn put(server: &Server, path: &str, text: &str) -> coulomb_tests::Answer {
    server.request("PUT", path, &TOML, text.as_bytes())
}

#[test]
fn an_own_dashboard_is_checked_kept_read_again_and_removed() {
    let server = Server::start();
    let path = "/api/v1/dashboards/mine";
    assert_eq!(server.get(path).status, 404);
    let tried = put(&server, &format!("{path}?dry_run=true"), OWN).expect_status(200).json();
    assert_eq!((&tried["title"], server.get(path).status), (&json!("Mine"), 404));
    put(&server, path, OWN).expect_status(200);
    let accepts_toml = [("Accept", "application/toml")];
    assert_eq!(server.request("GET", path, &accepts_toml, b"").text(), OWN);
    assert_eq!(server.get(&format!("{path}?format=toml")).text(), OWN);
    assert_eq!(board(&server, "mine")["origin"], json!("own"));

    let file = server.data.join("dashboards/mine.toml");
    fs::write(&file, OWN.replace("Mine", "Written by hand")).expect("the file can be written");
    assert_eq!(board(&server, "mine")["title"], json!("Written by hand"));
    fs::write(&file, OWN.replace("kind", "kin")).expect("the file can be written");
    let faulty = board(&server, "mine");
    assert_eq!((&faulty["title"], &faulty["faults"][0]["line"]), (&json!("Written by hand"), &json!(7)));

    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let archive = dir.path().join("backup.tar");
    let backed_up = run(server.command(&["backup"]).arg(&archive));
    assert!(backed_up.status.success(), "{}", String::from_utf8_lossy(&backed_up.stderr));
    let restored = dir.path().join("restored");
    let done = run(Command::new(binary("coulomb")).arg("restore").arg(&archive).arg("--data").arg(&restored));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let texts = [&file, &restored.join("dashboards/mine.toml")].map(|path| fs::read_to_string(path).ok());
    assert!(texts[0].is_some() && texts[0] == texts[1], "{texts:?}");

    server.request("DELETE", path, &[], b"").expect_status(204);
    assert!(!file.exists() && server.get(path).status == 404);
    assert_eq!(server.request("DELETE", "/api/v1/dashboards/fleet", &[], b"").status, 400);
}

#[test]
fn the_text_of_the_documentation_is_right() {
    let documentation = fs::read_to_string(workspace_root().join("docs/dashboards.md")).expect("it can be read");
    let text = documentation.split_once("```toml\n").and_then(|(_, rest)| rest.split_once("```"));
    let (text, _) = text.expect("it has a text in TOML");
    let tried = put(&Server::start(), "/api/v1/dashboards/racks?dry_run=true", text).expect_status(200).json();
    assert_eq!(tried["missing"], json!(["gpu_samples", "gpu_samples.power_watts"]));
}

#[test]
fn what_is_wrong_with_a_text_or_its_sql_is_told_by_line_and_nothing_is_kept() {
    let server = Server::start();
    let path = "/api/v1/dashboards/mine";
    for (part, other, line, said) in [
        ("title = \"Rows\"", "titel = \"Rows\"", 6, "titel"),
        ("kind = \"stat\"", "kind = \"heatmap\"", 9, "column of times"),
        ("count(*)", "count(nope)", 9, "nope"),
        ("select count", "delete count", 9, "SQL"),
        ("$2", "$3", 9, "$3 has no value"),
        ("from gpu_samples", "from gpu_sample", 9, "gpu_sample"),
    ] {
        let refused = put(&server, path, &OWN.replacen(part, other, 1)).expect_status(400);
        let message = refused.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        let told = message.starts_with(&format!("mine.toml line {line}: "));
        assert!(told && message.to_lowercase().contains(&said.to_lowercase()), "{other}: {message}");
    }
    assert!(!server.data.join("dashboards").exists());
    for name in ["..%2Fx", "A", "a.b"] {
        assert_eq!(put(&server, &format!("/api/v1/dashboards/{name}"), OWN).status, 400, "{name}");
    }
    let token = run(&mut server.command(&["token", "create", "--name", "finance", "--role", "finance"]));
    let bearer = format!("Bearer {}", String::from_utf8_lossy(&token.stdout).trim());
    let as_finance = |method| server.try_request(method, path, &[("Authorization", &bearer), TOML[0]], OWN.as_bytes());
    assert_eq!(as_finance("PUT").map(|a| a.status).ok(), Some(403));
}

#[test]
fn a_variable_is_a_value_and_never_a_part_of_the_statement() {
    let server = Server::start();
    let evil = "'%20or%201%3D1%20--";
    let svg =
        server.get(&format!("/api/v1/dashboards/node/panels/4.svg?from=now-1h&var-node={evil}")).expect_status(200);
    assert!(svg.text().contains("Nothing was reported"), "{}", svg.text());
    let unknown = server.get("/api/v1/dashboards/node/panels/4.svg?var-nope=1");
    assert!(unknown.status == 400 && unknown.text().contains("var-node"), "{}", unknown.text());
    assert_eq!(server.get("/api/v1/dashboards/node/panels/99.svg").status, 404);
    assert_eq!(server.get("/api/v1/dashboards/nope/panels/0.svg").status, 404);
}
