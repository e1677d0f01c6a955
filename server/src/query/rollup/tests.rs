//! Derived tables against a plain sum over all samples, however these came.

#![allow(clippy::unwrap_used)]

use super::super::tests::{SECOND, Scene, T0};
use super::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn two_days_later() -> i64 {
    T0 + 2 * DAY
}

fn ninety_minutes_later() -> i64 {
    T0 + 90 * 60 * SECOND
}

#[derive(Debug, Clone)]
struct Row {
    gpu: usize,
    at: i64,
    job: Option<u8>,
    busy: Option<f64>,
    energy: Option<f64>,
}

impl Row {
    fn json(&self) -> Value {
        json!({"time": T0 + self.at * SECOND, "interval_seconds": 10.0, "cluster": "c", "node": "n", "gpu_uuid": format!("GPU-{}", self.gpu),
               "gpu_index": self.gpu, "gpu_model": "H100", "job_id": self.job.map(|job| job.to_string()), "process_count": 1,
               "gpu_busy_ratio": self.busy, "energy_joules_total": self.energy})
    }
}

/// Rows of some GPUs over a few hours with gaps, restarts of the counter and values that are not reported.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row =
        (0..3_usize, 0..1500_i64, proptest::option::of(0..2_u8), proptest::option::of(0.0..1.0_f64), any::<bool>());
    let rows = proptest::collection::vec((row, 0.0..500.0_f64), 1..120);
    rows.prop_map(|rows| {
        let one = |((gpu, tens, job, busy, counts), energy): ((usize, i64, _, _, bool), f64)| {
            ((gpu, tens), Row { gpu, at: tens * 10, job, busy, energy: counts.then_some(energy.round()) })
        };
        // One row of a GPU at each time.
        rows.into_iter().map(one).collect::<BTreeMap<_, _>>().into_values().collect()
    })
}

/// Count, sum of busy, greatest busy and rise of energy, by hour, GPU and job.
type Sums = BTreeMap<(i64, usize, Option<u8>), (i64, i64, i64, Option<i64>)>;

/// Sums of ratios are compared to the millionth.
fn millionths(value: f64) -> i64 {
    (value * 1e6).round() as i64
}

fn expected(rows: &[Row]) -> Sums {
    let mut sums: BTreeMap<_, (i64, f64, f64, Option<i64>)> = BTreeMap::new();
    let mut before: BTreeMap<usize, f64> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry((row.at / 3600, row.gpu, row.job)).or_insert((0, 0.0, 0.0, None));
        if let Some(busy) = row.busy {
            *sum = (sum.0 + 1, sum.1 + busy, sum.2.max(busy), sum.3);
        }
        let Some(energy) = row.energy else { continue };
        if let Some(base) = before.insert(row.gpu, energy) {
            let rise = if energy >= base { energy - base } else { energy };
            sum.3 = Some(sum.3.unwrap_or(0) + rise as i64);
        }
    }
    sums.into_iter().map(|(key, (n, sum, max, rise))| (key, (n, millionths(sum), millionths(max), rise))).collect()
}

async fn found(scene: &Scene) -> Sums {
    let sql = "select time, gpu_uuid, job_id, gpu_busy_ratio_count, gpu_busy_ratio_sum, gpu_busy_ratio_max, \
               energy_joules_increase from gpu_samples_1h where sample_count > 0";
    let asking = Asking::new(&scene.engine).unwrap();
    let batches = asking.rows(sql, Vec::new()).await.unwrap();
    let rows = super::super::ask::each_row(&batches).map(|row| {
        let gpu = row.text(1).unwrap().trim_start_matches("GPU-").parse().unwrap();
        let key = ((row.time(0).unwrap() - T0) / HOUR, gpu, row.text(2).map(|job| job.parse().unwrap()));
        let of = |at| millionths(row.float(at).unwrap_or(0.0));
        (key, (row.int(3).unwrap(), of(4), of(5), row.float(6).map(|rise| rise as i64)))
    });
    rows.collect()
}

#[test]
fn hours_are_the_sums_of_their_samples_however_these_came() {
    let mut runner = TestRunner::new(Config { cases: 6, failure_persistence: None, ..Config::default() });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let parts = (rows(), proptest::collection::vec(0..3_usize, 120));
    let outcome = runner.run(&parts, |(rows, parts)| {
        runtime.block_on(async {
            let mut scene = Scene::new();
            for part in 0..3 {
                let of_part = rows.iter().zip(&parts).filter(|(_, of)| **of == part).map(|(row, _)| row.json());
                let of_part: Vec<Value> = of_part.collect();
                if !of_part.is_empty() {
                    scene.add("gpu_samples", of_part).await;
                    scene = scene.reopen();
                }
                scene.engine.derive(two_days_later, 0).await.unwrap();
            }
            prop_assert_eq!(found(&scene).await, expected(&rows));
            Ok(())
        })
    });
    outcome.unwrap();
}

fn sample(gpu: &str, at_seconds: i64, busy: f64) -> Value {
    json!({"time": T0 + at_seconds * SECOND, "interval_seconds": 60.0, "cluster": "c", "node": "n", "gpu_uuid": gpu,
           "gpu_index": 0, "gpu_model": "H100", "job_id": "7", "process_count": 1, "gpu_busy_ratio": busy})
}

#[tokio::test]
async fn an_hour_waits_until_it_is_over_and_is_used_in_full() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", (0..80).map(|minute| sample("GPU-a", minute * 60, 0.5)).collect()).await;
    scene = scene.reopen();
    scene.engine.derive(ninety_minutes_later, 0).await.unwrap();
    let hours = "select to_char(time, '%H'), sample_count, gpu_busy_ratio_sum from gpu_samples_1h order by 1";
    assert_eq!(scene.ask(hours).await.unwrap(), [["00", "60", "30.0"]]);
    let usage = "select to_char(time, '%H'), job_id, active_seconds, unknown_seconds, gpu_busy_ratio_mean \
                 from usage_hourly order by time, job_id nulls last";
    assert_eq!(scene.ask(usage).await.unwrap(), [["00", "7", "3600.0", "0.0", "0.5"]]);
    // A later start goes on where it was, and what came meanwhile is not lost.
    scene = scene.reopen();
    scene.engine.derive(two_days_later, 0).await.unwrap();
    assert_eq!(scene.ask(hours).await.unwrap(), [["00", "60", "30.0"], ["01", "20", "10.0"]]);
    let usage = scene.ask(usage).await.unwrap();
    assert_eq!(usage[1], ["01", "7", "1200.0", "0.0", "0.5"]);
    assert_eq!(usage[2], ["01", "null", "0.0", "2400.0", "null"]);
    assert_eq!(usage[3], ["02", "null", "0.0", "3600.0", "null"], "silence is written down, too");
}

/// What comes within a few minutes of each other is written to the hours once.
#[tokio::test]
async fn an_hour_waits_for_a_flush_of_its_rows_but_not_for_ever() {
    let mut scene = Scene::new();
    let minutes = |from: i64, to: i64| (from..to).map(|minute| sample("GPU-a", minute * 60, 0.5)).collect();
    scene.add("gpu_samples", minutes(0, 90)).await;
    scene = scene.reopen();
    scene.add("gpu_samples", minutes(90, 100)).await;
    let hours = "select to_char(time, '%H'), sample_count from gpu_samples_1h order by 1";
    let used = "select count(distinct time) from usage_hourly where time < '2026-01-01T02:00:00Z'";
    scene.engine.derive(two_days_later, 0).await.unwrap();
    assert_eq!(scene.ask(hours).await.unwrap(), [["00", "60"]], "only the hour that is complete");
    assert_eq!(scene.ask(used).await.unwrap(), [["0"]], "what was before and after rows may depend on them");
    scene.engine.derive(|| two_days_later() + WAIT_MICROS_MAX, 0).await.unwrap();
    assert_eq!(scene.ask(hours).await.unwrap(), [["00", "60"], ["01", "30"]]);
    assert_eq!(scene.ask(used).await.unwrap(), [["2"]]);
    scene = scene.reopen();
    scene.engine.derive(two_days_later, 0).await.unwrap();
    assert_eq!(scene.ask(hours).await.unwrap(), [["00", "60"], ["01", "40"]]);
    let seconds = "select sum(active_seconds) from usage_hourly";
    assert_eq!(scene.ask(seconds).await.unwrap(), [["6000.0"]]);
}

#[tokio::test]
async fn late_rows_and_events_change_the_hours_that_they_touch() {
    let mut scene = Scene::new();
    let minutes = |from: i64, to: i64| (from..to).map(|minute| sample("GPU-a", minute * 60, 0.5)).collect();
    scene.add("gpu_samples", minutes(0, 30)).await;
    scene.add("gpu_samples", minutes(120, 240)).await;
    scene = scene.reopen();
    scene.engine.derive(two_days_later, 0).await.unwrap();
    let usage = "select to_char(time, '%H'), sum(active_seconds), sum(down_seconds), sum(unknown_seconds) \
                 from usage_hourly where time < '2026-01-01T04:00:00Z' group by 1 order by 1";
    let before = scene.ask(usage).await.unwrap();
    assert_eq!(before[0], ["00", "1800.0", "0.0", "1800.0"]);
    assert_eq!(before[1], ["01", "0.0", "0.0", "3600.0"]);
    scene.add("gpu_samples", minutes(30, 50)).await;
    let lost = json!({"time": T0 + 3600 * SECOND, "cluster": "c", "node": "n", "gpu_uuid": "GPU-a", "kind": "lost",
                      "severity": "critical", "message": "gone"});
    scene.add("device_events", vec![lost]).await;
    scene = scene.reopen();
    scene.engine.derive(two_days_later, 0).await.unwrap();
    let after = scene.ask(usage).await.unwrap();
    assert_eq!(after[0], ["00", "3000.0", "0.0", "600.0"]);
    assert_eq!(after[1], ["01", "0.0", "3600.0", "0.0"]);
    assert_eq!(after[2..], before[2..]);
    let again = scene.store.snapshot(&scene.store.derived().usage_hourly).generation;
    scene.engine.derive(two_days_later, 0).await.unwrap();
    assert_eq!(scene.store.snapshot(&scene.store.derived().usage_hourly).generation, again, "nothing was left to do");
}

#[tokio::test]
async fn minutes_are_kept_where_they_stand_for_many_samples() {
    let mut scene = Scene::new();
    let each = |step: i64, gpu: &str, from: i64| -> Vec<Value> {
        (0..3600 / step).map(|i| sample(gpu, from + i * step, 0.25)).collect()
    };
    scene.add("gpu_samples", each(5, "GPU-a", 0)).await;
    scene.add("gpu_samples", each(30, "GPU-a", 3600)).await;
    scene = scene.reopen();
    scene.engine.derive(two_days_later, 0).await.unwrap();
    let minutes = "select count(*), sum(sample_count), sum(gpu_busy_ratio_sum), max(time) from gpu_samples_1m";
    assert_eq!(scene.ask(minutes).await.unwrap(), [["60", "720", "180.0", "2026-01-01T00:59:00Z"]]);
}

#[tokio::test]
async fn seconds_of_an_hour_sum_to_gpus_as_the_overview_has_them() {
    let mut scene = Scene::new();
    let busy = |gpu: usize, minute: i64| if (minute / 7 + gpu as i64) % 3 == 0 { 0.0 } else { 0.9 };
    let of = |gpu: usize| (0..300).map(move |minute| sample(&format!("GPU-{gpu}"), minute * 60, busy(gpu, minute)));
    scene.add("gpu_samples", (0..5).flat_map(of).collect()).await;
    scene = scene.reopen();
    scene.engine.derive(two_days_later, 0).await.unwrap();
    let range = contract::answers::Range { from_unix_micros: T0, to_unix_micros: T0 + 5 * HOUR };
    let overview = scene.engine.overview(range, None).await.unwrap();
    let sql = "select sum(active_seconds) / 3600, sum(held_idle_seconds) / 3600 from usage_hourly \
               where time < '2026-01-01T05:00:00Z'";
    let sums: Vec<f64> = scene.ask(sql).await.unwrap()[0].iter().map(|cell| cell.parse().unwrap()).collect();
    assert!((sums[0] - overview.gpu_hours.active).abs() < 1e-9 && sums[0] > 1.0, "{sums:?}");
    assert!((sums[1] - overview.gpu_hours.held_idle).abs() < 1e-9 && sums[1] > 1.0, "{sums:?}");
    let sql = "select count(*) from (select sum(active_seconds + held_idle_seconds + held_empty_seconds + \
               unallocated_seconds + down_seconds + unknown_seconds) s from usage_hourly group by time, gpu_uuid) \
               where abs(s - 3600) > 1e-6";
    assert_eq!(scene.ask(sql).await.unwrap(), [["0"]]);
}

#[tokio::test]
async fn a_value_holds_for_its_interval_also_in_the_next_hour() {
    let mut scene = Scene::new();
    // Each begins half a minute before and ends half a minute after a whole minute.
    scene.add("gpu_samples", (0..90).map(|minute| sample("GPU-a", minute * 60 + 30, minute as f64)).collect()).await;
    scene = scene.reopen();
    scene.engine.derive(two_days_later, 0).await.unwrap();
    let sql = "select sample_count, gpu_busy_ratio_sum, gpu_busy_ratio_integral, gpu_busy_ratio_seconds \
               from gpu_samples_1h order by time";
    let first: f64 = (0..59).map(|minute| 60.0 * minute as f64).sum::<f64>() + 30.0 * 59.0;
    let second: f64 = 30.0 * 59.0 + (60..90).map(|minute| 60.0 * minute as f64).sum::<f64>();
    let row = |count: i64, sum: i64, integral: f64, seconds: f64| {
        [count.to_string(), format!("{:?}", sum as f64), format!("{integral:?}"), format!("{seconds:?}")]
    };
    let expected = [row(60, (0..60).sum(), first, 3570.0), row(30, (60..90).sum(), second, 1830.0)];
    assert_eq!(scene.ask(sql).await.unwrap(), expected);
}

fn three_days_later() -> i64 {
    T0 + 3 * DAY
}

#[tokio::test]
async fn the_fleet_has_the_same_means_from_hours_as_from_samples() {
    let mut scene = Scene::new();
    let of = |gpu: i64| {
        let row = move |minute: i64| {
            let busy = ((minute * (7 + gpu)) % 101) as f64 / 101.0;
            sample(&format!("GPU-{gpu}"), minute * 60 + 30, busy)
        };
        // Each GPU is silent for a while.
        (0..3000).filter(move |minute| !(gpu * 100..gpu * 100 + 130).contains(minute)).map(row)
    };
    scene.add("gpu_samples", (0..3).flat_map(of).collect()).await;
    scene = scene.reopen();
    let range =
        contract::answers::Range { from_unix_micros: T0 + 17 * 60 * SECOND, to_unix_micros: T0 + 49 * HOUR + 5 };
    let cells = async |scene: &Scene| {
        let fleet = scene.engine.fleet(range, None, "gpu_busy_ratio").await.unwrap();
        assert_eq!(fleet.bucket_seconds, 3600);
        fleet.nodes.into_iter().flat_map(|node| node.gpus).map(|gpu| gpu.cells).collect::<Vec<_>>()
    };
    let from_samples = cells(&scene).await;
    scene.engine.derive(three_days_later, 0).await.unwrap();
    // A row in memory and one in a file that came late.
    scene.add("gpu_samples", vec![sample("GPU-1", 110 * 60 + 30, 1.0)]).await;
    let asking = Asking::new(&scene.engine).unwrap();
    let buckets = super::super::buckets::Buckets::over(range).unwrap();
    let scope = super::super::samples::Scope::default();
    let hours = super::super::hours::means(&asking, &scope, &buckets, &["gpu_busy_ratio"]).await.unwrap();
    assert!(hours.is_some(), "the hours are not used");
    drop(asking);
    let with_late_row = cells(&scene).await;
    for (gpu, (before, after)) in from_samples.iter().zip(&with_late_row).enumerate() {
        for (hour, (before, after)) in before.iter().zip(after).enumerate() {
            let changed = gpu == 1 && hour == 1;
            let same =
                before.is_some() == after.is_some() && (before.unwrap_or(0.0) - after.unwrap_or(0.0)).abs() < 1e-12;
            assert!(same != changed, "GPU {gpu}, hour {hour}: {before:?}, {after:?}");
        }
    }
    let scene = scene.reopen();
    for (in_file, in_memory) in cells(&scene).await.into_iter().flatten().zip(with_late_row.into_iter().flatten()) {
        let same = in_file.is_some() == in_memory.is_some();
        // Only the order of adding differs.
        assert!(same && (in_file.unwrap_or(0.0) - in_memory.unwrap_or(0.0)).abs() < 1e-12);
    }
}

/// A flush between the two tables must not be taken as known by both.
#[tokio::test]
async fn the_use_of_an_hour_has_the_energy_of_rows_that_came_while_hours_were_summed_up() {
    let mut scene = Scene::new();
    let row = |minute: i64| {
        let mut row = sample("GPU-a", minute * 60, 0.5);
        row["energy_joules_total"] = json!(minute as f64 * 1000.0);
        row
    };
    scene.add("gpu_samples", (0..30).map(row).collect()).await;
    scene = scene.reopen();
    let work = |scene: &Scene| {
        let engine = scene.engine.clone();
        Work { engine, clock: two_days_later, rest: 0, since: Instant::now() }
    };
    let open = due::open_hour(two_days_later());
    let tables = ["gpu_samples", "device_events"].map(|name| contract::table(name).unwrap());
    let sources = tables.map(|table| scene.store.snapshot(table));
    let [hours, minutes] = &scene.store.derived().rollups[..2] else { panic!() };
    work(&scene).roll_up(hours, minutes, open).await.unwrap();
    scene.add("gpu_samples", (30..60).map(row).collect()).await;
    scene = scene.reopen();
    let mut plan = scene.store.snapshot(&scene.store.derived().usage_hourly);
    work(&scene).usage(&mut plan, &sources, &BTreeSet::new(), open).await.unwrap();
    scene.engine.derive(two_days_later, 0).await.unwrap();
    let joules = "select sum(energy_joules), sum(active_seconds) from usage_hourly";
    assert_eq!(scene.ask(joules).await.unwrap(), [["59000.0", "3600.0"]]);
}

/// Both sources come to the same position of the log, one of them after it was looked at.
#[tokio::test]
async fn a_flush_between_two_sources_is_not_taken_as_known_of_the_first() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", (0..60).map(|minute| sample("GPU-a", minute * 60, 0.5)).collect()).await;
    scene = scene.reopen();
    scene.engine.derive(two_days_later, 0).await.unwrap();
    let samples = scene.store.snapshot(contract::table("gpu_samples").unwrap());
    scene.add("gpu_samples", (0..60).map(|minute| sample("GPU-b", minute * 60, 0.5)).collect()).await;
    let lost = json!({"time": T0 + 9 * 3600 * SECOND, "cluster": "c", "node": "n", "gpu_uuid": "GPU-a", "kind": "lost",
                      "severity": "critical", "message": "gone"});
    scene.add("device_events", vec![lost]).await;
    scene = scene.reopen();
    let sources = [samples, scene.store.snapshot(contract::table("device_events").unwrap())];
    let mut plan = scene.store.snapshot(&scene.store.derived().usage_hourly);
    let engine = scene.engine.clone();
    let mut work = Work { engine, clock: two_days_later, rest: 0, since: Instant::now() };
    let open = due::open_hour(two_days_later());
    work.usage(&mut plan, &sources, &BTreeSet::new(), open).await.unwrap();
    scene.engine.derive(two_days_later, 0).await.unwrap();
    let first_hour = "select gpu_uuid, sum(active_seconds) from usage_hourly \
                      where time = '2026-01-01T00:00:00Z' group by 1 order by 1";
    assert_eq!(scene.ask(first_hour).await.unwrap(), [["GPU-a", "3600.0"], ["GPU-b", "3600.0"]]);
}

#[tokio::test]
async fn who_comes_second_with_the_same_part_of_a_table_changes_nothing() {
    let mut scene = Scene::new();
    scene.add("gpu_samples", (0..60).map(|minute| sample("GPU-a", minute * 60, 0.5)).collect()).await;
    scene = scene.reopen();
    let table = &scene.store.derived().rollups[0].table;
    let mut plan = scene.store.snapshot(table);
    scene.engine.derive(two_days_later, 0).await.unwrap();
    let rows = scene.engine.sql(&format!("select * from {}", table.name), Vec::new()).await.unwrap();
    let rows = in_stored_schema(table, &rows.collect().await.unwrap()[0]).unwrap();
    let day = T0.div_euclid(DAY) * DAY;
    let again = || Derived {
        rows: rows.clone(),
        from_micros: day,
        to_micros: day + DAY,
        covers: Covers::default(),
        now_micros: two_days_later(),
    };
    let error = scene.store.derive(&mut plan, again()).await.unwrap_err();
    assert!(matches!(error, StoreError::Overtaken { .. }), "{error}");
    scene.store.derive(&mut scene.store.snapshot(table), again()).await.unwrap();
    assert_eq!(scene.ask("select count(*) from gpu_samples_1h").await.unwrap(), [["1"]]);
}

#[tokio::test]
async fn a_counter_goes_on_from_its_last_value_and_not_from_that_of_the_last_job() {
    let mut scene = Scene::new();
    let row = |second: i64, job: &str, energy: Option<f64>| {
        let mut row = sample("GPU-a", second, 0.5);
        (row["job_id"], row["energy_joules_total"]) = (json!(job), json!(energy));
        row
    };
    // The second job has the later row, and the first one the later reading.
    let hour = vec![row(300, "2", Some(219.0)), row(600, "1", Some(252.0)), row(900, "2", None)];
    scene.add("gpu_samples", hour).await;
    scene = scene.reopen();
    scene.engine.derive(ninety_minutes_later, 0).await.unwrap();
    scene.add("gpu_samples", vec![row(4000, "1", Some(281.0))]).await;
    scene = scene.reopen();
    scene.engine.derive(two_days_later, 0).await.unwrap();
    let rise = "select energy_joules_increase from gpu_samples_1h where time = '2026-01-01T01:00:00Z'";
    assert_eq!(scene.ask(rise).await.unwrap(), [["29.0"]]);
}
