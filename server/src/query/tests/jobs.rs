//! The derived table `jobs`.

use super::{SECOND, Scene, T0};
use contract::answers::Range;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn event(job: &str, attempt: i64, kind: &str, at: i64, more: Value) -> Value {
    let mut row = json!({"time": T0 + at * SECOND, "cluster": "c", "job_id": job, "attempt": attempt, "kind": kind});
    for (name, value) in more.as_object().unwrap() {
        row[name] = value.clone();
    }
    row
}

#[tokio::test]
async fn the_latest_word_on_each_column_counts() {
    let mut scene = Scene::new();
    let at = |s: i64| T0 + s * SECOND;
    // Out of order on purpose: what counts is the event's time.
    scene
        .add(
            "job_events",
            vec![
                event("1", 0, "ended", 130, json!({"state": "COMPLETED", "ended_at": at(130), "exit_code": 0})),
                event(
                    "1",
                    0,
                    "submitted",
                    0,
                    json!({"state": "PENDING", "user": "ann", "submitted_at": at(0),
                      "gpus_requested": 4, "labels": {"a": "1"}}),
                ),
            ],
        )
        .await;
    scene
        .add(
            "job_events",
            vec![event("1", 0, "started", 30, json!({"state": "RUNNING", "started_at": at(30), "nodes": ["n1"]}))],
        )
        .await;
    let rows = scene
        .ask("select state, user, gpus_requested, nodes, labels, exit_code, kind, gpu_seconds, queue_seconds from jobs")
        .await
        .unwrap();
    assert_eq!(rows, [["COMPLETED", "ann", "4", "[n1]", "{a: 1}", "0", "ended", "400.0", "30.0"]]);
    assert_eq!(scene.ask("select time = ended_at from jobs").await.unwrap(), [["true"]]);
}

#[tokio::test]
async fn attempts_and_clusters_are_apart() {
    let mut scene = Scene::new();
    let mut other = event("1", 0, "submitted", 0, json!({}));
    other["cluster"] = json!("d");
    scene
        .add(
            "job_events",
            vec![event("1", 0, "requeued", 0, json!({})), event("1", 1, "submitted", 1, json!({})), other],
        )
        .await;
    let rows = scene.ask("select cluster, attempt from jobs order by 1, 2").await.unwrap();
    assert_eq!(rows, [["c", "0"], ["c", "1"], ["d", "0"]]);
}

#[tokio::test]
async fn unknown_is_null_and_no_gpus_are_zero() {
    let mut scene = Scene::new();
    let at = |s: i64| T0 + s * SECOND;
    scene
        .add(
            "job_events",
            vec![
                event("cpu", 0, "submitted", 0, json!({"gpus_requested": 0})),
                event("waits", 0, "submitted", 0, json!({"gpus_requested": 2})),
                event("runs", 0, "started", 10, json!({"gpus_requested": 2, "started_at": at(10)})),
                event("runs", 0, "updated", 25, json!({})),
                event("implied", 0, "submitted", 0, json!({"gpu_uuids": ["g1", "g2", "g3"]})),
                event("implied", 0, "started", 5, json!({})),
                event("implied", 0, "ended", 5, json!({})),
                event("unsized", 0, "started", 5, json!({})),
                event("begins", 0, "started", 5, json!({"gpus_requested": 2})),
                event("negative", 0, "started", 5, json!({"gpus_requested": -2})),
                event("negative", 0, "ended", 9, json!({})),
            ],
        )
        .await;
    let rows = scene.ask("select job_id, gpu_seconds, queue_seconds, kind from jobs order by 1").await.unwrap();
    assert_eq!(
        rows,
        [
            ["begins", "null", "null", "started"],
            ["cpu", "0.0", "null", "submitted"],
            ["implied", "0.0", "5.0", "ended"],
            ["negative", "null", "null", "ended"],
            ["runs", "30.0", "null", "updated"],
            ["unsized", "null", "null", "started"],
            ["waits", "null", "null", "submitted"],
        ]
    );
}

/// A requeued event names the attempt that begins by it.
#[tokio::test]
async fn a_requeue_submits_its_attempt() {
    let mut scene = Scene::new();
    let events = vec![
        event("1", 0, "submitted", 0, json!({"gpus_requested": 1})),
        event("1", 0, "started", 10, json!({})),
        event("1", 0, "ended", 60, json!({"state": "NODE_FAIL"})),
        event("1", 1, "requeued", 60, json!({"gpus_requested": 1, "state": "PENDING"})),
        event("2", 1, "requeued", 20, json!({})),
        event("2", 1, "started", 50, json!({})),
    ];
    scene.add("job_events", events).await;
    let sql =
        "select job_id, attempt, submitted_at is not null, ended_at is not null, queue_seconds from jobs order by 1, 2";
    let rows = scene.ask(sql).await.unwrap();
    assert_eq!(
        rows,
        [["1", "0", "true", "true", "10.0"], ["1", "1", "true", "false", "null"], ["2", "1", "true", "false", "30.0"],]
    );
    let range = Range { from_unix_micros: T0, to_unix_micros: T0 + 100 * SECOND };
    let jobs = scene.engine.overview(range, None).await.unwrap().jobs;
    assert_eq!((jobs.running, jobs.waiting, jobs.ended, jobs.failed), (1, 1, 1, 1));
}

/// As many jobs as the largest public trace has; the sum must agree with whole numbers to the last digit.
#[tokio::test]
async fn a_hundred_thousand_jobs_fold_exactly_and_quickly() {
    let mut scene = Scene::new();
    let (mut rows, mut seconds) = (Vec::new(), 0i64);
    for job in 0..92_000i64 {
        let (gpus, long) = (job % 9, (job * 7919) % 400_000);
        seconds += gpus * long;
        let more = json!({"gpus_requested": gpus, "submitted_at": T0 + job * SECOND, "started_at": T0 + job * SECOND});
        rows.push(event(&format!("{}", job % 91_000), job / 91_000, "started", job, more));
        let ended = T0 + (job + long) * SECOND;
        let more = json!({"ended_at": ended, "state": "COMPLETED"});
        rows.push(event(&format!("{}", job % 91_000), job / 91_000, "ended", job + long, more));
        if rows.len() > 20_000 {
            scene.add("job_events", std::mem::take(&mut rows)).await;
        }
    }
    scene.add("job_events", rows).await;
    let started = Instant::now();
    let answer = scene.ask("select count(*), sum(gpu_seconds) from jobs").await.unwrap();
    let took = started.elapsed();
    assert_eq!(answer[0][0], "92000");
    assert_eq!(answer[0][1].parse::<f64>().unwrap(), seconds as f64);
    println!("92,000 jobs folded in {took:?}");
    assert!(took < Duration::from_secs(5), "took {took:?}");
    let again = Instant::now();
    scene.ask("select max(queue_seconds) from jobs").await.unwrap();
    assert!(again.elapsed() < took, "the second answer folded again");
}
