//! What the ledger is computed from, and its rows.

use super::money::Micros;
use contract::{ByState, GpuState};
use rust_decimal::Decimal;
use std::sync::Arc;

/// What prices and pools can tell GPUs apart by.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GpuPlace {
    pub cluster: Arc<str>,
    /// None where only accounting knows of the GPU.
    pub node: Option<Arc<str>>,
    pub gpu_model: Option<Arc<str>>,
    /// As the books' pools have it; none where no pool matches.
    pub pool: Option<Arc<str>>,
    pub provider: Option<Arc<str>>,
    pub region: Option<Arc<str>>,
}

/// One GPU, or MIG instance, in one hour, as `usage_hourly` has it.
#[derive(Debug, Clone)]
pub struct GpuHour {
    /// Start of the hour, Unix microseconds.
    pub hour_micros: i64,
    pub place: Arc<GpuPlace>,
    pub gpu_uuid: Arc<str>,
    pub parent_gpu_uuid: Option<Arc<str>>,
    pub mig_profile: Option<Arc<str>>,
    /// By job, and one for the time without a job.
    pub uses: Vec<Use>,
}

/// What a GPU did in one hour for one job, or for none.
#[derive(Debug, Clone)]
pub struct Use {
    pub job: Option<Arc<JobRun>>,
    /// Microseconds in each state.
    pub micros: ByState<i64>,
    pub energy_joules: Option<f64>,
}

/// An attempt of a job, as accounting has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobRun {
    pub cluster: Arc<str>,
    pub job_id: Arc<str>,
    pub attempt: i64,
    pub name: Option<Arc<str>>,
    pub user: Option<Arc<str>>,
    pub account: Option<Arc<str>>,
    pub project: Option<Arc<str>>,
    /// Partition of Slurm, namespace or local queue of Kubernetes, virtual cluster.
    pub queue: Option<Arc<str>>,
    /// In order of their names.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    pub gpus: Option<i64>,
    pub cpus: Option<i64>,
    pub memory_bytes: Option<i64>,
    /// Unix microseconds. Without a start it has not run; without an end it runs still, or nobody knows.
    pub started_micros: Option<i64>,
    pub ended_micros: Option<i64>,
}

/// Who pays, as the ownership rules say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// `unowned` where no rule matches.
    pub team: Arc<str>,
    pub project: Option<Arc<str>>,
    /// `unowned` where no rule matches.
    pub cost_centre: Arc<str>,
}

/// What the money of a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// The GPU's share of a job's time on it.
    Gpu,
    /// The share of the node's CPUs that its GPU carries, or CPUs that a job held by accounting.
    Cpu,
    /// Likewise of its memory.
    Memory,
    /// Time of a GPU that no job held.
    Idle,
    /// A shared cost that no GPU carries.
    Overhead,
}

impl Category {
    pub const ALL: [Self; 5] = [Self::Gpu, Self::Cpu, Self::Memory, Self::Idle, Self::Overhead];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Idle => "idle",
            Self::Overhead => "overhead",
        }
    }
}

/// Where a rate comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PricedBy {
    /// `on_demand`, `spot`, `reserved`, `capacity_block` or `owned`.
    pub kind: Arc<str>,
    /// Of the price book.
    pub version: Arc<str>,
    /// Line of the book, from 1.
    pub line: i64,
}

/// One hour, GPU, owner, state and category.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerRow {
    /// Start of the hour in which the cost arose, Unix microseconds.
    pub hour_micros: i64,
    pub place: Arc<GpuPlace>,
    pub gpu_uuid: Option<Arc<str>>,
    pub job: Option<Arc<JobRun>>,
    pub owner: Arc<Owner>,
    pub state: Option<GpuState>,
    pub category: Category,
    /// In `unit`s.
    pub quantity: f64,
    /// `GPU-Hours`, `CPU-Hours`, `GiB-Hours`, or `Months` of an overhead.
    pub unit: &'static str,
    /// Currency a unit; none where there is no price.
    pub rate: Option<Decimal>,
    pub priced_by: Option<Arc<PricedBy>>,
    /// None where there is no price.
    pub cost: Option<Micros>,
    /// Electricity that the row stands for; none where it was not measured.
    pub energy_joules: Option<f64>,
}
