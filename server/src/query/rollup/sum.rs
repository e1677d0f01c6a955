//! Samples of some hours summed up: what is read once is used for as many hours as memory allows.

use super::fold::{Fold, Group, Of};
use super::{HOUR, INTERVAL_MICROS_MAX, RISE_HOURS, Work, due, failed, rows, scan};
use crate::query::QueryError;
use crate::query::ask::{Asking, instant};
use crate::store::{Copies, DataFile, Rollup, Snapshot};
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::ops::Range;

/// A minute is worth a row of its own where it stands for so many samples at least.
const MINUTE_SAMPLES_MIN: i64 = 10;
/// Rows that are folded before others have their turn.
const FOLDED_ROWS: usize = 4096;
/// Samples of hours that are summed up in one go, about: their minutes take a tenth of a kilobyte for six of them.
const SAMPLES_MAX: f64 = 1_500_000.0;

impl Work {
    /// Tells the fold what the counters showed before an hour.
    pub(super) async fn remember(
        &self,
        fold: &mut Fold,
        (source, copies): (&Snapshot, &mut Copies),
        hour: i64,
    ) -> Result<(), QueryError> {
        let rollup = fold.rollup();
        let since = (hour - RISE_HOURS) * HOUR;
        if !self.snapshot(&rollup.table).may_hold(since, hour * HOUR) {
            return Ok(());
        }
        let asking = Asking::new(&self.engine)?;
        let with = vec![instant(since), instant(hour * HOUR)];
        for batch in asking.rows(&Fold::sql_before(rollup, rollup.table.name), with).await? {
            fold.add_before(&batch)?;
        }
        for unsure in fold.unsure_hours() {
            let readings = fold.readings();
            self.fold_hours(fold, source, copies, &(unsure..unsure + 1)).await?;
            fold.steps.iter_mut().for_each(|steps| drop(steps.take()));
            fold.forget_keys();
            fold.keep_later(&readings, unsure);
        }
        Ok(())
    }

    /// End of the hours from `from` on that are summed up in one go. Minutes with values take too much for that.
    pub(super) fn together(&self, fold: &Fold, source: &Snapshot, from: i64, to: i64) -> i64 {
        match fold.steps[1].of {
            Of::Values => from + 1,
            Of::Nothing => due::together(source, from, to, SAMPLES_MAX),
        }
    }

    /// The rows of some hours together, and of the minutes of each hour. Minutes are kept where they are far fewer than
    /// the samples; elsewhere the samples themselves are as good, so their values are added up only where that is to
    /// be expected.
    pub(super) async fn sum_up(
        &self,
        fold: &mut Fold,
        minutes: &'static Rollup,
        (source, copies): (&Snapshot, &mut Copies),
        hours: Range<i64>,
    ) -> Result<(RecordBatch, Vec<RecordBatch>), QueryError> {
        let before = fold.readings();
        self.fold_hours(fold, source, copies, &hours).await?;
        let (mut of_hours, of_minutes) = (fold.steps[0].take(), fold.steps[1].take());
        let mut kept = few(of_minutes);
        let last_is_kept = kept.last_key_value().is_some_and(|(hour, _)| *hour == hours.end - 1);
        let expected = std::mem::replace(&mut fold.steps[1].of, Of::Values);
        if expected == Of::Nothing && !kept.is_empty() {
            fold.go_back(before);
            of_hours.clear();
            kept.clear();
            for hour in hours.clone() {
                self.fold_hours(fold, source, copies, &(hour..hour + 1)).await?;
                of_hours.extend(fold.steps[0].take());
                kept.extend(few(fold.steps[1].take()));
            }
        }
        if !last_is_kept {
            fold.steps[1].of = Of::Nothing;
        }
        let minutes_of = |hour| rows::rows(minutes, kept.get(&hour).map_or(&[], Vec::as_slice), &fold.keys);
        let of_minutes = hours.map(minutes_of).collect::<Result<_, _>>()?;
        let of_hours = rows::rows(fold.rollup(), &of_hours, &fold.keys)?;
        fold.forget_keys();
        Ok((of_hours, of_minutes))
    }

    async fn fold_hours(
        &self,
        fold: &mut Fold,
        source: &Snapshot,
        copies: &mut Copies,
        hours: &Range<i64>,
    ) -> Result<(), QueryError> {
        let time = hours.start * HOUR..hours.end * HOUR;
        let since = time.start - INTERVAL_MICROS_MAX;
        let has_rows = |file: &&DataFile| file.time_max_micros >= since && file.time_min_micros < time.end;
        let files = source.files.iter().filter(has_rows).cloned().collect();
        let (store, columns) = (&self.engine.inner.store, scan::of_samples(fold.rollup()));
        let rows = store.sorted_rows(source.table, files, &columns, copies).await.map_err(failed)?;
        let mut folded = 0;
        for batch in rows {
            let batch = batch.map_err(failed)?;
            fold.add(&batch, &time)?;
            folded += batch.num_rows();
            if folded >= FOLDED_ROWS {
                folded = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

/// Groups of minutes by hour, of those hours in which they are few.
fn few(groups: Vec<Group>) -> BTreeMap<i64, Vec<Group>> {
    let mut by_hour: BTreeMap<i64, Vec<Group>> = BTreeMap::new();
    for group in groups {
        by_hour.entry(due::hour_of(group.step)).or_default().push(group);
    }
    let samples = |groups: &[Group]| groups.iter().map(|group| group.samples).sum::<i64>();
    by_hour.retain(|_, groups| samples(groups) >= MINUTE_SAMPLES_MIN * groups.len() as i64);
    by_hour
}
