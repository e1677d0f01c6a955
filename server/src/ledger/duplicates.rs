//! Jobs that accounting has told of twice: the latest word counts, and a reader has to know.

use super::LedgerError;
use super::days::DAY;
use super::read::{Rows, rows_of};
use crate::cost::{Notice, NoticeKind};
use crate::query::Engine;
use std::collections::BTreeMap;

/// More of them are one mistake.
const DUPLICATES_MAX: usize = 10_000;

/// By the day of their first start (days since the epoch): attempts of a job that ended more than once, with different
/// starts.
pub(super) async fn ask(engine: &Engine) -> Result<BTreeMap<i64, Notice>, LedgerError> {
    let sql = format!(
        "select cluster, job_id, attempt, min(started_at) from job_events \
         where kind = 'ended' and started_at is not null group by 1, 2, 3 \
         having min(started_at) <> max(started_at) order by 4, 1, 2, 3 limit {DUPLICATES_MAX}"
    );
    let mut by_day: BTreeMap<i64, Notice> = BTreeMap::new();
    for batch in rows_of(engine, &sql, Vec::new()).await? {
        let rows = Rows::new(&batch);
        for row in 0..batch.num_rows() {
            let text = |at| rows.text(at, row).unwrap_or_default();
            let day = rows.int(3, row).unwrap_or_default().div_euclid(DAY);
            let notice = by_day.entry(day).or_insert_with(|| Notice {
                kind: NoticeKind::DuplicateJob,
                things: 0,
                count: 0,
                example: format!("job {:?} in cluster {:?}", text(1), text(0)),
            });
            notice.things += 1;
            notice.count += 1;
        }
    }
    Ok(by_day)
}
