//! `gpu_samples` of made-up devices, column by column.
//!
//! Owns what a load looks like in each metric. **Invariants:** a row stands for `[time, time + step)`, its counters
//! are read at its end; ratios lie between 0 and 1; what a device does not report is null in every row.

use super::cycle::{Counters, Cycle, Segment, Timeline};
use super::demand::Kind;
use super::load::Mode;
use super::names::{Names, PROFILES};
use super::topology::{Device, Topology};
use super::wear::Wear;
use arrow::array::{
    ArrayRef, DictionaryArray, Float64Builder, Int32Builder, Int64Builder, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Int32Type, Schema};
use arrow::error::ArrowError;
use std::collections::HashMap;
use std::sync::Arc;

const MICROS: i64 = 1_000_000;
const MEBIBYTE: i64 = 1 << 20;
/// NVML's bits: nothing to do, at the power limit, too hot by software and hardware.
const THROTTLE_IDLE: i64 = 0x1;
const THROTTLE_POWER: i64 = 0x4;
const THROTTLE_HEAT: i64 = 0x20 | 0x40;
/// The die follows the power with this time constant.
const HEAT_SECONDS: f64 = 75.0;
/// A driver reports the power limit as reached from here on.
const POWER_CAPPED: f64 = 0.93;

/// A whole number of steps of one cycle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub from: i64,
    pub until: i64,
    pub step: i64,
}

/// The float columns in the order of their builders.
const FLOATS: [&str; 12] = [
    "gpu_busy_ratio",
    "memory_busy_ratio",
    "sm_active_ratio",
    "sm_occupancy_ratio",
    "tensor_active_ratio",
    "dram_active_ratio",
    "power_watts",
    "power_limit_watts",
    "energy_joules_total",
    "temperature_celsius",
    "memory_temperature_celsius",
    "interval_seconds",
];
const INTS: [&str; 14] = [
    "gpu_index",
    "process_count",
    "memory_used_bytes",
    "memory_total_bytes",
    "sm_clock_hertz",
    "memory_clock_hertz",
    "throttle_reasons",
    "pcie_receive_bytes_total",
    "pcie_transmit_bytes_total",
    "nvlink_receive_bytes_total",
    "nvlink_transmit_bytes_total",
    "ecc_corrected_total",
    "ecc_uncorrected_total",
    "remapped_rows_total",
];
const NAMES: [&str; 6] = ["node", "gpu_uuid", "gpu_model", "parent_gpu_uuid", "mig_profile", "job_id"];

/// Rows that become one batch.
#[derive(Debug)]
pub(super) struct GpuRows {
    times: Vec<i64>,
    floats: [Float64Builder; FLOATS.len()],
    ints: [Int64Builder; INTS.len()],
    keys: [Int32Builder; NAMES.len()],
    jobs: Vec<String>,
    job_keys: HashMap<String, i32>,
}

/// What one row says beyond its identity.
struct Reading {
    floats: [Option<f64>; FLOATS.len() - 1],
    ints: [Option<i64>; INTS.len() - 1],
}

impl GpuRows {
    pub(super) fn new() -> Self {
        Self {
            times: Vec::new(),
            floats: std::array::from_fn(|_| Float64Builder::new()),
            ints: std::array::from_fn(|_| Int64Builder::new()),
            keys: std::array::from_fn(|_| Int32Builder::new()),
            jobs: Vec::new(),
            job_keys: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// Adds the rows of a device; `temperature` is that of its die before and after, NaN if nobody knows it.
    pub(super) fn add_device(
        &mut self,
        fleet: &Topology,
        cycle: &Cycle,
        number: usize,
        stretch: Stretch,
        temperature: &mut f64,
    ) {
        let device = &fleet.devices[number];
        let timeline = &cycle.timelines[number - cycle.first_device];
        let mut instances: Vec<usize> = (number + 1..fleet.devices.len())
            .take_while(|i| device.is_cut && fleet.devices[*i].mig.is_some_and(|m| m.parent == number))
            .collect();
        instances.retain(|i| i - cycle.first_device < cycle.timelines.len());
        let wear = Wear::new(device, cycle);
        let mut at = timeline.seek(stretch.from);
        let mut held: Option<(u32, i32)> = None;
        let mut time = stretch.from;
        while time < stretch.until {
            let end = time + stretch.step;
            // What lies beyond the cycle is maintenance.
            if end > cycle.start + super::outages::CYCLE || timeline.is_away(time, end) {
                *temperature = f64::NAN;
                time = end;
                continue;
            }
            let segment = *timeline.segment_at(&mut at, time);
            let mut moment = Moment { fleet, cycle, device, timeline, segment, at, time, end };
            let reading = moment.reading(&instances, &wear, temperature);
            let job = segment.run.map(|run| match held {
                Some((of, key)) if of == run => key,
                _ => {
                    let key = self.job_key(&cycle.jobs[cycle.runs[run as usize].request].job_id);
                    held = Some((run, key));
                    key
                }
            });
            self.push(device, number, time, stretch.step, job, &reading);
            time = end;
        }
    }

    fn job_key(&mut self, job_id: &str) -> i32 {
        if let Some(key) = self.job_keys.get(job_id) {
            return *key;
        }
        let key = self.jobs.len() as i32;
        self.jobs.push(job_id.to_owned());
        self.job_keys.insert(job_id.to_owned(), key);
        key
    }

    fn push(&mut self, device: &Device, number: usize, time: i64, step: i64, job: Option<i32>, reading: &Reading) {
        self.times.push(time * MICROS);
        for (builder, value) in self.floats.iter_mut().zip(reading.floats) {
            builder.append_option(value);
        }
        self.floats[FLOATS.len() - 1].append_value(step as f64);
        self.ints[0].append_value(device.index);
        for (builder, value) in self.ints[1..].iter_mut().zip(reading.ints) {
            builder.append_option(value);
        }
        let profile = device.mig.map(|mig| PROFILES.iter().position(|p| *p == mig.profile).unwrap_or(0) as i32);
        let keys = [
            Some(device.node as i32),
            Some(number as i32),
            Some(device.model as i32),
            device.mig.map(|mig| mig.parent as i32),
            profile,
            job,
        ];
        for (builder, key) in self.keys.iter_mut().zip(keys) {
            builder.append_option(key);
        }
    }

    /// All rows as one batch in the contract's columns, its texts as dictionaries.
    pub(super) fn finish(mut self, names: &Names) -> Result<RecordBatch, ArrowError> {
        let table = contract::table("gpu_samples").expect("the contract has gpu_samples");
        let rows = self.times.len();
        let jobs = Arc::new(StringArray::from(std::mem::take(&mut self.jobs)));
        let values = [&names.nodes, &names.uuids, &names.models, &names.uuids, &names.profiles, &jobs];
        let mut columns: HashMap<&str, ArrayRef> = HashMap::new();
        let times = std::mem::take(&mut self.times);
        columns.insert("time", Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")));
        let cluster = DictionaryArray::<Int32Type>::try_new(vec![0; rows].into(), Arc::clone(&names.cluster) as _)?;
        columns.insert("cluster", Arc::new(cluster));
        for (name, builder) in FLOATS.iter().zip(&mut self.floats) {
            columns.insert(name, Arc::new(builder.finish()));
        }
        for (name, builder) in INTS.iter().zip(&mut self.ints) {
            columns.insert(name, Arc::new(builder.finish()));
        }
        for ((name, builder), values) in NAMES.iter().zip(&mut self.keys).zip(values) {
            let array = DictionaryArray::<Int32Type>::try_new(builder.finish(), Arc::clone(values) as _)?;
            columns.insert(name, Arc::new(array));
        }
        let mut fields = Vec::with_capacity(table.columns.len());
        let mut arrays = Vec::with_capacity(table.columns.len());
        for column in table.columns {
            let array = columns.remove(column.name).ok_or_else(|| {
                ArrowError::SchemaError(format!("no simulated values for gpu_samples.{}", column.name))
            })?;
            fields.push(Field::new(column.name, array.data_type().clone(), column.nullable));
            arrays.push(array);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
    }
}

/// One device over one interval.
struct Moment<'a> {
    fleet: &'a Topology,
    cycle: &'a Cycle,
    device: &'a Device,
    timeline: &'a Timeline,
    segment: Segment,
    at: usize,
    time: i64,
    end: i64,
}

fn ratio(value: f64) -> f64 {
    (value.clamp(0.0, 1.0) * 1000.0).round() / 1000.0
}

/// Four small numbers around 0 for a device and time: -1 to 1.
fn noise(device: &Device, time: i64) -> [f64; 4] {
    let bits = device.draw.of(time).bits();
    std::array::from_fn(|i| ((bits >> (16 * i)) & 0xFFFF) as f64 / 32_767.5 - 1.0)
}

impl Moment<'_> {
    fn reading(&mut self, instances: &[usize], wear: &Wear, temperature: &mut f64) -> Reading {
        let noise = noise(self.device, self.time);
        let until = self.end.min(self.segment.until);
        let seconds = (until - self.time) as f64;
        let load = (self.cycle.load_until(self.device, &self.segment, until)
            - self.cycle.load_until(self.device, &self.segment, self.time))
            / seconds;
        let counters = self.counters(self.end, instances);
        let before = self.counters(self.time, instances);
        let watts = (counters[0] - before[0]) / (self.end - self.time) as f64;
        let watts = (watts * (1.0 + 0.012 * noise[0])).clamp(20.0, self.device.model.power_limit_watts());
        let (booted, base) = self.timeline.since_boot(self.time);
        let mut reading = Reading { floats: [None; FLOATS.len() - 1], ints: [None; INTS.len() - 1] };
        self.activity(&mut reading, load, noise);
        self.memory_and_processes(&mut reading, instances, noise);
        if self.device.mig.is_none() {
            self.board(&mut reading, watts, temperature, load);
            let since: Counters = std::array::from_fn(|i| counters[i] - base[i]);
            reading.floats[8] = Some((since[0] * 1000.0).round() / 1000.0);
            for (place, counted) in reading.ints[6..].iter_mut().zip(&since[1..]) {
                *place = Some(*counted as i64);
            }
            let worn = wear.at(booted, self.end);
            reading.ints[10] = Some(worn.corrected);
            reading.ints[11] = Some(worn.uncorrected);
            reading.ints[12] = Some(worn.remapped);
        }
        reading
    }

    /// Sums at a time; those of a cut GPU hold its instances.
    fn counters(&self, time: i64, instances: &[usize]) -> Counters {
        let mut sums = self.cycle.counters_at(self.device, self.timeline, &mut self.at.clone(), time);
        for instance in instances {
            let timeline = &self.cycle.timelines[instance - self.cycle.first_device];
            let mut at = timeline.seek(time);
            let part = self.cycle.counters_at(&self.fleet.devices[*instance], timeline, &mut at, time);
            for (sum, part) in sums.iter_mut().zip(part) {
                *sum += part;
            }
        }
        sums
    }

    fn activity(&self, reading: &mut Reading, load: f64, noise: [f64; 4]) {
        let device = self.device;
        if device.is_cut {
            return;
        }
        let [busy, memory_busy, sm, occupancy, tensor, dram] = match self.segment.run {
            Some(run) if self.segment.mode == Mode::Work => {
                let profile = self.cycle.loads[run as usize].profile;
                let wobble = |value: f64, noise: f64| value * (1.0 + 0.04 * noise);
                let sm = wobble(profile.sm * load, noise[1]);
                let dram = wobble(profile.dram * load, noise[2]);
                [
                    wobble(profile.busy_floor + profile.busy * load, 0.3 * noise[0]).max(0.03),
                    (dram * 0.88).min(0.97),
                    sm.clamp(0.02, 0.99),
                    (sm * profile.occupancy).min(0.9),
                    wobble(profile.tensor * load, noise[3]),
                    dram.min(0.95),
                ]
            }
            // Monitoring and housekeeping wake a GPU with a context for an instant now and then.
            Some(_) if self.segment.mode == Mode::Idle && noise[1] > 0.7 => {
                [0.003 + 0.003 * noise[2], 0.0, 0.0, 0.0, 0.0, 0.0]
            }
            _ => [0.0; 6],
        };
        if device.mig.is_none() {
            reading.floats[0] = Some(ratio(busy));
            reading.floats[1] = Some(ratio(memory_busy));
        }
        if device.model.has_gpm() {
            reading.floats[2] = Some(ratio(sm));
            reading.floats[4] = Some(ratio(tensor));
            if !device.is_terse {
                reading.floats[3] = Some(ratio(occupancy));
                reading.floats[5] = Some(ratio(dram));
            }
        }
    }

    fn memory_and_processes(&self, reading: &mut Reading, instances: &[usize], noise: [f64; 4]) {
        let (mut used, mut processes) = memory_of(self.cycle, self.device, &self.segment);
        for instance in instances {
            let timeline = &self.cycle.timelines[instance - self.cycle.first_device];
            let segment = timeline.segments[timeline.seek(self.time)];
            let (of_instance, more) = memory_of(self.cycle, &self.fleet.devices[*instance], &segment);
            used += of_instance;
            processes += more;
        }
        if processes > 0 {
            used += ((noise[3] + 1.0) * 12.0) as i64 * 2 * MEBIBYTE;
        }
        let total = self.device.mig.map_or(self.device.model.memory_bytes(), |mig| mig.memory_bytes);
        reading.ints[0] = Some(processes);
        reading.ints[1] = Some(used.min(total) / MEBIBYTE * MEBIBYTE);
        reading.ints[2] = Some(total);
    }

    fn board(&self, reading: &mut Reading, watts: f64, temperature: &mut f64, load: f64) {
        let device = self.device;
        let limit = device.model.power_limit_watts();
        let (idle_clock, top_clock, memory_clock) = device.model.clocks_megahertz();
        let works = self.segment.mode == Mode::Work;
        let is_hot = device.is_straggler && works && load > 0.15;
        let target = 29.0 + device.hot_celsius + 46.0 * watts / limit + if device.is_straggler { 22.0 } else { 0.0 };
        let target = target.min(87.0);
        let share = 1.0 - (-((self.end - self.time) as f64) / HEAT_SECONDS).exp();
        *temperature = if temperature.is_nan() { target } else { *temperature + (target - *temperature) * share };
        let fraction = watts / limit;
        let clock = match self.segment.mode {
            Mode::Free | Mode::Empty => idle_clock,
            Mode::Idle => top_clock,
            Mode::Work if is_hot => top_clock * 6 / 10,
            // Near the limit the clock gives way.
            Mode::Work => top_clock - ((fraction - 0.8).max(0.0) * 0.7 * top_clock as f64) as i64,
        };
        let throttle = match self.segment.mode {
            Mode::Work if is_hot => THROTTLE_HEAT,
            Mode::Work if fraction > POWER_CAPPED => THROTTLE_POWER,
            Mode::Work => 0,
            _ => THROTTLE_IDLE,
        };
        reading.floats[6] = Some((watts * 10.0).round() / 10.0);
        reading.floats[7] = Some(limit);
        reading.floats[9] = Some(temperature.round());
        reading.floats[10] = Some((*temperature + 6.0 + 9.0 * fraction).round());
        reading.ints[3] = Some(clock / 15 * 15 * 1_000_000);
        reading.ints[4] = Some(memory_clock * 1_000_000);
        reading.ints[5] = Some(throttle);
    }
}

/// Bytes in use and processes of a device in a segment.
pub(super) fn memory_of(cycle: &Cycle, device: &Device, segment: &Segment) -> (i64, i64) {
    let reserved = device.memory_reserved_bytes;
    let total = device.mig.map_or(device.model.memory_bytes(), |mig| mig.memory_bytes);
    match segment.run {
        Some(run) if segment.mode >= Mode::Idle => {
            let profile = cycle.loads[run as usize].profile;
            let kind = cycle.jobs[cycle.runs[run as usize].request].kind;
            // Before the first work a training has its weights there, but not yet its activations.
            let early = segment.mode == Mode::Idle && segment.from < cycle.runs[run as usize].start + 900;
            let part = if early && kind != Kind::Serve { 0.35 } else { 1.0 };
            (reserved + (profile.memory * part * (total - 2 * reserved) as f64) as i64, profile.processes)
        }
        _ => (reserved, 0),
    }
}
