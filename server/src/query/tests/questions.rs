//! What the named questions answer, on small scenes that can be checked by hand.

use super::{SECOND, Scene, T0};
use crate::error::ErrorKind;
use contract::GpuState;
use contract::answers::{Range, Series, Severity};
use serde_json::{Value, json};

const HOUR: i64 = 3600 * SECOND;

fn hours(from: i64, to: i64) -> Range {
    Range { from_unix_micros: T0 + from * HOUR, to_unix_micros: T0 + to * HOUR }
}

/// Rows of five minutes over hours of one GPU, with `more` in each.
fn rows(node: &str, gpu: &str, from_hour: i64, to_hour: i64, more: Value) -> Vec<Value> {
    let at = |i: i64| T0 + from_hour * HOUR + i * 300 * SECOND;
    let row = |i: i64| {
        let mut row = json!({"time": at(i), "interval_seconds": 300.0, "cluster": "c", "node": node, "gpu_uuid": gpu,
            "gpu_index": 0, "gpu_model": "H100", "process_count": 0, "gpu_busy_ratio": 0.0});
        for (name, value) in more.as_object().unwrap() {
            row[name] = value.clone();
        }
        row
    };
    (0..(to_hour - from_hour) * 12).map(row).collect()
}

fn work(job: &str, busy: f64) -> Value {
    json!({"job_id": job, "process_count": 1, "gpu_busy_ratio": busy, "power_watts": 100.0 + 600.0 * busy})
}

fn event(node: &str, gpu: Option<&str>, kind: &str, code: i64, minute: i64) -> Value {
    json!({"time": T0 + minute * 60 * SECOND, "cluster": "c", "node": node, "gpu_uuid": gpu, "kind": kind,
           "code": code, "severity": "critical", "message": format!("{kind} {code}")})
}

fn series<'a>(all: &'a [Series], name: &str) -> &'a Series {
    all.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no series {name}"))
}

#[tokio::test]
async fn empty_tables_give_whole_answers() {
    let scene = Scene::new();
    let overview = scene.engine.overview(hours(0, 24), None).await.unwrap();
    assert_eq!((overview.nodes_now, overview.gpu_hours_before, overview.energy_joules), (0, None, None));
    assert_eq!(overview.over_time.len(), 96);
    assert!(overview.attention.is_empty() && overview.nodes.is_empty());
    let fleet = scene.engine.fleet(hours(0, 24), Some("nowhere"), "power_watts").await.unwrap();
    assert_eq!((fleet.nodes.len(), fleet.times_unix_micros.len(), fleet.bucket_seconds), (0, 96, 900));
    let status = scene.engine.status().await.unwrap();
    assert_eq!((status.data_time_unix_micros, status.rows_lost_total, status.clusters.len()), (None, 0, 0));
    assert_eq!(status.tables.len(), contract::TABLES.len());
    assert!(status.tables.iter().all(|t| t.rows == 0 && t.files == 0 && t.time_min_unix_micros.is_none()));
    for error in [
        scene.engine.gpu("GPU-x", hours(0, 1)).await.map(drop).unwrap_err(),
        scene.engine.node("c", "n", hours(0, 1)).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}

#[tokio::test]
async fn wrong_questions_are_invalid() {
    let scene = Scene::new();
    let error = scene.engine.fleet(hours(0, 1), None, "gpu_model").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.known().contains(&"state".to_owned()) && error.known().contains(&"power_watts".to_owned()));
    assert!(!error.known().contains(&"energy_joules_total".to_owned()));
    let error = scene.engine.overview(hours(1, 1), None).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn overview_of_a_day() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", rows("r01-n1", "GPU-a", 0, 24, work("1", 0.5))).await;
    scene.add("gpu_samples", rows("r01-n2", "GPU-b", 0, 24, json!({}))).await;
    scene.add("gpu_samples", rows("r02-n1", "GPU-c", 0, 12, work("2", 0.0))).await;
    let job = |id: &str, kind: &str, hour: i64, state: &str| {
        json!({"time": T0 + hour * HOUR, "cluster": "c", "job_id": id, "attempt": 0, "kind": kind, "state": state,
               "name": format!("train-{id}"), "user": "ann"})
    };
    let jobs = vec![
        job("1", "started", 0, "RUNNING"),
        job("2", "started", 0, "RUNNING"),
        job("2", "ended", 12, "FAILED"),
        job("3", "submitted", 1, "PENDING"),
        job("4", "started", 2, "RUNNING"),
        job("4", "ended", 3, "COMPLETED"),
    ];
    scene.add("job_events", jobs).await;
    let check = async |scene: &Scene| {
        let overview = scene.engine.overview(hours(0, 24), Some("c")).await.unwrap();
        let found = overview.gpu_hours;
        assert_eq!((found.active, found.unallocated, found.held_idle, found.unknown), (24.0, 24.0, 12.0, 12.0));
        assert_eq!((overview.gpus_now.active, overview.gpus_now.unknown, overview.nodes_now), (1, 1, 3));
        let busy = overview.gpu_busy_ratio_mean.unwrap();
        assert!((busy - 0.5 * 24.0 / 60.0).abs() < 1e-9, "{busy}");
        let joules = overview.energy_joules.unwrap();
        assert!((joules - (400.0 * 24.0 + 100.0 * 12.0) * 3600.0).abs() < 1e-3, "{joules}");
        let jobs = overview.jobs;
        assert_eq!((jobs.running, jobs.waiting, jobs.ended, jobs.failed), (1, 1, 2, 1));
        assert_eq!(overview.gpu_hours_before, None);
        assert_eq!(overview.nodes[0].rack.as_deref(), Some("r01"));
        let titles: Vec<&str> = overview.attention.iter().map(|a| a.title.as_str()).collect();
        assert_eq!(titles, ["No telemetry from r02-n1", "Job 2 held 1 GPU without work"]);
        let idle = &overview.attention[1];
        assert_eq!((idle.severity, idle.gpu_hours, idle.since_unix_micros), (Severity::Notice, Some(12.0), T0));
        assert!(idle.detail.ends_with("job name train-2; user ann"), "{}", idle.detail);
        let later = scene.engine.overview(hours(24, 48), None).await.unwrap();
        assert_eq!((later.gpu_hours.unknown, later.gpu_hours_before.unwrap().held_idle), (72.0, 12.0));
        assert_eq!(scene.engine.overview(hours(0, 24), Some("d")).await.unwrap().nodes_now, 0);
    };
    check(&scene).await;
    check(&scene.reopen()).await;
}

#[tokio::test]
async fn trouble_is_listed_worst_first() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", rows("r01-n1", "GPU-a", 0, 2, work("1", 0.9))).await;
    scene.add("gpu_samples", rows("r01-n1", "GPU-b", 0, 4, json!({"temperature_celsius": 91.0}))).await;
    scene.add("gpu_samples", rows("r01-n1", "GPU-c", 0, 4, json!({"throttle_reasons": 0x44}))).await;
    scene.add("gpu_samples", rows("r01-n1", "GPU-d", 0, 4, json!({"throttle_reasons": 0x5}))).await;
    scene.add("gpu_samples", rows("r01-n1", "GPU-e", 0, 4, json!({"job_id": "7"}))).await;
    let events = vec![
        event("r01-n1", Some("GPU-a"), "lost", 0, 119),
        event("r01-n1", Some("GPU-a"), "xid", 79, 119),
        event("r01-n1", Some("GPU-b"), "xid", 31, 10),
        event("r01-n1", Some("GPU-b"), "xid", 31, 20),
        event("r01-n1", None, "dropped", 500, 30),
    ];
    scene.add("device_events", events).await;
    let overview = scene.engine.overview(hours(0, 4), None).await.unwrap();
    assert_eq!((overview.gpu_hours.down, overview.gpus_now.down, overview.gpu_hours.unknown), (2.0, 1, 0.0));
    let found: Vec<_> = overview.attention.iter().map(|a| (a.severity, a.title.as_str())).collect();
    let expected = [
        (Severity::Critical, "GPU 0 on r01-n1 is down"),
        (Severity::Critical, "Xid 79 on r01-n1"),
        (Severity::Warning, "GPU 0 on r01-n1 is slowed down by its hardware"),
        (Severity::Warning, "Job 7 holds 1 GPU without work"),
        (Severity::Warning, "GPU 0 on r01-n1 reached 91 °C"),
        (Severity::Warning, "The collector on r01-n1 dropped 500 rows"),
        (Severity::Notice, "Xid 31 on r01-n1, 2 times"),
    ];
    assert_eq!(found, expected);
    assert_eq!(scene.engine.status().await.unwrap().rows_lost_total, 500);
}

#[tokio::test]
async fn fleet_cells_are_means_or_states() {
    let mut scene = Scene::new();
    let mut all = rows("r01-n10", "GPU-b", 0, 2, work("1", 0.25));
    for (i, row) in all.iter_mut().enumerate() {
        row["power_watts"] = json!(i as f64);
    }
    scene.add("gpu_samples", all).await;
    scene.add("gpu_samples", rows("r01-n2", "GPU-a", 0, 1, json!({}))).await;
    let fleet = scene.engine.fleet(hours(0, 2), None, "power_watts").await.unwrap();
    assert_eq!(fleet.bucket_seconds, 60);
    let nodes: Vec<&str> = fleet.nodes.iter().map(|n| n.node.as_str()).collect();
    assert_eq!(nodes, ["r01-n2", "r01-n10"]);
    let cells = &fleet.nodes[1].gpus[0].cells;
    assert_eq!(
        (cells.len(), cells[0], cells[4], cells[5], cells[119]),
        (120, Some(0.0), Some(0.0), Some(1.0), Some(23.0))
    );
    assert!(fleet.nodes[0].gpus[0].cells.iter().all(Option::is_none), "not reported is null");
    let gpu = &fleet.nodes[1].gpus[0];
    assert_eq!((gpu.state, gpu.job_id.as_deref(), gpu.power_watts), (GpuState::Active, Some("1"), Some(23.0)));
    assert_eq!((gpu.jobs.len(), gpu.jobs[0].to_unix_micros), (1, T0 + 2 * HOUR));
    assert_eq!(fleet.nodes[0].gpus[0].state, GpuState::Unknown);
    let fleet = scene.engine.fleet(hours(0, 2), None, "state").await.unwrap();
    let states = |node: usize, at: usize| fleet.nodes[node].gpus[0].cells[at].map(|c| GpuState::ALL[c as usize]);
    assert_eq!(states(0, 0), Some(GpuState::Unallocated));
    assert_eq!(states(0, 60), Some(GpuState::Unknown));
    assert_eq!(states(1, 60), Some(GpuState::Active));
}

#[tokio::test]
async fn a_job_that_comes_back_has_two_spans_and_unread_rows_have_no_state() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", rows("n1", "GPU-a", 0, 1, work("1", 0.5))).await;
    scene.add("gpu_samples", rows("n1", "GPU-a", 2, 3, work("1", 0.5))).await;
    let bare = json!({"process_count": null, "gpu_busy_ratio": null, "power_watts": 90.0});
    scene.add("gpu_samples", rows("n1", "GPU-b", 2, 3, bare)).await;
    let fleet = scene.engine.fleet(hours(0, 3), None, "state").await.unwrap();
    let gpus = &fleet.nodes[0].gpus;
    let spans: Vec<_> = gpus[0].jobs.iter().map(|j| (j.from_unix_micros - T0, j.to_unix_micros - T0)).collect();
    assert_eq!(spans, [(0, HOUR), (2 * HOUR, 3 * HOUR)]);
    assert_eq!((gpus[1].state, gpus[1].power_watts), (GpuState::Unknown, Some(90.0)));
}

#[tokio::test]
async fn mig_instances_count_and_their_parent_does_not() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", rows("n1", "GPU-a", 0, 1, json!({}))).await;
    for (i, instance) in ["MIG-1", "MIG-2"].into_iter().enumerate() {
        let more = json!({"parent_gpu_uuid": "GPU-a", "mig_profile": "3g.40gb", "gpu_busy_ratio": null,
                          "sm_active_ratio": 0.5 * i as f64, "process_count": 1, "job_id": "1"});
        scene.add("gpu_samples", rows("n1", instance, 0, 1, more)).await;
    }
    let overview = scene.engine.overview(hours(0, 1), None).await.unwrap();
    let found = overview.gpu_hours;
    assert_eq!((found.active, found.held_idle, found.unallocated), (1.0, 1.0, 0.0));
    scene.add("gpu_samples", rows("n1", "GPU-a", 2, 3, json!({}))).await;
    let overview = scene.engine.overview(hours(2, 3), None).await.unwrap();
    assert_eq!((overview.gpu_hours.unallocated, overview.gpu_hours.unknown), (1.0, 0.0));
}

fn instance(busy: f64) -> Value {
    json!({"parent_gpu_uuid": "GPU-a", "mig_profile": "3g.40gb", "gpu_busy_ratio": null, "sm_active_ratio": busy,
           "process_count": 1, "job_id": "1"})
}

/// A whole GPU, cut for two hours, whole again, and cut into one once more.
#[tokio::test]
async fn a_gpu_that_is_cut_and_joined_counts_once_at_each_time() {
    let mut scene = Scene::new();
    let board = json!({"process_count": 0, "power_watts": 100.0, "temperature_celsius": 90.0});
    scene.add("gpu_samples", rows("n1", "GPU-a", 0, 8, board)).await;
    scene.add("gpu_samples", rows("n1", "MIG-1", 2, 4, instance(0.5))).await;
    scene.add("gpu_samples", rows("n1", "MIG-2", 2, 3, instance(0.0))).await;
    scene.add("gpu_samples", rows("n1", "MIG-1", 6, 7, instance(0.0))).await;
    let overview = scene.engine.overview(hours(0, 8), None).await.unwrap();
    let found = overview.gpu_hours;
    assert_eq!((found.unallocated, found.active, found.held_idle, found.unknown), (5.0, 2.0, 2.0, 0.0));
    assert_eq!((overview.gpus_now.unallocated, overview.gpus_now.unknown), (1, 0));
    let watt_hours = overview.energy_joules.unwrap() / 3600.0;
    assert!((watt_hours - 800.0).abs() < 1e-6, "{watt_hours} Wh of one board");
    let titles: Vec<_> = overview.attention.iter().map(|a| a.title.as_str()).collect();
    assert!(titles.contains(&"GPU 0 on n1 reached 90 °C"), "{titles:?}");
    let cut = scene.engine.overview(hours(2, 4), None).await.unwrap();
    assert_eq!((cut.gpu_hours.active, cut.gpu_hours.held_idle, cut.gpu_hours.unallocated), (2.0, 1.0, 0.0));
    assert_eq!(cut.energy_joules, Some(2.0 * 100.0 * 3600.0));
    let hours_before = scene.engine.overview(hours(4, 6), None).await.unwrap().gpu_hours_before.unwrap();
    assert_eq!((hours_before.active, hours_before.held_idle), (2.0, 1.0));
    let node = scene.engine.node("c", "n1", hours(2, 3)).await.unwrap();
    assert_eq!(series(&node.series, "gpu_power_watts").values[0], Some(100.0));
    assert_eq!(node.gpus.len(), 2);
    let fleet = scene.engine.fleet(hours(0, 8), None, "state").await.unwrap();
    let cells = &fleet.nodes[0].gpus[0].cells;
    let at = |hour: i64| cells[(hour * 3600 / fleet.bucket_seconds) as usize];
    assert_eq!((fleet.nodes[0].gpus.len(), at(1), at(2), at(5)), (1, Some(3.0), None, Some(3.0)));
    // All are silent: what was there last is what is unknown.
    let later = scene.engine.overview(hours(10, 12), None).await.unwrap();
    assert_eq!((later.gpu_hours.unknown, later.gpus_now.unknown), (2.0, 1));
}

/// What began before the range says when, and only its hours within the range count.
#[tokio::test]
async fn trouble_that_began_before_the_range_says_since_when() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", rows("r01-n1", "GPU-a", 0, 2, work("1", 0.9))).await;
    scene.add("gpu_samples", rows("r01-n1", "GPU-e", 0, 6, json!({"job_id": "7"}))).await;
    scene.add("device_events", vec![event("r01-n1", Some("GPU-a"), "lost", 0, 120)]).await;
    let range = Range { from_unix_micros: T0 + 5 * HOUR + HOUR / 2, to_unix_micros: T0 + 6 * HOUR };
    let attention = scene.engine.overview(range, None).await.unwrap().attention;
    let found: Vec<_> =
        attention.iter().map(|a| (a.title.as_str(), (a.since_unix_micros - T0) / HOUR, a.gpu_hours)).collect();
    let expected = [("GPU 0 on r01-n1 is down", 2, Some(0.5)), ("Job 7 holds 1 GPU without work", 0, Some(0.5))];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_gpu_in_detail() {
    let mut scene = Scene::new();
    let mut all = rows("r01-n1", "GPU-a", 0, 2, work("1", 0.5));
    for (i, row) in all.iter_mut().enumerate() {
        // 3,000 J a row, and after an hour the driver starts again from 0.
        let since = if i < 12 { i } else { i - 12 };
        row["energy_joules_total"] = json!(since as f64 * 3000.0 + 3000.0);
        if i == 23 {
            row["process_count"] = json!(0);
        }
    }
    scene.add("gpu_samples", all).await;
    scene.add("device_events", vec![event("r01-n1", Some("GPU-a"), "xid", 13, 70)]).await;
    let detail = scene.engine.gpu("GPU-a", hours(0, 2)).await.unwrap();
    let watts = series(&detail.series, "energy_joules_per_second");
    assert_eq!(watts.unit, "joules_per_second");
    assert!(watts.values[..115].iter().all(|v| *v == Some(10.0)), "{:?}", watts.values);
    assert_eq!(watts.values[115], None, "the last row's rise is not known yet");
    assert_eq!(series(&detail.series, "gpu_busy_ratio").values[0], Some(0.5));
    assert!(series(&detail.series, "sm_active_ratio").values.iter().all(Option::is_none));
    let states: Vec<_> =
        detail.states.iter().map(|s| (s.state, (s.to_unix_micros - s.from_unix_micros) / SECOND)).collect();
    assert_eq!(states, [(GpuState::Active, 6900), (GpuState::HeldEmpty, 300)]);
    assert_eq!((detail.events.len(), detail.events[0].code), (1, Some(13)));
    assert_eq!(detail.gpu.state, GpuState::HeldEmpty);
    let overview = scene.engine.overview(hours(0, 2), None).await.unwrap();
    // 23 rises by the counter, and the last row by its power of 400 W.
    assert!((overview.energy_joules.unwrap() - (23.0 * 3000.0 + 400.0 * 300.0)).abs() < 1e-6);
    let later = scene.engine.gpu("GPU-a", hours(24 * 30, 24 * 31)).await.unwrap();
    assert_eq!((later.node.as_str(), later.gpu.state, later.states.len()), ("r01-n1", GpuState::Unknown, 1));
    let earlier = scene.engine.gpu("GPU-a", hours(-48, -24)).await.unwrap();
    assert_eq!((earlier.states.len(), earlier.states[0].state), (1, GpuState::Unknown));
}

#[tokio::test]
async fn a_node_in_detail() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", rows("r01-n1", "GPU-a", 0, 2, work("1", 0.5))).await;
    scene.add("gpu_samples", rows("r01-n1", "GPU-b", 0, 2, work("2", 0.7))).await;
    let host = |i: i64| {
        json!({"time": T0 + i * 300 * SECOND, "interval_seconds": 300.0, "cluster": "c", "node": "r01-n1",
            "cpu_busy_ratio": 0.5, "load_1m": 3.0, "memory_used_bytes": 1000, "memory_total_bytes": 2000,
            "disk_read_bytes_total": i * 600, "disk_write_bytes_total": 0, "network_receive_bytes_total": 0,
            "network_transmit_bytes_total": 0})
    };
    scene.add("host_samples", (0..24).map(host).collect()).await;
    let node = scene.engine.node("c", "r01-n1", hours(0, 2)).await.unwrap();
    assert_eq!((node.rack.as_deref(), node.gpus.len(), node.jobs.len()), (Some("r01"), 2, 2));
    assert_eq!(series(&node.series, "gpu_power_watts").values[0], Some(920.0));
    let busy = series(&node.series, "gpu_busy_ratio").values[0].unwrap();
    assert!((busy - 0.6).abs() < 1e-9);
    assert_eq!(series(&node.series, "disk_read_bytes_per_second").values[0], Some(2.0));
    assert_eq!(series(&node.series, "load_1m").values[0], Some(3.0));
    assert!(series(&node.series, "rdma_receive_bytes_per_second").values.iter().all(Option::is_none));
    assert!(node.gpus.iter().all(|gpu| gpu.cells.is_empty()));
    let scene = scene.reopen();
    let status = scene.engine.status().await.unwrap();
    assert_eq!(status.clusters, ["c"]);
    // Bounds of files are kept in milliseconds, rounded outwards.
    let late = status.data_time_unix_micros.unwrap() - (T0 + 23 * 300 * SECOND);
    assert!((0..=1000).contains(&late), "{late} µs late");
    let exact = scene.ask("select cast(max(time) as bigint) from gpu_samples").await.unwrap();
    assert_eq!(exact, [[(T0 + 23 * 300 * SECOND).to_string()]]);
    let table = status.tables.iter().find(|t| t.name == "gpu_samples").unwrap();
    assert_eq!((table.rows, table.files > 0, table.stored_bytes > 0), (48, true, true));
    assert_eq!((table.time_min_unix_micros, table.time_max_unix_micros), (Some(T0), status.data_time_unix_micros));
}
