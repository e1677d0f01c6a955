//! Documents: made on request, and by schedule delivered to a folder, a bucket, a webhook or by mail.
//!
//! Owns the table `report_runs` and the loop that looks what is due. Must not know HTTP routes, nor when a slot is
//! (`schedule` does) or which addresses may be asked (`deliver` does). **Invariants:** whoever works at a run has
//! written so before, by a conditional commit that one server only can make; what a receiver has taken is not sent
//! again, but where a server ends between the answer and its record.

mod error;
mod found;
mod mailing;
mod making;
mod rows;
mod runs;
mod sending;
mod work;

pub use error::DispatchError;
pub use making::{Made, Written, document, media_type};

use crate::cost;
use crate::deliver::Networks;
use crate::insight::Insight;
use crate::ledger::Ledger;
use crate::query::Engine;
use crate::schedule::{Due, Run, RunState, Schedule, Taking};
use crate::store::{BucketSettings, BucketVariables, Store};
use parking_lot::Mutex;
use runs::Runs;
use sending::Sending;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Documents that are made at once: each may hold a core for seconds and some hundred megabytes.
const MAKING_MAX: usize = 2;
/// Runs that this server works at; most of the time they wait for a receiver.
const HANDS: usize = 4;
/// Cron counts minutes, and a look is a comparison a schedule.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// After a failure (a full disk, say) the next look waits this long.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Two that are asked for in the same second are a second apart.
const SECONDS_APART_MAX: i64 = 60;
/// An orderly stop waits so long for receivers: what they have taken is then written down.
const FINISH_WITHIN: Duration = Duration::from_secs(20);
const FINISH_LOOK_EVERY: Duration = Duration::from_millis(50);
/// Runs of each schedule that are told at once.
const TOLD_MAX: usize = 10;

/// Where documents may go.
#[derive(Debug, Clone)]
pub struct DispatchSettings {
    /// Below it files may be written; without it none.
    pub reports_dir: Option<PathBuf>,
    /// Networks that are not public and may be asked all the same.
    pub networks: Networks,
    /// Where the secrets lie that requests are signed with.
    pub secrets_dir: PathBuf,
    pub variables: BucketVariables,
    /// The tables' own place, where no document belongs.
    pub tables: Option<BucketSettings>,
}

/// Shared handle; clones are cheap.
#[derive(Clone)]
pub struct Dispatch {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    ledger: Ledger,
    insight: Insight,
    runs: Runs,
    sending: Sending,
    /// Unix microseconds, UTC.
    clock: fn() -> i64,
    making: Semaphore,
    hands: Arc<Semaphore>,
    /// What this process works at: schedule and slot.
    in_hand: Mutex<BTreeSet<(Arc<str>, i64)>>,
    wake: Notify,
    /// Where runs are worked at, whoever asked.
    runtime: Handle,
}

/// A schedule as it stands.
pub struct Standing {
    /// The document that states it.
    pub document: Arc<str>,
    pub schedule: Schedule,
    pub next_micros: Option<i64>,
    /// What of this server's settings will keep it from being delivered.
    pub problem: Option<String>,
    /// The last ones, the latest first.
    pub runs: Vec<Run>,
}

impl Dispatch {
    /// Called within a runtime of several threads, where runs are worked at from then on.
    pub fn open(
        store: Store,
        (engine, ledger, insight): (Engine, Ledger, Insight),
        settings: DispatchSettings,
        clock: fn() -> i64,
    ) -> Self {
        let inner = Inner {
            runs: Runs::new(store, engine.clone(), clock),
            engine,
            ledger,
            insight,
            sending: Sending::new(settings),
            clock,
            making: Semaphore::new(MAKING_MAX),
            hands: Arc::new(Semaphore::new(HANDS)),
            in_hand: Mutex::default(),
            wake: Notify::new(),
            runtime: Handle::current(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A place for a document in the making.
    pub async fn making(&self) -> Result<tokio::sync::SemaphorePermit<'_>, DispatchError> {
        self.inner.making.acquire().await.map_err(|error| DispatchError::Internal(error.to_string()))
    }

    /// Looks what is due, again and again. Ends when it is dropped.
    pub async fn keep(&self) {
        loop {
            let wait = match self.look().await {
                Ok(()) => LOOK_EVERY,
                Err(error) => {
                    tracing::error!(%error, "it could not be looked which documents are due");
                    LOOK_AGAIN_AFTER
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => (),
                () = self.inner.wake.notified() => (),
            }
        }
    }

    async fn look(&self) -> Result<(), DispatchError> {
        let now = (self.inner.clock)();
        let statements = self.inner.ledger.statements();
        if !statements.schedules.is_empty() {
            let known = self.inner.runs.known().await?;
            for (_, schedule) in &statements.schedules {
                if let Some(due) = schedule.due(known.last.get(&schedule.name).copied(), now) {
                    self.note(schedule, &due).await?;
                }
            }
        }
        for run in &self.inner.runs.known().await?.open {
            self.take(run).await?;
        }
        Ok(())
    }

    /// Writes down what is due, and before it what was missed: the latest slot says that those before are done with.
    async fn note(&self, schedule: &Schedule, due: &Due) -> Result<(), DispatchError> {
        let instead = chrono::DateTime::from_timestamp_micros(due.slot_micros).unwrap_or_default();
        let why = format!("no server ran when it was due, and {} took its place", instead.format("%Y-%m-%dT%H:%MZ"));
        let mut runs: Vec<Run> = Vec::new();
        for (at, slot) in due.missed_micros.iter().enumerate() {
            let older = if at == 0 && due.has_older { "; so were older ones, which are not listed" } else { "" };
            let mut run = self.planned(schedule, *slot, None);
            (run.state, run.next_micros, run.error) = (RunState::Missed, None, Some(format!("{why}{older}")));
            runs.push(run);
        }
        if !runs.is_empty() {
            tracing::warn!(schedule = %schedule.name, missed = runs.len(), "slots of a schedule were missed");
        }
        runs.push(self.planned(schedule, due.slot_micros, None));
        self.inner.runs.add(runs).await
    }

    fn planned(&self, schedule: &Schedule, slot_micros: i64, asked_by: Option<&str>) -> Run {
        let period = schedule.period(slot_micros).map(|(_, bounds)| bounds);
        // A document about hours that are not in the ledger yet would be wrong for ever.
        let known = period.map_or(slot_micros, |(_, to)| cost::known_from(to));
        Run {
            schedule: Arc::clone(&schedule.name),
            slot_micros,
            state: RunState::Due,
            asked_by: asked_by.map(str::to_owned),
            attempts: 0,
            server: String::new(),
            next_micros: Some(if asked_by.is_some() { known } else { slot_micros.max(known) }),
            started_micros: None,
            delivered_micros: None,
            period_micros: period,
            report: schedule.report.as_str().to_owned(),
            format: schedule.form.as_str().to_owned(),
            to: schedule.to.shown(),
            file: Some(schedule.file(slot_micros)),
            bytes: None,
            error: None,
        }
    }

    /// Works at a run, if no other server does and there is a hand free.
    async fn take(&self, run: &Run) -> Result<(), DispatchError> {
        let now_micros = (self.inner.clock)();
        let is_in_hand = self.inner.in_hand.lock().contains(&run.key());
        let server = self.inner.runs.server().to_owned();
        let by = Taking { server: &server, is_in_hand, now_micros };
        if !run.may_be_taken(by) {
            return Ok(());
        }
        let Ok(hand) = Arc::clone(&self.inner.hands).try_acquire_owned() else { return Ok(()) };
        if !self.inner.in_hand.lock().insert(run.key()) {
            return Ok(());
        }
        let wanted = |kept: Option<&Run>| kept.filter(|kept| kept.may_be_taken(by)).map(|kept| kept.taken(by));
        match self.inner.runs.change(run, wanted).await {
            Ok(Some(taken)) if taken.state == RunState::Running => {
                let dispatch = self.clone();
                self.inner.runtime.spawn(async move { dispatch.finished(taken, now_micros, Some(hand)).await });
                Ok(())
            }
            other => {
                self.inner.in_hand.lock().remove(&run.key());
                other.map(drop)
            }
        }
    }

    /// What becomes of a run that is in hand.
    async fn finished(&self, run: Run, taken_micros: i64, hand: Option<OwnedSemaphorePermit>) -> Run {
        let done = self.work(run.clone(), taken_micros).await;
        self.inner.in_hand.lock().remove(&run.key());
        drop(hand);
        done
    }

    /// Makes and delivers a document of a schedule now, once, and gives what became of the first try.
    pub async fn run(&self, name: &str, asked_by: &str) -> Result<Run, DispatchError> {
        let (dispatch, name, asked_by) = (self.clone(), name.to_owned(), asked_by.to_owned());
        // Whoever asked may go; what is begun comes to its end.
        let asked = self.inner.runtime.spawn(async move { dispatch.run_here(&name, &asked_by).await });
        asked.await.map_err(|error| DispatchError::Internal(format!("the run stopped: {error}")))?
    }

    async fn run_here(&self, name: &str, asked_by: &str) -> Result<Run, DispatchError> {
        let statements = self.inner.ledger.statements();
        let found = statements.schedules.iter().find(|(_, schedule)| *schedule.name == *name);
        let Some((_, schedule)) = found else {
            let known = statements.schedules.iter().map(|(_, schedule)| schedule.name.to_string());
            return Err(DispatchError::NoSchedule { name: name.chars().take(100).collect(), known: known.collect() });
        };
        let now_micros = (self.inner.clock)();
        let server = self.inner.runs.server().to_owned();
        let by = Taking { server: &server, is_in_hand: false, now_micros };
        let hand = Arc::clone(&self.inner.hands).try_acquire_owned().ok();
        let second = now_micros.div_euclid(1_000_000) * 1_000_000;
        for after in 0..SECONDS_APART_MAX {
            let planned = self.planned(schedule, second + after * 1_000_000, Some(asked_by));
            let is_taken = hand.is_some() && planned.may_be_taken(by);
            let run = if is_taken { planned.taken(by) } else { planned };
            // Before anybody sees it, so that the loop does not take it for one that a killed process has left.
            if !self.inner.in_hand.lock().insert(run.key()) {
                continue;
            }
            let added = self.inner.runs.change(&run, |kept| kept.is_none().then(|| run.clone())).await;
            match (added, is_taken) {
                (Ok(Some(run)), true) => return Ok(self.finished(run, now_micros, hand).await),
                (added, _) => {
                    self.inner.in_hand.lock().remove(&run.key());
                    if let Some(waiting) = added? {
                        // For its hours or for a hand; the loop takes it.
                        self.inner.wake.notify_one();
                        return Ok(waiting);
                    }
                }
            }
        }
        Err(DispatchError::Late("it was asked for too often within a minute, ask again later".to_owned()))
    }

    /// Takes nothing further, and returns when what is in hand has come to an end, or after a while.
    pub async fn finish(&self) {
        self.inner.hands.close();
        let all_done = async {
            while !self.inner.in_hand.lock().is_empty() {
                tokio::time::sleep(FINISH_LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(FINISH_WITHIN, all_done).await.is_err() {
            tracing::warn!("a document is still on its way, the next start takes it up");
        }
    }

    /// Every schedule with its last runs.
    pub async fn standing(&self) -> Result<Vec<Standing>, DispatchError> {
        let now = (self.inner.clock)();
        let statements = self.inner.ledger.statements();
        let mut recent = self.inner.runs.recent(TOLD_MAX).await?;
        let standing = statements.schedules.iter().map(|(document, schedule)| Standing {
            document: Arc::clone(document),
            schedule: schedule.clone(),
            next_micros: schedule.timetable.next_after(now),
            problem: self.inner.sending.check(schedule).err().map(|error| error.to_string()),
            runs: recent.remove(&schedule.name).unwrap_or_default(),
        });
        Ok(standing.collect())
    }
}

#[cfg(test)]
mod tests;
