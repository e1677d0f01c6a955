//! The bounds of a query hold.

use super::{SECOND, Scene, T0};
use crate::error::ErrorKind;
use futures::StreamExt;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn too_many_rows_are_an_error_and_not_a_cut_answer() {
    let scene = Scene::with(|s| s.rows_max = 10);
    assert_eq!(scene.ask("select value from generate_series(1, 10)").await.unwrap().len(), 10);
    let error = scene.ask("select value from generate_series(1, 11)").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.to_string().contains("add LIMIT"), "{error}");
    assert_eq!(scene.ask("select value from generate_series(1, 1000000) limit 10").await.unwrap().len(), 10);
}

/// Each would run for hours. Several at once leave no thread of the engine free, unless they are stopped.
#[tokio::test]
async fn heavy_queries_are_stopped_in_time() {
    let scene = Scene::with(|s| s.timeout = Duration::from_millis(700));
    let many = |n: u64| format!("generate_series(1, {n})");
    let (a, b) = (many(10_000_000), many(10_000_000));
    let heavy = [
        format!("select count(*) from {a} a, {b} b"),
        format!("select count(*) from {a} a, {b} b where a.value * b.value % 7 = 3"),
        format!("select count(*) from {a} a, {b} b where a.value * b.value % 1000003 = -1"),
        format!("select count(*) from {a} a join {b} b on a.value % 2 = b.value % 2 and a.value + b.value < 0"),
        format!("select count(*) from {a} a where exists (select 1 from {b} b where a.value * b.value < 0)"),
        "with recursive t as (select 1 as n union all select n + 1 from t) select count(*) from t".to_owned(),
        format!("select sum(sin(value)) from {}", many(100_000_000_000)),
    ];
    let started = Instant::now();
    let answers = futures::future::join_all(heavy.iter().map(|sql| scene.ask(sql))).await;
    for (sql, answer) in heavy.iter().zip(answers) {
        let error = answer.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Limit, "{sql}: {error}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "stopped after {:?}", started.elapsed());
    idle(&scene).await;
    // Planning a first query takes longer than the limit of this scene on a busy machine.
    let again = loop {
        match scene.ask("select 1").await {
            Err(error) if started.elapsed() < Duration::from_secs(60) => assert_eq!(error.kind(), ErrorKind::Limit),
            answer => break answer.unwrap(),
        }
    };
    assert_eq!(again, [["1"]]);
}

/// Waits until no task runs on the engine's threads.
async fn idle(scene: &Scene) {
    let metrics = scene.engine.threads().metrics();
    let deadline = Instant::now() + Duration::from_secs(30);
    while metrics.num_alive_tasks() > 0 {
        assert!(Instant::now() < deadline, "{} tasks live on", metrics.num_alive_tasks());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn memory_is_bounded() {
    let scene = Scene::with(|s| {
        s.memory_bytes_max = 8 << 20;
        s.spill_bytes_max = 1 << 20;
    });
    let error = scene.ask("select value, count(*) from generate_series(1, 5000000) group by 1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
}

#[tokio::test]
async fn a_dropped_answer_stops_its_query() {
    let scene = Scene::with(|s| s.rows_max = u64::MAX);
    let mut answer = scene.engine.sql("select value from generate_series(1, 100000000000)", vec![]).await.unwrap();
    assert!(answer.next().await.unwrap().is_ok());
    drop(answer);
    idle(&scene).await;
}

#[tokio::test]
async fn an_answer_sees_the_rows_of_its_start_only() {
    let mut scene = Scene::new();
    let event = |job: u32| json!({"time": T0 + SECOND, "cluster": "c", "job_id": job.to_string(), "attempt": 0, "kind": "submitted"});
    scene.add("job_events", vec![event(1)]).await;
    let answer = scene.engine.sql("select job_id from jobs", vec![]).await.unwrap();
    scene.add("job_events", vec![event(2)]).await;
    assert_eq!(answer.collect().await.unwrap().iter().map(|b| b.num_rows()).sum::<usize>(), 1);
    assert_eq!(scene.ask("select job_id from jobs order by 1").await.unwrap(), [["1"], ["2"]]);
}
