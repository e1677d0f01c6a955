//! Quick ways through sorted files answer what plain ways answer.

use super::{SECOND, Scene, T0};
use serde_json::{Value, json};

/// Rows of some GPUs, whose jobs change and may be missing, in any order of time.
fn rows(seed: u64, count: u64, day: i64) -> Vec<Value> {
    let mut random = seed * 2 + 1;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut row = || {
        let (gpu, second) = (next(5), next(86_400) as i64);
        let job = (next(4) > 0).then(|| format!("a job with a long name {}", second / 20_000));
        let mut row = json!({
            "time": T0 + (day * 86_400 + second) * SECOND, "interval_seconds": next(3) as f64, "cluster": "c",
            "node": format!("n{}", gpu / 2), "gpu_uuid": format!("GPU-0000-1111-{gpu}"), "gpu_index": gpu,
            "gpu_model": "H100", "power_watts": next(700) as f64, "job_id": job,
        });
        if next(5) == 0 {
            row["power_watts"] = Value::Null;
        }
        row
    };
    (0..count).map(|_| row()).collect()
}

/// Two files of each of two days, overlapping in time, and rows in memory that belong between them.
async fn scene() -> Scene {
    let mut scene = Scene::new();
    for seed in 1..3 {
        for day in 0..2 {
            scene.add("gpu_samples", rows(seed * 10 + day as u64, 9_000, day)).await;
        }
        scene = scene.reopen();
    }
    scene.add("gpu_samples", rows(99, 500, 1)).await;
    scene
}

const AGGREGATES: &str = "count(*) a, count(power_watts) b, sum(power_watts) c, min(power_watts) d, max(time) e, \
    avg(power_watts) f, sum(interval_seconds) filter (where power_watts > 300) g";

#[tokio::test(flavor = "multi_thread")]
async fn runs_answer_as_the_engine_does_whatever_the_order_of_rows() {
    let scene = scene().await;
    assert!(scene.store.snapshot(contract::table("gpu_samples").unwrap()).files.len() >= 4);
    // The keys, and the same in a form that the rule does not know.
    let keys = [
        ("gpu_uuid", "concat(gpu_uuid, '')"),
        ("job_id", "nullif(concat(coalesce(job_id, '-'), ''), '-')"),
        ("node, job_id", "concat(node, ''), job_id"),
        ("date_trunc('hour', time)", "to_timestamp_micros(cast(time as bigint) / 3600000000 * 3600000000)"),
        ("node, date_bin(interval '1 day', time)", "concat(node, ''), date_bin(interval '1 day', time)"),
    ];
    for filter in ["", "where power_watts < 200", "where time >= '2026-01-01T20:00:00Z'", "where node = 'none'"] {
        for (key, plain) in keys {
            let ask = |key: &str| {
                let groups = format!("select {AGGREGATES} from gpu_samples {filter} group by {key}");
                format!("select * from ({groups}) order by a, b, c, d, e, f, g")
            };
            let explained = scene.ask(&format!("explain {}", ask(key))).await.unwrap();
            assert!(explained[1][1].contains("RunsExec"), "{key}: {}", explained[1][1]);
            let explained = scene.ask(&format!("explain {}", ask(plain))).await.unwrap();
            assert!(!explained[1][1].contains("RunsExec"), "{plain}: {}", explained[1][1]);
            let (found, expected) = (scene.ask(&ask(key)).await.unwrap(), scene.ask(&ask(plain)).await.unwrap());
            assert_eq!(found, expected, "{key} {filter}");
            assert_eq!(found.is_empty(), filter.contains("none"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_value_of_a_gpu_may_have_come_late_or_be_missing() {
    let mut scene = Scene::new();
    let row = |gpu: &str, second: i64, power: Option<f64>| {
        json!({
            "time": T0 + second * SECOND, "interval_seconds": 1.0, "cluster": "c", "node": "n", "gpu_uuid": gpu,
            "gpu_index": 0, "gpu_model": "H100", "power_watts": power,
        })
    };
    scene.add("gpu_samples", vec![row("late", 100, Some(1.0)), row("early", 300, Some(2.0))]).await;
    scene.add("gpu_samples", vec![row("null", 10, Some(3.0)), row("null", 20, None), row("hot", 5, Some(4.0))]).await;
    scene = scene.reopen();
    // An older time than the newest of another GPU, and one that is too old to matter.
    scene.add("gpu_samples", vec![row("late", 200, Some(5.0)), row("early", 50, Some(6.0))]).await;
    scene = scene.reopen();
    // Within one batch the newest is not the last.
    scene.add("gpu_samples", vec![row("hot", 500, Some(7.0)), row("hot", 400, Some(8.0))]).await;
    let expected = [("early", "2.0"), ("hot", "7.0"), ("late", "5.0"), ("null", "null")];
    for by in ["last_value(power_watts order by time)", "first_value(power_watts order by time desc)"] {
        let sql = format!("select gpu_uuid, {by} from gpu_samples group by 1 order by 1");
        let explained = scene.ask(&format!("explain {sql}")).await.unwrap();
        assert!(explained[1][1].contains("RunsExec"), "{}", explained[1][1]);
        assert_eq!(scene.ask(&sql).await.unwrap(), expected.map(|(gpu, power)| vec![gpu.to_owned(), power.to_owned()]));
    }
    let sql = "select gpu_uuid, last_value(power_watts order by power_watts nulls first) from gpu_samples group by 1 order by 1";
    let most = ["6.0", "8.0", "5.0", "3.0"];
    let found: Vec<String> = scene.ask(sql).await.unwrap().into_iter().map(|row| row[1].clone()).collect();
    assert_eq!(found, most);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_in_the_reader_keeps_the_rows_that_a_filter_in_memory_keeps() {
    let mut scene = Scene::new();
    for seed in 1..4 {
        scene.add("gpu_samples", rows(seed, 9_000, (seed % 2) as i64)).await;
    }
    let queries = [
        "where power_watts < 100",
        "where power_watts is null and job_id is not null",
        "where gpu_uuid = 'GPU-0000-1111-3' and time >= '2026-01-01T05:00:00Z' and time < '2026-01-01T07:00:00Z'",
        "where node = 'n1' and not (power_watts between 50 and 650)",
        "where job_id like '%name 2' or gpu_index = 4",
        "where gpu_uuid in ('GPU-0000-1111-0', 'GPU-0000-1111-9') and interval_seconds > 0 order by time desc limit 50",
        "where gpu_uuid = 'none'",
    ];
    let ask = |filter: &str| {
        format!(
            "select * from (select time, gpu_uuid, node, job_id, power_watts, gpu_model from gpu_samples {filter}) order by 1, 2, 5, 4"
        )
    };
    let mut in_memory = Vec::new();
    for filter in queries {
        in_memory.push(scene.ask(&ask(filter)).await.unwrap());
    }
    assert!(in_memory[..6].iter().all(|rows| !rows.is_empty()) && in_memory[6].is_empty());
    let scene = scene.reopen();
    for (filter, expected) in queries.into_iter().zip(in_memory) {
        let explained = scene.ask(&format!("explain analyze {}", ask(filter))).await.unwrap();
        assert!(!explained[0][1].contains("FilterExec"), "the reader filters: {}", explained[0][1]);
        let found = scene.ask(&ask(filter)).await.unwrap();
        // Which of equal times come first is not said.
        if !filter.contains("limit") {
            assert_eq!(found, expected, "{filter}");
        }
        let times = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
        assert_eq!(times(&found), times(&expected), "{filter}");
    }
}
