//! The derived table `allocations`.

use super::{SECOND, Scene, T0};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

fn event(job: &str, attempt: i64, kind: &str, at: i64, more: Value) -> Value {
    let mut row = json!({"time": T0 + at * SECOND, "cluster": "c", "job_id": job, "attempt": attempt, "kind": kind});
    for (name, value) in more.as_object().unwrap() {
        row[name] = value.clone();
    }
    row
}

/// Job, attempt, GPU or node and index, shares, start and end in seconds.
async fn held(scene: &Scene) -> Vec<String> {
    let seconds = |column: &str| format!("(cast({column} as bigint) - {T0}) / {SECOND}");
    let sql = format!(
        "select job_id, attempt, coalesce(gpu_uuid, concat(node, '/', gpu_index)), share_count, {}, {} \
         from allocations order by job_id, attempt, 3, started_at, share_count",
        seconds("started_at"),
        seconds("ended_at")
    );
    scene.ask(&sql).await.unwrap().iter().map(|row| row.join(" ")).collect()
}

#[tokio::test]
async fn each_run_holds_what_its_scheduler_says_while_it_says_so() {
    let mut scene = Scene::new();
    let at = |s: i64| T0 + s * SECOND;
    let rows = vec![
        // Its GPUs are told at the end only.
        event("1", 0, "started", 10, json!({"nodes": ["n1"]})),
        event("1", 0, "ended", 50, json!({"gpu_uuids": ["GPU-a", "GPU-b"], "ended_at": at(40)})),
        // An element of an array and a part of a het job are jobs of their own.
        event("7_3", 0, "started", 0, json!({"gpu_uuids": ["n1/0", "n1/0", "n2/3"]})),
        event("8+1", 0, "started", 0, json!({"gpu_uuids": ["GPU-c::0", "GPU-c::4", "MIG-x::7"]})),
        // It is requeued, and nobody says when the first run ended.
        event("2", 0, "started", 0, json!({"gpu_uuids": ["GPU-a"]})),
        event("2", 1, "requeued", 100, json!({})),
        event("2", 1, "started", 130, json!({"gpu_uuids": ["GPU-b"]})),
        // It grows, shrinks and stands still for a while.
        event("3", 0, "started", 0, json!({"gpu_uuids": ["GPU-d"]})),
        event("3", 0, "updated", 20, json!({"gpu_uuids": ["GPU-d", "GPU-e"]})),
        event("3", 0, "updated", 30, json!({"state": "SUSPENDED"})),
        event("3", 0, "updated", 50, json!({"state": "RUNNING"})),
        event("3", 0, "updated", 60, json!({"gpu_uuids": ["GPU-e"], "state": "RUNNING"})),
        event("3", 0, "ended", 90, json!({"state": "COMPLETED", "gpu_uuids": []})),
        // It names no GPU, and this one never starts.
        event("4", 0, "started", 0, json!({"gpus_requested": 8})),
        event("5", 0, "submitted", 0, json!({"gpu_uuids": ["GPU-a"]})),
        // A node of PCI paths.
        event("6", 0, "started", 0, json!({"gpu_uuids": ["n1/00000000:65:00.0"]})),
    ];
    scene.add("job_events", rows).await;
    let expected = [
        "1 0 GPU-a null 10 40",
        "1 0 GPU-b null 10 40",
        "2 0 GPU-a null 0 100",
        "2 1 GPU-b null 130 null",
        "3 0 GPU-d null 0 30",
        "3 0 GPU-d null 50 60",
        "3 0 GPU-e null 20 30",
        "3 0 GPU-e null 50 90",
        "6 0 n1/00000000:65:00.0 null 0 null",
        "7_3 0 n1/0 null 0 null",
        "7_3 0 n2/3 null 0 null",
        "8+1 0 GPU-c 2 0 null",
        "8+1 0 MIG-x 1 0 null",
    ];
    assert_eq!(held(&scene).await, expected);
    let nodes =
        scene.ask("select distinct node, source from allocations where job_id in ('1', '7_3') order by 1, 2").await;
    assert_eq!(nodes.unwrap(), [["n1", "gpu_index"], ["n1", "gpu_uuid"], ["n2", "gpu_index"]]);
}

#[derive(Debug, Clone)]
struct Told {
    job: u8,
    attempt: i64,
    kind: usize,
    at: i64,
    gpus: Option<Vec<u8>>,
    state: Option<usize>,
}

impl Told {
    fn json(&self) -> Value {
        let kinds = ["submitted", "started", "requeued", "updated", "ended"];
        let states = ["RUNNING", "SUSPENDED", "COMPLETED"];
        let gpus = self.gpus.as_ref().map(|all| all.iter().map(|gpu| format!("GPU-{gpu}")).collect::<Vec<_>>());
        let more = json!({"gpu_uuids": gpus, "state": self.state.map(|state| states[state])});
        event(&self.job.to_string(), self.attempt, kinds[self.kind], self.at, more)
    }
}

#[test]
fn the_order_in_which_events_come_changes_nothing() {
    let gpus = proptest::option::of(proptest::collection::vec(0..4_u8, 0..4));
    let one = (0..3_u8, 0..3_i64, 0..5_usize, 0..30_i64, gpus, proptest::option::of(0..3_usize));
    let one = one.prop_map(|(job, attempt, kind, at, gpus, state)| Told { job, attempt, kind, at, gpus, state });
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outcome = runner.run(&(proptest::collection::vec(one, 1..25), 0..25_usize), |(told, cut)| {
        runtime.block_on(async {
            let (mut one, mut other) = (Scene::new(), Scene::new());
            one.add("job_events", told.iter().map(Told::json).collect()).await;
            let mut parts = told.clone();
            parts.reverse();
            let (first, rest) = parts.split_at(cut.min(parts.len()));
            for part in [first, rest].into_iter().filter(|part| !part.is_empty()) {
                other.add("job_events", part.iter().map(Told::json).collect()).await;
            }
            let rows = held(&one).await;
            prop_assert_eq!(&rows, &held(&other).await);
            // No run holds a GPU twice at once.
            let sql = "select count(*) from allocations a join allocations b on a.job_id = b.job_id and \
                       a.attempt = b.attempt and a.gpu_uuid = b.gpu_uuid and a.started_at < b.started_at and \
                       coalesce(a.ended_at, b.started_at + interval '1 second') > b.started_at";
            prop_assert_eq!(one.ask(sql).await.unwrap(), [["0"]]);
            let backwards = "select count(*) from allocations where ended_at <= started_at";
            prop_assert_eq!(one.ask(backwards).await.unwrap(), [["0"]]);
            Ok(())
        })
    });
    outcome.unwrap();
}
