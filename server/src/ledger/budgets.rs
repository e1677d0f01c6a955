//! Budgets against the ledger: what each has spent, day by day, and what the rest of its time will probably take.

use super::days::DAY;
use super::read::{Rows, rows_of};
use super::refresh::known_to;
use super::{Ledger, LedgerError};
use crate::cost::{Budget, BurnDown, DayCost, LedgerDimension, Micros};
use crate::query::Parameter;
use std::collections::BTreeMap;

/// What a forecast learns from, before the budget's own time.
const DAYS_BEFORE: i64 = 56;

/// A budget at some time.
#[derive(Debug, Clone)]
pub struct BudgetNow {
    pub budget: Budget,
    pub burn_down: BurnDown,
    /// Hours that count against it and have no price: what they cost is in no amount.
    pub unpriced_gpu_hours: f64,
}

/// What a budget covers, by day since the epoch.
#[derive(Default)]
struct Covered {
    by_day: BTreeMap<i64, Micros>,
    unpriced_gpu_hours: f64,
}

impl Ledger {
    /// How each budget stands at an instant (Unix microseconds), in the order of the document. Fails where the instant
    /// lies ahead: what is to come is the forecast's.
    pub async fn budgets(&self, at_micros: i64) -> Result<Vec<BudgetNow>, LedgerError> {
        let now = (self.inner.clock)();
        if at_micros > now {
            let why = "at lies ahead; budgets are told as of now or before, and forecast from there";
            return Err(LedgerError::Refused(why.to_owned()));
        }
        // An hour that is not known yet is none that cost nothing.
        let at_micros = at_micros.min(known_to(now));
        let statements = self.statements();
        // One question for all budgets that look at the same dimensions.
        let mut alike: BTreeMap<Vec<&str>, Vec<&Budget>> = BTreeMap::new();
        for budget in &statements.budgets {
            alike.entry(budget.selectors().map(|(name, _)| name).collect()).or_default().push(budget);
        }
        let mut found: BTreeMap<&str, BudgetNow> = BTreeMap::new();
        for (names, budgets) in alike {
            let covered = self.covered(&names, &budgets, at_micros).await?;
            for (budget, covered) in budgets.into_iter().zip(covered) {
                let Some(burn_down) = budget.burn_down(&without_gaps(&covered.by_day, at_micros), at_micros) else {
                    return Err(LedgerError::Refused("at is beyond the calendar".to_owned()));
                };
                let Covered { unpriced_gpu_hours, .. } = covered;
                let now = BudgetNow { budget: budget.clone(), burn_down, unpriced_gpu_hours };
                found.insert(&budget.name, now);
            }
        }
        Ok(statements.budgets.iter().filter_map(|budget| found.remove(&*budget.name)).collect())
    }

    /// What each of the budgets covers, which all look at the same dimensions.
    async fn covered(&self, names: &[&str], budgets: &[&Budget], at_micros: i64) -> Result<Vec<Covered>, LedgerError> {
        let starts = budgets.iter().filter_map(|budget| budget.range_micros(at_micros)).map(|(from, _)| from);
        let first = starts.min().unwrap_or(at_micros);
        let from = first.min(at_micros.saturating_sub(DAYS_BEFORE * DAY).div_euclid(DAY) * DAY);
        let columns: Vec<&str> =
            names.iter().filter_map(|name| LedgerDimension::find(name)).map(|dimension| dimension.column).collect();
        let listed: String = columns.iter().map(|column| format!(", {column}")).collect();
        let places: String = (0..columns.len()).map(|at| format!(", {}", at + 4)).collect();
        let sql = format!(
            "select date_trunc('day', time), sum(cost_micros), \
             coalesce(sum(quantity) filter (where unit = 'GPU-Hours' and cost_micros is null), 0.0){listed} \
             from ledger where time >= $1 and time < $2 group by 1{places}"
        );
        let mut covered: Vec<Covered> = budgets.iter().map(|_| Covered::default()).collect();
        let with = vec![Parameter::Time(from), Parameter::Time(at_micros)];
        for batch in rows_of(&self.inner.engine, &sql, with).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                let place = |name: &str| names.iter().position(|known| *known == name);
                let named = |name: &str| place(name).and_then(|at| rows.text(at + 3, row));
                let day = rows.int(0, row).unwrap_or_default();
                for (budget, sum) in budgets.iter().zip(&mut covered).filter(|(budget, _)| budget.covers(named)) {
                    let cost = Micros(rows.int(1, row).unwrap_or_default());
                    let of_day = sum.by_day.entry(day.div_euclid(DAY)).or_default();
                    *of_day = *of_day + cost;
                    if budget.range_micros(at_micros).is_some_and(|(from, _)| day >= from) {
                        sum.unpriced_gpu_hours += rows.float(2, row).unwrap_or_default();
                    }
                }
            }
        }
        Ok(covered)
    }
}

/// Every day from the first that cost anything to the one in which `at_micros` lies; a day without rows cost nothing.
fn without_gaps(by_day: &BTreeMap<i64, Micros>, at_micros: i64) -> Vec<DayCost> {
    let Some(first) = by_day.keys().next().copied() else { return Vec::new() };
    let last = (at_micros - 1).div_euclid(DAY);
    let cost = |day: i64| DayCost { day_micros: day * DAY, cost: by_day.get(&day).copied().unwrap_or_default() };
    (first..=last).map(cost).collect()
}
