//! What other ownership rules would move in a month, before they are stated.

use super::allocations::Allocations;
use super::days::{self, DAY};
use super::inputs::{Jobs, Seen};
use super::{DocumentKind, Ledger, LedgerError};
use crate::cost::{Fault, LedgerRow, LineFault, Move, Moves, Ownership, Period};

/// What a change of rules moves.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// In order of the owners.
    pub moves: Vec<Move>,
    /// A closed month does not change: the moves are posted to the open one.
    pub is_closed: bool,
}

impl Ledger {
    /// What would go from one owner to another in a month if these rules (TOML) were stated in the place of those that
    /// hold, computed from the use, jobs and prices of now; nothing is kept.
    pub async fn moves(&self, period: Period, rules: &str) -> Result<Moved, LedgerError> {
        let (ledger, rules) = (self.clone(), rules.to_owned());
        self.on_runtime(async move { ledger.moves_here(period, &rules).await }).await
    }

    async fn moves_here(&self, period: Period, rules: &str) -> Result<Moved, LedgerError> {
        let named = |f: LineFault| Fault { document: DocumentKind::Ownership.file_name(), line: f.line, text: f.what };
        let after =
            Ownership::parse(rules).map_err(|found| LedgerError::Faults(found.into_iter().map(named).collect()))?;
        let statements = self.statements();
        let (jobs, seen) = (Jobs::ask(&self.inner.engine).await?, Seen::ask(&self.inner.engine).await?);
        let known_to = super::refresh::known_to((self.inner.clock)());
        let held = Allocations::ask(&self.inner.engine, &statements.pools, &jobs, &seen).await?;
        let all = days::All { statements: &statements, usage: &[], jobs: &jobs, held: &held, seen: &seen, known_to };
        let (from, to) = period.range_micros();
        let mut moves = Moves::new(&statements.ownership, &after);
        for day in from.div_euclid(DAY)..to.min(known_to + DAY - 1).div_euclid(DAY) {
            let rows: Vec<LedgerRow> = self.computed(&all, day, &statements.policy).await?.0;
            moves.add(&rows);
        }
        Ok(Moved { moves: moves.into_list(), is_closed: statements.is_closed(&period.to_string()) })
    }
}
