//! The ledger of a month against the bills of providers: gathers both, a line at a time; `cost` compares.

use super::bill_rows;
use super::read::{Names, Rows, rows_of};
use super::statements::Statements;
use super::{Ledger, LedgerError};
use crate::cost::{
    BillBasis, BillMap, BillPeriod, Comparing, LedgerUse, Micros, Period, Reconciliation, Reconciling, focus_quantity,
};
use crate::query::Parameter;
use futures::StreamExt;
use std::sync::Arc;

/// The map of bills that have none of their own.
const COMMON_MAP: &str = "bill_map";

/// What was compared, and what came of it.
#[derive(Debug, Clone)]
pub struct Reconciled {
    pub period: Period,
    pub currency: Arc<str>,
    /// Names of the bills.
    pub bills: Vec<String>,
    /// Name of the map; none where nothing was stated.
    pub map_name: Option<String>,
    pub map: BillMap,
    pub reconciliation: Reconciliation,
}

impl Ledger {
    /// What the hours of a month cost by the ledger, against what one bill has for them, or all bills together.
    ///
    /// # Errors
    /// There is no such bill, or there are several with maps of their own and none is named.
    pub async fn reconcile(
        &self,
        period: Period,
        bill: Option<&str>,
        basis: BillBasis,
    ) -> Result<Reconciled, LedgerError> {
        let statements = self.statements();
        let (start_micros, end_micros) = period.range_micros();
        let range = vec![Parameter::Time(start_micros), Parameter::Time(end_micros)];
        let bills = match bill {
            Some(name) if statements.bills.contains_key(name) => vec![name.to_owned()],
            Some(name) => return Err(statements.no_bill(name)),
            None => self.bills_of(&range).await?,
        };
        let (map_name, map) = map_of(&statements, &bills)?;
        let by = Comparing {
            map: &map,
            period: BillPeriod { start_micros, end_micros },
            currency: &statements.currency,
            basis,
            rates: &statements.rates,
        };
        let mut reconciling = Reconciling::new(by);
        for bill in &bills {
            self.add_lines(bill, &mut reconciling).await?;
        }
        self.add_uses(range, &mut reconciling).await?;
        let reconciliation = reconciling.finish();
        let currency = Arc::clone(&statements.currency);
        Ok(Reconciled { period, currency, bills, map_name, map, reconciliation })
    }

    /// Names of the bills with charges that begin in a range.
    async fn bills_of(&self, range: &[Parameter]) -> Result<Vec<String>, LedgerError> {
        let sql = "select distinct bill from bills where charge_period_start >= $1 and charge_period_start < $2 \
                   order by 1";
        let mut names = Vec::new();
        for batch in rows_of(&self.inner.engine, sql, range.to_vec()).await? {
            let rows = Rows::new(&batch);
            names.extend((0..batch.num_rows()).filter_map(|row| rows.text(0, row).map(str::to_owned)));
        }
        Ok(names)
    }

    async fn add_lines(&self, bill: &str, to: &mut Reconciling<'_>) -> Result<(), LedgerError> {
        // In the order of the bill, so that the first lines are told.
        let sql = format!("select {} from bills where bill = $1 order by line", bill_rows::READ);
        let mut answer = self.inner.engine.sql(&sql, vec![Parameter::Text(bill.to_owned())]).await?;
        while let Some(batch) = answer.next().await {
            let batch = batch?;
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                to.add_line(&bill_rows::read(&rows, row)?);
            }
        }
        Ok(())
    }

    /// By when cost arose: hours that a closed month had wrong count as they are known now.
    async fn add_uses(&self, range: Vec<Parameter>, to: &mut Reconciling<'_>) -> Result<(), LedgerError> {
        let sql = "select cluster, pool, region, gpu_model, category = 'overhead', \
                   coalesce(sum(quantity) filter (where unit = 'GPU-Hours'), 0.0), \
                   sum(cost_micros), cost_micros is null \
                   from ledger where time >= $1 and time < $2 group by 1, 2, 3, 4, 5, 8 order by 1, 2, 3, 4, 5, 8";
        let mut names = Names::default();
        for batch in rows_of(&self.inner.engine, sql, range).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                let mut text = |at| names.maybe(rows.text(at, row));
                let hours = rows.float(5, row).unwrap_or_default();
                to.add_use(LedgerUse {
                    cluster: text(0).ok_or_else(|| LedgerError::Internal("a row has no cluster".to_owned()))?,
                    pool: text(1),
                    region: text(2),
                    gpu_model: text(3),
                    is_overhead: rows.bool(4, row).unwrap_or_default(),
                    gpu_hours: focus_quantity(hours)
                        .ok_or_else(|| LedgerError::Internal(format!("{hours} hours are beyond all bounds")))?,
                    cost: rows.int(6, row).map(Micros),
                });
            }
        }
        Ok(())
    }
}

/// The map that the bills have in common: their own where it is one bill, or the one for all.
fn map_of(statements: &Statements, bills: &[String]) -> Result<(Option<String>, BillMap), LedgerError> {
    let named = |name: &str| statements.bill_maps.get(name).map(|map| (Some(name.to_owned()), map.clone()));
    if let [bill] = bills
        && let Some(own) = named(bill)
    {
        return Ok(own);
    }
    if let Some(bill) = bills.iter().find(|bill| statements.bill_maps.contains_key(*bill)) {
        let why = format!("the month has the bills {}, and {bill} has a map of its own", bills.join(", "));
        return Err(LedgerError::Refused(format!("{why}; name one bill")));
    }
    Ok(named(COMMON_MAP).unwrap_or_default())
}
