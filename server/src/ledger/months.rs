//! The months of the ledger: what each costs, and how it stands.

use super::read::{Rows, rows_of};
use super::{Ledger, LedgerError};
use crate::cost::Period;
use contract::answers::CostMonth;

/// Without the use of the GPUs, so that a list of months reads four columns.
const SQL: &str = "select period, coalesce(sum(cost_micros), 0), \
    coalesce(sum(cost_micros) filter (where corrects is not null), 0), \
    coalesce(sum(quantity) filter (where unit = 'GPU-Hours' and cost_micros is null), 0.0) \
    from ledger group by 1 order by 1";

impl Ledger {
    /// All months that have rows, the oldest first.
    pub async fn months(&self) -> Result<Vec<CostMonth>, LedgerError> {
        let mut months = Vec::new();
        for batch in rows_of(&self.inner.engine, SQL, Vec::new()).await? {
            let rows = Rows::new(&batch);
            months.extend((0..batch.num_rows()).map(|row| CostMonth {
                period: rows.text(0, row).unwrap_or_default().to_owned(),
                cost_micros: rows.int(1, row).unwrap_or_default(),
                correction_micros: rows.int(2, row).unwrap_or_default(),
                unpriced_gpu_hours: rows.float(3, row).unwrap_or_default(),
                ..CostMonth::default()
            }));
        }
        Ok(months.into_iter().map(|month| self.standing(month)).collect())
    }

    /// With whether it is closed, and whether it is over.
    pub(super) fn standing(&self, month: CostMonth) -> CostMonth {
        CostMonth {
            is_closed: self.statements().is_closed(&month.period),
            is_over: Period::parse(&month.period).is_some_and(|period| self.is_over(period)),
            ..month
        }
    }
}
