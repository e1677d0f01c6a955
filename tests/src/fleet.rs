//! A fleet for benchmarks: half random walks, the rest counters and constants, the same at each run.

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::ipc::writer::StreamWriter;
use std::sync::Arc;

/// What each GPU reports, and how its values move.
pub const METRICS: [(&str, Moves); 24] = [
    ("process_count", Moves::Constant(1.0)),
    ("gpu_busy_ratio", Moves::Walk { from: 0.0, to: 1.0, step: 0.01 }),
    ("memory_busy_ratio", Moves::Walk { from: 0.0, to: 1.0, step: 0.01 }),
    ("sm_active_ratio", Moves::Walk { from: 0.0, to: 1.0, step: 0.001 }),
    ("sm_occupancy_ratio", Moves::Walk { from: 0.0, to: 1.0, step: 0.001 }),
    ("tensor_active_ratio", Moves::Walk { from: 0.0, to: 1.0, step: 0.001 }),
    ("dram_active_ratio", Moves::Walk { from: 0.0, to: 1.0, step: 0.001 }),
    ("memory_used_bytes", Moves::Walk { from: 0.0, to: 8e10, step: 2_097_152.0 }),
    ("memory_total_bytes", Moves::Constant(85_899_345_920.0)),
    ("power_watts", Moves::Walk { from: 70.0, to: 700.0, step: 0.125 }),
    ("power_limit_watts", Moves::Constant(700.0)),
    ("energy_joules_total", Moves::Counts { least: 700, most: 7000 }),
    ("temperature_celsius", Moves::Walk { from: 25.0, to: 85.0, step: 1.0 }),
    ("memory_temperature_celsius", Moves::Walk { from: 25.0, to: 95.0, step: 1.0 }),
    ("sm_clock_hertz", Moves::Walk { from: 345e6, to: 1980e6, step: 15e6 }),
    ("memory_clock_hertz", Moves::Constant(2_619e6)),
    ("throttle_reasons", Moves::Constant(4.0)),
    ("pcie_receive_bytes_total", Moves::Counts { least: 1_000_000, most: 900_000_000 }),
    ("pcie_transmit_bytes_total", Moves::Counts { least: 1_000_000, most: 900_000_000 }),
    ("nvlink_receive_bytes_total", Moves::Counts { least: 0, most: 90_000_000_000 }),
    ("nvlink_transmit_bytes_total", Moves::Counts { least: 0, most: 90_000_000_000 }),
    ("ecc_corrected_total", Moves::Constant(3.0)),
    ("ecc_uncorrected_total", Moves::Constant(0.0)),
    ("remapped_rows_total", Moves::Constant(0.0)),
];

/// How a value gets from one sample to the next.
#[derive(Debug, Clone, Copy)]
pub enum Moves {
    Constant(f64),
    /// Up to three steps up or down, within bounds.
    Walk {
        from: f64,
        to: f64,
        step: f64,
    },
    /// Rises by a whole number.
    Counts {
        least: u64,
        most: u64,
    },
}

/// The values of all GPUs at one time.
#[derive(Clone)]
pub struct Fleet {
    gpus: usize,
    pub values: Vec<[f64; METRICS.len()]>,
    random: u64,
    step: u64,
}

/// Samples of a GPU between which its job may change: four hours of ten seconds.
const JOB_SAMPLES: u64 = 1440;

impl Fleet {
    pub fn new(gpus: usize) -> Self {
        let start = METRICS.map(|(_, moves)| match moves {
            Moves::Constant(value) => value,
            Moves::Walk { from, to, step } => from + ((to - from) / step / 2.0).round() * step,
            Moves::Counts { .. } => 0.0,
        });
        Self { gpus, values: vec![start; gpus], random: 0x9e37_79b9_7f4a_7c15, step: 0 }
    }

    /// xorshift; its quality does not matter here.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// Ten seconds later.
    pub fn advance(&mut self) {
        self.step += 1;
        for gpu in 0..self.gpus {
            let idle = self.is_idle(gpu);
            for (metric, (name, moves)) in METRICS.iter().enumerate() {
                let random = self.random();
                let value = &mut self.values[gpu][metric];
                match *moves {
                    Moves::Constant(_) => {}
                    Moves::Walk { from, .. } if idle && name.ends_with("_ratio") => *value = from,
                    Moves::Walk { from, to, step } => {
                        // Half of the samples are as the one before, as gauges of real GPUs are.
                        let steps = if random & 1 == 0 { 0.0 } else { (random >> 8) as f64 % 7.0 - 3.0 };
                        let at = ((*value - from) / step).round() + steps.trunc();
                        *value = (from + at * step).clamp(from, to);
                    }
                    Moves::Counts { least, most } => *value += (least + random % (most - least)) as f64,
                }
            }
        }
    }

    /// A GPU of seven is idle for four hours.
    fn is_idle(&self, gpu: usize) -> bool {
        (gpu as u64 / 8 + self.step / JOB_SAMPLES).is_multiple_of(7)
    }

    fn job(&self, gpu: usize) -> String {
        (gpu as u64 / 8 * 1000 + self.step / JOB_SAMPLES).to_string()
    }
}

/// Rows of `gpu_samples` on their way into one Arrow stream.
pub struct Rows {
    times: Vec<i64>,
    jobs: Vec<String>,
    gpus: Vec<usize>,
    values: Vec<[f64; METRICS.len()]>,
}

impl Rows {
    pub fn new() -> Self {
        Self { times: Vec::new(), jobs: Vec::new(), gpus: Vec::new(), values: Vec::new() }
    }

    pub fn add(&mut self, fleet: &Fleet, time_micros: i64) {
        for gpu in 0..fleet.gpus {
            self.times.push(time_micros);
            self.jobs.push(fleet.job(gpu));
            self.gpus.push(gpu);
            self.values.push(fleet.values[gpu]);
        }
    }

    /// The body of an ingest.
    pub fn into_stream(self) -> Vec<u8> {
        let text = |of: &dyn Fn(usize) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(self.gpus.iter().map(|gpu| of(*gpu))))
        };
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("time", Arc::new(TimestampMicrosecondArray::from(self.times.clone()).with_timezone("UTC"))),
            ("interval_seconds", Arc::new(Float64Array::from(vec![10.0; self.times.len()]))),
            ("cluster", text(&|_| "bench".to_owned())),
            ("node", text(&node)),
            ("gpu_uuid", text(&uuid)),
            ("gpu_index", Arc::new(Int64Array::from_iter_values(self.gpus.iter().map(|gpu| (gpu % 8) as i64)))),
            ("gpu_model", text(&|_| "NVIDIA H100 80GB HBM3".to_owned())),
            ("job_id", Arc::new(StringArray::from_iter_values(&self.jobs))),
        ];
        for (metric, (name, _)) in METRICS.iter().enumerate() {
            let values = self.values.iter().map(|values| values[metric]);
            let whole = name.ends_with("_bytes") || name.ends_with("_hertz") || *name == "process_count";
            let whole = whole || *name == "throttle_reasons" || name.ends_with("_total") && !name.contains("joules");
            let column: ArrayRef = match whole {
                true => Arc::new(Int64Array::from_iter_values(values.map(|value| value as i64))),
                false => Arc::new(Float64Array::from_iter_values(values)),
            };
            columns.push((name, column));
        }
        let batch = RecordBatch::try_from_iter(columns).expect("all columns have one row a sample");
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("the schema can be written");
        writer.write(&batch).expect("a batch can be written to memory");
        writer.into_inner().expect("a stream can be ended")
    }
}

impl Default for Rows {
    fn default() -> Self {
        Self::new()
    }
}

pub fn node(gpu: usize) -> String {
    format!("r{:02}-n{:02}", gpu / 64, gpu / 8 % 8)
}

pub fn uuid(gpu: usize) -> String {
    format!("GPU-{:08x}-1111-2222-3333-{gpu:012}", gpu as u64 * 2_654_435_761 % 4_294_967_296)
}

/// The same values as a Prometheus remote write, before its compression.
pub fn remote_write(fleet: &Fleet, time_millis: i64) -> Vec<u8> {
    remote_write_of(&[(fleet, time_millis)])
}

/// Likewise of several times between which no GPU changes its job.
pub fn remote_write_of(steps: &[(&Fleet, i64)]) -> Vec<u8> {
    let mut request = Vec::new();
    let Some((fleet, _)) = steps.first() else { return request };
    for gpu in 0..fleet.gpus {
        let (node, uuid, index, job) = (node(gpu), uuid(gpu), (gpu % 8).to_string(), fleet.job(gpu));
        for (metric, (name, _)) in METRICS.iter().enumerate() {
            let mut series = Vec::with_capacity(256);
            // Sorted by name, as a sender must.
            for (label, value) in [
                ("__name__", *name),
                ("cluster", "bench"),
                ("gpu_index", &index),
                ("gpu_model", "NVIDIA H100 80GB HBM3"),
                ("gpu_uuid", &uuid),
                ("job_id", &job),
                ("node", &node),
            ] {
                let mut pair = Vec::with_capacity(64);
                field(&mut pair, 1, label.as_bytes());
                field(&mut pair, 2, value.as_bytes());
                field(&mut series, 1, &pair);
            }
            for (fleet, time_millis) in steps {
                let mut sample = vec![0x09];
                sample.extend(fleet.values[gpu][metric].to_le_bytes());
                sample.push(0x10);
                varint(&mut sample, *time_millis as u64);
                field(&mut series, 2, &sample);
            }
            field(&mut request, 1, &series);
        }
    }
    request
}

/// A length-delimited field of a protocol buffer.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
