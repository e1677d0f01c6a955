//! What rules look at: hours of the ledger, of telemetry and of jobs, summed up over one window. Plain values.
//!
//! **Invariant:** the cells of the ledger are disjoint: each of its rows with a GPU is in one cell at most.

use crate::cost::Micros;
use contract::GpuState;
use std::sync::Arc;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

pub(super) type Text = Arc<str>;

/// `[from, to)`, Unix microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    pub from_micros: i64,
    pub to_micros: i64,
}

impl Window {
    pub(super) fn micros(self) -> i64 {
        (self.to_micros - self.from_micros).max(0)
    }

    /// How much of it lies in another one.
    pub(super) fn shared(self, other: Self) -> i64 {
        (self.to_micros.min(other.to_micros) - self.from_micros.max(other.from_micros)).max(0)
    }
}

/// Rows of the ledger of one GPU, job and state.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) cluster: Text,
    pub(super) node: Option<Text>,
    pub(super) gpu_uuid: Text,
    pub(super) gpu_model: Option<Text>,
    pub(super) job_id: Option<Text>,
    pub(super) state: GpuState,
    pub(super) job_name: Option<Text>,
    pub(super) user: Option<Text>,
    pub(super) team: Text,
    /// From its first hour to the end of its last.
    pub(super) hours: Window,
    pub(super) gpu_hours: f64,
    /// None where no hour has a price.
    pub(super) cost: Option<Micros>,
    pub(super) unpriced_gpu_hours: f64,
}

/// What the samples of one GPU and job add up to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Use {
    pub(super) cluster: Text,
    pub(super) node: Text,
    pub(super) gpu_uuid: Text,
    pub(super) gpu_model: Text,
    pub(super) is_mig: bool,
    pub(super) job_id: Option<Text>,
    pub(super) hours: Window,
    /// Hours that samples cover.
    pub(super) sampled_hours: f64,
    pub(super) busy: Option<f64>,
    pub(super) busy_max: Option<f64>,
    pub(super) sm_active: Option<f64>,
    pub(super) tensor_active: Option<f64>,
    pub(super) memory_peak_bytes: Option<f64>,
    pub(super) memory_total_bytes: Option<f64>,
    pub(super) celsius_max: Option<f64>,
    /// Mean clock of the hours in which it was busy, and how many seconds these are.
    pub(super) busy_clock_hertz: Option<f64>,
    pub(super) busy_seconds: f64,
    /// Mean draw of the same hours against the limit.
    pub(super) busy_power_ratio: Option<f64>,
    pub(super) ecc_corrected: f64,
    pub(super) ecc_uncorrected: f64,
    pub(super) remapped_rows: f64,
}

/// One attempt of a job.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Job {
    pub(super) cluster: Text,
    pub(super) job_id: Text,
    pub(super) attempt: i64,
    pub(super) state: Option<Text>,
    pub(super) name: Option<Text>,
    pub(super) user: Option<Text>,
    pub(super) gpus: Option<i64>,
    pub(super) nodes: Vec<Text>,
    pub(super) gpu_uuids: Vec<Text>,
    pub(super) submitted: Option<i64>,
    pub(super) started: Option<i64>,
    pub(super) ended: Option<i64>,
    pub(super) exit_code: Option<i64>,
}

/// A row of `device_events`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Event {
    pub(super) time: i64,
    pub(super) cluster: Text,
    pub(super) node: Text,
    pub(super) gpu_uuid: Option<Text>,
    pub(super) kind: Text,
    pub(super) code: Option<i64>,
    /// As its row says, or who held the GPU then.
    pub(super) job_id: Option<Text>,
    pub(super) severity: Text,
    pub(super) message: Text,
}

/// An hour of a cluster in which GPUs were free.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SpareHour {
    pub(super) cluster: Text,
    pub(super) hour: i64,
    pub(super) gpu_hours: f64,
}

/// An hour of a GPU, or of an attempt, with its cost.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CostHour {
    pub(super) hour: i64,
    pub(super) gpu_hours: f64,
    pub(super) cost: Option<Micros>,
}

/// All that is known of a window.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The hours of the window that the ledger has.
    pub(super) window: Window,
    pub(super) currency: Text,
    pub(super) cells: Vec<Cell>,
    pub(super) uses: Vec<Use>,
    pub(super) jobs: Vec<Job>,
    pub(super) events: Vec<Event>,
    pub(super) spare: Vec<SpareHour>,
}

/// `1 GPU`, `8 GPUs`.
pub(super) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// `3.2 h`, `2.5 d`.
pub(super) fn span(micros: i64) -> String {
    let hours = micros as f64 / HOUR as f64;
    if hours < 48.0 { format!("{hours:.1} h") } else { format!("{:.1} d", hours / 24.0) }
}

/// The same words give the same id, in every run of every server.
pub(super) fn id_of(words: &[&str]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in words.iter().flat_map(|word| word.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}
