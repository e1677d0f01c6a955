//! Keeps the derived tables true: minutes and hours of the samples, and the use of each hour.
//!
//! Works in the background, an hour of samples at a time. **Invariant:** what is written is a pure function of rows
//! in files; an hour is written whole, and again when rows of it come late. While rows of an hour are in memory it
//! waits for their flush, so that it is not written twice for them.

mod due;
mod fold;
mod rows;
mod scan;
#[cfg(test)]
mod tests;
mod usage;

pub(super) use due::{DAY, HOUR, first_missing, hour_of, late, runs};

use super::answer::AbortOnDrop;
use super::ask::{Asking, instant};
use super::{Engine, QueryError};
use crate::store::{DataFile, Derived, Rollup, Snapshot, StoreError};
use arrow::array::RecordBatch;
use arrow::compute::{cast, concat_batches};
use contract::Table;
use fold::{Fold, Of};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How often it looks whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// After a failure (a full disk, say) the next try waits this long.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// For each second of work it rests so many: pages and ingest go first.
const REST: u32 = 3;
/// A minute is worth a row of its own where it stands for so many samples at least.
const MINUTE_SAMPLES_MIN: i64 = 10;
/// Samples of a longer interval are not followed into the next hour; where there are such, hours do not stand for
/// samples in any answer.
pub(super) const INTERVAL_MICROS_MAX: i64 = 600 * 1_000_000;
/// So long an hour waits for a flush of its rows in memory: two flushes, or somebody never stops to send such rows.
const WAIT_MICROS_MAX: i64 = 10 * 60 * 1_000_000;
/// Rows that are folded before others have their turn.
const FOLDED_ROWS: usize = 4096;
/// A device counts for a week after its last row.
const WEEK_HOURS: i64 = 7 * 24;
/// A counter's rise is told up to a day after the sample before.
const RISE_HOURS: i64 = 24;

/// First hour of each table that was not looked at yet; an hour without rows leaves no other trace.
#[derive(Default)]
pub(super) struct Progress {
    until: Mutex<HashMap<&'static str, i64>>,
    /// Hours of a table that wait for rows in memory, and since when some do.
    waiting: Mutex<HashMap<&'static str, (i64, BTreeSet<i64>)>>,
}

impl Engine {
    /// Brings the derived tables up to date, again and again. Ends when it is dropped.
    pub async fn keep_derived(&self, clock: fn() -> i64) {
        loop {
            let wait = match self.derive(clock, REST).await {
                Ok(()) => LOOK_EVERY,
                Err(error) => {
                    tracing::error!(%error, "a derived table could not be brought up to date");
                    RETRY_AFTER
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Brings the derived tables up to date as of `clock`, resting `rest` times as long as it works.
    pub(crate) async fn derive(&self, clock: fn() -> i64, rest: u32) -> Result<(), QueryError> {
        let engine = self.clone();
        let (sender, done) = oneshot::channel();
        let task = self.threads().spawn(async move {
            let work = Work { engine, clock, rest, since: Instant::now() };
            // The asker may be gone; then nobody wants to know.
            drop(sender.send(work.all().await));
        });
        let _work = AbortOnDrop(task);
        done.await.map_err(|_| QueryError::Internal("the derivation has stopped".to_owned()))?
    }
}

struct Work {
    engine: Engine,
    clock: fn() -> i64,
    rest: u32,
    since: Instant,
}

/// What is to be written, and what the table covers afterwards.
struct Turn {
    due: BTreeSet<i64>,
    open: i64,
    /// Before the last part of the turn is written, and then.
    covers: (u64, u64),
}

impl Work {
    async fn all(mut self) -> Result<(), QueryError> {
        if !self.engine.inner.store.derives() {
            return Ok(());
        }
        // The use of an hour takes from the rollup, so it knows of nothing that the rollup may not have yet.
        let open = due::open_hour((self.clock)());
        let tables = ["gpu_samples", "device_events"].map(contract::table);
        let mut sources: Vec<Snapshot> = tables.into_iter().flatten().map(|table| self.snapshot(table)).collect();
        let in_memory = sources.first().map(due::in_memory).unwrap_or_default();
        sources.iter_mut().for_each(|source| source.hot.clear());
        for pair in self.engine.inner.store.derived().rollups.chunks(2) {
            let [hours, minutes] = pair else { continue };
            self.roll_up(hours, minutes, open).await?;
        }
        self.usage(&sources, &in_memory, open).await
    }

    fn snapshot(&self, table: &'static Table) -> Snapshot {
        self.engine.inner.store.snapshot(table)
    }

    async fn rest(&mut self) {
        tokio::time::sleep(self.since.elapsed() * self.rest).await;
        self.since = Instant::now();
    }

    /// The first hour that the table has no rows of and that was not looked at.
    fn missing(&self, table: &'static Table, derived: &Snapshot) -> i64 {
        let looked_at = self.engine.inner.progress.until.lock().get(table.name).copied().unwrap_or(i64::MIN);
        due::first_missing(derived).max(looked_at)
    }

    fn note(&self, table: &'static Table, open: i64) {
        self.engine.inner.progress.until.lock().insert(table.name, open);
    }

    /// Leaves hours for later whose rows in memory are about to be flushed.
    fn wait(&self, table: &'static Table, due: &mut BTreeSet<i64>, are_in_memory: impl Fn(i64) -> bool) {
        let now = (self.clock)();
        let mut waiting = self.engine.inner.progress.waiting.lock();
        let (since, waited) = waiting.remove(table.name).unwrap_or((now, BTreeSet::new()));
        due.extend(waited);
        let wait: BTreeSet<i64> = due.iter().copied().filter(|hour| are_in_memory(*hour)).collect();
        if !wait.is_empty() && now - since < WAIT_MICROS_MAX {
            due.retain(|hour| !wait.contains(hour));
            waiting.insert(table.name, (since, wait));
        }
    }

    async fn roll_up(&mut self, hours: &'static Rollup, minutes: &'static Rollup, open: i64) -> Result<(), QueryError> {
        // The derived table first: what it covers by then is in the source's snapshot.
        let derived = self.snapshot(&hours.table);
        let source = self.snapshot(hours.source);
        let mut due = due::new(&source, self.missing(&hours.table, &derived), open);
        due.extend(due::late(&source, derived.covers, RISE_HOURS, open));
        let in_memory = due::in_memory(&source);
        self.wait(&hours.table, &mut due, |hour| in_memory.contains(&hour));
        if due.is_empty() {
            return Ok(());
        }
        let turn = Turn { due, open, covers: (derived.covers, due::position(&source)) };
        let source = Snapshot { hot: Vec::new(), ..source };
        let mut fold = Fold::new(hours, &[(hours.step_seconds, Of::Values), (minutes.step_seconds, Of::Nothing)]);
        let runs = due::runs(&turn.due);
        let mut last = i64::MIN;
        for (i, (from, to)) in runs.iter().copied().enumerate() {
            let covers = if i + 1 == runs.len() { turn.covers.1 } else { turn.covers.0 };
            if from != last {
                fold.forget();
                self.remember(&mut fold, hours, from).await?;
            }
            last = to;
            let mut parts = Vec::new();
            for hour in from..to {
                let (hour_rows, minute_rows) = self.sum_up(&mut fold, minutes, &source, hour).await?;
                parts.push(hour_rows);
                self.write_minutes(minute_rows, minutes, hour, covers).await?;
                self.rest().await;
            }
            self.write_day(&hours.table, from, to, parts, covers).await?;
        }
        self.note(&hours.table, turn.open);
        tracing::debug!(table = hours.table.name, hours = turn.due.len(), "hours were summed up");
        Ok(())
    }

    /// Tells the fold what the counters showed before an hour.
    async fn remember(&self, fold: &mut Fold, rollup: &'static Rollup, hour: i64) -> Result<(), QueryError> {
        let since = (hour - RISE_HOURS) * HOUR;
        if !self.snapshot(&rollup.table).may_hold(since, hour * HOUR) {
            return Ok(());
        }
        let asking = Asking::new(&self.engine)?;
        let with = vec![instant(since), instant(hour * HOUR)];
        for batch in asking.rows(&Fold::sql_before(rollup, rollup.table.name), with).await? {
            fold.add_before(&batch)?;
        }
        Ok(())
    }

    /// The rows of an hour and of its minutes. Minutes are kept where they are far fewer than the samples; elsewhere
    /// the samples themselves are as good, so their values are added up only where that is to be expected.
    async fn sum_up(
        &self,
        fold: &mut Fold,
        minutes: &'static Rollup,
        source: &Snapshot,
        hour: i64,
    ) -> Result<(RecordBatch, RecordBatch), QueryError> {
        let before = fold.readings();
        self.fold_hour(fold, source, hour).await?;
        let (mut of_hour, mut of_minutes) = (fold.steps[0].take(), fold.steps[1].take());
        let samples: i64 = of_minutes.iter().map(|group| group.samples).sum();
        let are_few = samples >= MINUTE_SAMPLES_MIN * of_minutes.len() as i64;
        let expected = std::mem::replace(&mut fold.steps[1].of, if are_few { Of::Values } else { Of::Nothing });
        if !are_few {
            of_minutes.clear();
        } else if expected == Of::Nothing && !of_minutes.is_empty() {
            fold.go_back(before);
            self.fold_hour(fold, source, hour).await?;
            (of_hour, of_minutes) = (fold.steps[0].take(), fold.steps[1].take());
        }
        let of_hour = rows::rows(fold.rollup(), &of_hour, &fold.keys)?;
        let of_minutes = rows::rows(minutes, &of_minutes, &fold.keys)?;
        fold.forget_keys();
        Ok((of_hour, of_minutes))
    }

    async fn fold_hour(&self, fold: &mut Fold, source: &Snapshot, hour: i64) -> Result<(), QueryError> {
        let hour = hour * HOUR..(hour + 1) * HOUR;
        let since = hour.start - INTERVAL_MICROS_MAX;
        let has_rows = |file: &&DataFile| file.time_max_micros >= since && file.time_min_micros < hour.end;
        let files = source.files.iter().filter(has_rows).cloned().collect();
        let store = &self.engine.inner.store;
        let rows = store.sorted_rows(source.table, files, &scan::of_samples(fold.rollup())).await.map_err(failed)?;
        let mut folded = 0;
        for batch in rows {
            let batch = batch.map_err(failed)?;
            fold.add(&batch, &hour)?;
            folded += batch.num_rows();
            if folded >= FOLDED_ROWS {
                folded = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    async fn write_minutes(
        &self,
        rows: RecordBatch,
        minutes: &'static Rollup,
        hour: i64,
        covers: u64,
    ) -> Result<(), QueryError> {
        let (from_micros, to_micros) = (hour * HOUR, (hour + 1) * HOUR);
        let within = |time: i64| (from_micros..to_micros).contains(&time);
        if rows.num_rows() == 0 && !self.snapshot(&minutes.table).files.iter().any(|file| within(file.time_min_micros))
        {
            return Ok(());
        }
        self.write(&minutes.table, Derived { rows, from_micros, to_micros, covers, now_micros: (self.clock)() }).await
    }

    /// `in_memory` are the hours of samples that are in memory.
    async fn usage(&mut self, sources: &[Snapshot], in_memory: &BTreeSet<i64>, open: i64) -> Result<(), QueryError> {
        let table = &self.engine.inner.store.derived().usage_hourly;
        let derived = self.snapshot(table);
        let Some(mut turn) = usage_turn(self.missing(table, &derived), derived.covers, sources, open) else {
            return Ok(());
        };
        let reach = |hour: i64| hour - WEEK_HOURS..=hour + 1;
        self.wait(table, &mut turn.due, |hour| in_memory.range(reach(hour)).any(|hour| *hour < open));
        if turn.due.is_empty() {
            return Ok(());
        }
        let runs = due::runs(&turn.due);
        for (i, (from, to)) in runs.iter().copied().enumerate() {
            let covers = if i + 1 == runs.len() { turn.covers.1 } else { turn.covers.0 };
            let rows = usage::rows(&Asking::new(&self.engine)?, table, from, to).await?;
            self.write_day(table, from, to, vec![rows], covers).await?;
            self.rest().await;
        }
        self.note(table, turn.open);
        Ok(())
    }

    /// Writes hours of a day; the other hours of the day stay as they are.
    async fn write_day(
        &self,
        table: &'static Table,
        from: i64,
        to: i64,
        mut parts: Vec<RecordBatch>,
        covers: u64,
    ) -> Result<(), QueryError> {
        let day = from.div_euclid(24);
        let (from_micros, to_micros) = (day * DAY, (day + 1) * DAY);
        let had_rows = self.snapshot(table).files.iter().any(|f| (from_micros..to_micros).contains(&f.time_min_micros));
        if had_rows {
            let asking = Asking::new(&self.engine)?;
            let sql =
                format!("select * from {} where (time >= $1 and time < $2) or (time >= $3 and time < $4)", table.name);
            let with = [from_micros, from * HOUR, to * HOUR, to_micros].map(instant).to_vec();
            for batch in asking.rows(&sql, with).await? {
                parts.push(in_stored_schema(table, &batch)?);
            }
        }
        let rows = concat_batches(&contract::schema(table), &parts).map_err(|e| QueryError::Internal(e.to_string()))?;
        if rows.num_rows() == 0 && !had_rows {
            return Ok(());
        }
        self.write(table, Derived { rows, from_micros, to_micros, covers, now_micros: (self.clock)() }).await
    }

    async fn write(&self, table: &'static Table, derived: Derived) -> Result<(), QueryError> {
        self.engine.inner.store.derive(table, derived).await.map_err(failed)
    }
}

fn failed(error: StoreError) -> QueryError {
    match error {
        StoreError::Closed => QueryError::Unavailable("the store is closed".into()),
        other => QueryError::Internal(other.to_string()),
    }
}

/// New hours up to a week after the last row, and those that late rows or events may have changed.
fn usage_turn(missing: i64, covers: u64, sources: &[Snapshot], open: i64) -> Option<Turn> {
    let [samples, ..] = sources else { return None };
    let first = samples.files.iter().map(|file| due::hour_of(file.time_min_micros)).min()?;
    let newest = samples.files.iter().map(|file| due::hour_of(file.time_max_micros)).max()?;
    let end = open.min(newest + WEEK_HOURS + 1);
    let mut due: BTreeSet<i64> = (missing.max(first)..end).collect();
    for hour in sources.iter().flat_map(|source| due::touched(source, covers)).filter(|hour| *hour < open) {
        due.extend((hour - 1).max(first)..(hour + WEEK_HOURS + 1).min(end));
    }
    let position = sources.iter().map(due::position).max().unwrap_or(0);
    Some(Turn { due, open, covers: (covers, position) })
}

/// Rows that were read as they are written: views become texts.
fn in_stored_schema(table: &'static Table, batch: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let schema = contract::schema(table);
    let columns = batch.columns().iter().zip(schema.fields()).map(|(array, field)| cast(array, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>();
    let batch = columns.and_then(|columns| RecordBatch::try_new(Arc::clone(&schema), columns));
    batch.map_err(|error| QueryError::Internal(error.to_string()))
}
