//! Findings and incidents end to end: a simulated fleet whose injected faults are found, and money that sums.

use coulomb_tests::{Server, binary, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// Hours are derived and priced in the background, and findings made of them.
const SEEN_AT_MOST: Duration = Duration::from_secs(300);
/// Some time in the past, so that all of it is over; the fleet at it follows from the seed.
const UNTIL: &str = "2025-09-20T00:00:00Z";
/// The same for SQL.
const WITHIN: &str = "gpu_uuid is not null and time >= '2025-09-13T00:00:00Z' and time < '2025-09-20T00:00:00Z'";
const RANGE: &str = "from=2025-09-13T00:00:00Z&to=2025-09-20T00:00:00Z";

/// A week of 64 GPUs with prices.
fn fleet() -> Server {
    let server = Server::start();
    let token = server.data.join("admin.token");
    let mut simulate = Command::new(binary("coulomb-collector"));
    simulate.args(["simulate", "--server", &server.url, "--cluster", "sim", "--gpus", "64", "--seed", "7"]);
    simulate.args(["--backfill", "7d", "--history-interval", "300s", "--until", UNTIL, "--no-live", "--token-file"]);
    let output = run(simulate.arg(&token));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Hours are derived of rows in files.
    let server = server.stop_and_restart();
    let prices = server.data.join("prices.csv");
    let head = "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour";
    fs::write(&prices, format!("{head}\n2025-01-01,,sim,,,,,,on_demand,USD,2.50\n")).expect("a file can be written");
    let path = prices.to_str().expect("a temporary path is text");
    let output = run(&mut server.command(&["import", "prices", path]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let end = Instant::now() + SEEN_AT_MOST;
    loop {
        let json = [("Content-Type", "application/json")];
        server.request("POST", "/api/v1/ledger/refresh", &json, b"{}").expect_status(204);
        let hours = format!("select count(distinct time) from ledger where {WITHIN} and cost_micros is not null");
        if server.query_count(&hours) == 7 * 24 {
            return server;
        }
        assert!(Instant::now() < end, "the ledger does not have all hours");
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn get(server: &Server, path: &str) -> Value {
    server.get(path).expect_status(200).json()
}

fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().unwrap_or_else(|| panic!("no list {name}"))
}

fn number(server: &Server, sql: &str) -> i64 {
    server.query_count(sql) as i64
}

#[test]
fn injected_faults_are_found_and_money_sums() {
    let server = fleet();
    let failures = get(&server, &format!("/api/v1/incidents?{RANGE}"));
    let incidents = list(&failures, "incidents");
    // Every GPU that the simulator has lost without planning to is an incident, and so is every lasting Xid.
    let lost = server.query("select distinct gpu_uuid from device_events where kind = 'lost' and severity <> 'info'");
    assert!(!lost.is_empty(), "the fleet loses GPUs");
    let named: BTreeSet<&str> = incidents
        .iter()
        .filter(|incident| incident["category"] != "planned")
        .flat_map(|incident| list(incident, "gpu_uuids"))
        .filter_map(Value::as_str)
        .collect();
    for row in &lost {
        assert!(named.contains(row[0].as_str()), "{} was lost and is in no incident", row[0]);
    }
    // Every attempt that failed is in exactly one.
    let failed = "select count(*) from jobs where ended_at >= '2025-09-13T00:00:00Z' \
                  and state in ('NODE_FAIL', 'FAILED', 'TIMEOUT', 'PREEMPTED')";
    let hits: Vec<(&Value, &Value)> =
        incidents.iter().flat_map(|i| list(i, "jobs")).map(|job| (&job["job_id"], &job["attempt"])).collect();
    assert_eq!(failures["incidents_left_out"], 0);
    assert_eq!(hits.len() as i64, number(&server, failed));
    let different: BTreeSet<String> = hits.iter().map(|(job, attempt)| format!("{job} {attempt}")).collect();
    assert_eq!(different.len(), hits.len());
    // A job costs its incident no more than the ledger has of it, and all sums agree to the micro.
    let micros = |value: &Value| value.as_i64().unwrap_or_default();
    for job in incidents.iter().flat_map(|i| list(i, "jobs")).take(50) {
        let (id, attempt) = (job["job_id"].as_str().expect("an id"), &job["attempt"]);
        let in_ledger = number(
            &server,
            &format!("select coalesce(sum(cost_micros), 0) from ledger where job_id = '{id}' and attempt = {attempt}"),
        );
        assert!(micros(&job["cost_micros"]) <= in_ledger, "{job} costs {in_ledger} in the ledger");
    }
    let sum = |name: &str| list(&failures, name).iter().map(|line| micros(&line["cost_micros"])).sum::<i64>();
    let all = micros(&failures["all"]["cost_micros"]);
    assert!(all > 0);
    assert_eq!((sum("by_category"), sum("by_month"), sum("by_user")), (all, all, all));
    let of_incidents: i64 = incidents.iter().map(|incident| micros(&incident["cost_micros"])).sum();
    assert_eq!(of_incidents, all + micros(&failures["planned"]["cost_micros"]));
    let down =
        number(&server, &format!("select coalesce(sum(cost_micros), 0) from ledger where state = 'down' and {WITHIN}"));
    let down_of_incidents: i64 = incidents.iter().map(|incident| micros(&incident["down_cost_micros"])).sum();
    assert!(0 < down_of_incidents && down_of_incidents <= down, "{down_of_incidents} of {down}");
    waste(&server);
    commands_and_tables(&server);
    documents(&server);
}

fn report(server: &Server, kind: &str, more: &[&str]) -> Vec<Vec<String>> {
    let all = [&["report", kind, "--from", "2025-09-13", "--to", "2025-09-20"][..], more].concat();
    let output = run(&mut server.command(&all));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// What rows have below a name; counted from behind, because titles before it may hold commas.
fn column<'a>(rows: &'a [Vec<String>], name: &str) -> impl Iterator<Item = &'a str> {
    let at = rows[0].iter().position(|column| column == name).unwrap_or_else(|| panic!("no {name} in {:?}", rows[0]));
    let behind = rows[0].len() - at;
    rows[1..].iter().map(move |row| row[row.len() - behind].as_str())
}

/// The sum of a column, an amount in micros.
fn micros(rows: &[Vec<String>], name: &str) -> i64 {
    let micros = |text: &str| text.replace('.', "").parse::<i64>().expect("six decimals");
    column(rows, name).filter(|text| !text.is_empty()).map(micros).sum()
}

fn hours(rows: &[Vec<String>], name: &str) -> f64 {
    column(rows, name).filter_map(|text| text.parse::<f64>().ok()).sum()
}

/// What documents say is what answers and SQL say, to the micro.
fn documents(server: &Server) {
    let found = get(server, &format!("/api/v1/findings?{RANGE}"));
    let wasted = found["waste"]["cost_micros"].as_i64().expect("there are prices");
    for by in [&[][..], &["--by", "kind"], &["--by", "user,job"], &["--by", "finding"]] {
        let rows = report(server, "waste", by);
        assert_eq!(micros(&rows, "cost"), wasted, "{by:?}");
        assert_eq!(micros(&rows, "cost_per_month"), found["waste"]["cost_micros_per_month"].as_i64().expect("a month"));
    }
    let kinds = report(server, "waste", &["--by", "kind"]);
    for kind in list(&found, "kinds").iter().filter(|kind| kind["is_waste"] == true) {
        let row = kinds.iter().find(|row| row[0] == kind["kind"]).unwrap_or_else(|| panic!("no {kind}: {kinds:?}"));
        assert_eq!(row[1], kind["findings"].to_string());
        let (said, counted): (f64, f64) = (row[2].parse().expect("hours"), kind["gpu_hours"].as_f64().expect("hours"));
        assert!((said - counted).abs() < 1e-5, "{row:?} {kind}");
    }
    let failures = get(server, &format!("/api/v1/incidents?{RANGE}"));
    for by in ["category", "user", "node,severity", "day"] {
        let rows = report(server, "incidents", &["--by", by]);
        assert_eq!(micros(&rows, "cost"), failures["all"]["cost_micros"].as_i64().expect("a cost"), "{by}");
        let lost = failures["all"]["gpu_hours_lost"].as_f64().expect("hours");
        assert!((hours(&rows, "gpu_hours_lost") - lost).abs() < 1e-3, "{by}");
    }
    let within = "time >= '2025-09-13T00:00:00Z' and time < '2025-09-20T00:00:00Z'";
    for by in ["day", "node", "gpu_model", "queue", "hour"] {
        let rows = report(server, "capacity", &["--by", by]);
        for (column, seconds) in [
            ("used_gpu_hours", "active_seconds"),
            ("idle_gpu_hours", "held_idle_seconds + held_empty_seconds"),
            ("unallocated_gpu_hours", "unallocated_seconds"),
            ("down_gpu_hours", "down_seconds"),
            ("unknown_gpu_hours", "unknown_seconds"),
        ] {
            let sql = format!("select sum({seconds}) / 3600.0 from usage_hourly where {within}");
            let known: f64 = server.query(&sql)[0][0].parse().expect("hours");
            assert!((hours(&rows, column) - known).abs() < 2e-3, "{column} by {by}: {known}");
        }
        let (part, free) = (hours(&rows, "fragmented_gpu_hours"), hours(&rows, "unallocated_gpu_hours"));
        assert!(0.0 < part && part <= free, "{part} of {free}");
    }
    let started = "select count(*) from jobs where gpus_requested > 0 and started_at >= '2025-09-13T00:00:00Z' \
                   and started_at < '2025-09-20T00:00:00Z'";
    let days = report(server, "capacity", &[]);
    assert_eq!((days.len(), days[0][0].as_str()), (8, "day"));
    assert_eq!(hours(&days, "jobs_started") as i64, number(server, started));
    for kind in ["waste", "incidents", "capacity"] {
        for (format, begins) in
            [("pdf", &b"%PDF"[..]), ("html", b"<!doctype html>"), ("xlsx", b"PK"), ("parquet", b"PAR1")]
        {
            let made = server.get(&format!("/api/v1/reports/{kind}?{RANGE}&format={format}")).expect_status(200);
            assert!(made.body.starts_with(begins), "{kind} as {format}");
        }
    }
    let refused = server.get(&format!("/api/v1/reports/waste?{RANGE}&by=queue"));
    assert!(refused.status == 400 && refused.text().contains("finding"), "{}", refused.text());
}

fn waste(server: &Server) {
    let found = get(server, &format!("/api/v1/findings?{RANGE}"));
    let findings = list(&found, "findings");
    let kinds: BTreeSet<&str> = findings.iter().filter_map(|finding| finding["kind"].as_str()).collect();
    // What the simulator has people do: abandoned notebooks, allocations without a process, a GPU that runs hot.
    for kind in ["idle_gpus", "empty_allocation", "throttled"] {
        assert!(kinds.contains(kind), "no {kind} among {kinds:?}");
    }
    let wasted: i64 =
        findings.iter().filter(|f| f["is_waste"] == true).filter_map(|finding| finding["cost_micros"].as_i64()).sum();
    assert_eq!(found["waste"]["cost_micros"].as_i64(), Some(wasted));
    let held = format!("select sum(cost_micros) from ledger where state <> 'down' and {WITHIN}");
    assert!(wasted > 0 && wasted <= number(server, &held), "{wasted}");
    let idle: i64 = findings
        .iter()
        .filter(|f| f["kind"] == "idle_gpus" || f["kind"] == "stalled_job")
        .filter_map(|finding| finding["cost_micros"].as_i64())
        .sum();
    let idle_in_ledger =
        number(server, &format!("select sum(cost_micros) from ledger where state = 'held_idle' and {WITHIN}"));
    assert!(idle <= idle_in_ledger && idle * 10 > idle_in_ledger, "{idle} of {idle_in_ledger}");
    // A week scaled to 30 days.
    let month = found["waste"]["cost_micros_per_month"].as_i64().expect("there are prices");
    assert!((month as f64 - wasted as f64 * 30.0 / 7.0).abs() <= 1.0, "{month} of {wasted}");
    let hot = findings.iter().find(|finding| finding["kind"] == "throttled").expect("one runs hot");
    let events = format!(
        "select count(*) from device_events where kind = 'throttle' and gpu_uuid = '{}'",
        hot["gpu_uuid"].as_str().expect("a GPU")
    );
    assert!(number(server, &events) > 0, "{hot}");
    let one = get(server, &format!("/api/v1/findings?{RANGE}&kind=idle_gpus&limit=1"));
    assert_eq!(list(&one, "findings").len(), 1);
    assert_eq!(one["waste"], found["waste"], "sums are of all kinds");
    assert_eq!(server.get(&format!("/api/v1/incidents?{RANGE}&category=nonsense")).status, 400);
}

fn commands_and_tables(server: &Server) {
    let said = |arguments: &[&str]| {
        let output = run(&mut server.command(arguments));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let range = ["--from", "2025-09-13", "--to", "2025-09-20"];
    let table = said(&[&["findings"], &range[..]].concat());
    assert!(table.contains("idle_gpus") && table.contains("per month"), "{table}");
    let csv = said(&[&["incidents"], &range[..], &["--format", "csv"]].concat());
    assert!(csv.starts_with("since,severity,category,title,node,jobs,gpu_hours_lost,cost,currency,action\n"), "{csv}");
    let nodes = said(&[&["incidents"], &range[..], &["--by", "nodes"]].concat());
    assert!(nodes.contains("lost in all"), "{nodes}");
    let json: Value =
        serde_json::from_str(&said(&[&["incidents"], &range[..], &["--format", "json"]].concat())).expect("JSON");
    assert_eq!(json["currency"], "USD");
    // The tables are about the last 30 days, in which this fleet is silent; they are there and can be joined.
    for (table, columns) in [("findings", "kind, cost_micros_per_month, evidence"), ("incidents", "category, job_ids")]
    {
        server.query(&format!("select {columns} from {table}"));
    }
    let known = "select count(*) from device_events e join xid_meanings m on m.kind = e.kind and m.code = e.code";
    assert_eq!(number(server, known), number(server, "select count(*) from device_events where kind = 'xid'"));
    let meanings = get(server, "/api/v1/event-meanings");
    assert!(meanings.as_array().is_some_and(|all| all.len() > 30), "{meanings}");
}
