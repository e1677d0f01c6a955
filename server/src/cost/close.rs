//! Months that are closed: what has changed since is posted to the open month, and names the month that it corrects.
//!
//! **Invariants:** frozen rows are read and never changed; with what is posted they sum to the fresh rows, for every
//! hour, place, GPU, job, owner, state and category; nothing but an adjustment is negative.

use super::money::Micros;
use super::period::Period;
use super::rows::{Category, GpuPlace, JobRun, LedgerRow, Owner, Unit};
use contract::GpuState;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Hours that are rounding: four microseconds of a GPU.
const QUANTITY_NOISE: f64 = 1e-9;
/// Likewise of joules.
const ENERGY_NOISE: f64 = 1e-3;

/// A difference to rows of a closed month, which belongs to the month that is open.
#[derive(Debug, Clone, PartialEq)]
pub struct Adjustment {
    /// The month that it corrects: that of its hour.
    pub corrects: Period,
    /// Its hour is that of the rows that it corrects; quantity, cost, electricity and energy are differences. Its
    /// cost is none where neither the frozen nor the fresh rows have one.
    pub row: LedgerRow,
}

/// What rows are about. What a scheduler learns of a job later, such as its end, makes no other row of it.
type Subject<'r> = (Time<'r>, Option<Job<'r>>, &'r Owner, Option<GpuState>, Category, Unit, Option<&'r str>);
type Time<'r> = (i64, &'r GpuPlace, Option<&'r str>, Option<&'r str>);
type Job<'r> = (&'r str, &'r str, i64, [Option<&'r str>; 5], &'r [(Arc<str>, Arc<str>)]);

fn subject(row: &LedgerRow) -> Subject<'_> {
    let time = (row.hour_micros, &*row.place, row.gpu_uuid.as_deref(), row.parent_gpu_uuid.as_deref());
    let job = row.job.as_deref().map(named);
    (time, job, &row.owner, row.state, row.category, row.unit, row.overhead.as_deref())
}

fn named(job: &JobRun) -> Job<'_> {
    let names = [&job.name, &job.user, &job.account, &job.project, &job.queue].map(Option::as_deref);
    (&job.cluster, &job.job_id, job.attempt, names, &job.labels)
}

/// Sums over rows of one subject.
#[derive(Default)]
struct Sums<'r> {
    /// The last row, fresh before frozen, which says what the subject looks like.
    shape: Option<&'r LedgerRow>,
    quantity: f64,
    cost: Micros,
    electricity: Micros,
    energy_joules: f64,
    /// Whether any row had them.
    priced: bool,
    powered: bool,
    measured: bool,
}

impl<'r> Sums<'r> {
    fn add(&mut self, row: &'r LedgerRow, sign: i64) {
        self.shape = Some(row);
        self.quantity += sign as f64 * row.quantity;
        self.cost = self.cost + Micros(sign * row.cost.unwrap_or_default().0);
        self.electricity = self.electricity + Micros(sign * row.electricity.unwrap_or_default().0);
        self.energy_joules += sign as f64 * row.energy_joules.unwrap_or(0.0);
        self.priced |= row.cost.is_some();
        self.powered |= row.electricity.is_some();
        self.measured |= row.energy_joules.is_some();
    }

    /// The row that has to be posted, if there is a difference.
    fn difference(self) -> Option<LedgerRow> {
        let quantity = if self.quantity.abs() < QUANTITY_NOISE { 0.0 } else { self.quantity };
        let energy = if self.energy_joules.abs() < ENERGY_NOISE { 0.0 } else { self.energy_joules };
        let money = (self.cost, self.electricity) != (Micros::ZERO, Micros::ZERO);
        if !money && quantity == 0.0 && energy == 0.0 {
            return None;
        }
        let row = self.shape?.clone();
        Some(LedgerRow {
            quantity,
            cost: self.priced.then_some(self.cost),
            electricity: self.powered.then_some(self.electricity),
            energy_joules: self.measured.then_some(energy),
            ..row
        })
    }
}

/// What has to be posted to the open month so that `frozen` and it are `fresh`. `frozen` are all rows that are there
/// for some hours of closed months, earlier adjustments of them included; `fresh` are those hours computed anew.
/// In order of what the rows are about; rows whose hour lies in no month are passed over.
pub fn adjustments(frozen: &[LedgerRow], fresh: &[LedgerRow]) -> Vec<Adjustment> {
    let mut sums: BTreeMap<Subject<'_>, Sums<'_>> = BTreeMap::new();
    for row in frozen {
        sums.entry(subject(row)).or_default().add(row, -1);
    }
    for row in fresh {
        sums.entry(subject(row)).or_default().add(row, 1);
    }
    let rows = sums.into_values().filter_map(Sums::difference);
    rows.filter_map(|row| Some(Adjustment { corrects: Period::of(row.hour_micros)?, row })).collect()
}
