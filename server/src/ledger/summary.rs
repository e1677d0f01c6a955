//! One reading of the ledger that answers several questions: sums, months and the waterfall.

use super::read::{Rows, rows_of};
use super::slice::Slice;
use super::{Ledger, LedgerError};
use crate::cost::{Activity, Category, GpuPlace, JobRun, LedgerRow, Micros, Owner, UNOWNED, Unit, Waterfall};
use contract::GpuState;
use contract::answers::CostMonth;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the waterfall tells rows apart by: the first columns of a question.
pub(super) const KINDS: &str = "state, category, unit, job_id is not null, sm_active_ratio is not null, \
    tensor_active_ratio is not null";
/// The columns that follow. Ratios are means over the hours of a GPU and job, weighted by cost.
pub(super) const SUMS: &str = "sum(cost_micros), sum(quantity), sum(quantity) filter (where cost_micros is null), \
    sum(cost_micros * sm_active_ratio), sum(cost_micros * tensor_active_ratio), sum(cost_micros * 1.0e0)";
/// Columns of both; what comes next is the question's own.
pub(super) const COLUMNS: usize = 12;

const COST: usize = 6;
const QUANTITY: usize = 7;
const UNPRICED: usize = 8;

/// What all rows of a slice sum to.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) cost_micros: i64,
    pub(super) gpu_hours: f64,
    pub(super) unpriced_gpu_hours: f64,
    pub(super) idle_micros: i64,
    pub(super) unowned_micros: i64,
    /// By their names; whether they are closed is not in the rows.
    pub(super) months: BTreeMap<String, CostMonth>,
    pub(super) waterfall: Waterfall,
}

impl Ledger {
    pub(super) async fn summary(&self, slice: &Slice) -> Result<Summary, LedgerError> {
        let conditions = slice.conditions("")?;
        let sql = format!(
            "select {KINDS}, {SUMS}, period, corrects is not null, team = '{UNOWNED}' from ledger where {} \
             group by 1, 2, 3, 4, 5, 6, 13, 14, 15",
            conditions.text()
        );
        let mut summary = Summary::default();
        for batch in rows_of(&self.inner.engine, &sql, conditions.with).await? {
            let rows = Rows::new(&batch);
            (0..batch.num_rows()).for_each(|row| summary.add(&rows, row));
        }
        Ok(summary)
    }
}

impl Summary {
    fn add(&mut self, rows: &Rows<'_>, row: usize) {
        let cost = rows.int(COST, row).unwrap_or_default();
        let is = |at: usize| rows.bool(at, row).unwrap_or_default();
        let of_gpus = |at: usize| match rows.text(2, row) {
            Some(unit) if unit == Unit::GpuHours.as_str() => rows.float(at, row).unwrap_or_default(),
            _ => 0.0,
        };
        let (hours, unpriced) = (of_gpus(QUANTITY), of_gpus(UNPRICED));
        self.cost_micros += cost;
        self.gpu_hours += hours;
        self.unpriced_gpu_hours += unpriced;
        match rows.text(1, row) {
            Some(category) if category == Category::Idle.as_str() => self.idle_micros += cost,
            _ if is(COLUMNS + 2) => self.unowned_micros += cost,
            _ => {}
        }
        let period = rows.text(COLUMNS, row).unwrap_or_default();
        let month = self.months.entry(period.to_owned()).or_default();
        month.cost_micros += cost;
        month.correction_micros += if is(COLUMNS + 1) { cost } else { 0 };
        month.unpriced_gpu_hours += unpriced;
        add(&mut self.waterfall, rows, row);
    }
}

/// Adds rows that are alike in [`KINDS`] to a waterfall.
pub(super) fn add(waterfall: &mut Waterfall, rows: &Rows<'_>, row: usize) {
    let whole = rows.float(11, row).filter(|cost| *cost != 0.0);
    let ratio = |at| Some((rows.float(at, row)? / whole?).clamp(0.0, 1.0));
    let activity = Activity { sm_active_ratio: ratio(9), tensor_active_ratio: ratio(10), goodput_ratio: None };
    if let Some(summed) = summed(rows, row) {
        waterfall.add(&summed, activity);
    }
}

/// Many rows as one, as far as the waterfall looks at it.
fn summed(rows: &Rows<'_>, row: usize) -> Option<LedgerRow> {
    let text = |at: usize| rows.text(at, row);
    let has_job = rows.bool(3, row).unwrap_or_default();
    Some(LedgerRow {
        hour_micros: 0,
        place: Arc::new(GpuPlace::default()),
        gpu_uuid: None,
        parent_gpu_uuid: None,
        job: has_job.then(|| Arc::new(JobRun::default())),
        owner: Arc::new(Owner { team: UNOWNED.into(), project: None, cost_centre: UNOWNED.into() }),
        state: text(0).and_then(|name| GpuState::ALL.into_iter().find(|state| state.as_str() == name)),
        category: text(1).and_then(|name| Category::ALL.into_iter().find(|c| c.as_str() == name))?,
        quantity: rows.float(QUANTITY, row).unwrap_or_default(),
        unit: text(2).and_then(|name| Unit::ALL.into_iter().find(|unit| unit.as_str() == name))?,
        rate: None,
        priced_by: None,
        cost: rows.int(COST, row).map(Micros),
        electricity: None,
        energy_joules: None,
        overhead: None,
    })
}
