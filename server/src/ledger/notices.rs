//! What a reader of the ledger should know: kept by day beside its rows.

use super::read::{Rows, rows_of};
use super::{Ledger, LedgerError, days};
use crate::cost::{Noted, Notice, NoticeKind};
use crate::query::Parameter;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use contract::Table;
use std::sync::Arc;

impl Ledger {
    /// What a reader of `[from, to)` (Unix microseconds) should know, by whole days, in order of kinds.
    pub async fn notices(&self, from_micros: i64, to_micros: i64) -> Result<Vec<Notice>, LedgerError> {
        let sql = "select kind, count(distinct thing), sum(count), first_value(example order by time, thing) \
                   from ledger_notices where time >= $1 and time < $2 group by kind";
        let first_day = from_micros.div_euclid(days::DAY) * days::DAY;
        let mut notices = Vec::new();
        let with = vec![Parameter::Time(first_day), Parameter::Time(to_micros)];
        for batch in rows_of(&self.inner.engine, sql, with).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                // A later version may know kinds that this one does not.
                let Some(kind) = rows.text(0, row).and_then(NoticeKind::parse) else { continue };
                let count = |at| rows.int(at, row).and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
                let example = rows.text(3, row).unwrap_or_default().to_owned();
                notices.push(Notice { kind, things: count(1), count: count(2), example });
            }
        }
        let days = first_day / days::DAY..=(to_micros - 1).max(from_micros).div_euclid(days::DAY);
        for found in self.inner.duplicates.lock().range(days).map(|(_, found)| found) {
            match notices.iter_mut().find(|notice| notice.kind == found.kind) {
                Some(notice) => {
                    notice.things += found.things;
                    notice.count += found.count;
                }
                None => notices.push(found.clone()),
            }
        }
        notices.sort_by_key(|notice| notice.kind);
        Ok(notices)
    }
}

/// Those of a day, in [`contract::schema`] of the table.
pub(super) fn batch(table: &Table, day: i64, noted: &[Noted]) -> Result<RecordBatch, LedgerError> {
    let text =
        |pick: fn(&Noted) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(noted.iter().map(pick))) };
    let counts = noted.iter().map(|noted| i64::try_from(noted.count).unwrap_or(i64::MAX));
    let times = TimestampMicrosecondArray::from_value(day * days::DAY, noted.len()).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times),
        text(|noted| noted.kind.code()),
        text(|noted| &noted.thing),
        Arc::new(Int64Array::from_iter_values(counts)),
        text(|noted| &noted.example),
    ];
    let batch = RecordBatch::try_new(contract::schema(table), columns);
    batch.map_err(|error| LedgerError::Internal(error.to_string()))
}
