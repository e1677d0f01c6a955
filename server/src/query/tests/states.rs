//! GPU-seconds by state: every one in exactly one, and the same as a plain loop over the seconds says.

use super::{SECOND, Scene, T0, texts};
use crate::query::state;
use contract::answers::Range;
use contract::{ByState, GpuState};
use proptest::prelude::*;
use serde_json::{Value, json};

fn rules(job: bool, processes: Option<i64>, busy: Option<f64>, memory: Option<i64>) -> GpuState {
    let idle = busy.map(|b| b < 0.01);
    match processes {
        Some(0) if job => GpuState::HeldEmpty,
        Some(0) => GpuState::Unallocated,
        Some(_) if idle == Some(true) => GpuState::HeldIdle,
        Some(_) => GpuState::Active,
        None if idle == Some(false) => GpuState::Active,
        None if job || memory.is_some_and(|m| m > 512 << 20) => GpuState::HeldIdle,
        None if busy.is_none() && memory.is_none() => GpuState::Unknown,
        None => GpuState::Unallocated,
    }
}

#[tokio::test]
async fn the_expression_follows_the_rules() {
    let mut scene = Scene::new();
    let (mut rows, mut expected) = (Vec::new(), Vec::new());
    for job in [false, true] {
        for processes in [None, Some(0), Some(1), Some(3)] {
            for busy in [None, Some(0.0), Some(0.009), Some(0.01), Some(1.0)] {
                for memory in [None, Some(0), Some(512 << 20), Some((512 << 20) + 1)] {
                    rows.push(json!({"time": T0 + rows.len() as i64, "interval_seconds": 1.0, "cluster": "c",
                        "node": "n", "gpu_uuid": "g", "gpu_index": 0, "gpu_model": "m", "process_count": processes,
                        "job_id": job.then_some("1"), "gpu_busy_ratio": busy, "memory_used_bytes": memory}));
                    expected.push(rules(job, processes, busy, memory).index().to_string());
                }
            }
        }
    }
    scene.add("gpu_samples", rows).await;
    let sql = format!("select {} from gpu_samples order by time", state::expression());
    let found = texts(&scene.engine.sql(&sql, vec![]).await.unwrap().collect().await.unwrap());
    assert_eq!(found.concat(), expected);
}

/// A run of rows of one GPU after a gap, both in seconds.
#[derive(Debug, Clone)]
struct Run {
    gap: i64,
    rows: usize,
    interval: i64,
    overlap: i64,
    kind: usize,
}

/// Rows of one GPU, and when it was lost (true) or reset.
type Gpu = (Vec<Run>, Vec<(i64, bool)>);

#[derive(Debug, Clone)]
struct Case {
    gpus: Vec<Gpu>,
    from: i64,
    length: i64,
}

/// Seconds from the start of a case to its last row or event, at most.
const CASE_SECONDS: i64 = 4000;

fn case() -> impl Strategy<Value = Case> {
    let run = (0..4i64, 1..12usize, 1..7i64, 0..3i64, 0..5usize).prop_map(|(gap, rows, interval, overlap, kind)| Run {
        // A gap is none or longer than any interval, so that it is never jitter.
        gap: gap * 70,
        rows,
        interval: interval * 10,
        overlap: overlap * 3,
        kind,
    });
    let events = prop::collection::vec((0..CASE_SECONDS, any::<bool>()), 0..4);
    let gpu = (prop::collection::vec(run, 1..8), events);
    (prop::collection::vec(gpu, 1..4), 0..3000i64, 1..2500i64).prop_map(|(gpus, from, length)| Case {
        gpus,
        from,
        length,
    })
}

/// Start, end and kind of each row, in seconds.
fn rows_of(runs: &[Run]) -> Vec<(i64, i64, usize)> {
    let (mut rows, mut at) = (Vec::new(), 0);
    for run in runs {
        at += run.gap;
        for _ in 0..run.rows {
            rows.push((at, at + run.interval, run.kind));
            at += run.interval - run.overlap.min(run.interval - 1);
        }
        at = rows.last().map_or(at, |row| row.1.max(at));
    }
    rows
}

fn json_row(gpu: usize, (from, to, kind): (i64, i64, usize)) -> Value {
    let (job, processes, busy) = [
        (None, Some(0), Some(0.0)),
        (Some("a"), Some(1), Some(0.9)),
        (Some("a"), Some(1), Some(0.0)),
        (Some("b"), Some(0), Some(0.0)),
        (None, None, Some(0.5)),
    ][kind];
    json!({"time": T0 + from * SECOND, "interval_seconds": (to - from) as f64, "cluster": "c",
           "node": format!("r1-n{}", gpu % 2), "gpu_uuid": format!("GPU-{gpu}"), "gpu_index": gpu / 2,
           "gpu_model": "m", "job_id": job, "process_count": processes, "gpu_busy_ratio": busy})
}

const STATE_OF_KIND: [GpuState; 5] =
    [GpuState::Unallocated, GpuState::Active, GpuState::HeldIdle, GpuState::HeldEmpty, GpuState::Active];

/// The state in one second, straight from the definition.
fn truth(rows: &[(i64, i64, usize)], events: &[(i64, bool)], second: i64) -> GpuState {
    let covering = rows.iter().filter(|row| row.0 <= second && second < row.1).min_by_key(|row| row.0);
    if let Some(row) = covering {
        return STATE_OF_KIND[row.2];
    }
    let last_row = rows.iter().filter(|row| row.0 <= second).map(|row| row.0).max().unwrap_or(i64::MIN);
    match events.iter().rfind(|event| event.0 >= last_row && event.0 <= second) {
        Some((_, true)) => GpuState::Down,
        _ => GpuState::Unknown,
    }
}

async fn check(case: Case, files: bool) -> Result<(), TestCaseError> {
    let mut scene = Scene::new();
    let to = case.from + case.length;
    let range = Range { from_unix_micros: T0 + case.from * SECOND, to_unix_micros: T0 + to * SECOND };
    let mut expected: ByState<f64> = ByState::default();
    let mut known: u32 = 0;
    for (gpu, (runs, events)) in case.gpus.iter().enumerate() {
        let rows = rows_of(runs);
        let mut events = events.clone();
        events.sort();
        events.dedup_by_key(|event| event.0);
        // Hot batches arrive in any order; a row's time decides.
        let mut sent: Vec<Value> = rows.iter().map(|row| json_row(gpu, *row)).collect();
        sent.reverse();
        let later = sent.split_off(sent.len() / 2);
        for part in [later, sent] {
            if !part.is_empty() {
                scene.add("gpu_samples", part).await;
            }
        }
        let event = |(time, lost): &(i64, bool)| {
            json!({"time": T0 + time * SECOND, "cluster": "c", "node": "n", "gpu_uuid": format!("GPU-{gpu}"),
                   "kind": if *lost { "lost" } else { "reset" }, "severity": "critical", "message": ""})
        };
        if !events.is_empty() {
            scene.add("device_events", events.iter().map(event).collect()).await;
        }
        if rows.iter().any(|row| row.0 < to) {
            known += 1;
            let seen: Vec<_> = rows.iter().copied().filter(|row| row.0 < to).collect();
            for second in case.from..to {
                *expected.get_mut(truth(&seen, &events, second)) += 1.0 / 3600.0;
            }
        }
    }
    if files {
        scene = scene.reopen();
    }
    let overview = scene.engine.overview(range, None).await.unwrap();
    let hours = f64::from(known) * case.length as f64 / 3600.0;
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
    let sum = |states: &ByState<f64>| GpuState::ALL.iter().map(|s| states.get(*s)).sum::<f64>();
    prop_assert!(near(sum(&overview.gpu_hours), hours), "{} of {hours} hours", sum(&overview.gpu_hours));
    for state in GpuState::ALL {
        let (found, truth) = (*overview.gpu_hours.get(state), *expected.get(state));
        prop_assert!(near(found, truth), "{} has {found} hours, the plain loop {truth}", state.as_str());
    }
    for bucket in &overview.over_time {
        prop_assert!(near(sum(&bucket.gpus), f64::from(known)), "{bucket:?}");
    }
    let now: u64 = GpuState::ALL.iter().map(|s| overview.gpus_now.get(*s)).sum();
    prop_assert_eq!(now, u64::from(known));
    let fleet = scene.engine.fleet(range, Some("c"), "state").await.unwrap();
    let cells = fleet.nodes.iter().flat_map(|node| &node.gpus).flat_map(|gpu| &gpu.cells);
    prop_assert_eq!(cells.clone().count(), fleet.times_unix_micros.len() * known as usize);
    prop_assert!(cells.into_iter().all(|cell| cell.is_some_and(|c| (0.0..6.0).contains(&c))));
    for gpu in fleet.nodes.iter().flat_map(|node| &node.gpus) {
        let detail = scene.engine.gpu(&gpu.gpu_uuid, range).await.unwrap();
        prop_assert_eq!(detail.states.first().unwrap().from_unix_micros, range.from_unix_micros);
        prop_assert_eq!(detail.states.last().unwrap().to_unix_micros, range.to_unix_micros);
        let joined = detail.states.windows(2).all(|w| w[0].to_unix_micros == w[1].from_unix_micros);
        prop_assert!(joined, "{:?}", detail.states);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hours_by_state_sum_to_gpus_times_range(case in case(), files in any::<bool>()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(check(case, files))?;
    }
}

/// The counter of the next file says what the last row of a file took, as it would within one file.
#[tokio::test]
async fn energy_does_not_depend_on_which_files_hold_the_rows() {
    let row = |i: i64| {
        json!({"time": T0 + i * 10 * SECOND, "interval_seconds": 10.0, "cluster": "c", "node": "n", "gpu_uuid": "g",
               "gpu_index": 0, "gpu_model": "m", "power_watts": 1.0, "energy_joules_total": 1000.0 * i as f64})
    };
    let mut found = Vec::new();
    for files in [1, 3] {
        let mut scene = Scene::new();
        for file in 0..files {
            let of_file = (0..30).filter(|i| i * files / 30 == file).map(row);
            scene.add("gpu_samples", of_file.collect()).await;
            scene = scene.reopen();
        }
        let range = |to: i64| Range { from_unix_micros: T0, to_unix_micros: T0 + to * SECOND };
        let joules = async |to| scene.engine.overview(range(to), None).await.unwrap().energy_joules;
        found.push((joules(3600).await, joules(145).await));
    }
    assert_eq!(found[0], (Some(29_010.0), Some(14_005.0)));
    assert_eq!(found[1], found[0]);
}
