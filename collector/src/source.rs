//! Where rows come from: one file per source, all returning the same [`Sample`].
//!
//! Owns the row types, in the units of the contract; whoever reads a device converts once, here.
//! Must not know who will look at the rows, nor how they travel.
//! **Invariant:** what a device does not report is `None`, never a zero and never a sentinel.

mod host;
mod live;
mod nvml;
mod pods;
mod process;
pub(crate) mod replay;
pub(crate) mod simulated;

pub(crate) use live::Live;
pub(crate) use nvml::{xid, xid_row};
pub(crate) use pods::{Pods, Unit};

use std::sync::Arc;

/// Everything that one look at the sources gave. Each row knows its own cluster and node.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sample {
    pub gpus: Vec<GpuRow>,
    pub hosts: Vec<HostRow>,
    pub processes: Vec<ProcessRow>,
    pub jobs: Vec<JobEventRow>,
    pub events: Vec<DeviceEventRow>,
}

impl Sample {
    /// Rows of all tables.
    pub(crate) fn rows(&self) -> usize {
        self.gpus.len() + self.hosts.len() + self.processes.len() + self.jobs.len() + self.events.len()
    }

    /// Adds the rows of a later look.
    pub(crate) fn append(&mut self, later: Self) {
        self.gpus.extend(later.gpus);
        self.hosts.extend(later.hosts);
        self.processes.extend(later.processes);
        self.jobs.extend(later.jobs);
        self.events.extend(later.events);
    }
}

/// A node within its cluster; shared by all rows that it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeIdentity {
    pub cluster: Arc<str>,
    pub node: Arc<str>,
}

/// What stays the same from one row of a GPU to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GpuIdentity {
    pub node: NodeIdentity,
    pub gpu_uuid: Arc<str>,
    pub gpu_index: i64,
    pub gpu_model: Arc<str>,
    pub parent_gpu_uuid: Option<Arc<str>>,
    pub mig_profile: Option<Arc<str>>,
}

/// The stretch of time that a row stands for: `time` is its start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub time_unix_micros: i64,
    pub seconds: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GpuRow {
    pub interval: Interval,
    pub gpu: Arc<GpuIdentity>,
    pub job_id: Option<Arc<str>>,
    pub process_count: Option<i64>,
    pub metrics: GpuMetrics,
}

/// The measured columns of `gpu_samples`, under their own names.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct GpuMetrics {
    pub gpu_busy_ratio: Option<f64>,
    pub memory_busy_ratio: Option<f64>,
    pub sm_active_ratio: Option<f64>,
    pub sm_occupancy_ratio: Option<f64>,
    pub tensor_active_ratio: Option<f64>,
    pub dram_active_ratio: Option<f64>,
    pub memory_used_bytes: Option<i64>,
    pub memory_total_bytes: Option<i64>,
    pub power_watts: Option<f64>,
    pub power_limit_watts: Option<f64>,
    pub energy_joules_total: Option<f64>,
    pub temperature_celsius: Option<f64>,
    pub memory_temperature_celsius: Option<f64>,
    pub sm_clock_hertz: Option<i64>,
    pub memory_clock_hertz: Option<i64>,
    pub throttle_reasons: Option<i64>,
    pub pcie_receive_bytes_total: Option<i64>,
    pub pcie_transmit_bytes_total: Option<i64>,
    pub nvlink_receive_bytes_total: Option<i64>,
    pub nvlink_transmit_bytes_total: Option<i64>,
    pub ecc_corrected_total: Option<i64>,
    pub ecc_uncorrected_total: Option<i64>,
    pub remapped_rows_total: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HostRow {
    pub interval: Interval,
    pub node: NodeIdentity,
    pub cpu_busy_ratio: f64,
    pub load_1m: f64,
    pub memory_used_bytes: i64,
    pub memory_total_bytes: i64,
    pub disk_read_bytes_total: i64,
    pub disk_write_bytes_total: i64,
    pub network_receive_bytes_total: i64,
    pub network_transmit_bytes_total: i64,
    pub rdma_receive_bytes_total: Option<i64>,
    pub rdma_transmit_bytes_total: Option<i64>,
    pub power_watts: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProcessRow {
    pub interval: Interval,
    pub node: NodeIdentity,
    pub gpu_uuid: Arc<str>,
    pub pid: i64,
    pub user: Option<Arc<str>>,
    pub command: Option<Arc<str>>,
    pub job_id: Option<Arc<str>>,
    pub memory_used_bytes: Option<i64>,
    pub sm_busy_ratio: Option<f64>,
}

/// One change in a job's life.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct JobEventRow {
    pub time_unix_micros: i64,
    pub cluster: Arc<str>,
    pub job_id: Arc<str>,
    pub attempt: i64,
    pub kind: &'static str,
    pub state: Option<Arc<str>>,
    pub name: Option<Arc<str>>,
    pub user: Option<Arc<str>>,
    pub account: Option<Arc<str>>,
    pub project: Option<Arc<str>>,
    pub queue: Option<Arc<str>>,
    pub gpus_requested: Option<i64>,
    pub cpus_requested: Option<i64>,
    pub memory_requested_bytes: Option<i64>,
    pub nodes: Option<Vec<Arc<str>>>,
    pub gpu_uuids: Option<Vec<Arc<str>>>,
    pub submitted_unix_micros: Option<i64>,
    pub started_unix_micros: Option<i64>,
    pub ended_unix_micros: Option<i64>,
    pub exit_code: Option<i64>,
    pub labels: Vec<(Arc<str>, Arc<str>)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeviceEventRow {
    pub time_unix_micros: i64,
    pub node: NodeIdentity,
    pub gpu_uuid: Option<Arc<str>>,
    pub kind: &'static str,
    pub code: Option<i64>,
    pub job_id: Option<Arc<str>>,
    pub severity: &'static str,
    pub message: String,
}
