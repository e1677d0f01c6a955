//! From what is paid to what does useful work: where money and GPU-hours are lost, and whose the loss is.
//!
//! **Invariant:** what is known of a step, what is lost before it and what nobody knows sum to what was paid; the
//! order in which rows are added makes no difference.

use super::money::Micros;
use super::rows::{Category, LedgerRow, Unit};
use contract::GpuState;
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Integers in which ratios and hours are summed.
const PARTS: i128 = 1_000_000;
const HOUR_PARTS: f64 = 3.6e9;

/// From above to below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    Paid,
    /// A job has it.
    Allocated,
    /// A process of the job is there.
    HeldByProcess,
    /// Its multiprocessors work.
    SmActive,
    /// Its tensor cores work.
    TensorActive,
    /// The work was not lost or repeated.
    Goodput,
}

impl Stage {
    pub const ALL: [Self; 6] =
        [Self::Paid, Self::Allocated, Self::HeldByProcess, Self::SmActive, Self::TensorActive, Self::Goodput];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Allocated => "allocated",
            Self::HeldByProcess => "held_by_process",
            Self::SmActive => "sm_active",
            Self::TensorActive => "tensor_active",
            Self::Goodput => "goodput",
        }
    }

    /// Who can do something about what is lost on the way to this step.
    pub fn loss_is_of(self) -> Option<&'static str> {
        match self {
            Self::Paid => None,
            Self::Allocated => Some("platform: GPUs that no job held, or that were down"),
            Self::HeldByProcess => Some("job owner: GPUs held without a process"),
            Self::SmActive => Some("job owner: processes that wait for input, hosts or each other"),
            Self::TensorActive => Some("job owner: work that tensor cores do not do"),
            Self::Goodput => Some("job owner and platform: work lost to failures and restarts"),
        }
    }
}

/// GPU-hours and money.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Amount {
    pub gpu_hours: f64,
    pub cost: Micros,
}

/// A step of the waterfall.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub stage: Stage,
    /// What got as far as here; none where nothing is known of it.
    pub reached: Option<Amount>,
    /// What got as far as the step above and not to here.
    pub lost: Amount,
    /// What may have got as far as here, or not: nobody measured.
    pub unknown: Amount,
}

/// Mean ratios of the time that a row stands for; none where they were not measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Activity {
    pub sm_active_ratio: Option<f64>,
    pub tensor_active_ratio: Option<f64>,
    /// Part of the work that was kept.
    pub goodput_ratio: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Total {
    /// Microseconds of GPUs × parts.
    time: i128,
    /// Micros × parts.
    cost: i128,
}

impl Total {
    fn add(&mut self, time: i128, cost: i128, parts: i128) {
        self.time += time * parts;
        self.cost += cost * parts;
    }

    fn plus(self, other: Self) -> Self {
        Self { time: self.time + other.time, cost: self.cost + other.cost }
    }

    /// The difference to a smaller one, of what both are when they are rounded.
    fn beyond(self, smaller: Self) -> Amount {
        let gpu_hours = Self { time: self.time - smaller.time, cost: 0 }.amount().gpu_hours;
        Amount { gpu_hours, cost: self.amount().cost - smaller.amount().cost }
    }

    fn amount(self) -> Amount {
        let hours = self.time as f64 / PARTS as f64 / HOUR_PARTS;
        Amount { gpu_hours: hours, cost: Micros(half_even(self.cost)) }
    }
}

/// A sum of parts, as whole micros.
fn half_even(parts: i128) -> i64 {
    let (whole, rest) = (parts.div_euclid(PARTS), parts.rem_euclid(PARTS));
    let up = rest * 2 > PARTS || (rest * 2 == PARTS && whole % 2 != 0);
    i64::try_from(whole + i128::from(up)).unwrap_or(i64::MAX)
}

/// Sums over rows, for the steps and for what a unit of work costs.
#[derive(Debug, Clone, Default)]
pub struct Waterfall {
    reached: [Total; Stage::ALL.len()],
    unknown: [Total; Stage::ALL.len()],
    /// GPU time without a price, in microseconds.
    unpriced: i128,
    jobs: BTreeSet<(Arc<str>, Arc<str>, i64)>,
}

/// What a unit of work costs; none where there was none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnitCosts {
    /// Currency for an hour in which a GPU worked for a job: all that was paid by the hours that were active.
    pub per_active_gpu_hour: Option<Decimal>,
    /// Currency for an hour in which a job had a GPU.
    pub per_allocated_gpu_hour: Option<Decimal>,
    /// Currency for a job, attempts counted one by one.
    pub per_job: Option<Decimal>,
}

impl Waterfall {
    /// Adds a row of the ledger. Overheads and charges are no GPU's and do not count; CPUs and memory count as money of the
    /// GPU that carries them.
    pub fn add(&mut self, row: &LedgerRow, activity: Activity) {
        if matches!(row.category, Category::Overhead | Category::Storage | Category::Network | Category::Other) {
            return;
        }
        let time = if row.unit == Unit::GpuHours { (row.quantity * HOUR_PARTS).round() as i128 } else { 0 };
        let cost = i128::from(row.cost.unwrap_or_default().0);
        if row.cost.is_none() {
            self.unpriced += time;
        }
        if let Some(job) = row.job.as_deref().filter(|_| row.category != Category::Idle) {
            let id = (Arc::clone(&job.cluster), Arc::clone(&job.job_id), job.attempt);
            self.jobs.insert(id);
        }
        let mut known = Some(PARTS);
        for (at, stage) in Stage::ALL.into_iter().enumerate() {
            let before = known;
            known = known.and_then(|parts| next(stage, row, activity, parts));
            match (known, before) {
                (Some(parts), _) => self.reached[at].add(time, cost, parts),
                // Whatever reached the last known step may have come as far as here.
                (None, Some(parts)) => self.unknown[at..].iter_mut().for_each(|total| total.add(time, cost, parts)),
                (None, None) => {}
            }
        }
    }

    /// The steps, from all that is paid.
    pub fn steps(&self) -> Vec<Step> {
        // What may have got as far as a step falls from step to step, so rounded it does, too.
        let possible: Vec<Total> = self.reached.iter().zip(&self.unknown).map(|(r, u)| r.plus(*u)).collect();
        let step = |(at, stage): (usize, Stage)| {
            let (reached, above) = (self.reached[at], possible[at.saturating_sub(1)]);
            let nothing_known = reached.time == 0 && reached.cost == 0 && self.unknown[at].time > 0;
            Step {
                stage,
                reached: (!nothing_known).then(|| reached.amount()),
                lost: above.beyond(possible[at]),
                unknown: possible[at].beyond(reached),
            }
        };
        Stage::ALL.into_iter().enumerate().map(step).collect()
    }

    /// GPU-hours that have no price, so that their money is missing above.
    pub fn unpriced_gpu_hours(&self) -> f64 {
        self.unpriced as f64 / HOUR_PARTS
    }

    pub fn unit_costs(&self) -> UnitCosts {
        let paid = self.reached[0].cost / PARTS;
        let each = |count: Option<Decimal>| {
            let paid = Decimal::try_from_i128_with_scale(paid, 6).ok()?;
            paid.checked_div(count?).map(|cost| cost.round_dp(6))
        };
        // Microseconds, to six decimals of an hour.
        let hours = |total: Total| Decimal::try_from_i128_with_scale(total.time / PARTS / 3_600, 6).ok();
        let at = |stage: Stage| self.reached[stage as usize];
        UnitCosts {
            per_active_gpu_hour: each(hours(at(Stage::SmActive))),
            per_allocated_gpu_hour: each(hours(at(Stage::Allocated))),
            per_job: each(Some(Decimal::from(self.jobs.len()))),
        }
    }
}

/// Parts of a row that get from the step above to this one; none where nobody knows.
fn next(stage: Stage, row: &LedgerRow, activity: Activity, parts: i128) -> Option<i128> {
    let of = |ratio: Option<f64>| {
        let ratio = ratio.filter(|ratio| ratio.is_finite())?;
        Some((parts as f64 * ratio.clamp(0.0, 1.0)).round() as i128)
    };
    // Time in which nothing works has no ratio to measure.
    let works = row.state.is_none_or(|state| matches!(state, GpuState::Active | GpuState::Unknown));
    match stage {
        Stage::Paid => Some(parts),
        Stage::Allocated if row.category == Category::Idle => Some(0),
        Stage::Allocated => Some(parts),
        Stage::HeldByProcess => match row.state {
            Some(GpuState::Active | GpuState::HeldIdle) => Some(parts),
            Some(GpuState::HeldEmpty | GpuState::Unallocated | GpuState::Down) => Some(0),
            Some(GpuState::Unknown) | None => (parts == 0).then_some(0),
        },
        _ if parts == 0 || !works => Some(0),
        Stage::SmActive => of(activity.sm_active_ratio),
        // Both ratios are of the same time, so the tensor cores' is not a part of the multiprocessors'.
        Stage::TensorActive => {
            let tensor = activity.tensor_active_ratio.filter(|ratio| ratio.is_finite())?;
            Some(((PARTS as f64 * tensor.clamp(0.0, 1.0)).round() as i128).min(parts))
        }
        Stage::Goodput => of(activity.goodput_ratio),
    }
}
