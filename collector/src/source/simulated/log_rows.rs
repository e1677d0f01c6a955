//! `logs` of made-up jobs and nodes: what programs, the scheduler and the kernel would have written.
//!
//! Owns which lines there are and when. **Invariants:** a line lies in the window of its time; a kernel's line of an
//! Xid stands beside each event of one; however large the fleet, jobs write no more than those of [`GPUS_FULL`] GPUs.

use super::columns::{MICROS, batch, maps, texts, times};
use super::cycle::Cycle;
use super::gpu_rows::Stretch as Window;
use super::lines;
use super::topology::Topology;
use crate::batch::TableBatch;
use crate::source::DeviceEventRow;
use arrow::array::{ArrayRef, Int64Array};
use arrow::error::ArrowError;
use std::ops::Range;
use std::sync::Arc;

/// Beyond so many GPUs fewer jobs write lines.
const GPUS_FULL: f64 = 256.0;
/// Buses of the GPUs of a node, as boards for eight of them have them.
const BUSES: [u8; 8] = [0x18, 0x2a, 0x3a, 0x5d, 0x9a, 0xab, 0xba, 0xdb];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    fn number(self) -> i64 {
        match self {
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// A line of a job's output.
pub(super) struct Line {
    pub micros: i64,
    pub level: Level,
    pub body: String,
}

struct LogRow {
    line: Line,
    service: Arc<str>,
    node: Arc<str>,
    job_id: Option<Arc<str>>,
    /// The file that it was read from.
    file: Option<Arc<str>>,
}

#[derive(Default)]
pub(super) struct LogRows {
    rows: Vec<LogRow>,
    cluster: Arc<str>,
}

impl LogRows {
    pub(super) fn new(cluster: &str) -> Self {
        Self { rows: Vec::new(), cluster: Arc::from(cluster) }
    }

    /// Adds what the jobs of a cell wrote in a stretch of time.
    pub(super) fn add(&mut self, fleet: &Topology, cycle: &Cycle, window: Window) {
        let often = (GPUS_FULL / fleet.gpus as f64).min(1.0);
        for (number, run) in cycle.runs.iter().enumerate() {
            let job = &cycle.jobs[run.request];
            let is_here = run.start <= window.until && run.end + lines::AFTER_END >= window.from;
            let Some(device) = run.devices.first().filter(|_| is_here && job.draw.of("logs").chance(often)) else {
                continue;
            };
            let within: Range<i64> = window.from * MICROS..window.until * MICROS;
            let mut told = Vec::new();
            lines::of_run(fleet, cycle, number, &within, &mut told);
            told.retain(|line| within.contains(&line.micros));
            let node: Arc<str> = Arc::from(fleet.nodes[fleet.devices[*device].node].name.as_str());
            let service: Arc<str> = Arc::from(lines::service(job));
            let job_id: Arc<str> = Arc::from(job.job_id.as_str());
            let file = job.job_id.bytes().all(|b| b.is_ascii_digit()).then(|| format!("/var/log/slurm/{job_id}.out"));
            let file: Option<Arc<str>> = file.map(Arc::from);
            self.rows.extend(told.into_iter().map(|line| LogRow {
                line,
                service: Arc::clone(&service),
                node: Arc::clone(&node),
                job_id: Some(Arc::clone(&job_id)),
                file: file.clone(),
            }));
        }
    }

    /// Adds what the kernel wrote of events that lie in a stretch of time.
    pub(super) fn add_kernel(&mut self, fleet: &Topology, events: &[DeviceEventRow], window: &Range<i64>) {
        let is_here = |event: &&DeviceEventRow| {
            event.kind == "xid" && window.contains(&event.time_unix_micros.div_euclid(MICROS))
        };
        for event in events.iter().filter(is_here) {
            let uuid = event.gpu_uuid.as_deref();
            let device = fleet.devices.iter().find(|device| Some(device.uuid.as_str()) == uuid);
            let bus = BUSES[device.map_or(0, |device| device.index.unsigned_abs() as usize % BUSES.len())];
            let (code, what) = (event.code.unwrap_or(0), event.message.split_once(": ").map_or("", |(_, what)| what));
            let body = format!("NVRM: Xid (PCI:0000:{bus:02x}:00): {code}, pid='<unknown>', name=<unknown>, {what}");
            self.rows.push(LogRow {
                line: Line { micros: event.time_unix_micros, level: Level::Error, body },
                service: Arc::from("kernel"),
                node: Arc::clone(&event.node.node),
                job_id: None,
                file: None,
            });
        }
    }

    /// The rows in order of time, without a table that has none.
    pub(super) fn finish(mut self) -> Result<Option<TableBatch>, ArrowError> {
        self.rows.sort_by_key(|row| row.line.micros);
        let is_any = !self.rows.is_empty();
        is_any.then(|| batch("logs", self.rows.len(), |name| column(&self.rows, &self.cluster, name))).transpose()
    }
}

fn column(rows: &[LogRow], cluster: &str, name: &str) -> Option<ArrayRef> {
    let int = |of: fn(&LogRow) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) };
    Some(match name {
        "time" => times(rows.iter().map(|row| row.line.micros)),
        "time_nanos" => int(|_| 0),
        // A collector looks twice a second.
        "observed_at" => times(rows.iter().map(|row| (row.line.micros / 500_000 + 1) * 500_000)),
        "severity_number" => int(|row| row.line.level.number()),
        "severity" => texts(rows.iter().map(|row| Some(row.line.level.word()))),
        "body" => texts(rows.iter().map(|row| Some(row.line.body.as_str()))),
        "service" => texts(rows.iter().map(|row| Some(&*row.service))),
        "attributes" => {
            let pair = |row: &LogRow| row.file.iter().map(|file| ("log.file.path", Arc::clone(file))).collect();
            let pairs: Vec<Vec<(&str, Arc<str>)>> = rows.iter().map(pair).collect();
            maps(pairs.iter().map(Vec::as_slice))
        }
        "cluster" => texts(rows.iter().map(|_| Some(cluster))),
        "node" => texts(rows.iter().map(|row| Some(&*row.node))),
        "job_id" => texts(rows.iter().map(|row| row.job_id.as_deref())),
        _ => return None,
    })
}
