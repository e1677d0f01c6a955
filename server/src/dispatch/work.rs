//! One try of a run: make, deliver, and write down what became of it.

use super::{Dispatch, DispatchError};
use crate::ledger::LedgerError;
use crate::schedule::{Run, RunState};
use crate::store::StoreError;
use std::time::Duration;
use tracing::Instrument as _;

/// While this process lives it knows what was delivered, and tries to write it down.
const RECORD_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Dispatch {
    pub(super) async fn work(&self, run: Run, taken_micros: i64) -> Run {
        let span = tracing::info_span!("document", schedule = &*run.schedule);
        let outcome = self.attempt(&run, taken_micros).instrument(span).await;
        let now = (self.inner.clock)();
        let done = match outcome {
            Ok(bytes) => run.delivered(now, bytes),
            Err(error) if error.is_final() => run.given_up(&error.to_string()),
            Err(error) => run.failed(now, &error.to_string()),
        };
        let (schedule, file, attempts) = (&*done.schedule, done.file.as_deref().unwrap_or_default(), done.attempts);
        match (done.state, &done.error) {
            (RunState::Delivered, _) => {
                tracing::info!(schedule, file, to = done.to, attempts, "a document was delivered")
            }
            (RunState::GivenUp, Some(error)) => {
                tracing::error!(schedule, file, error, attempts, "a document is given up")
            }
            (_, error) => {
                tracing::warn!(schedule, file, error, attempts, "a document was not delivered, it is tried again")
            }
        }
        self.record(&run, done).await
    }

    async fn record(&self, run: &Run, done: Run) -> Run {
        loop {
            let same = |kept: Option<&Run>| kept.filter(|kept| kept.is_same_try(run)).map(|_| done.clone());
            match self.inner.runs.change(run, same).await {
                // Another server has taken it meanwhile, and what it does counts; or it was written before.
                Ok(kept) => return kept.unwrap_or(done),
                Err(error) => {
                    tracing::error!(schedule = %run.schedule, %error, "what became of a document could not be written down");
                    tokio::time::sleep(RECORD_AGAIN_AFTER).await;
                }
            }
        }
    }

    /// The bytes that were delivered.
    async fn attempt(&self, run: &Run, taken_micros: i64) -> Result<u64, DispatchError> {
        let statements = self.inner.ledger.statements();
        let found = statements.schedules.iter().find(|(_, schedule)| schedule.name == run.schedule);
        let gone = || DispatchError::Final("the schedule is no longer stated".to_owned());
        let (_, schedule) = found.ok_or_else(gone)?;
        let beyond = || DispatchError::Final("the time is beyond the calendar".to_owned());
        let (period, bounds) = schedule.period(run.slot_micros).ok_or_else(beyond)?;
        // What will certainly fail is not made first.
        self.inner.sending.check(schedule)?;
        match self.inner.ledger.refresh(0).await {
            // Another server brings the ledger up to date just now.
            Err(LedgerError::Store(StoreError::Overtaken { .. })) => {}
            other => other?,
        }
        let made = self.made(schedule, period, (self.inner.clock)()).await?;
        let now = (self.inner.clock)();
        if now >= Run::deliver_until(taken_micros) {
            return Err(DispatchError::Late("it took too long to make the document".to_owned()));
        }
        self.inner.sending.send(schedule, run, bounds, made, now).await
    }
}
