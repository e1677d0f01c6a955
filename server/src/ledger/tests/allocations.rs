//! What schedulers and processes say of measured GPUs, in the ledger.

use super::*;

const HOUR: i64 = 3_600_000_000;
/// 2026-02-28T22:00Z: two hours before March.
const LATE: i64 = NOW - (4 * 24 + 14) * HOUR;

impl Scene {
    async fn rows(&mut self, table: &str, rows: &[Value]) {
        let table = contract::table(table).unwrap();
        let mut decoder = ReaderBuilder::new(contract::schema(table)).with_batch_size(8192).build_decoder().unwrap();
        decoder.serialize(rows).unwrap();
        self.sequence += 1;
        let writer = WriterId::parse("test/1").unwrap();
        let batch = decoder.flush().unwrap().unwrap();
        self.store.append(table, &writer, self.sequence as u64, batch).await.unwrap();
    }

    /// A GPU from an hour to an hour after [`LATE`]; it works where there is a process.
    pub(super) async fn gpu(&mut self, gpu: &str, (from, to): (i64, i64), job: Option<&str>, processes: i64) {
        let row = |minute: i64| {
            json!({"time": LATE + from * HOUR + minute * 60_000_000, "interval_seconds": 60.0, "cluster": "c",
                "node": "n1", "gpu_uuid": gpu, "gpu_index": 0, "gpu_model": "H100", "job_id": job,
                "process_count": processes, "gpu_busy_ratio": if processes > 0 { 0.9 } else { 0.0 }})
        };
        let rows: Vec<Value> = (0..(to - from) * 60).map(row).collect();
        self.rows("gpu_samples", &rows).await;
    }

    async fn process(&mut self, gpu: &str, job: &str, pid: i64, busy: Option<f64>) {
        let row = |minute: i64| {
            json!({"time": LATE + minute * 60_000_000, "interval_seconds": 60.0, "cluster": "c", "node": "n1",
                "gpu_uuid": gpu, "pid": pid, "user": "x", "command": "python", "job_id": job, "sm_busy_ratio": busy,
                "memory_used_bytes": 1 << 30})
        };
        let rows: Vec<Value> = (0..60).map(row).collect();
        self.rows("process_samples", &rows).await;
    }

    pub(super) async fn allocated(&mut self, job: &str, gpus: &[&str], from: f64, to: f64) {
        let at = |hours: f64| LATE + (hours * HOUR as f64) as i64;
        let event = json!({"time": at(to), "cluster": "c", "job_id": job, "attempt": 0, "kind": "ended", "user": job,
            "gpus_requested": gpus.len(), "nodes": ["n1"], "gpu_uuids": gpus, "started_at": at(from), "ended_at": at(to)});
        self.event(event).await;
    }

    /// Everything is in files and summed up.
    pub(super) async fn settled(self) -> Self {
        let scene = self.restart().await;
        scene.ledger.inner.engine.derive(now, 0).await.unwrap();
        scene.ledger.refresh(0).await.unwrap();
        scene
    }

    /// By month, the month that is corrected, GPU, user and state: micros and hours, of two hours around midnight.
    async fn held(&self) -> Vec<String> {
        let sql = "select period, corrects, gpu_uuid, \"user\", state, sum(cost_micros), round(sum(quantity), 4) \
                   from ledger where time < '2026-03-01T00:00:00Z' group by 1, 2, 3, 4, 5 \
                   order by 1, 2 nulls first, 3, 4 nulls first, 5";
        self.ask(sql).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedulers_word_counts_when_it_comes_and_corrects_a_closed_month() {
    let mut scene = Scene::new().await;
    scene.prices(",,,,,,,,on_demand,USD,2.00\n").await.unwrap();
    scene.gpu("GPU-a", (0, 2), None, 0).await;
    scene.gpu("GPU-b", (0, 2), Some("bob"), 1).await;
    scene.allocated("bob", &[], 0.0, 2.0).await;
    let mut scene = scene.settled().await;
    let before = ["2026-02 - GPU-a - unallocated 4000000 2.0", "2026-02 - GPU-b bob active 4000000 2.0"];
    assert_eq!(scene.held().await, before);

    scene.allocated("ann", &["GPU-a", "n1/7"], 0.5, 1.5).await;
    scene.ledger.refresh(0).await.unwrap();
    let after = [
        "2026-02 - GPU-a - unallocated 2000000 1.0",
        "2026-02 - GPU-a ann held_empty 2000000 1.0",
        "2026-02 - GPU-b bob active 4000000 2.0",
        "2026-02 - n1/7 ann unknown 2000000 1.0",
    ];
    assert_eq!(scene.held().await, after, "a GPU that nobody measures is charged while it is held");
    let table = "select job_id, node, gpu_uuid, gpu_index, share_count, source from allocations order by 3";
    assert_eq!(scene.ask(table).await, ["ann n1 GPU-a - - gpu_uuid", "ann n1 - 7 - gpu_index"]);

    scene.ledger.close(Scene::month("2026-02"), "ann", false).await.unwrap();
    scene.allocated("cyd", &["GPU-b"], 1.0, 1.75).await;
    scene.ledger.refresh(0).await.unwrap();
    let held = scene.held().await;
    assert_eq!(held[..4], after);
    let corrections =
        ["2026-03 2026-02 GPU-b bob active -1500000 -0.75", "2026-03 2026-02 GPU-b cyd active 1500000 0.75"];
    assert_eq!(held[4..], corrections);
    let notices = scene.ledger.notices(0, NOW).await.unwrap();
    assert!(notices.iter().any(|notice| notice.kind.code() == "not_as_allocated"), "{notices:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_the_same_whatever_came_first() {
    let mut lines = Vec::new();
    for turn in 0..2 {
        let mut scene = Scene::new().await;
        scene.prices(",,,,,,,,on_demand,USD,2.00\n").await.unwrap();
        for at in 0..4 {
            match if turn == 0 { at } else { 3 - at } {
                0 => scene.gpu("GPU-a", (0, 2), Some("ann"), 1).await,
                1 => scene.allocated("ann", &["GPU-a"], -3.0, 1.25).await,
                2 => scene.allocated("bob", &["GPU-a"], 1.25, 40.0).await,
                _ => scene.gpu("GPU-b", (0, 1), None, 1).await,
            }
            scene = scene.settled().await;
        }
        let sql = "select time, gpu_uuid, job_id, state, cost_micros, quantity, energy_joules, inputs from ledger \
                   order by 1, 2, 3, 4, 5";
        let mut scene_lines = scene.ask(sql).await;
        scene_lines.iter_mut().for_each(|line| drop(line.split_off(line.rfind(' ').unwrap())));
        lines.push(scene_lines);
    }
    assert_eq!(lines[0], lines[1]);
    let jobs = |job: &str| lines[0].iter().filter(|line| line.contains(&format!(" GPU-a {job} "))).count();
    assert_eq!((jobs("ann"), jobs("bob")), (5, 39), "the hours that nobody measured are there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gpu_that_jobs_share_is_split_by_what_their_processes_did() {
    let mut scene = Scene::new().await;
    scene.prices(",,,,,,,,on_demand,USD,2.00\n").await.unwrap();
    // Two processes of ann's, one of bob's; samples cannot name one job.
    scene.gpu("GPU-a", (0, 1), None, 3).await;
    scene.process("GPU-a", "ann", 1, Some(0.25)).await;
    scene.process("GPU-a", "ann", 2, Some(0.5)).await;
    scene.process("GPU-a", "bob", 3, Some(0.25)).await;
    let scene = scene.settled().await;
    let split = "select job_id, sum(cost_micros) from ledger where gpu_uuid = 'GPU-a' and state = 'active' \
                 group by 1 order by 1";
    assert_eq!(scene.ask(split).await, ["ann 1500000", "bob 500000"]);
    let even = "version = \"even\"\nshared_gpus = \"even\"\n";
    scene.ledger.state(DocumentKind::Policy, "policy", even, "ann", false).await.unwrap();
    scene.ledger.refresh(0).await.unwrap();
    assert_eq!(scene.ask(split).await, ["ann 1000000", "bob 1000000"]);
    let measured = "version = \"measured\"\n";
    let compared = scene.ledger.compare(Scene::month("2026-02"), measured, even).await.unwrap();
    assert!(!format!("{compared:?}").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_names_whole_nodes_holds_all_of_their_gpus_and_that_is_told() {
    let mut scene = Scene::new().await;
    scene.prices(",,,,,,,,on_demand,USD,2.00\n").await.unwrap();
    // Two GPUs of one node: one that works under no name, one without a process.
    let row = |gpu: &str, index: i64, processes: i64, minute: i64| {
        json!({"time": LATE + minute * 60_000_000, "interval_seconds": 60.0, "cluster": "c", "node": "n1",
            "gpu_uuid": gpu, "gpu_index": index, "gpu_model": "H100", "process_count": processes,
            "gpu_busy_ratio": if processes > 0 { 0.9 } else { 0.0 }})
    };
    let rows: Vec<Value> =
        (0..120).flat_map(|minute| [row("GPU-a", 0, 1, minute), row("GPU-b", 1, 0, minute)]).collect();
    scene.rows("gpu_samples", &rows).await;
    let job = |id: &str, gpus: i64, from: i64, to: i64| {
        json!({"time": LATE + to * HOUR, "cluster": "c", "job_id": id, "attempt": 0, "kind": "ended", "user": id,
            "gpus_requested": gpus, "nodes": ["n1"], "started_at": LATE + from * HOUR, "ended_at": LATE + to * HOUR})
    };
    scene.event(job("ann", 2, 0, 1)).await;
    // Part of a node: which GPU it was nobody says.
    scene.event(job("bob", 1, 1, 2)).await;
    let scene = scene.settled().await;
    let expected = [
        "2026-02 - GPU-a ann active 2000000 1.0",
        "2026-02 - GPU-a - active 2000000 1.0",
        "2026-02 - GPU-b ann held_empty 2000000 1.0",
        "2026-02 - GPU-b - unallocated 2000000 1.0",
    ];
    let mut held = scene.held().await;
    held.sort();
    let mut sorted = expected.to_vec();
    sorted.sort_unstable();
    assert_eq!(held, sorted);
    let notices = scene.ledger.notices(LATE, NOW).await.unwrap();
    let inferred = notices.iter().find(|notice| notice.kind.code() == "inferred_allocation").unwrap();
    assert_eq!(inferred.things, 1);
    assert!(inferred.sentence().contains("job \"ann\" of user \"ann\""), "{}", inferred.sentence());
}
