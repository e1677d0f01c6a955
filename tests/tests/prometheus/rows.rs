//! A small fleet's samples, twice: as Arrow for our server, as OpenMetrics text for a Prometheus.

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::ipc::writer::StreamWriter;
use std::fmt::Write;
use std::sync::Arc;

/// 2026-03-01T00:00:00Z.
pub(crate) const T0: i64 = 1_772_323_200;
/// Seconds between samples.
const EVERY: i64 = 15;
/// Two hours of them.
const TICKS: i64 = 480;

pub(crate) enum Cells {
    Time(Vec<i64>),
    Text(Vec<Option<String>>),
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
}

pub(crate) struct Rows {
    pub(crate) table: &'static str,
    word: &'static str,
    /// Numbers that name.
    naming: &'static [&'static str],
    columns: Vec<(&'static str, Cells)>,
}

impl Rows {
    fn new(table: &'static str, word: &'static str, naming: &'static [&'static str]) -> Self {
        Self { table, word, naming, columns: Vec::new() }
    }

    fn column(&mut self, name: &'static str, empty: fn() -> Cells) -> &mut Cells {
        let at = self.columns.iter().position(|(known, _)| *known == name);
        let at = at.unwrap_or_else(|| {
            self.columns.push((name, empty()));
            self.columns.len() - 1
        });
        &mut self.columns[at].1
    }

    fn text(&mut self, name: &'static str, value: Option<&str>) {
        let Cells::Text(cells) = self.column(name, || Cells::Text(vec![])) else { panic!("{name} is no text") };
        cells.push(value.map(str::to_owned));
    }

    fn int(&mut self, name: &'static str, value: Option<i64>) {
        let Cells::Int(cells) = self.column(name, || Cells::Int(vec![])) else { panic!("{name} is no integer") };
        cells.push(value);
    }

    fn float(&mut self, name: &'static str, value: Option<f64>) {
        let Cells::Float(cells) = self.column(name, || Cells::Float(vec![])) else { panic!("{name} is no number") };
        cells.push(value);
    }

    fn start(&mut self, seconds: i64, cluster: &str, node: &str) {
        let Cells::Time(cells) = self.column("time", || Cells::Time(vec![])) else { panic!("time is none") };
        cells.push(seconds * 1_000_000);
        self.float("interval_seconds", Some(EVERY as f64));
        self.text("cluster", Some(cluster));
        self.text("node", Some(node));
    }

    /// One Arrow IPC stream.
    pub(crate) fn stream(&self) -> Vec<u8> {
        let array = |cells: &Cells| -> ArrayRef {
            match cells {
                Cells::Time(v) => Arc::new(TimestampMicrosecondArray::from(v.clone()).with_timezone("UTC")),
                Cells::Text(v) => Arc::new(StringArray::from(v.clone())),
                Cells::Int(v) => Arc::new(Int64Array::from(v.clone())),
                Cells::Float(v) => Arc::new(Float64Array::from(v.clone())),
            }
        };
        let columns = self.columns.iter().map(|(name, cells)| (*name, array(cells), true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns are of one length");
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a schema can be written");
        writer.write(&batch).expect("a batch can be written");
        writer.into_inner().expect("a stream can be ended")
    }

    /// The same samples, by the convention of docs/prometheus.md.
    pub(crate) fn open_metrics(&self, out: &mut String) {
        let rows = self.columns.iter().find_map(|(_, cells)| if let Cells::Time(t) = cells { Some(t) } else { None });
        for (row, time) in rows.expect("rows have a time").iter().enumerate() {
            let mut labels = Vec::new();
            for (name, cells) in &self.columns {
                match cells {
                    Cells::Text(v) => labels.extend(v[row].as_ref().map(|value| format!("{name}=\"{value}\""))),
                    Cells::Int(v) if self.naming.contains(name) => {
                        labels.extend(v[row].map(|value| format!("{name}=\"{value}\"")));
                    }
                    _ => {}
                }
            }
            let labels = labels.join(",");
            for (name, cells) in &self.columns {
                let value = match cells {
                    Cells::Int(v) if !self.naming.contains(name) => v[row].map(|value| value as f64),
                    Cells::Float(v) => v[row],
                    _ => None,
                };
                let Some(value) = value else { continue };
                let name = name.strip_prefix(self.word).and_then(|rest| rest.strip_prefix('_')).unwrap_or(name);
                let seconds = *time as f64 / 1e6;
                writeln!(out, "coulomb_{}_{name}{{{labels}}} {value} {seconds}", self.word).expect("text takes text");
            }
        }
    }
}

/// Numbers that look random and are always the same.
struct Noise(u64);

impl Noise {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }
}

const GPUS: [(&str, &str, i64, &str, &str); 5] = [
    ("alpha", "n1", 0, "GPU-a0", "H100"),
    ("alpha", "n1", 1, "GPU-a1", "H100"),
    ("alpha", "n2", 0, "GPU-b0", "A100"),
    ("alpha", "n2", 1, "GPU-b1", "A100"),
    ("beta", "n1", 0, "GPU-c0", "H100"),
];

/// Who holds the GPU. A job comes at least six minutes after the one before, because a Prometheus is not told in these
/// samples that a series has ended.
fn job(uuid: &str, tick: i64) -> Option<&'static str> {
    match (uuid, tick) {
        ("GPU-a0", _) => Some("101"),
        ("GPU-a1", 0..200) => Some("101"),
        ("GPU-a1", _) => Some("102"),
        ("GPU-b1", _) => Some("103"),
        _ => None,
    }
}

/// Whether the node was silent, or the job has just changed.
fn silent(uuid: &str, tick: i64) -> bool {
    matches!((uuid, tick), ("GPU-a1", 200..226) | ("GPU-b0" | "GPU-b1", 240..300) | ("GPU-c0", 90..93))
}

fn gpus() -> Rows {
    let mut rows = Rows::new("gpu_samples", "gpu", &["gpu_index"]);
    for (place, (cluster, node, index, uuid, model)) in GPUS.into_iter().enumerate() {
        let mut noise = Noise(place as u64 + 7);
        let (mut energy, mut bytes) = (1e6 * place as f64, 0i64);
        for tick in 0..TICKS {
            let busy = (0.5 + 0.5 * (tick as f64 / 40.0 + place as f64).sin()) * noise.next();
            let power = (90.0 + 600.0 * busy * 1000.0).round() / 1000.0;
            energy += power * EVERY as f64;
            bytes += (busy * 4e9) as i64;
            if uuid == "GPU-b0" && tick % 150 == 120 {
                // The driver was loaded anew.
                (energy, bytes) = (power, 0);
            }
            if silent(uuid, tick) {
                continue;
            }
            rows.start(T0 + tick * EVERY, cluster, node);
            rows.text("gpu_uuid", Some(uuid));
            rows.int("gpu_index", Some(index));
            rows.text("gpu_model", Some(model));
            rows.text("job_id", job(uuid, tick));
            rows.int("process_count", Some(i64::from(busy > 0.1)));
            rows.float("gpu_busy_ratio", (tick % 17 != 3).then_some(busy));
            rows.float("power_watts", Some(power));
            rows.float("energy_joules_total", Some(energy));
            rows.float("temperature_celsius", (uuid != "GPU-c0").then_some((30.0 + 50.0 * busy).round()));
            rows.int("memory_used_bytes", Some((busy * 8e10) as i64));
            rows.int("memory_total_bytes", Some(80_000_000_000));
            rows.int("pcie_receive_bytes_total", Some(bytes));
            rows.int("throttle_reasons", Some(if busy > 0.8 { 4 } else { 0 }));
            rows.int("ecc_uncorrected_total", (uuid != "GPU-b1").then_some(tick / 170));
        }
    }
    rows
}

fn hosts() -> Rows {
    let mut rows = Rows::new("host_samples", "host", &[]);
    for (place, (cluster, node)) in [("alpha", "n1"), ("alpha", "n2"), ("beta", "n1")].into_iter().enumerate() {
        let mut noise = Noise(place as u64 + 91);
        let mut bytes = [0i64; 4];
        for tick in 0..TICKS {
            let load = (64.0 * noise.next() * 100.0).round() / 100.0;
            bytes.iter_mut().for_each(|bytes| *bytes += (load * 1e6) as i64);
            rows.start(T0 + tick * EVERY, cluster, node);
            rows.float("cpu_busy_ratio", Some(load / 64.0));
            rows.float("load_1m", Some(load));
            rows.int("memory_used_bytes", Some((load * 1e9) as i64));
            rows.int("memory_total_bytes", Some(512_000_000_000));
            let names = [
                "disk_read_bytes_total",
                "disk_write_bytes_total",
                "network_receive_bytes_total",
                "network_transmit_bytes_total",
            ];
            names.into_iter().zip(bytes).for_each(|(name, bytes)| rows.int(name, Some(bytes)));
        }
    }
    rows
}

fn processes() -> Rows {
    let mut rows = Rows::new("process_samples", "process", &["pid"]);
    for (uuid, pid, user, from, to) in
        [("GPU-a0", 4_001, Some("ada"), 0, 480), ("GPU-a1", 4_002, Some("ada"), 0, 200), ("GPU-b1", 77, None, 100, 240)]
    {
        let mut noise = Noise(pid as u64);
        for tick in from..to {
            rows.start(T0 + tick * EVERY, "alpha", if uuid == "GPU-b1" { "n2" } else { "n1" });
            rows.text("gpu_uuid", Some(uuid));
            rows.int("pid", Some(pid));
            rows.text("user", user);
            rows.text("command", Some("python"));
            rows.int("memory_used_bytes", Some((noise.next() * 4e10) as i64));
            rows.float("sm_busy_ratio", (tick % 5 != 0).then(|| noise.next()));
        }
    }
    rows
}

pub(crate) fn all() -> [Rows; 3] {
    [gpus(), hosts(), processes()]
}
