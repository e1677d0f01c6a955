//! Rows of the ledger, page by page, so that every figure leads back to what it was summed from.
//!
//! **Invariant:** rows have one order, and a page begins where the one before ended, also when rows of other hours
//! have come or gone in between.

use super::read::Rows;
use super::slice::Conditions;
use super::{Ledger, LedgerError};
use crate::cost::Period;
use crate::query::Parameter;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;

/// Rows of a page: some megabytes each thousand of them, in memory at once.
const ROWS_MAX: usize = 50_000;
const ROWS_DEFAULT: usize = 1_000;
/// Rows of one hour that a cursor may skip: far more than GPUs and jobs of an hour.
const SKIP_MAX: u64 = 100_000_000;

/// Ties are broken by everything that two rows of an hour can differ in.
const ORDER: &str = "time, cluster, node, gpu_uuid, parent_gpu_uuid, job_id, attempt, category, state, unit, overhead, \
    price_version, price_line, period, corrects, team, project, cost_centre, quantity, cost_micros";

/// Which rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageAsked {
    /// When cost arose, Unix microseconds; the end does not belong to it. None for all of a month's bill.
    pub range_micros: Option<(i64, i64)>,
    /// The month that they are billed in.
    pub month: Option<Period>,
    /// Dimension and value; an empty value asks for rows that have none.
    pub filters: Vec<(String, String)>,
    /// Only rows without a price, or only those with one.
    pub is_priced: Option<bool>,
    pub limit: Option<usize>,
    /// Where the page before has ended.
    pub cursor: Option<String>,
}

/// A page.
pub struct RowsPage {
    pub schema: SchemaRef,
    pub rows: Vec<RecordBatch>,
    /// What gives the next page; none after the last row.
    pub next: Option<String>,
}

/// The time of a row, and how many rows of that time came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    time_micros: i64,
    skip: u64,
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let (time, skip) = text.split_once('.')?;
        let cursor = Self { time_micros: time.parse().ok()?, skip: skip.parse().ok()? };
        (cursor.skip <= SKIP_MAX && cursor.text() == text).then_some(cursor)
    }

    fn text(self) -> String {
        format!("{}.{}", self.time_micros, self.skip)
    }
}

impl Ledger {
    /// A page of rows.
    ///
    /// # Errors
    /// A dimension is unknown; the limit or the cursor is none.
    pub async fn page(&self, asked: &PageAsked) -> Result<RowsPage, LedgerError> {
        let limit = asked.limit.unwrap_or(ROWS_DEFAULT);
        if !(1..=ROWS_MAX).contains(&limit) {
            return Err(LedgerError::Refused(format!("limit is {limit}, give 1 to {ROWS_MAX} rows")));
        }
        let cursor = asked.cursor.as_deref().map(|text| {
            let shown: String = text.chars().take(60).collect();
            let why = format!("cursor {shown:?} is none that a page has given");
            Cursor::parse(text).ok_or_else(|| LedgerError::Refused(format!("{why}; begin without one")))
        });
        let cursor = cursor.transpose()?;
        let conditions = conditions(asked, cursor)?;
        let skip = cursor.map_or(0, |cursor| cursor.skip);
        // One more tells whether there is a next page.
        let (is, most) = (conditions.text(), limit + 1);
        let sql = format!("select * from ledger where {is} order by {ORDER} limit {most} offset {skip}");
        let mut answer = self.inner.engine.sql(&sql, conditions.with).await?;
        let (schema, mut rows, mut count) = (answer.schema(), Vec::new(), 0);
        while let Some(batch) = answer.next().await {
            let batch = batch?;
            count += batch.num_rows();
            rows.push(batch);
        }
        if count <= limit {
            return Ok(RowsPage { schema, rows, next: None });
        }
        cut(&mut rows, limit);
        let next = next(&rows, cursor).map(Cursor::text);
        Ok(RowsPage { schema, rows, next })
    }
}

fn conditions(asked: &PageAsked, cursor: Option<Cursor>) -> Result<Conditions, LedgerError> {
    let mut conditions = Conditions::default();
    if let Some((from, to)) = asked.range_micros {
        conditions.add("time >=", Parameter::Time(from));
        conditions.add("time <", Parameter::Time(to));
    }
    if let Some(cursor) = cursor {
        conditions.add("time >=", Parameter::Time(cursor.time_micros));
    }
    if let Some(month) = asked.month {
        conditions.add("period =", Parameter::Text(month.to_string()));
    }
    conditions.filter("", &asked.filters)?;
    if let Some(is) = asked.is_priced {
        conditions.be(format!("cost_micros is {}null", if is { "not " } else { "" }));
    }
    Ok(conditions)
}

/// Keeps the first rows.
fn cut(batches: &mut Vec<RecordBatch>, mut rows: usize) {
    batches.retain_mut(|batch| {
        let part = batch.num_rows().min(rows);
        rows -= part;
        *batch = batch.slice(0, part);
        part > 0
    });
}

/// After the last of some rows.
fn next(batches: &[RecordBatch], before: Option<Cursor>) -> Option<Cursor> {
    let time = |batch: &RecordBatch, row: usize| Rows::new(batch).int(batch.schema().index_of("time").ok()?, row);
    let last = batches.last()?;
    let time_micros = time(last, last.num_rows().checked_sub(1)?)?;
    let backwards = batches.iter().rev().flat_map(|batch| (0..batch.num_rows()).rev().map(move |row| time(batch, row)));
    let same = backwards.take_while(|found| *found == Some(time_micros)).count() as u64;
    let skipped = before.filter(|before| before.time_micros == time_micros).map_or(0, |before| before.skip);
    Some(Cursor { time_micros, skip: same + skipped })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_is_one_that_was_given() {
        for cursor in [Cursor { time_micros: -5, skip: 0 }, Cursor { time_micros: i64::MAX, skip: SKIP_MAX }] {
            assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
        }
        for text in ["", ".", "1", "1.", "1.x", "+1.2", "01.2", "1.02", "1.999999999999", "1.2.3", " 1.2"] {
            assert_eq!(Cursor::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.x ]{0,30}", name in ".{0,20}", value in ".{0,20}") {
            prop_assert!(Cursor::parse(&text).is_none_or(|cursor| cursor.text() == text));
            let asked = PageAsked { filters: vec![(name.clone(), value.clone())], ..PageAsked::default() };
            match conditions(&asked, None) {
                // A value is never a part of the statement.
                Ok(found) => prop_assert!(value.is_empty() || found.with == [Parameter::Text(value)]),
                Err(error) => prop_assert!(error.to_string().contains("there are team"), "{}", error),
            }
        }
    }
}
