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
    /// What processes of jobs did on it in the hour, each job once.
    pub processes: Vec<Processes>,
}

/// What the processes of a job did on one GPU in one hour.
#[derive(Debug, Clone)]
pub struct Processes {
    pub job: Arc<JobRun>,
    /// For which the longest of them was seen.
    pub seconds: f64,
    /// Busy ratio × seconds of all of them; none where it was not measured.
    pub sm_seconds: Option<f64>,
    /// Device memory × seconds of all of them; none where it was not measured.
    pub byte_seconds: Option<f64>,
}

/// A GPU, or MIG instance, and the jobs that its scheduler gave it to.
#[derive(Debug, Clone)]
pub struct Held {
    pub cluster: Arc<str>,
    pub gpu_uuid: Arc<str>,
    /// Where it is, for hours in which nobody has measured it; none where it is not charged then.
    pub place: Option<Arc<GpuPlace>>,
    pub holdings: Vec<Holding>,
}

/// A time for which a scheduler gave a GPU, or shares of it, to a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holding {
    pub job: Arc<JobRun>,
    /// Unix microseconds.
    pub from_micros: i64,
    /// The first microsecond after it; the last there is while it goes on.
    pub to_micros: i64,
    /// Likewise, where nothing but the scheduler says that it goes on: not beyond its last word.
    pub heard_to_micros: i64,
    /// Shares of a GPU that others may share; none where it holds all of it.
    pub shares: Option<u32>,
    /// Whether its scheduler names only nodes, all of whose GPUs the job asked for.
    pub is_inferred: bool,
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
    /// Whether the scheduler says which GPUs it holds, so that samples do not count for it elsewhere.
    pub says_gpus: bool,
}

/// What a job whose GPUs are measured holds beside them: its CPUs and memory.
#[derive(Debug, Clone)]
pub struct Request {
    pub job: Arc<JobRun>,
    /// Of its nodes, each once.
    pub places: Vec<Arc<GpuPlace>>,
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
    /// A stated charge for storage.
    Storage,
    /// A stated charge for what went over a network.
    Network,
    /// Any other stated charge.
    Other,
}

impl Category {
    pub const ALL: [Self; 8] =
        [Self::Gpu, Self::Cpu, Self::Memory, Self::Idle, Self::Overhead, Self::Storage, Self::Network, Self::Other];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Idle => "idle",
            Self::Overhead => "overhead",
            Self::Storage => "storage",
            Self::Network => "network",
            Self::Other => "other",
        }
    }
}

/// What a row's quantity counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    GpuHours,
    /// Hours of the CPUs that a GPU carries, where the price of a node is split.
    CpuShareHours,
    /// Hours of the memory that a GPU carries, where the price of a node is split.
    MemoryShareHours,
    CpuHours,
    /// 2^30 bytes for an hour.
    GibHours,
    /// Of an overhead.
    Months,
    /// 2^30 bytes for a month.
    GibMonths,
    /// 2^30 bytes.
    Gib,
    /// Of anything else.
    Units,
}

impl Unit {
    pub const ALL: [Self; 9] = [
        Self::GpuHours,
        Self::CpuShareHours,
        Self::MemoryShareHours,
        Self::CpuHours,
        Self::GibHours,
        Self::Months,
        Self::GibMonths,
        Self::Gib,
        Self::Units,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::GpuHours => "GPU-Hours",
            Self::CpuShareHours => "CPU-Share-Hours",
            Self::MemoryShareHours => "Memory-Share-Hours",
            Self::CpuHours => "CPU-Hours",
            Self::GibHours => "GiB-Hours",
            Self::Months => "Months",
            Self::GibMonths => "GiB-Months",
            Self::Gib => "GiB",
            Self::Units => "Units",
        }
    }
}

/// Where a rate comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PricedBy {
    /// `on_demand`, `spot`, `reserved`, `capacity_block`, `owned` or `charge`.
    pub kind: Arc<str>,
    /// Of the price book, or of the document of charges.
    pub version: Arc<str>,
    /// Line of the book, from 1.
    pub line: i64,
}

/// What an hour costs at a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    pub per_gpu_hour: Decimal,
    pub per_cpu_hour: Option<Decimal>,
    pub per_memory_gib_hour: Option<Decimal>,
    /// Of a GPU that is owned: what it draws is paid beside its hours.
    pub electricity: Option<Electricity>,
    pub by: Arc<PricedBy>,
}

/// What measured energy costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Electricity {
    /// At the GPU, so with all that it takes to bring it there.
    pub per_kwh: Decimal,
}

/// What the books say of a place and an hour.
#[derive(Debug, Clone, PartialEq)]
pub enum Priced {
    Price(Price),
    Unpriced,
    /// Several prices, none of which is more specific than the others.
    Ambiguous(Vec<PricedBy>),
}

/// Time that prices have, where there is none for an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhen {
    /// The last one ended before, at these Unix microseconds.
    Ended(i64),
    /// The first one begins later, at these Unix microseconds.
    Begins(i64),
}

/// Prices as the ledger asks for them.
pub trait Prices {
    /// At the start of an hour, Unix microseconds.
    fn price(&self, place: &GpuPlace, hour_micros: i64) -> Priced;

    /// When there is a price for an unpriced place; none where there never is, or nobody knows.
    fn elsewhen(&self, _place: &GpuPlace, _hour_micros: i64) -> Option<Elsewhen> {
        None
    }
}

/// One hour, GPU, owner, state and category.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerRow {
    /// Start of the hour in which the cost arose, Unix microseconds.
    pub hour_micros: i64,
    pub place: Arc<GpuPlace>,
    pub gpu_uuid: Option<Arc<str>>,
    /// Of a MIG instance. The rows of a GPU are its own and those of its instances.
    pub parent_gpu_uuid: Option<Arc<str>>,
    pub job: Option<Arc<JobRun>>,
    pub owner: Arc<Owner>,
    pub state: Option<GpuState>,
    pub category: Category,
    /// In `unit`s.
    pub quantity: f64,
    pub unit: Unit,
    /// Currency a unit; none where there is no price.
    pub rate: Option<Decimal>,
    pub priced_by: Option<Arc<PricedBy>>,
    /// None where there is no price.
    pub cost: Option<Micros>,
    /// What electricity is of the cost, beside quantity × rate; none where the price has none of its own.
    pub electricity: Option<Micros>,
    /// Electricity that the row stands for; none where it was not measured.
    pub energy_joules: Option<f64>,
    /// Name of an overhead or of a charge.
    pub overhead: Option<Arc<str>>,
}
