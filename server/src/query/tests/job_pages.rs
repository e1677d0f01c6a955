//! What the pages of jobs ask.

use super::{SECOND, Scene, T0};
use crate::error::ErrorKind;
use crate::query::JobsAsked;
use contract::GpuState;
use contract::answers::{JobPhase, Range};
use serde_json::{Value, json};

const HOUR: i64 = 3600 * SECOND;

fn event(job: &str, kind: &str, hour: i64, more: Value) -> Value {
    let mut row = json!({"time": T0 + hour * HOUR, "cluster": "c", "job_id": job, "attempt": 0, "kind": kind});
    for (name, value) in more.as_object().unwrap() {
        row[name] = value.clone();
    }
    row
}

fn range(from: i64, to: i64) -> Range {
    Range { from_unix_micros: T0 + from * HOUR, to_unix_micros: T0 + to * HOUR }
}

/// Eight jobs over four hours: two wait, two run, two have ended and two failed.
async fn eight_jobs(scene: &mut Scene) {
    let mut rows = Vec::new();
    for i in 0..8_i64 {
        let job = format!("{i}");
        let who = json!({"user": format!("user-{i}"), "name": format!("Train {i}"), "queue": "big",
            "gpus_requested": i, "nodes": [format!("n{i}")], "submitted_at": T0});
        rows.push(event(&job, "submitted", 0, who));
        if i >= 2 {
            rows.push(event(&job, "started", 1, json!({"started_at": T0 + HOUR})));
        }
        if i >= 4 {
            let state = if i < 6 { "COMPLETED" } else { "OUT_OF_MEMORY" };
            rows.push(event(&job, "ended", i - 2, json!({"state": state, "ended_at": T0 + (i - 2) * HOUR})));
        }
    }
    scene.add("job_events", rows).await;
}

async fn ids(scene: &Scene, asked: JobsAsked) -> (u64, Vec<String>) {
    let list = scene.engine.jobs(range(0, 24), JobsAsked { limit: 100, ..asked }).await.unwrap();
    (list.total, list.jobs.into_iter().map(|job| job.job_id).collect())
}

#[tokio::test]
async fn jobs_are_filtered_sorted_and_come_by_pages() {
    let mut scene = Scene::new();
    eight_jobs(&mut scene).await;
    let all = scene.engine.jobs(range(0, 24), JobsAsked { limit: 3, offset: 6, ..JobsAsked::default() }).await.unwrap();
    assert_eq!((all.total, all.counts, all.jobs.len()), (8, [2, 2, 2, 2], 2));
    let asked = |sort: &str, phase, filter: &str| JobsAsked {
        sort: sort.to_owned(),
        phase,
        filter: filter.to_owned(),
        ..JobsAsked::default()
    };
    assert_eq!(ids(&scene, asked("-gpus", Some(JobPhase::Failed), "")).await, (2, vec!["7".into(), "6".into()]));
    assert_eq!(ids(&scene, asked("job", Some(JobPhase::Waiting), "")).await, (2, vec!["0".into(), "1".into()]));
    assert_eq!(ids(&scene, asked("-length", None, "TRAIN big")).await.1[..2], ["7", "6"]);
    assert_eq!(ids(&scene, asked("", None, "user-5")).await, (1, vec!["5".into()]));
    assert_eq!(ids(&scene, asked("", None, "n3 user-3 '%_")).await.0, 0);
    assert_eq!(ids(&scene, asked("-cost", Some(JobPhase::Running), "")).await, (2, vec!["2".into(), "3".into()]));
    let wrong = scene.engine.jobs(range(0, 24), asked("color", None, "")).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Invalid);
    assert!(wrong.known().contains(&"gpu_hours".to_owned()), "{wrong}");
    // What ended before the range, or was submitted after it, is not in it.
    let later = scene.engine.jobs(range(5, 6), JobsAsked { limit: 9, ..JobsAsked::default() }).await.unwrap();
    assert_eq!((later.total, later.counts), (5, [2, 2, 0, 1]));
    assert_eq!(scene.engine.jobs(range(-2, -1), JobsAsked::default()).await.unwrap().total, 0);
}

/// Samples of five minutes from the first hour to the fourth.
fn samples(gpu: &str, index: i64, job: &str, busy: f64) -> Vec<Value> {
    let row = |i: i64| {
        json!({"time": T0 + HOUR + i * 300 * SECOND, "interval_seconds": 300.0, "cluster": "c", "node": "n7",
            "gpu_uuid": gpu, "gpu_index": index, "gpu_model": "H100", "process_count": 1, "gpu_busy_ratio": busy,
            "memory_used_bytes": 10_i64 << 30, "memory_total_bytes": 80_i64 << 30, "power_watts": 100.0, "job_id": job})
    };
    (0..48).map(row).collect()
}

#[tokio::test]
async fn a_job_shows_its_gpus_and_what_to_do_better() {
    let mut scene = Scene::new();
    eight_jobs(&mut scene).await;
    scene.add("gpu_samples", samples("g0", 0, "7", 0.8)).await;
    scene.add("gpu_samples", samples("g1", 1, "7", 0.0)).await;
    scene.add("gpu_samples", samples("g2", 2, "else", 0.9)).await;
    let xid = json!({"time": T0 + 2 * HOUR, "cluster": "c", "node": "n7", "gpu_uuid": "g1", "kind": "xid", "code": 79,
        "severity": "critical", "message": "fell off the bus"});
    let elsewhere = json!({"time": T0 + 2 * HOUR, "cluster": "c", "node": "n9", "kind": "lost", "severity": "error",
        "message": "not of this job"});
    scene.add("device_events", vec![xid, elsewhere]).await;
    let scene = scene.reopen();
    let job = scene.engine.job("c", "7", None, None, T0 + 30 * HOUR).await.unwrap();
    assert_eq!((job.job.phase, job.range), (JobPhase::Failed, range(1, 5)));
    assert_eq!(job.gpus.iter().map(|gpu| gpu.gpu_uuid.as_str()).collect::<Vec<_>>(), ["g0", "g1"]);
    assert_eq!(job.gpu_nodes, ["n7", "n7"]);
    assert_eq!((job.gpu_hours.get(GpuState::Active), job.gpu_hours.get(GpuState::HeldIdle)), (&4.0, &4.0));
    assert_eq!(job.gpus[0].cells.iter().flatten().copied().reduce(f64::min), Some(0.8));
    let series = |name: &str| job.series.iter().find(|series| series.name == name).unwrap().values[0];
    assert_eq!((series("gpu_busy_ratio"), series("power_watts")), (Some(0.4), Some(200.0)));
    assert_eq!(series("tensor_active_ratio"), None, "not reported is not zero");
    assert_eq!(job.events.len(), 1);
    let titles: Vec<&str> = job.advice.iter().map(|advice| advice.title.as_str()).collect();
    assert_eq!(titles.len(), 3, "{titles:?}");
    assert!(titles.contains(&"1 of 2 GPUs did nothing"), "{titles:?}");
    assert!(titles.contains(&"It needs 12 % of the memory that it has"), "{titles:?}");
    assert_eq!((job.advice[0].gpu_hours, job.advice[0].cost_micros), (Some(4.0), None), "no price is no cost");

    let part = scene.engine.job("c", "7", Some(0), Some(range(2, 3)), T0 + 30 * HOUR).await.unwrap();
    assert_eq!((part.range, part.window, part.gpu_hours), (job.range, range(2, 3), job.gpu_hours));
    assert!(part.times_unix_micros.len() > 1 && part.times_unix_micros.iter().all(|t| *t < T0 + 3 * HOUR));
    assert_eq!(part.advice, job.advice);

    let waiting = scene.engine.job("c", "1", None, None, T0 + 3 * HOUR).await.unwrap();
    assert_eq!((waiting.job.phase, waiting.range, waiting.gpus.len()), (JobPhase::Waiting, range(0, 3), 0));
    for (cluster, job, attempt) in [("c", "nobody", None), ("d", "7", None), ("c", "7", Some(4))] {
        let error = scene.engine.job(cluster, job, attempt, None, T0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}
