//! Two versions of the policies, or of anything else that makes rows, side by side for the same time.

use super::money::Micros;
use super::rows::{LedgerRow, Owner};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an owner pays for one reason under each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    pub owner: Arc<Owner>,
    pub a: Micros,
    pub b: Micros,
}

impl Compared {
    /// What B takes beyond A.
    pub fn difference(&self) -> Micros {
        self.b - self.a
    }
}

/// Amounts by owner, added up row by row, a day at a time if need be.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    owners: BTreeMap<Arc<Owner>, (Micros, Micros)>,
    unpriced: (u64, u64),
}

impl Comparison {
    /// The rows of both for the same hours.
    pub fn add(&mut self, a: &[LedgerRow], b: &[LedgerRow]) {
        for row in a {
            let sum = self.entry(row);
            sum.0 = sum.0 + row.cost.unwrap_or_default();
            self.unpriced.0 += u64::from(row.cost.is_none());
        }
        for row in b {
            let sum = self.entry(row);
            sum.1 = sum.1 + row.cost.unwrap_or_default();
            self.unpriced.1 += u64::from(row.cost.is_none());
        }
    }

    fn entry(&mut self, row: &LedgerRow) -> &mut (Micros, Micros) {
        self.owners.entry(Arc::clone(&row.owner)).or_default()
    }

    /// Owners in their order.
    pub fn owners(&self) -> Vec<Compared> {
        self.owners.iter().map(|(owner, (a, b))| Compared { owner: Arc::clone(owner), a: *a, b: *b }).collect()
    }

    /// All of A, and all of B. They are equal where the two differ in how they spread the same overheads.
    pub fn totals(&self) -> (Micros, Micros) {
        (self.owners.values().map(|(a, _)| *a).sum(), self.owners.values().map(|(_, b)| *b).sum())
    }

    /// Rows without a price in A, and in B.
    pub fn unpriced_rows(&self) -> (u64, u64) {
        self.unpriced
    }
}
