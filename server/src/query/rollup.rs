//! Keeps the derived tables true: minutes and hours of the samples, and the use of each hour.
//!
//! Works in the background, an hour of samples at a time. **Invariant:** what is written is a pure function of rows
//! in files; an hour is written whole, and again when rows of it come late. While rows of an hour are in memory it
//! waits for their flush, so that it is not written twice for them.

mod due;
mod fold;
mod rows;
mod scan;
mod sum;
#[cfg(test)]
mod tests;
mod usage;

pub(super) use due::{DAY, HOUR, first_missing, hour_of, late, runs};

use super::answer::AbortOnDrop;
use super::ask::{Asking, instant};
use super::{Engine, QueryError};
use crate::store::{Copies, Covers, Derived, Rollup, Snapshot, StoreError};
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
/// For each second of work it rests so many: pages and ingest have the core for half of the time at least.
const REST: u32 = 1;
/// Samples of a longer interval are not followed into the next hour; where there are such, hours do not stand for
/// samples in any answer.
pub(super) const INTERVAL_MICROS_MAX: i64 = 600 * 1_000_000;
/// So long an hour waits for a flush of its rows in memory: two flushes, or somebody never stops to send such rows.
const WAIT_MICROS_MAX: i64 = 10 * 60 * 1_000_000;
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
                Err(error @ QueryError::Overtaken(_)) => {
                    tracing::debug!(%error, "another server derives the same, it is looked at again");
                    LOOK_EVERY.mul_f64(1.0 + 2.0 * rand::random::<f64>())
                }
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
    /// What the table holds when the last part of the turn is written, beside what it held before.
    covers: Covers,
}

impl Turn {
    /// What the table holds after one of some parts.
    fn covers(&self, part: usize, parts: usize) -> Covers {
        if part + 1 == parts { self.covers.clone() } else { Covers::default() }
    }
}

impl Work {
    async fn all(mut self) -> Result<(), QueryError> {
        let open = due::open_hour((self.clock)());
        let derived = self.engine.inner.store.derived();
        // The use of an hour takes from the rollup, so it knows of nothing that the rollup may not have yet.
        let mut usage = self.snapshot(&derived.usage_hourly);
        let mut sources = Vec::new();
        for table in ["gpu_samples", "device_events"].into_iter().filter_map(contract::table) {
            sources.push(self.newest(table).await?);
        }
        self.newest(&derived.rollups[0].table).await?;
        let in_memory = sources.first().map(due::in_memory).unwrap_or_default();
        sources.iter_mut().for_each(|source| source.hot = Arc::default());
        for pair in derived.rollups.chunks(2) {
            let [hours, minutes] = pair else { continue };
            self.roll_up(hours, minutes, open).await?;
        }
        self.usage(&mut usage, &sources, &in_memory, open).await
    }

    fn snapshot(&self, table: &'static Table) -> Snapshot {
        self.engine.inner.store.snapshot(table)
    }

    /// A source that is at least as new as any derived table that was looked at before, whoever wrote that.
    async fn newest(&self, table: &'static Table) -> Result<Snapshot, QueryError> {
        self.engine.inner.store.catch_up(table).await.map_err(failed)?;
        Ok(self.snapshot(table))
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

    /// Leaves hours for later whose rows in memory are about to be flushed. Not where other servers would take them
    /// for done: this one may not come back.
    fn wait(&self, table: &'static Table, due: &mut BTreeSet<i64>, are_in_memory: impl Fn(i64) -> bool) {
        if self.engine.inner.store.is_shared() {
            return;
        }
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
        // The derived tables first: what they hold by then is in the source's snapshot.
        let (mut plan, mut plan_of_minutes) = (self.snapshot(&hours.table), self.snapshot(&minutes.table));
        let source = self.newest(hours.source).await?;
        let mut due = due::new(&source, self.missing(&hours.table, &plan), open);
        due.extend(due::late(&source, &plan.covers, RISE_HOURS, open));
        let in_memory = due::in_memory(&source);
        self.wait(&hours.table, &mut due, |hour| in_memory.contains(&hour));
        if due.is_empty() {
            return Ok(());
        }
        let turn = Turn { due, open, covers: due::covered(&source) };
        let source = Snapshot { hot: Arc::default(), ..source };
        let mut fold = Fold::new(hours, &[(hours.step_seconds, Of::Values), (minutes.step_seconds, Of::Nothing)]);
        let (runs, mut copies) = (due::runs(&turn.due), Copies::default());
        let mut last = i64::MIN;
        for (i, (from, to)) in runs.iter().copied().enumerate() {
            if from != last {
                fold.forget();
                self.remember(&mut fold, (&source, &mut copies), from).await?;
            }
            last = to;
            let mut parts = Vec::new();
            let mut at = from;
            while at < to {
                let hours = at..self.together(&fold, &source, at, to);
                at = hours.end;
                let (hour_rows, minute_rows) =
                    self.sum_up(&mut fold, minutes, (&source, &mut copies), hours.clone()).await?;
                parts.push(hour_rows);
                for (hour, rows) in hours.zip(minute_rows) {
                    self.write_minutes(rows, &mut plan_of_minutes, hour).await?;
                }
                self.rest().await;
            }
            self.write_day(&mut plan, (from, to), parts, turn.covers(i, runs.len())).await?;
        }
        self.note(&hours.table, turn.open);
        tracing::debug!(table = hours.table.name, hours = turn.due.len(), "hours were summed up");
        Ok(())
    }

    async fn write_minutes(&self, rows: RecordBatch, plan: &mut Snapshot, hour: i64) -> Result<(), QueryError> {
        let (from_micros, to_micros) = (hour * HOUR, (hour + 1) * HOUR);
        // Nobody asks what the minutes hold: they are written with their hours, and before them.
        let covers = Covers::default();
        self.write(plan, Derived { rows, from_micros, to_micros, covers, now_micros: (self.clock)() }).await
    }

    /// `plan` is the table before its sources were looked at; `in_memory` are the hours of samples that are in memory.
    async fn usage(
        &mut self,
        plan: &mut Snapshot,
        sources: &[Snapshot],
        in_memory: &BTreeSet<i64>,
        open: i64,
    ) -> Result<(), QueryError> {
        let table = plan.table;
        let Some(mut turn) = usage_turn(self.missing(table, plan), &plan.covers, sources, open) else {
            return Ok(());
        };
        let reach = |hour: i64| hour - WEEK_HOURS..=hour + 1;
        self.wait(table, &mut turn.due, |hour| in_memory.range(reach(hour)).any(|hour| *hour < open));
        if turn.due.is_empty() {
            return Ok(());
        }
        let runs = due::runs(&turn.due);
        // The latest days first: who has sent a long history looks at its end.
        for (i, (from, to)) in runs.iter().copied().rev().enumerate() {
            let rows = usage::rows(&Asking::new(&self.engine)?, table, from, to).await?;
            self.write_day(plan, (from, to), vec![rows], turn.covers(i, runs.len())).await?;
            self.rest().await;
        }
        self.note(table, turn.open);
        Ok(())
    }

    /// Writes hours of a day; the other hours of the day stay as they are.
    async fn write_day(
        &self,
        plan: &mut Snapshot,
        (from, to): (i64, i64),
        mut parts: Vec<RecordBatch>,
        covers: Covers,
    ) -> Result<(), QueryError> {
        let (table, day) = (plan.table, from.div_euclid(24));
        let (from_micros, to_micros) = (day * DAY, (day + 1) * DAY);
        let had_rows = plan.files.iter().any(|f| (from_micros..to_micros).contains(&f.time_min_micros));
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
        self.write(plan, Derived { rows, from_micros, to_micros, covers, now_micros: (self.clock)() }).await
    }

    async fn write(&self, plan: &mut Snapshot, derived: Derived) -> Result<(), QueryError> {
        self.engine.inner.store.derive(plan, derived).await.map_err(failed)
    }
}

fn failed(error: StoreError) -> QueryError {
    match error {
        StoreError::Closed => QueryError::Unavailable("the store is closed".into()),
        StoreError::Overtaken { table } => QueryError::Overtaken(table),
        other @ StoreError::Bucket { .. } => QueryError::Unavailable(other.to_string()),
        other => QueryError::Internal(other.to_string()),
    }
}

/// New hours up to a week after the last row, and those that late rows or events may have changed.
fn usage_turn(missing: i64, covers: &Covers, sources: &[Snapshot], open: i64) -> Option<Turn> {
    let [samples, ..] = sources else { return None };
    let first = samples.files.iter().map(|file| due::hour_of(file.time_min_micros)).min()?;
    let newest = samples.files.iter().map(|file| due::hour_of(file.time_max_micros)).max()?;
    let end = open.min(newest + WEEK_HOURS + 1);
    let mut due: BTreeSet<i64> = (missing.max(first)..end).collect();
    for hour in sources.iter().flat_map(|source| due::touched(source, covers)).filter(|hour| *hour < open) {
        due.extend((hour - 1).max(first)..(hour + WEEK_HOURS + 1).min(end));
    }
    let mut held = Covers::default();
    sources.iter().for_each(|source| held.raise(&due::covered(source)));
    Some(Turn { due, open, covers: held })
}

/// Rows that were read as they are written: views become texts.
fn in_stored_schema(table: &'static Table, batch: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let schema = contract::schema(table);
    let columns = batch.columns().iter().zip(schema.fields()).map(|(array, field)| cast(array, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>();
    let batch = columns.and_then(|columns| RecordBatch::try_new(Arc::clone(&schema), columns));
    batch.map_err(|error| QueryError::Internal(error.to_string()))
}
