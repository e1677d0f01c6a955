//! What a change of the rules would move, before it is made.

use super::super::money::Micros;
use super::super::rows::{LedgerRow, Owner, Unit};
use super::{Owners, Ownership};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What goes from one owner to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    pub from: Arc<Owner>,
    pub to: Arc<Owner>,
    pub rows: u64,
    pub gpu_hours: f64,
    /// Of the rows that have a price.
    pub cost: Micros,
    pub unpriced_rows: u64,
}

/// The moves of a rule change over rows of a ledger, in order of the owners. Rows without a job follow no rule and
/// do not move; idle and overhead that are spread over owners move with the next computation.
pub fn moved(before: &Ownership, after: &Ownership, rows: &[LedgerRow]) -> Vec<Move> {
    let (mut before, mut after) = (Owners::new(before), Owners::new(after));
    let mut moves: BTreeMap<(Arc<Owner>, Arc<Owner>), Move> = BTreeMap::new();
    for row in rows {
        let Some(job) = &row.job else { continue };
        let (from, to) = (before.owner(job, row.hour_micros), after.owner(job, row.hour_micros));
        if from == to {
            continue;
        }
        let none = || Move {
            from: Arc::clone(&from),
            to: Arc::clone(&to),
            rows: 0,
            gpu_hours: 0.0,
            cost: Micros::ZERO,
            unpriced_rows: 0,
        };
        let entry = moves.entry((Arc::clone(&from), Arc::clone(&to))).or_insert_with(none);
        entry.rows += 1;
        entry.gpu_hours += if row.unit == Unit::GpuHours { row.quantity } else { 0.0 };
        entry.cost = entry.cost + row.cost.unwrap_or_default();
        entry.unpriced_rows += u64::from(row.cost.is_none());
    }
    moves.into_values().collect()
}
