//! Closing months, and what is posted when a closed month turns out to have been different.
//!
//! **Invariant:** the rows of a closing are written before the document that makes them count, so a crash between the
//! two leaves the month open.

use super::documents::{self, DocumentKind, Stated};
use super::read::{Rows, rows_of};
use super::refresh::open_after;
use super::rows::{self, Posted};
use super::statements::Statements;
use super::{Ledger, LedgerError};
use crate::cost::{LedgerRow, Period, adjustments};
use crate::query::Parameter;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use futures::StreamExt;
use std::sync::Arc;

/// Rows of one append to the log.
const CLOSED_AT_ONCE: usize = 65_536;

/// What a closing holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    pub period: Period,
    pub closing: String,
    pub rows: u64,
    pub cost_micros: i64,
}

impl Ledger {
    /// Closes a month: its rows are kept as they are now and never change. With `unpriced` also where some have no
    /// price. Fails when the month is not over, is closed already, or an earlier one is open.
    pub async fn close(&self, period: Period, author: &str, unpriced: bool) -> Result<Closed, LedgerError> {
        let (ledger, author) = (self.clone(), author.to_owned());
        self.on_runtime(async move { ledger.close_here(period, &author, unpriced).await }).await
    }

    /// Whether the last hour of a month is known.
    pub(super) fn is_over(&self, period: Period) -> bool {
        period.next().start_micros() <= super::refresh::known_to((self.inner.clock)())
    }

    async fn close_here(&self, period: Period, author: &str, unpriced: bool) -> Result<Closed, LedgerError> {
        let mut known = self.inner.work.lock().await;
        let name = period.to_string();
        if self.statements().is_closed(&name) {
            return Err(LedgerError::Refused(format!("{name} is closed already; `coulomb close --reopen` opens it")));
        }
        if !self.is_over(period) {
            let why = "is not over yet; its last hour is known ten minutes after its end";
            return Err(LedgerError::Refused(format!("{name} {why}")));
        }
        self.refresh_locked(&mut known, 0).await?;
        self.may_close(&name, unpriced).await?;
        let mut stated = Stated::new(self.next_time(), DocumentKind::Close, &name, author, "");
        stated.text = Arc::clone(&stated.version);
        let (rows, cost_micros) = self.freeze(&name, &stated.version).await?;
        let _stating = self.inner.stating.lock().await;
        documents::keep(&self.inner.store, &stated).await?;
        self.add(stated.clone())?;
        Ok(Closed { period, closing: stated.version.to_string(), rows, cost_micros })
    }

    /// Opens a closed month again; `why` is kept with the author.
    pub async fn reopen(&self, period: Period, author: &str, why: &str) -> Result<(), LedgerError> {
        let _work = self.inner.work.lock().await;
        let _stating = self.inner.stating.lock().await;
        let name = period.to_string();
        let statements = self.statements();
        if !statements.is_closed(&name) {
            return Err(LedgerError::Refused(format!("{name} is not closed")));
        }
        if let Some((later, _)) = statements.closings.range(name.clone()..).nth(1) {
            return Err(LedgerError::Refused(format!("{later} is closed and may correct {name}; open it first")));
        }
        if why.trim().is_empty() {
            return Err(LedgerError::Refused("say why the month is opened again; it is kept for auditors".to_owned()));
        }
        let stated = Stated::new(self.next_time(), DocumentKind::Reopen, &name, author, why);
        documents::keep(&self.inner.store, &stated).await?;
        self.add(stated)
    }

    fn add(&self, stated: Stated) -> Result<(), LedgerError> {
        let mut all = self.statements().all.clone();
        all.push(stated);
        self.hold(Statements::read(all).map_err(LedgerError::Faults)?)
    }

    async fn may_close(&self, name: &str, unpriced: bool) -> Result<(), LedgerError> {
        let with = vec![Parameter::Text(name.to_owned())];
        let sql = "select min(case when period < $1 then period end), \
                   coalesce(sum(case when period = $1 and cost_micros is null then quantity end), 0.0) \
                   from ledger_open";
        let found = rows_of(&self.inner.engine, sql, with).await?;
        let Some(batch) = found.first().filter(|batch| batch.num_rows() > 0) else { return Ok(()) };
        let rows = Rows::new(batch);
        let is_open = |earlier: &&str| !self.statements().is_closed(earlier);
        if let Some(earlier) = rows.text(0, 0).filter(is_open) {
            return Err(LedgerError::Refused(format!("{earlier} is open; months are closed in order")));
        }
        match rows.float(1, 0) {
            Some(hours) if hours > 0.0 && !unpriced => Err(LedgerError::Refused(format!(
                "{hours:.2} hours of {name} have no price; add one, or close with --unpriced"
            ))),
            _ => Ok(()),
        }
    }

    /// Keeps the rows of a month under a closing; says how many they are and what they cost.
    async fn freeze(&self, name: &str, closing: &str) -> Result<(u64, i64), LedgerError> {
        let table = crate::store::ground_table("ledger_closed").expect("the contract has it");
        let writer = documents::writer("closing", closing)?;
        let sql = "select * from ledger where period = $1 order by time";
        let mut answer = self.inner.engine.sql(sql, vec![Parameter::Text(name.to_owned())]).await?;
        let (mut count, mut cost, mut sequence) = (0, 0_i64, 0);
        while let Some(batch) = answer.next().await {
            let batch = batch?;
            let costs = Rows::new(&batch);
            let at = batch.schema().index_of("cost_micros").map_err(internal)?;
            cost += (0..batch.num_rows()).filter_map(|row| costs.int(at, row)).sum::<i64>();
            for from in (0..batch.num_rows()).step_by(CLOSED_AT_ONCE) {
                let part = batch.slice(from, CLOSED_AT_ONCE.min(batch.num_rows() - from));
                sequence += 1;
                self.inner.store.append(table, &writer, sequence, closed(&part, closing)?).await?;
            }
            count += batch.num_rows() as u64;
        }
        Ok((count, cost))
    }

    /// What is to be posted so that the rows of a day in a closed month and its corrections sum to `fresh`.
    pub(super) async fn corrections(
        &self,
        statements: &Statements,
        period: Period,
        (from, to): (i64, i64),
        fresh: Vec<LedgerRow>,
    ) -> Result<Vec<Posted>, LedgerError> {
        let closings: Vec<String> = statements.closings.values().map(|closing| format!("'{closing}'")).collect();
        let sql = format!(
            "select * from ledger_closed where time >= $1 and time < $2 and closing in ({})",
            closings.join(", ")
        );
        let mut frozen = Vec::new();
        for batch in rows_of(&self.inner.engine, &sql, vec![Parameter::Time(from), Parameter::Time(to)]).await? {
            frozen.extend(rows::read(&batch)?);
        }
        let open = open_after(statements, period);
        let fresh: Vec<LedgerRow> = fresh.into_iter().map(rows::as_kept).collect();
        let posted = adjustments(&frozen, &fresh).into_iter();
        Ok(posted.map(|a| Posted { row: a.row, period: open, corrects: Some(a.corrects) }).collect())
    }
}

fn internal(error: impl ToString) -> LedgerError {
    LedgerError::Internal(error.to_string())
}

/// The rows as they are stored, with their closing.
fn closed(batch: &RecordBatch, closing: &str) -> Result<RecordBatch, LedgerError> {
    let table = crate::store::ground_table("ledger_closed").expect("the contract has it");
    let schema = contract::schema(table);
    let column = |field: &arrow::datatypes::FieldRef| -> Result<ArrayRef, LedgerError> {
        if field.name() == "closing" {
            return Ok(Arc::new(StringArray::from_iter_values((0..batch.num_rows()).map(|_| closing))));
        }
        let array = batch.column_by_name(field.name()).ok_or_else(|| internal("a column of the ledger is missing"))?;
        cast(array, field.data_type()).map_err(internal)
    };
    let columns = schema.fields().iter().map(column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema, columns).map_err(internal)
}
