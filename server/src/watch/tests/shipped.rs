//! Every rule of the product: what it fires on, and that it is silent where all is well.

use super::super::ask::ask;
use super::super::keep::{Outcome, Try};
use super::*;
use crate::alert::{Labels, Rule, ToldAlert, Wanted, Why, step};
use crate::store::{Covers, Derived, ground_table};
use std::collections::BTreeSet;

/// A table and a row of it; what is not said is as in [`well`].
type Row = (&'static str, Value);

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn time(ago_micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(now() - ago_micros).unwrap().to_rfc3339()
}

/// A row of a fleet that is well, now.
fn well(table: &str) -> Value {
    let gpu = json!({ "interval_seconds": 60.0, "cluster": "c", "node": "n1", "gpu_uuid": "g", "gpu_index": 0, "gpu_model": "H100",
        "job_id": "7", "process_count": 1, "gpu_busy_ratio": 0.9, "temperature_celsius": 60.0, "memory_temperature_celsius": 70.0,
        "throttle_reasons": 4, "ecc_uncorrected_total": 1, "remapped_rows_total": 1, "sm_clock_hertz": 1_980_000_000_i64 });
    let host = json!({ "interval_seconds": 60.0, "cluster": "c", "node": "n1", "cpu_busy_ratio": 0.5, "load_1m": 1.0,
        "memory_used_bytes": 50, "memory_total_bytes": 100, "disk_read_bytes_total": 0, "disk_write_bytes_total": 0,
        "network_receive_bytes_total": 0, "network_transmit_bytes_total": 0 });
    let request = json!({ "service": "chat", "model": "m", "input_tokens": 10, "output_tokens": 10,
        "time_to_first_token_seconds": 0.2, "duration_seconds": 1.0, "status": "ok" });
    let run = json!({ "schedule": "monthly", "state": "delivered", "attempts": 1, "report": "chargeback", "format": "csv",
        "destination": "file:", "server": "" });
    match table {
        "gpu_samples" => gpu,
        "host_samples" => host,
        "device_events" => {
            json!({ "cluster": "c", "node": "n1", "gpu_uuid": "g", "kind": "reset", "severity": "info", "message": "reset" })
        }
        "job_events" => {
            json!({ "cluster": "c", "job_id": "7", "attempt": 0, "kind": "ended", "state": "COMPLETED", "user": "ann", "queue": "q", "gpus_requested": 1 })
        }
        "inference_requests" => request,
        "metrics" => {
            json!({ "name": "vllm:kv_cache_usage_perc", "unit": "1", "kind": "gauge", "value": 0.5, "service": "chat", "node": "n1" })
        }
        "report_runs" => run,
        "ledger_open" => {
            json!({ "period": "2026-01", "cluster": "c", "gpu_model": "H100", "team": "ml", "cost_centre": "1", "state": "active",
            "category": "gpu", "quantity": 1.0, "unit": "GPU-Hours", "policy_version": "p", "currency": "USD", "inputs": "i", "cost_micros": 2_000_000 })
        }
        other => panic!("no row of {other}"),
    }
}

/// A row like that of a fleet that is well, but for these values, so long ago.
fn row(table: &'static str, ago_micros: i64, but: Value) -> Row {
    let mut row = well(table);
    row["time"] = time(ago_micros).into();
    for (name, value) in but.as_object().unwrap() {
        row[name] = value.clone();
    }
    (table, row)
}

async fn keep(scene: &mut Scene, rows: Vec<Row>) {
    let mut ledger = Vec::new();
    for (name, row) in rows {
        if name == "ledger_open" {
            ledger.push(row);
            continue;
        }
        let table = contract::table(name).or_else(|| ground_table(name)).unwrap();
        let mut decoder = ReaderBuilder::new(contract::schema(table)).build_decoder().unwrap();
        decoder.serialize(&[row]).unwrap();
        let batch = decoder.flush().unwrap().unwrap();
        scene.sequence += 1;
        scene.store.append(table, &WriterId::parse("test/1").unwrap(), scene.sequence, batch).await.unwrap();
    }
    // A derived table is written by the day.
    let mut days: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in ledger {
        days.entry(row["time"].as_str().unwrap()[..10].to_owned()).or_default().push(row);
    }
    for (day, rows) in days {
        let table = &scene.store.derived().ledger_open;
        let mut decoder = ReaderBuilder::new(contract::schema(table)).build_decoder().unwrap();
        decoder.serialize(&rows).unwrap();
        let (rows, now_micros) = (decoder.flush().unwrap().unwrap(), now());
        let day: chrono::NaiveDate = day.parse().unwrap();
        let from_micros = day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros();
        let (to_micros, covers) = (from_micros + DAY, Covers::default());
        let derived = Derived { rows, from_micros, to_micros, covers, now_micros };
        scene.store.derive(&mut scene.store.snapshot(table), derived).await.unwrap();
    }
}

async fn tried(scene: &Scene, times: i64) {
    let key = GroupKey { receiver: "ops".into(), route: "".into(), labels: Labels::new() };
    let alert = ToldAlert { fingerprint: Fingerprint(1), started_micros: now() };
    let wanted = Wanted { why: Why::First, firing: BTreeSet::from([alert]), over: BTreeSet::new() };
    for attempt in 1..=times {
        let error = Some("it answered 500".to_owned());
        let (time_micros, outcome) = (now(), Outcome::Failed);
        let tried = Try { time_micros, id: "a", key: &key, wanted: &wanted, outcome, attempt, error };
        scene.watch.inner.keeper.tried(&tried).await.unwrap();
    }
}

/// What a rule says of what it sees now, whatever it waits for.
async fn said(scene: &Scene, rule: &Rule) -> Vec<String> {
    let rule = Rule { for_micros: 0, ..rule.clone() };
    let seen = ask(&scene.watch.inner.engine, &rule, now()).await.unwrap();
    let changes = step(&rule, &mut BTreeMap::new(), seen, None, now());
    changes.into_iter().map(|change| change.instance.annotations["summary"].clone()).collect()
}

fn rules() -> BTreeMap<String, Rule> {
    let dir = tempfile::tempdir().unwrap();
    let all = shelf(dir.path()).all().unwrap();
    let rules = all.iter().flat_map(|shelved| shelved.read.as_ref().unwrap().rules.clone());
    rules.map(|rule| (rule.name.to_string(), rule)).collect()
}

fn of_devices() -> Vec<(&'static str, Vec<Row>, &'static str)> {
    let event = |but: Value| vec![row("device_events", MINUTE, but)];
    let gpu = |but: Value| vec![row("gpu_samples", MINUTE, but)];
    let twice = |name: &str| {
        vec![row("gpu_samples", 9 * MINUTE, json!({ name: 1 })), row("gpu_samples", MINUTE, json!({ name: 3 }))]
    };
    let days = [1, 3, 5]
        .map(|days| row("device_events", days * DAY, json!({ "kind": "xid", "code": 79, "severity": "critical" })));
    vec![
        ("GpuLost", event(json!({ "kind": "lost", "severity": "critical" })), "GPU g on n1 is lost"),
        ("GpuXidFatal", event(json!({ "kind": "xid", "code": 79, "severity": "critical" })), "Xid 79 on GPU g of n1"),
        (
            "GpuEccUncorrected",
            twice("ecc_uncorrected_total"),
            "2 uncorrected memory errors on GPU g of n1 within an hour",
        ),
        ("GpuRowsRemapped", twice("remapped_rows_total"), "GPU g on n1 remapped 2 rows of memory within a day"),
        ("GpuHot", gpu(json!({ "temperature_celsius": 91.0 })), "GPU g on n1 is at 91 °C"),
        ("GpuMemoryHot", gpu(json!({ "memory_temperature_celsius": 101.0 })), "The memory of GPU g on n1 is at 101 °C"),
        (
            "GpuThermalThrottle",
            gpu(json!({ "throttle_reasons": 64 })),
            "GPU g on n1 was slowed by heat for 100 % of the time",
        ),
        ("GpuLinkFault", event(json!({ "kind": "link", "severity": "error" })), "A link of GPU g on n1 failed"),
        ("GpuFaultsAgain", days.into(), "n1 had faults on 3 days of the last 14"),
        (
            "HostMemoryFull",
            vec![row("host_samples", MINUTE, json!({ "memory_used_bytes": 99 }))],
            "n1 uses 99 % of its memory",
        ),
        ("NodeSilent", vec![row("host_samples", 10 * MINUTE, json!({}))], "n1 is silent for 10 min"),
        ("TelemetryDropped", event(json!({ "kind": "dropped", "severity": "error" })), "Rows of n1 were lost"),
        ("TelemetryLate", vec![row("gpu_samples", 20 * MINUTE, json!({}))], "No GPU has reported for 20 min"),
    ]
}

fn of_jobs() -> Vec<(&'static str, Vec<Row>, &'static str)> {
    let gpu = |ago: i64, but: Value| row("gpu_samples", ago, but);
    let clocks = [1980, 1980, 1980, 1200].iter().enumerate();
    let clocks = clocks
        .map(|(at, mhz)| gpu(MINUTE, json!({ "gpu_uuid": format!("g{at}"), "sm_clock_hertz": mhz * 1_000_000_i64 })));
    let submitted = json!({ "kind": "submitted", "state": null, "submitted_at": time(5 * HOUR) });
    let ended = |at: usize, state: &str| {
        let but =
            json!({ "job_id": at.to_string(), "state": state, "started_at": time(2 * HOUR), "ended_at": time(HOUR) });
        row("job_events", HOUR, but)
    };
    let requests = |slow: f64| vec![row("inference_requests", MINUTE, json!({ "time_to_first_token_seconds": slow }))];
    let failing =
        (0..20).map(|at| row("inference_requests", MINUTE, json!({ "status": if at < 4 { "error" } else { "ok" } })));
    let full = vec![row("metrics", MINUTE, json!({ "value": 0.97 }))];
    let failed = row("report_runs", HOUR, json!({ "state": "failed", "error": "no" }));
    vec![
        (
            "GpuHeldEmpty",
            vec![gpu(MINUTE, json!({ "process_count": 0 }))],
            "Job 7 holds 1 GPUs and has no process on them",
        ),
        (
            "GpuHeldIdle",
            vec![gpu(MINUTE, json!({ "gpu_busy_ratio": 0.0 }))],
            "Job 7 holds 1 GPUs and has not used them for two hours",
        ),
        (
            "JobStalled",
            vec![gpu(40 * MINUTE, json!({})), gpu(MINUTE, json!({ "gpu_busy_ratio": 0.0 }))],
            "Job 7 on 1 GPUs worked, and has stood still for 20 minutes",
        ),
        ("Straggler", clocks.collect(), "GPU g3 on n1 runs at 60.6 % of the clock of its peers in job 7"),
        ("QueueWait", vec![row("job_events", 5 * HOUR, submitted)], "A job in queue q has waited for 5 h 0 min"),
        (
            "JobsFail",
            (0..5).map(|at| ended(at, if at < 3 { "FAILED" } else { "COMPLETED" })).collect(),
            "60 % of the jobs of ann failed within six hours",
        ),
        ("FirstTokenSlow", requests(3.0), "chat: the first token of m takes 3 s at the 95th percentile"),
        ("RequestsFail", failing.collect(), "chat: 20 % of the requests for m fail"),
        ("KvCacheFull", full, "The KV cache of chat on n1 is 97 % full"),
        ("ReportFailed", vec![failed], "The document of monthly is not delivered"),
    ]
}

fn of_money() -> Vec<(&'static str, Vec<Row>, &'static str)> {
    let row = |ago: i64, but: Value| row("ledger_open", ago, but);
    let midnight = now().rem_euclid(DAY);
    let days = (1..=10).map(|day| {
        row(day * DAY + midnight - HOUR, json!({ "cost_micros": if day == 1 { 9_000_000 } else { 3_000_000 } }))
    });
    vec![
        (
            "IdleMoney",
            vec![row(HOUR, json!({ "state": "held_idle", "cost_micros": 600_000_000 }))],
            "ml paid 600.00 within a day for GPUs that it held and did not use",
        ),
        (
            "UnpricedUsage",
            vec![row(HOUR, json!({ "cost_micros": null, "quantity": 3.0 }))],
            "3 GPU-hours of H100 in c have no price",
        ),
        (
            "UnownedUsage",
            vec![row(HOUR, json!({})), row(HOUR, json!({ "team": "unowned" }))],
            "50 % of the cost of a week has no owner",
        ),
        ("CostAnomaly", days.collect(), "ml cost 3 times as much yesterday as on its usual day"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_shipped_rule_fires_on_what_it_is_for() {
    let mut rules = rules();
    for (name, rows, summary) in [of_devices(), of_jobs(), of_money()].concat() {
        let mut scene = Scene::start(tempfile::tempdir().unwrap()).await;
        keep(&mut scene, rows).await;
        let rule = rules.remove(name).unwrap();
        assert_eq!(said(&scene, &rule).await, [summary], "{name}");
    }
    let scene = Scene::start(tempfile::tempdir().unwrap()).await;
    tried(&scene, 3).await;
    let failing = rules.remove("ReceiverFailing").unwrap();
    assert_eq!(said(&scene, &failing).await, ["Receiver ops does not take what it is told"]);
    assert!(rules.is_empty(), "no case of {:?}", rules.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn shipped_rules_are_silent_where_all_is_well() {
    let mut scene = Scene::start(tempfile::tempdir().unwrap()).await;
    let tables =
        ["gpu_samples", "host_samples", "device_events", "inference_requests", "metrics", "report_runs", "ledger_open"];
    let mut rows: Vec<Row> = tables.map(|table| row(table, MINUTE, json!({}))).into();
    let ended = json!({ "submitted_at": time(3 * HOUR), "started_at": time(2 * HOUR), "ended_at": time(HOUR) });
    rows.push(row("job_events", HOUR, ended));
    keep(&mut scene, rows).await;
    for (name, rule) in rules() {
        assert_eq!(said(&scene, &rule).await, Vec::<String>::new(), "{name}");
    }
}
