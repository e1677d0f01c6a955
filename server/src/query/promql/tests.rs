//! PromQL through the query room's door. What a real Prometheus answers is compared in tests/tests/prometheus.rs.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::query::tests::{Scene, T0};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// Milliseconds, as PromQL counts.
const START: i64 = T0 / 1000;
const MINUTE: i64 = 60_000;

fn gpu(minute: i64, uuid: &str, job: Option<&str>, power: Option<f64>) -> Json {
    json!({
        "time": T0 + minute * 60_000_000, "interval_seconds": 60.0, "cluster": "c", "node": "n1", "gpu_uuid": uuid,
        "gpu_index": 0, "gpu_model": "H100", "job_id": job, "power_watts": power, "energy_joules_total": 100 * minute,
    })
}

/// The values of an instant query at a minute, by their labels.
async fn at(scene: &Scene, query: &str, minute: i64) -> Vec<(String, f64)> {
    let evaluated = scene.engine.promql(query, START + minute * MINUTE, None).await.unwrap();
    match evaluated.outcome {
        Outcome::Vector(lines) => lines.iter().map(|l| (l.labels.to_string(), l.values[0].unwrap())).collect(),
        Outcome::Scalar(values) => vec![(String::new(), values[0])],
        _ => panic!("{query} gives neither a vector nor a scalar"),
    }
}

async fn one(scene: &Scene, query: &str, minute: i64) -> Option<f64> {
    let values = at(scene, query, minute).await;
    assert!(values.len() < 2, "{query}: {values:?}");
    values.first().map(|(_, value)| *value)
}

#[tokio::test]
async fn a_job_that_leaves_a_gpu_is_not_counted_beside_the_next() {
    let mut scene = Scene::new();
    let rows = [("a", 1.0), ("a", 2.0), ("b", 4.0), ("b", 8.0), ("a", 16.0)];
    let rows = rows.iter().enumerate().map(|(minute, (job, watts))| gpu(minute as i64, "G", Some(job), Some(*watts)));
    scene.add("gpu_samples", rows.collect()).await;
    for _ in 0..2 {
        for (minute, sum) in [(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0), (4, 16.0), (9, 16.0)] {
            assert_eq!(one(&scene, "sum(coulomb_gpu_power_watts)", minute).await, Some(sum), "minute {minute}");
        }
        assert_eq!(at(&scene, "{__name__=~\"coulomb_gpu_.*\"}", 3).await.len(), 3, "power, energy and interval");
        // Likewise when only the job is asked for, whose rows alone do not tell its end.
        let of_job = "coulomb_gpu_power_watts{job_id=\"a\"}";
        assert_eq!(one(&scene, of_job, 1).await, Some(2.0));
        assert_eq!(one(&scene, of_job, 3).await, None);
        assert_eq!(one(&scene, of_job, 5).await, Some(16.0));
        assert_eq!(one(&scene, "sum_over_time(coulomb_gpu_power_watts{job_id=\"a\"}[10m])", 5).await, Some(19.0));
        assert_eq!(one(&scene, "coulomb_gpu_power_watts{job_id=\"c\"}", 3).await, None);
        scene = scene.reopen();
    }
}

#[tokio::test]
async fn null_is_no_sample_and_a_row_stands_for_its_interval() {
    let mut scene = Scene::new();
    let mut hourly = gpu(0, "H", None, Some(7.0));
    hourly["interval_seconds"] = json!(3600.0);
    scene.add("gpu_samples", vec![hourly, gpu(0, "G", None, Some(3.0)), gpu(1, "G", None, None)]).await;
    for _ in 0..2 {
        let watts = "coulomb_gpu_power_watts{gpu_uuid=\"G\"}";
        assert_eq!(one(&scene, watts, 1).await, Some(3.0), "the value before is looked back for");
        assert_eq!((one(&scene, watts, 5).await, one(&scene, watts, 6).await), (Some(3.0), None));
        let watts = "coulomb_gpu_power_watts{gpu_uuid=\"H\"}";
        assert_eq!((one(&scene, watts, 60).await, one(&scene, watts, 61).await), (Some(7.0), None));
        assert_eq!(one(&scene, "count_over_time(coulomb_gpu_power_watts{gpu_uuid=\"G\"}[5m])", 1).await, Some(1.0));
        scene = scene.reopen();
    }
}

#[tokio::test]
async fn samples_that_come_twice_or_late_count_once_and_in_order() {
    let mut scene = Scene::new();
    for minutes in [vec![6, 7, 8], vec![0, 1, 2], vec![3, 4, 5, 6]] {
        scene.add("gpu_samples", minutes.into_iter().map(|m| gpu(m, "G", None, Some(m as f64))).collect()).await;
    }
    for _ in 0..2 {
        assert_eq!(one(&scene, "count_over_time(coulomb_gpu_power_watts[10m])", 8).await, Some(9.0));
        assert_eq!(one(&scene, "resets(coulomb_gpu_energy_joules_total[10m])", 8).await, Some(0.0));
        assert_eq!(one(&scene, "increase(coulomb_gpu_energy_joules_total[8m])", 8).await, Some(800.0));
        scene = scene.reopen();
    }
}

#[tokio::test]
async fn listings_name_what_was_reported_and_nothing_else() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", vec![gpu(0, "G", Some("1"), Some(1.0)), gpu(1, "H", None, None)]).await;
    let all = Between { from: START, to: START + MINUTE };
    let first = Between { from: START, to: START };
    let texts = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
    for _ in 0..2 {
        let engine = &scene.engine;
        let names = engine.promql_label_values(NAME, all).await.unwrap();
        let known = "coulomb_gpu_energy_joules_total coulomb_gpu_interval_seconds coulomb_gpu_power_watts";
        assert_eq!(texts(&names), known);
        let labels = engine.promql_label_names(all).await.unwrap();
        assert_eq!(texts(&labels), "__name__ cluster gpu_index gpu_model gpu_uuid job_id node");
        assert_eq!(texts(&engine.promql_label_values("gpu_uuid", all).await.unwrap()), "G H");
        assert_eq!(texts(&engine.promql_label_values("gpu_uuid", first).await.unwrap()), "G");
        assert!(engine.promql_label_values("nothing", all).await.unwrap().is_empty());
        let of = |selector: &str| vec![selector.to_owned()];
        let series = engine.promql_series(&of("{gpu_model=~\"H.*\"}"), all, None).await.unwrap();
        assert_eq!(series.len(), 5, "H has no power: {series:?}");
        let uuids = engine.promql_series(&of("coulomb_gpu_power_watts"), all, Some("gpu_uuid")).await.unwrap();
        let uuids: Vec<String> = uuids.iter().map(Labels::to_string).collect();
        assert_eq!(uuids, ["{__name__=\"coulomb_gpu_power_watts\", gpu_uuid=\"G\"}"]);
        scene = scene.reopen();
    }
    assert_eq!(scene.engine.promql_metadata().iter().filter(|m| m.kind == "counter").count(), 14);
}

#[tokio::test]
async fn faults_say_what_was_wrong_and_whose_they_are() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", vec![gpu(0, "G", None, Some(1.0)), gpu(0, "H", None, Some(1.0))]).await;
    let fault = async |query: &str| match scene.engine.promql(query, START, None).await {
        Ok(_) => panic!("{query} was answered"),
        Err(error) => error,
    };
    for (query, part) in [
        ("limitk(1, coulomb_gpu_power_watts)", "the aggregation limitk is not supported"),
        ("mad_over_time(coulomb_gpu_power_watts[5m])", "the function mad_over_time is not supported"),
        ("coulomb_gpu_power_watts{node=\"a\" or node=\"b\"}", "`or` between label matchers"),
        ("coulomb_gpu_power_watts + fill(0) coulomb_gpu_power_watts", "fill is not supported"),
        ("rate(coulomb_gpu_power_watts[500y])", "too long"),
        ("max_over_time(coulomb_gpu_power_watts[10y:1s])", "a subquery has more than"),
    ] {
        let error = fault(query).await;
        assert!(matches!(&error, QueryError::Invalid(text) if text.contains(part)), "{query}: {error}");
    }
    for (query, part) in [
        ("coulomb_gpu_power_watts + on(node) coulomb_gpu_power_watts", "duplicate series for the match group"),
        ("label_replace(coulomb_gpu_power_watts, \"gpu_uuid\", \"\", \"\", \"\")", "same labelset"),
        ("label_replace(coulomb_gpu_power_watts, \"a\", \"b\", \"c\", \"(\")", "invalid regular expression"),
        ("label_join(coulomb_gpu_power_watts, \"-\", \"b\")", "invalid destination label name"),
        ("topk(NaN, coulomb_gpu_power_watts)", "overflows int64"),
        ("count_values(\"a-b\", coulomb_gpu_power_watts)", "invalid label name"),
    ] {
        let error = fault(query).await;
        assert!(matches!(&error, QueryError::Evaluation(text) if text.contains(part)), "{query}: {error}");
    }
    let steps = Steps { start: START, end: START + MINUTE, step: MINUTE };
    for query in ["coulomb_gpu_power_watts[5m]", "\"text\""] {
        let refused = scene.engine.promql_range(query, steps, None).await.err().unwrap();
        assert!(refused.to_string().contains("for range query"), "{refused}");
    }
}

#[tokio::test]
async fn queries_may_be_as_deep_as_they_may_be_long() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", vec![gpu(0, "G", None, Some(1.0))]).await;
    let watts = "coulomb_gpu_power_watts";
    let nested = |left: &str, times: usize| format!("{}{watts}{}", left.repeat(times), ")".repeat(times));
    let chain = format!("{watts}{}", " + 1".repeat(990));
    let powers = format!("{watts}{}", " ^ 1".repeat(990));
    for (query, value) in [
        (nested("(", 950), 1.0),
        (nested("sum(", 650), 1.0),
        (nested("abs(", 650), 1.0),
        (format!("{}{watts}", "- ".repeat(1_990)), 1.0),
        (chain, 991.0),
        (powers, 1.0),
    ] {
        assert_eq!(one(&scene, &query, 0).await, Some(value), "{query:.30}");
    }
    assert_eq!(one(&scene, "coulomb_gpu_power_watts @ 4102444800", 0).await, None, "in the year 2100");
}

#[tokio::test]
async fn memory_and_time_are_bounded() {
    let mut scene = Scene::with(|settings| settings.memory_bytes_max = 1 << 20);
    scene.add("gpu_samples", (0..60).map(|minute| gpu(minute, "G", None, Some(1.0))).collect()).await;
    let steps = Steps { start: START, end: START + 59 * MINUTE, step: 400 };
    assert!(scene.engine.promql_range("coulomb_gpu_power_watts", steps, None).await.is_ok());
    let many = format!("coulomb_gpu_power_watts{}", " + coulomb_gpu_power_watts".repeat(20));
    assert!(scene.engine.promql_range(&many, steps, None).await.is_ok(), "what was added up is given back");
    let large = "max_over_time(coulomb_gpu_power_watts[1h:100ms])";
    let refused = scene.engine.promql(large, START + 59 * MINUTE, None).await.err().unwrap();
    assert!(matches!(refused, QueryError::Resources(_)), "{refused}");
    let scalars = format!("max_over_time(vector(1{})[100s:1ms])", " ^ 1".repeat(50));
    let refused = scene.engine.promql(&scalars, START, None).await.err().unwrap();
    assert!(matches!(refused, QueryError::Resources(_)), "{refused}");
    let none = Some(Duration::ZERO);
    let refused = scene.engine.promql("coulomb_gpu_power_watts", START, none).await.err().unwrap();
    assert!(matches!(refused, QueryError::Timeout { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_that_nobody_waits_for_gives_its_memory_back() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", (0..60).map(|minute| gpu(minute, "G", None, Some(1.0))).collect()).await;
    let slow = "sum_over_time(coulomb_gpu_power_watts[1h:50ms])";
    let steps = Steps { start: START, end: START + 10_000 * 500, step: 500 };
    let engine = scene.engine.clone();
    let left = tokio::time::timeout(Duration::from_millis(300), engine.promql_range(slow, steps, None)).await;
    assert!(left.is_err(), "it takes longer than that");
    let pool = || scene.engine.inner.base.runtime_env().memory_pool.reserved();
    let end = Instant::now() + Duration::from_secs(20);
    while pool() > 0 {
        assert!(Instant::now() < end, "{} bytes are still held", pool());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Pieces that often make a query that is well formed.
fn query() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "coulomb_gpu_power_watts",
        "coulomb_gpu_energy_joules_total{job_id=~\"1|2\"}",
        "{__name__=~\"coulomb_gpu_.*\"}",
        "1",
        "NaN",
        "-Inf",
        "time()",
        "vector(0)",
        "1e300",
        "coulomb_gpu_power_watts @ start()",
        "coulomb_gpu_power_watts offset -1w",
        "\"text\"",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
        let range =
            prop::sample::select(vec!["[1m]", "[5m:]", "[1h:1s]", "[3ms:1ms]", "[99y:98y] offset 97y", "[2m] @ 0"]);
        let window = prop::sample::select(vec![
            "rate",
            "increase",
            "deriv",
            "irate",
            "stddev_over_time",
            "absent_over_time",
            "changes",
            "quantile_over_time",
        ]);
        let of = prop::sample::select(vec![
            "abs",
            "sort",
            "absent",
            "scalar",
            "vector",
            "timestamp",
            "year",
            "sum",
            "topk by (node)",
            "quantile",
            "count_values",
            "histogram_quantile",
            "round",
            "clamp",
            "label_replace",
            "stdvar without (gpu_uuid)",
        ]);
        let operator = prop::sample::select(vec![
            "+",
            "/",
            "%",
            "^",
            "> bool",
            "==",
            "and",
            "or on(node)",
            "unless ignoring(job_id)",
            "atan2",
            "* on(gpu_uuid) group_left(job_id)",
            "- ignoring(x) group_right",
        ]);
        prop_oneof![
            (window, inner.clone(), range).prop_map(|(f, of, range)| format!("{f}({of}{range})")),
            (of.clone(), inner.clone()).prop_map(|(f, of)| format!("{f}({of})")),
            (of, inner.clone(), inner.clone()).prop_map(|(f, a, b)| format!("{f}({a}, {b})")),
            (inner.clone(), operator, inner).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        ]
    })
}

#[test]
fn no_query_makes_the_engine_panic() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scene = runtime.block_on(async {
        let mut scene = Scene::new();
        let row =
            |minute| gpu(minute, ["G", "H"][minute as usize % 2], Some(["1", "2"][minute as usize / 15]), Some(0.5));
        scene.add("gpu_samples", (0..30).map(row).collect()).await;
        scene
    });
    let answered = std::cell::Cell::new(0);
    proptest!(ProptestConfig::with_cases(300), |(query in query(), end in 0i64..20)| {
        let steps = Steps { start: START + 10 * MINUTE, end: START + (10 + end) * MINUTE, step: 3 * MINUTE };
        let limit = Some(Duration::from_secs(5));
        match runtime.block_on(scene.engine.promql_range(&query, steps, limit)) {
            Err(error) => prop_assert!(!matches!(error, QueryError::Internal(_)), "{query}: {error}"),
            Ok(_) => answered.set(answered.get() + 1),
        }
    });
    assert!(answered.get() > 30, "only {} queries were well formed", answered.get());
}
