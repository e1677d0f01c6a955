//! The fold by runs of rows against a plain loop over seconds.
#![allow(clippy::unwrap_used)]

use super::super::super::tests::Scene;
use super::super::due::HOUR;
use super::super::scan::of_samples;
use super::*;
use arrow::array::{ArrayRef, Float64Array, Int64Array, StringViewArray, TimestampMicrosecondArray, new_null_array};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const SECOND: i64 = 1_000_000;

#[derive(Debug, Clone)]
struct Row {
    gpu: u8,
    /// Seconds since the epoch.
    at: i64,
    seconds: i64,
    job: Option<u8>,
    busy: Option<f64>,
    memory: Option<i64>,
    energy: Option<f64>,
}

/// Rows of the first three hours in order of GPU and time; one of a GPU at each time.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let values = (
        proptest::option::of(0.0..1.0_f64),
        proptest::option::of(0..1_000_i64),
        proptest::option::of((0..300_i64).prop_map(|n| n as f64)),
    );
    let row = (0..3_u8, 0..3 * 3600_i64, 0..500_i64, proptest::option::of(0..2_u8), values);
    proptest::collection::vec(row, 1..200).prop_map(|rows| {
        let one = |(gpu, at, seconds, job, (busy, memory, energy))| {
            ((gpu, at), Row { gpu, at, seconds, job, busy, memory, energy })
        };
        rows.into_iter().map(one).collect::<BTreeMap<_, _>>().into_values().collect()
    })
}

fn batch(rollup: &Rollup, rows: &[Row]) -> RecordBatch {
    let texts = |of: &dyn Fn(&Row) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringViewArray>())
    };
    let named = |name: &'static str| -> (&'static str, ArrayRef) {
        let array: ArrayRef = match name {
            "time" => {
                let times = rows.iter().map(|row| row.at * SECOND);
                Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
            }
            "interval_seconds" => Arc::new(rows.iter().map(|row| Some(row.seconds as f64)).collect::<Float64Array>()),
            "gpu_uuid" => texts(&|row| Some(format!("GPU-of-some-length-{}", row.gpu))),
            "job_id" => texts(&|row| row.job.map(|job| job.to_string())),
            "gpu_index" => Arc::new(rows.iter().map(|row| Some(i64::from(row.gpu))).collect::<Int64Array>()),
            key if rollup.keys.contains(&key) => texts(&|_| Some("x".to_owned())),
            "gpu_busy_ratio" => Arc::new(rows.iter().map(|row| row.busy).collect::<Float64Array>()),
            "memory_used_bytes" => Arc::new(rows.iter().map(|row| row.memory).collect::<Int64Array>()),
            "energy_joules_total" => Arc::new(rows.iter().map(|row| row.energy).collect::<Float64Array>()),
            _ => new_null_array(&arrow::datatypes::DataType::Float64, rows.len()),
        };
        (name, array)
    };
    RecordBatch::try_from_iter(of_samples(rollup).into_iter().map(named)).unwrap()
}

/// Samples, and of busy and memory each: count, sum, greatest, integral and seconds; rise and last of energy.
#[derive(Debug, Clone, Default, PartialEq)]
struct Sums {
    samples: i64,
    gauges: [(i64, f64, f64, f64, f64); 2],
    energy: (Option<f64>, Option<f64>),
}

/// By start of the step, GPU and job.
type All = BTreeMap<(i64, u8, Option<u8>), Sums>;

fn expected(rows: &[Row], step: i64, hour: i64) -> All {
    let mut all = All::new();
    let mut before: BTreeMap<u8, (i64, f64)> = BTreeMap::new();
    for row in rows {
        let rise = row.energy.and_then(|now| {
            let (_, base) = before.insert(row.gpu, (row.at, now))?;
            Some(if now >= base { now - base } else { now })
        });
        let values = [row.busy, row.memory.map(|bytes| bytes as f64)];
        if row.at.div_euclid(3600) == hour {
            let sums = all.entry((row.at.div_euclid(step) * step, row.gpu, row.job)).or_default();
            sums.samples += 1;
            for (gauge, value) in sums.gauges.iter_mut().zip(values) {
                let Some(value) = value else { continue };
                (gauge.0, gauge.1) = (gauge.0 + 1, gauge.1 + value);
                gauge.2 = if gauge.0 == 1 { value } else { gauge.2.max(value) };
            }
            sums.energy.0 = rise.map_or(sums.energy.0, |rise| Some(sums.energy.0.unwrap_or(0.0) + rise));
            sums.energy.1 = row.energy.or(sums.energy.1);
        }
        for second in (row.at..row.at + row.seconds).filter(|second| second.div_euclid(3600) == hour) {
            let sums = all.entry((second.div_euclid(step) * step, row.gpu, row.job)).or_default();
            for (gauge, value) in sums.gauges.iter_mut().zip(values) {
                let Some(value) = value else { continue };
                (gauge.3, gauge.4) = (gauge.3 + value, gauge.4 + 1.0);
            }
        }
    }
    all
}

fn found(fold: &mut Fold, at: usize) -> All {
    let place = |name: &str| fold.rollup.gauges.iter().position(|gauge| *gauge == name).unwrap();
    let gauges = ["gpu_busy_ratio", "memory_used_bytes"].map(place);
    let energy = fold.rollup.counters.iter().position(|counter| *counter == "energy_joules_total").unwrap();
    let job = fold.rollup.keys.iter().filter(|key| **key != "gpu_index").position(|key| *key == "job_id").unwrap();
    let groups = fold.steps[at].take().into_iter().map(|group| {
        let keys = &fold.keys[group.keys];
        let job = keys.texts[job].as_deref().map(|job| job.parse().unwrap());
        let gauges = gauges.map(|at| group.gauges[at]).map(|g| (g.count, g.sum, g.max, g.integral, g.seconds));
        let sums = Sums { samples: group.samples, gauges, energy: group.counters[energy] };
        ((group.step / SECOND, keys.index.unwrap() as u8, job), sums)
    });
    groups.collect()
}

/// The order of adding differs, and one that fell apart into pieces of its interval rounds otherwise.
fn same(a: &All, b: &All) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
    let alike = |a: &Sums, b: &Sums| {
        let gauges = a
            .gauges
            .iter()
            .zip(&b.gauges)
            .all(|(a, b)| a.0 == b.0 && a.2 == b.2 && near(a.1, b.1) && near(a.3, b.3) && near(a.4, b.4));
        gauges && a.samples == b.samples && a.energy == b.energy
    };
    a.len() == b.len() && a.iter().zip(b).all(|((a, x), (b, y))| a == b && alike(x, y))
}

#[test]
fn runs_of_rows_add_up_to_what_single_rows_do() {
    let scene = Scene::new();
    let rollup = &scene.store.derived().rollups[0];
    let cuts = proptest::collection::vec(1..40_usize, 1..8);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&(rows(), cuts), |(rows, cuts)| {
        let whole = batch(rollup, &rows);
        let mut fold = Fold::new(rollup, &[(3600, Of::Values), (60, Of::Values), (60, Of::Nothing)]);
        for hour in 0..3 {
            let mut at = 0;
            for length in cuts.iter().cycle() {
                let length = (*length).min(rows.len() - at);
                fold.add(&whole.slice(at, length), &(hour * HOUR..(hour + 1) * HOUR)).unwrap();
                at += length;
                if at == rows.len() {
                    break;
                }
            }
            let minutes = expected(&rows, 60, hour);
            prop_assert_eq!(fold.steps[2].take().len(), minutes.len());
            for (place, expected) in [expected(&rows, 3600, hour), minutes].into_iter().enumerate() {
                let found = found(&mut fold, place);
                prop_assert!(same(&found, &expected), "found {found:?}, expected {expected:?}");
            }
        }
        Ok(())
    });
    outcome.unwrap();
}
