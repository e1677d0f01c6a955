mod told;

use super::*;
use crate::batch::TableBatch;
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use contract::GpuState;
use std::collections::HashMap;

const DAY: i64 = 86_400;
/// 2026-09-16 00:00:00 UTC, a Wednesday.
const START: i64 = 1_789_516_800;

fn span(from: i64, seconds: i64, step: i64) -> Span {
    Span { from, until: from + seconds, step, is_first: false }
}

/// All rows of a table as the contract has them.
fn read(batches: &[TableBatch], name: &str) -> Vec<RecordBatch> {
    let of_table = batches.iter().filter(|(table, _)| table.name == name);
    of_table
        .map(|(table, batch)| {
            let schema = contract::schema(table);
            let names: Vec<&str> = batch.schema_ref().fields().iter().map(|f| f.name().as_str()).collect();
            assert_eq!(names, table.columns.iter().map(|c| c.name).collect::<Vec<_>>(), "{name}");
            let columns = schema.fields().iter().zip(batch.columns()).map(|(f, c)| cast(c, f.data_type()).unwrap());
            RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
        })
        .collect()
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> &'a StringArray {
    batch.column_by_name(name).unwrap().as_string()
}

fn ints(batch: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().iter().collect()
}

fn floats(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    batch.column_by_name(name).unwrap().as_primitive::<Float64Type>().iter().collect()
}

fn times(batch: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    let times = batch.column_by_name(name).unwrap().as_primitive::<TimestampMicrosecondType>();
    times.iter().map(|time| time.map(|t| t / 1_000_000)).collect()
}

fn state(row: usize, jobs: &StringArray, processes: &[Option<i64>], work: &[Option<f64>]) -> GpuState {
    match (processes[row].unwrap(), jobs.is_valid(row)) {
        (0, false) => GpuState::Unallocated,
        (0, true) => GpuState::HeldEmpty,
        _ if work[row].is_some_and(|work| work < 0.01) => GpuState::HeldIdle,
        _ => GpuState::Active,
    }
}

/// Share of GPU time in each state by the rows alone; `down` and `unknown` together are the last.
fn shares(fleet: &mut Fleet, days: i64) -> [f64; 5] {
    let mut seen = [0_u64; 4];
    let (mut instances, mut cut) = (0, 0);
    let step = 3600;
    for day in 0..days {
        for batch in read(&fleet.rows(span(START + day * DAY, DAY, step)).unwrap(), "gpu_samples") {
            let (jobs, processes) = (texts(&batch, "job_id"), ints(&batch, "process_count"));
            let (busy, sm) = (floats(&batch, "gpu_busy_ratio"), floats(&batch, "sm_active_ratio"));
            let work: Vec<Option<f64>> = busy.iter().zip(&sm).map(|(busy, sm)| busy.or(*sm)).collect();
            for row in 0..batch.num_rows() {
                // A GPU that is cut reports no activity at all; its instances are counted instead.
                if work[row].is_none() {
                    cut += 1;
                } else {
                    instances += usize::from(texts(&batch, "parent_gpu_uuid").is_valid(row));
                    seen[state(row, jobs, &processes, &work).index()] += 1;
                }
            }
        }
    }
    assert!(instances >= cut, "{instances} rows of instances, {cut} of GPUs that are cut");
    let cut_devices = if cut > 0 { 2 } else { 0 };
    let all = ((fleet.devices() - cut_devices) as i64 * days * DAY / step) as f64;
    let present = seen.map(|rows| rows as f64 / all);
    [present[0], present[1], present[2], present[3], 1.0 - present.iter().sum::<f64>()]
}

#[test]
fn a_month_looks_like_a_real_fleet() {
    let shares = shares(&mut Fleet::new(7, 256, "demo"), 30);
    let bands = [(0.55, 0.65), (0.07, 0.13), (0.025, 0.055), (0.15, 0.25), (0.02, 0.04)];
    for (share, (low, high)) in shares.iter().zip(bands) {
        assert!((low..=high).contains(share), "{shares:?}");
    }
}

#[test]
fn other_seeds_and_sizes_look_alike() {
    for (seed, gpus) in [(1, 256), (2, 128), (4, 48)] {
        let shares = shares(&mut Fleet::new(seed, gpus, "demo"), 28);
        assert!((0.42..0.75).contains(&shares[0]), "{seed} {gpus}: {shares:?}");
        assert!((0.01..0.22).contains(&shares[1]), "{seed} {gpus}: {shares:?}");
        assert!((0.08..0.42).contains(&shares[3]), "{seed} {gpus}: {shares:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bytes = |seed| -> Vec<Vec<u8>> {
        let mut fleet = Fleet::new(seed, 64, "demo");
        let rows = fleet.rows(Span { is_first: true, ..span(START, DAY / 4, 300) }).unwrap();
        rows.iter().map(|(_, batch)| crate::wire::encode(batch).unwrap()).collect()
    };
    assert_eq!(bytes(7), bytes(7));
    assert_ne!(bytes(7), bytes(8));
}

#[test]
fn rows_fit_the_contract_and_ratios_their_range() {
    let mut fleet = Fleet::new(7, 256, "demo");
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for day in 0..4 {
        let rows = fleet.rows(span(START + day * DAY, DAY, 300)).unwrap();
        for table in contract::TABLES {
            for batch in read(&rows, table.name) {
                *seen.entry(table.name).or_default() += batch.num_rows();
                for column in table.columns.iter().filter(|c| c.unit == "ratio") {
                    let good = |v: Option<f64>| v.is_none_or(|v| (0.0..=1.0).contains(&v));
                    assert!(floats(&batch, column.name).into_iter().all(good), "{}.{}", table.name, column.name);
                }
            }
        }
        let first = rows.iter().position(|(table, _)| table.name == "gpu_samples").unwrap();
        assert!(rows[first..].iter().all(|(table, _)| !table.name.ends_with("_events")));
    }
    for table in ["gpu_samples", "host_samples", "process_samples", "job_events", "device_events"] {
        assert!(seen.get(table).is_some_and(|rows| *rows > 10), "{table}: {seen:?}");
    }
}

/// Values of a counter by device, as (time, value), in order of time.
fn counters(batches: &[RecordBatch]) -> HashMap<String, Vec<(i64, [f64; 4])>> {
    let mut series: HashMap<String, Vec<(i64, [f64; 4])>> = HashMap::new();
    for batch in batches {
        let (uuids, time) = (texts(batch, "gpu_uuid"), times(batch, "time"));
        let energy = floats(batch, "energy_joules_total");
        let [received, sent, remapped] =
            ["pcie_receive_bytes_total", "nvlink_transmit_bytes_total", "remapped_rows_total"].map(|c| ints(batch, c));
        for row in 0..batch.num_rows() {
            if let (Some(energy), Some(received), Some(sent), Some(remapped)) =
                (energy[row], received[row], sent[row], remapped[row])
            {
                let values = [energy, received as f64, sent as f64, remapped as f64];
                series.entry(uuids.value(row).to_owned()).or_default().push((time[row].unwrap(), values));
            }
        }
    }
    series
}

#[test]
fn counters_fall_only_after_a_gap_and_agree_with_power() {
    let mut fleet = Fleet::new(7, 256, "demo");
    let mut all: HashMap<String, Vec<(i64, [f64; 4])>> = HashMap::new();
    let mut joules = 0.0;
    for day in 0..9 {
        let batches = read(&fleet.rows(span(START + day * DAY, DAY, 300)).unwrap(), "gpu_samples");
        for batch in &batches {
            joules += floats(batch, "power_watts").iter().flatten().sum::<f64>() * 300.0;
        }
        for (uuid, series) in counters(&batches) {
            all.entry(uuid).or_default().extend(series);
        }
    }
    let (mut resets, mut counted) = (0, 0.0);
    for (uuid, series) in &all {
        for pair in series.windows(2) {
            let ((before, a), (after, b)) = (pair[0], pair[1]);
            let fell = a[..3].iter().zip(&b[..3]).any(|(a, b)| b < a);
            assert!(a[3] <= b[3], "{uuid} lost remapped rows");
            if after == before + 300 {
                assert!(!fell, "{uuid} at {after}: {a:?} {b:?}");
                counted += b[0] - a[0];
            }
            resets += usize::from(fell);
        }
    }
    assert!(resets > 5, "{resets}");
    assert!((counted / joules - 1.0).abs() < 0.01, "{counted} J counted, {joules} J by power");
}

#[test]
fn history_and_live_rows_join_without_a_seam() {
    let mut fleet = Fleet::new(7, 32, "demo");
    let history = read(&fleet.rows(span(START, 3600, 300)).unwrap(), "gpu_samples");
    let live = read(&fleet.rows(span(START + 3600, 120, 10)).unwrap(), "gpu_samples");
    let (history, live) = (counters(&history), counters(&live));
    assert!(!live.is_empty());
    for (uuid, series) in live {
        let Some(before) = history.get(&uuid).and_then(|s| s.last()) else { continue };
        let watts = (series[0].1[0] - before.1[0]) / 10.0;
        assert!((0.0..=720.0).contains(&watts), "{uuid}: {watts} W");
    }
    // A fleet that starts here says the same as one that has come here.
    let fresh = read(&Fleet::new(7, 32, "demo").rows(span(START + 3600, 120, 10)).unwrap(), "gpu_samples");
    let mut again = Fleet::new(7, 32, "demo");
    again.rows(span(START, 3600, 300)).unwrap();
    let come = read(&again.rows(span(START + 3600, 120, 10)).unwrap(), "gpu_samples");
    assert_eq!(floats(&fresh[0], "energy_joules_total"), floats(&come[0], "energy_joules_total"));
    assert_eq!(texts(&fresh[0], "job_id"), texts(&come[0], "job_id"));
}

#[test]
fn rows_carry_jobs_that_their_events_put_there() {
    let mut fleet = Fleet::new(7, 256, "demo");
    let mut holds: HashMap<(String, String), Vec<(i64, i64)>> = HashMap::new();
    let mut batches = Vec::new();
    for day in 0..3 {
        let span = Span { is_first: day == 0, ..span(START + day * DAY, DAY, 300) };
        batches.extend(fleet.rows(span).unwrap());
    }
    for batch in read(&batches, "job_events") {
        let (jobs, kinds) = (texts(&batch, "job_id"), texts(&batch, "kind"));
        let (started, ended) = (times(&batch, "started_at"), times(&batch, "ended_at"));
        let gpus = batch.column_by_name("gpu_uuids").unwrap().as_list::<i32>();
        for row in (0..batch.num_rows()).filter(|row| gpus.is_valid(*row)) {
            for uuid in gpus.value(row).as_string::<i32>().iter().flatten() {
                let held = holds.entry((uuid.to_owned(), jobs.value(row).to_owned())).or_default();
                match kinds.value(row) {
                    "started" => held.push((started[row].unwrap(), i64::MAX)),
                    _ => {
                        let start = started[row].unwrap();
                        held.iter_mut().filter(|h| h.0 == start).for_each(|h| h.1 = ended[row].unwrap());
                    }
                }
            }
        }
    }
    let mut checked = 0;
    for batch in read(&batches, "gpu_samples") {
        let (uuids, jobs, time) = (texts(&batch, "gpu_uuid"), texts(&batch, "job_id"), times(&batch, "time"));
        for row in (0..batch.num_rows()).filter(|row| jobs.is_valid(*row)) {
            let (key, at) = ((uuids.value(row).to_owned(), jobs.value(row).to_owned()), time[row].unwrap());
            let held = holds.get(&key).is_some_and(|held| held.iter().any(|h| h.0 <= at && at < h.1));
            assert!(held, "{key:?} at {at} is held by no event");
            checked += 1;
        }
    }
    assert!(checked > 100_000, "{checked}");
}

#[test]
fn something_needs_attention_at_any_time() {
    let mut fleet = Fleet::new(7, 256, "demo");
    let (mut abandoned, mut parked) = (0, 0);
    for hour in 0..240 {
        let states = fleet.states(START + hour * 3 * 3600);
        assert!(states.down >= 1, "hour {hour}: {states:?}");
        abandoned += u32::from(states.held_idle >= 8);
        parked += u32::from(states.held_empty >= 8);
    }
    // Maintenance takes a few hours of each month.
    assert!(abandoned >= 235 && parked >= 225, "{abandoned} {parked}");
}

#[test]
fn every_size_gives_rows() {
    for gpus in [1, 2, 7, 8, 9, 17, 40, 63, 64, 65, 130, 1000] {
        let mut fleet = Fleet::new(gpus as u64, gpus, "x");
        let first = Span { is_first: true, ..span(START, 6 * 3600, 900) };
        let rows: usize = read(&fleet.rows(first).unwrap(), "gpu_samples").iter().map(RecordBatch::num_rows).sum();
        assert!(rows <= fleet.devices() * 24);
        assert!(gpus < 8 || rows > fleet.devices() * 20, "{gpus}: {rows}");
        assert!(fleet.summary(START).contains(&format!("{gpus} GPUs")));
    }
}

#[test]
fn jobs_wait_as_people_know_it() {
    let rows = Fleet::new(7, 256, "demo").rows(span(START, 21 * DAY, 6 * 3600)).unwrap();
    let mut waits: HashMap<String, Vec<i64>> = HashMap::new();
    for batch in read(&rows, "job_events") {
        let (kinds, queues) = (texts(&batch, "kind"), texts(&batch, "queue"));
        let (submitted, started) = (times(&batch, "submitted_at"), times(&batch, "started_at"));
        for row in (0..batch.num_rows()).filter(|row| kinds.value(*row) == "started") {
            let wait = started[row].unwrap() - submitted[row].unwrap();
            assert!(wait >= 0);
            waits.entry(queues.value(row).to_owned()).or_default().push(wait);
        }
    }
    for queue in ["train", "dev", "mig", "inference"] {
        let waits = waits.get_mut(queue).unwrap();
        waits.sort_unstable();
        let at = |part: usize| waits[(waits.len() - 1) * part / 100];
        assert!(at(50) < 4 * 3600 && at(95) < 48 * 3600, "{queue}: {} s, {} s", at(50), at(95));
    }
    assert!(waits["train"].iter().any(|wait| *wait > 3600), "nobody ever waits");
}

#[test]
fn clusters_of_one_seed_share_no_gpu() {
    let uuids = |cluster| {
        let rows = read(&Fleet::new(7, 16, cluster).rows(span(START, 600, 300)).unwrap(), "gpu_samples");
        texts(&rows[0], "gpu_uuid").iter().map(|uuid| uuid.unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (a, b) = (uuids("a"), uuids("b"));
    assert!(a.len() == b.len() && a.iter().all(|uuid| !b.contains(uuid)));
}
