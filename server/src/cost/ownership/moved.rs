//! What a change of the rules would move, before it is made.

use super::super::money::Micros;
use super::super::rows::{LedgerRow, Owner, Unit};
use super::{Owners, Ownership};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What goes from one owner to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    pub from: Arc<Owner>,
    pub to: Arc<Owner>,
    /// Jobs, each counted once.
    pub jobs: u64,
    pub rows: u64,
    pub gpu_hours: f64,
    /// Of the rows that have a price.
    pub cost: Micros,
    pub unpriced_rows: u64,
}

/// The moves of a rule change over rows of a ledger, which come in parts.
pub struct Moves<'o> {
    before: Owners<'o>,
    after: Owners<'o>,
    moves: BTreeMap<(Arc<Owner>, Arc<Owner>), Move>,
    /// By the number of the move, in the order of their first rows.
    seen: HashSet<(usize, Arc<str>, Arc<str>)>,
    numbers: BTreeMap<(Arc<Owner>, Arc<Owner>), usize>,
}

impl<'o> Moves<'o> {
    pub fn new(before: &'o Ownership, after: &'o Ownership) -> Self {
        let (before, after) = (Owners::new(before), Owners::new(after));
        Self { before, after, moves: BTreeMap::new(), seen: HashSet::new(), numbers: BTreeMap::new() }
    }

    /// Rows without a job follow no rule and do not move; idle and overhead that are spread over owners move with the
    /// next computation.
    pub fn add(&mut self, rows: &[LedgerRow]) {
        for row in rows {
            let Some(job) = &row.job else { continue };
            let (from, to) = (self.before.owner(job, row.hour_micros), self.after.owner(job, row.hour_micros));
            if from == to {
                continue;
            }
            let key = (Arc::clone(&from), Arc::clone(&to));
            let next = self.numbers.len();
            let number = *self.numbers.entry(key.clone()).or_insert(next);
            let is_new = self.seen.insert((number, Arc::clone(&job.cluster), Arc::clone(&job.job_id)));
            let none = || Move { from, to, jobs: 0, rows: 0, gpu_hours: 0.0, cost: Micros::ZERO, unpriced_rows: 0 };
            let entry = self.moves.entry(key).or_insert_with(none);
            entry.jobs += u64::from(is_new);
            entry.rows += 1;
            entry.gpu_hours += if row.unit == Unit::GpuHours { row.quantity } else { 0.0 };
            entry.cost = entry.cost + row.cost.unwrap_or_default();
            entry.unpriced_rows += u64::from(row.cost.is_none());
        }
    }

    /// In order of the owners.
    pub fn into_list(self) -> Vec<Move> {
        self.moves.into_values().collect()
    }
}
