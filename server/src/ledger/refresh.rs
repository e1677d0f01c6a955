//! Keeps `ledger_open` true: computes each day whose inputs have changed, and writes it whole.

use super::activity::Activity;
use super::allocations::Allocations;
use super::days::{self, DAY};
use super::duplicates;
use super::inputs::{self, Jobs, Seen};
use super::notices;
use super::others::Others;
use super::read::{Rows, rows_of};
use super::rows::{self, Common, Posted};
use super::statements::Statements;
use super::{Ledger, LedgerError};
use super::{processes, requests};
pub(super) use crate::cost::known_to;
use crate::cost::{self, Inputs, JobRun, LedgerRow, Noted, Period, Policy};
use crate::store::{Covers, DataFile, Derived, Snapshot, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument as _;

/// How often it looks whether something is due; a statement is heard of at once.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// After a failure (a full disk, say) the next try waits this long.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// For each second of work in the background it rests so many: pages and ingest go first.
const REST: u32 = 1;

/// What was computed already.
#[derive(Default)]
pub(super) struct Known {
    /// The digest of the inputs of each day of the table; none before it was read.
    inputs: Option<BTreeMap<i64, String>>,
    /// Generations of the sources and the last hour, when all days were as they should be.
    settled: Option<Generation>,
    pub(super) others: Others,
}

/// When it is the same, nothing can have changed.
type Generation = (u64, u64, u64, [u8; 32], usize, i64);

/// What is to be done with a day.
type Due = (i64, String);

impl Known {
    /// The table is to be read again: others may have changed it.
    pub(super) fn forget(&mut self) {
        (self.inputs, self.settled) = (None, None);
    }
}

impl Ledger {
    /// Brings the ledger up to date, again and again. Ends when it is dropped.
    pub async fn keep(&self) {
        loop {
            let wait = match self.refresh(REST).await {
                Ok(()) => LOOK_EVERY,
                Err(LedgerError::Store(error @ StoreError::Overtaken { .. })) => {
                    tracing::debug!(%error, "another server keeps the ledger as well, it is looked at again");
                    LOOK_EVERY.mul_f64(1.0 + rand::random::<f64>())
                }
                Err(error) => {
                    tracing::error!(%error, "the ledger could not be brought up to date");
                    RETRY_AFTER
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => (),
                () = self.inner.wake.notified() => (),
            }
        }
    }

    /// Brings the ledger up to date as of now, resting `rest` times as long as it works.
    pub async fn refresh(&self, rest: u32) -> Result<(), LedgerError> {
        let ledger = self.clone();
        self.on_runtime(async move {
            let mut known = ledger.inner.work.lock().await;
            ledger.refresh_locked(&mut known, rest).await
        })
        .await
    }

    /// Likewise, for whoever holds the work.
    pub(super) async fn refresh_locked(&self, known: &mut Known, rest: u32) -> Result<(), LedgerError> {
        let store = &self.inner.store;
        // Before its sources: what anybody has made of older ones is in it then.
        let mut plan = store.snapshot(&store.derived().ledger_open);
        self.hear(known, plan.generation).await?;
        let statements = self.statements();
        let usage = store.snapshot(&store.derived().usage_hourly);
        let events = store.snapshot(contract::table("job_events").expect("the contract has job_events"));
        let known_to = known_to((self.inner.clock)());
        let shares = store.snapshot(store.derived().process_hours());
        let generations = (usage.generation, shares.generation, events.generation);
        let generation =
            (generations.0, generations.1, generations.2, statements.digest, statements.all.len(), known_to);
        if known.settled == Some(generation) {
            return Ok(());
        }
        let (jobs, seen) = (Jobs::ask(&self.inner.engine).await?, Seen::ask(&self.inner.engine).await?);
        *self.inner.duplicates.lock() = duplicates::ask(&self.inner.engine).await?;
        let held = Allocations::ask(&self.inner.engine, &statements.pools, &jobs, &seen).await?;
        let files: Vec<DataFile> = usage.files.iter().chain(shares.files.iter()).cloned().collect();
        let all = days::All { statements: &statements, usage: &files, jobs: &jobs, held: &held, seen: &seen, known_to };
        let wanted = days::inputs(&all);
        if known.inputs.is_none() {
            known.inputs = Some(self.written().await?);
        }
        let had = known.inputs.get_or_insert_default();
        let gone = had.keys().filter(|day| !wanted.contains_key(day)).map(|day| (*day, String::new()));
        let changed = wanted.iter().filter(|(day, digest)| had.get(day) != Some(digest));
        let mut due: Vec<Due> = gone.chain(changed.map(|(day, digest)| (*day, digest.clone()))).collect();
        let differ = due.len();
        if store.is_shared() {
            known.others.leave(&mut due, had, Instant::now());
        }
        let all_written = due.len() == differ;
        for (day, digest) in due {
            let since = Instant::now();
            let span = tracing::info_span!("ledger day", day);
            self.write_day(&all, &mut plan, day, &digest).instrument(span).await?;
            known.others.wrote(day, &digest);
            match digest.is_empty() {
                true => drop(had.remove(&day)),
                false => drop(had.insert(day, digest)),
            }
            tokio::time::sleep(since.elapsed() * rest).await;
        }
        known.others.agree(had, &wanted);
        known.settled = all_written.then_some(generation);
        Ok(())
    }

    /// The digest of the inputs of each day that has rows.
    async fn written(&self) -> Result<BTreeMap<i64, String>, LedgerError> {
        let sql = "select date_trunc('day', time), min(inputs) from ledger_open group by 1";
        let mut found = BTreeMap::new();
        for batch in rows_of(&self.inner.engine, sql, Vec::new()).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                let (Some(time), Some(inputs)) = (rows.int(0, row), rows.text(1, row)) else { continue };
                found.insert(time.div_euclid(DAY), inputs.to_owned());
            }
        }
        Ok(found)
    }

    /// Computes a day and puts it in the place of what was there.
    async fn write_day(
        &self,
        all: &days::All<'_>,
        plan: &mut Snapshot,
        day: i64,
        digest: &str,
    ) -> Result<(), LedgerError> {
        let (from_micros, to_micros) = (day * DAY, (day + 1) * DAY);
        let (posted, noted) = if digest.is_empty() { Default::default() } else { self.day(all, day).await? };
        let table = &self.inner.store.derived().ledger_open;
        let policy_version = &all.statements.policy_version;
        let activity = Activity::ask(&self.inner.engine, (from_micros, to_micros)).await?;
        let currency = &all.statements.currency;
        let common = Common { policy_version, currency, inputs: digest, activity: &activity };
        let rows = rows::batch(table, &posted, &common)?;
        let now_micros = (self.inner.clock)();
        // Digests say what it holds. Notices come first: the digest of the day's inputs is in the rows.
        let part = |rows| Derived { rows, from_micros, to_micros, covers: Covers::default(), now_micros };
        let store = &self.inner.store;
        let mut told = store.snapshot(&store.derived().ledger_notices);
        let notices = notices::batch(told.table, day, &noted)?;
        store.derive(&mut told, part(notices)).await?;
        store.derive(plan, part(rows)).await?;
        Ok(())
    }

    /// The rows of a day that belong to months which are open.
    async fn day(&self, all: &days::All<'_>, day: i64) -> Result<(Vec<Posted>, Vec<Noted>), LedgerError> {
        let range = (day * DAY, (day + 1) * DAY);
        let period = Period::of(range.0).ok_or_else(|| LedgerError::Internal(format!("day {day} has no month")))?;
        let (fresh, notices) = self.computed(all, day, &all.statements.policy).await?;
        let posted = match all.statements.is_closed(&period.to_string()) {
            false => fresh.into_iter().map(|row| Posted { row, period, corrects: None }).collect(),
            true => self.corrections(all.statements, period, range, fresh).await?,
        };
        Ok((posted, notices))
    }

    /// The rows of a day under a policy, as if its month were open.
    pub(super) async fn computed(
        &self,
        all: &days::All<'_>,
        day: i64,
        policy: &Policy,
    ) -> Result<(Vec<LedgerRow>, Vec<Noted>), LedgerError> {
        let (from_micros, to_micros) = (day * DAY, (day + 1) * DAY);
        let statements = all.statements;
        let range = (from_micros, to_micros);
        let mut gpu_hours = inputs::gpu_hours(&self.inner.engine, &statements.pools, all.jobs, range).await?;
        processes::attach(&self.inner.engine, all.jobs, range, &mut gpu_hours).await?;
        let held = all.held.within(range);
        let requests = requests::requests(all, &gpu_hours, range);
        let accounting_jobs = accounting_jobs(all, range);
        // A day takes a fraction of a second.
        Ok(tokio::task::block_in_place(|| {
            cost::day(&Inputs {
                from_micros,
                to_micros: to_micros.min(all.known_to),
                known_to_micros: all.known_to,
                gpu_hours: &gpu_hours,
                held: &held,
                requests: &requests,
                charges: &statements.charges,
                accounting_jobs: &accounting_jobs,
                prices: &statements.book,
                ownership: &statements.ownership,
                policy,
            })
        }))
    }
}

/// Jobs that only accounting knows and that run within `[from, to)`. One without an end goes on as long as its cluster
/// is heard of.
fn accounting_jobs(all: &days::All<'_>, (from, to): (i64, i64)) -> Vec<Arc<JobRun>> {
    let within = |run: &JobRun| {
        let start = run.started_micros.unwrap_or(i64::MAX);
        start < to && (all.jobs.end(run) > from || start >= from)
    };
    let here = all.jobs.all.iter().filter(|job| within(&job.run) && !all.seen.measures(job));
    here.map(|job| match job.run.ended_micros {
        None if all.jobs.end(&job.run) < to => {
            Arc::new(JobRun { ended_micros: Some(all.jobs.end(&job.run)), ..(*job.run).clone() })
        }
        _ => Arc::clone(&job.run),
    })
    .collect()
}

/// The month that corrections of a closed month are posted to: the first later one that is open.
pub(super) fn open_after(statements: &Statements, period: Period) -> Period {
    let mut open = period;
    while statements.is_closed(&open.to_string()) {
        open = open.next();
    }
    open
}
