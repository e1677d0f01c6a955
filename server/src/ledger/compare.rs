//! Two policies on the same month, before one of them is chosen.

use super::allocations::Allocations;
use super::days::{self, DAY};
use super::inputs::{Jobs, Seen};
use super::{Ledger, LedgerError};
use crate::cost::{Comparison, Fault, Period, Policy};

impl Ledger {
    /// What each owner would pay for a month under two policies, computed from the use and the prices of now; nothing
    /// is kept. A day at a time.
    pub async fn compare(&self, period: Period, a: &str, b: &str) -> Result<Comparison, LedgerError> {
        let (ledger, a, b) = (self.clone(), a.to_owned(), b.to_owned());
        self.on_runtime(async move { ledger.compare_here(period, &a, &b).await }).await
    }

    async fn compare_here(&self, period: Period, a: &str, b: &str) -> Result<Comparison, LedgerError> {
        let policies = [("A", a), ("B", b)].map(|(name, text)| {
            Policy::parse(text).map_err(|found| {
                let fault = |f: crate::cost::LineFault| Fault { document: name.to_owned(), line: f.line, text: f.what };
                found.into_iter().map(fault).collect::<Vec<_>>()
            })
        });
        let (a, b) = match policies {
            [Ok(a), Ok(b)] => (a, b),
            [a, b] => return Err(LedgerError::Faults([a.err(), b.err()].into_iter().flatten().flatten().collect())),
        };
        let statements = self.statements();
        let (jobs, seen) = (Jobs::ask(&self.inner.engine).await?, Seen::ask(&self.inner.engine).await?);
        let known_to = super::refresh::known_to((self.inner.clock)());
        let held = Allocations::ask(&self.inner.engine, &statements.pools, &jobs, &seen).await?;
        let all = days::All { statements: &statements, usage: &[], jobs: &jobs, held: &held, seen: &seen, known_to };
        let (from, to) = period.range_micros();
        let mut comparison = Comparison::default();
        for day in from.div_euclid(DAY)..to.min(known_to + DAY - 1).div_euclid(DAY) {
            let (under_a, _) = self.computed(&all, day, &a).await?;
            let (under_b, _) = self.computed(&all, day, &b).await?;
            comparison.add(&under_a, &under_b);
        }
        Ok(comparison)
    }
}
