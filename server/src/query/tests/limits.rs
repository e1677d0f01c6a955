//! The bounds of a query hold.

use super::{SECOND, Scene, T0};
use crate::error::ErrorKind;
use arrow::datatypes::DataType;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
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

/// Each nests as deep as it is long. An overflow of the stack would end the process, not the query.
#[tokio::test]
async fn long_chains_are_refused_and_shorter_ones_are_answered() {
    let scene = Scene::new();
    let chain = |head: &str, link: &str, count: usize| format!("{head}{}", link.repeat(count));
    let chains = [
        ("select 1", "+1"),
        ("select 1", "::int"),
        ("select true", " and true"),
        ("select 'a'", " || 'a'"),
        ("select 1", " union all select 1"),
        ("select 1", " is null"),
        ("select make_array(1)", "[1]"),
        ("select count(*) from range(1) a", " join range(1) b on true"),
        ("select count(*) from range(1) a", ", range(1) b"),
        ("select count(*) from gpu_samples", ", gpu_samples"),
        ("select ", "not "),
        ("select ", "- "),
        ("select ", "abs("),
        ("select a", ".a"),
        ("select ", "case when "),
        ("select 1 from ", "(select 1 from "),
        ("select 1 where true", " and exists (select 1)"),
    ];
    for (head, link) in chains {
        let long = chain(head, link, 250 * 1024 / link.len());
        let error = scene.ask(&long).await.expect_err(link);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{link}: {error}");
    }
    for (head, link) in &chains[..6] {
        let links = if link.len() > 12 { 3 } else { 2 };
        let sql = chain(head, link, 1990 / links);
        assert!(!scene.ask(&sql).await.expect(link).is_empty());
    }
    let list = (0..20_000).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(scene.ask(&format!("select 5 in ({list})")).await.unwrap(), [["true"]]);
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

/// The pool does not see what a function makes.
#[tokio::test]
async fn functions_that_multiply_their_input_are_bounded() {
    let scene = Scene::new();
    for call in [
        "repeat('abc', 2000000000)",
        "repeat(repeat('a', 30000), 30000)",
        "lpad('a', 1000000000, 'b')",
        "rpad('a', 1000000000)",
        "replace(repeat('a', 100000), 'a', repeat('b', 100000))",
        "regexp_replace(repeat('a', 100000), '', repeat('b', 100000), 'g')",
        "array_to_string(string_to_array(repeat('a,', 50000), ','), repeat('b', 100000))",
    ] {
        let error = scene.ask(&format!("select length({call})")).await.expect_err(call);
        assert_eq!(error.kind(), ErrorKind::Limit, "{call}: {error}");
        let of_rows = format!("select max(length({call} || value::text)) from generate_series(1, 10)");
        assert_eq!(scene.ask(&of_rows).await.expect_err(call).kind(), ErrorKind::Limit, "{call}");
    }
    for call in [
        "range(100000000)",
        "range(1, 1000000000000, 10)",
        "generate_series(1, -1000000000, -1)",
        "range(timestamp '2000-01-01', timestamp '2026-01-01', interval '10 milliseconds')",
        "generate_series(date '0001-01-01', date '9999-01-01', interval '1 microsecond')",
    ] {
        let error = scene.ask(&format!("select array_length({call})")).await.expect_err(call);
        assert_eq!(error.kind(), ErrorKind::Limit, "{call}: {error}");
        let of_rows = format!("select max(array_length({call}) + value) from generate_series(1, 10)");
        assert_eq!(scene.ask(&of_rows).await.expect_err(call).kind(), ErrorKind::Limit, "{call}");
    }
    let days = "select count(*) from (select unnest(range(timestamp '2024-01-01', timestamp '2026-01-01', \
                interval '1 day')) as d)";
    assert_eq!(scene.ask(days).await.unwrap(), [["731"]]);
    for call in ["array_repeat(1, 10)", "array_resize([1], 10)"] {
        let error = scene.ask(&format!("select {call}")).await.expect_err(call);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{call}: {error}");
    }
    let usual = "select repeat('ab', 3), lpad(value::text, 3, '0'), rpad('a', 2, '-'), replace('a-b', '-', '+'), \
                 regexp_replace('a1', '[0-9]', 'x'), array_to_string([1, 2], ', ') from generate_series(7, 7)";
    assert_eq!(scene.ask(usual).await.unwrap(), [["ababab", "007", "a-", "a+b", "ax", "1, 2"]]);
}

#[tokio::test]
async fn only_aggregates_that_move_in_short_steps_move() {
    let scene = Scene::new();
    let rows = "(values (1, 1.0), (2, 4.0)) t(i, x)";
    for call in ["percentile_cont(x, 0.5)", "median(x)", "array_agg(x)", "string_agg(i::text, ',')"] {
        for over in ["order by i", "order by i rows between 1 preceding and current row"] {
            let sql = format!("select * from (select {call} over ({over}) from {rows})");
            let error = scene.ask(&sql).await.expect_err(&sql);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
        }
    }
    let whole = format!("select percentile_cont(x, 0.5) over (), sum(x) over (order by i) from {rows} order by i");
    assert_eq!(scene.ask(&whole).await.unwrap(), [["2.5", "1.0"], ["2.5", "5.0"]]);
}

/// A thread that panics must not look like the end of the rows.
#[tokio::test]
async fn a_panic_is_an_error_and_not_the_end() {
    let mut scene = Scene::new();
    let inner = std::sync::Arc::get_mut(&mut scene.engine.inner).unwrap();
    let panics = create_udf("panics", vec![DataType::Int64], DataType::Int64, Volatility::Volatile, {
        std::sync::Arc::new(|_: &[ColumnarValue]| panic!("on purpose"))
    });
    inner.base.register_udf(std::sync::Arc::new(panics)).unwrap();
    let mut answer = scene.engine.sql("select panics(value) from generate_series(1, 10)", vec![]).await.unwrap();
    let error = answer.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    assert!(answer.next().await.is_none());
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
