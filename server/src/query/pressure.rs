//! The memory of the whole process against a bound: the engine's pool does not count everything that a query holds.
//!
//! **Invariants:** one query may always run, so that memory which no query holds never refuses all of them; a query
//! is stopped only if the process has grown since it began.

use super::QueryError;
use super::yielding::Stop;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// A query that allocates as fast as memory goes takes a gibibyte in this time.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What a stopped query held is given back by then; before, the next would be stopped for it.
const SETTLE: Duration = Duration::from_millis(500);
/// A query is stopped when the process has grown by this share of the bound since it began.
const GROWN: u64 = 8;
/// Of `/proc/self/statm`, on every Linux that this runs on.
const PAGE_BYTES: u64 = 4096;

pub(super) struct Pressure {
    bound: u64,
    resident: fn() -> u64,
    queries: Mutex<Queries>,
    begun: AtomicU64,
}

#[derive(Default)]
struct Queries {
    /// By the order in which they began.
    running: BTreeMap<u64, Running>,
    /// Whether somebody looks after them.
    watched: bool,
}

struct Running {
    resident_at_begin: u64,
    stopped: Arc<AtomicBool>,
    work: Option<(AbortHandle, Option<Arc<Stop>>)>,
}

/// A query's place among those that run; it ends when it is dropped.
pub(super) struct Place {
    number: u64,
    stopped: Arc<AtomicBool>,
    of: Arc<Pressure>,
}

/// Resident bytes of this process; 0 where they cannot be read, and then nothing is bounded.
pub(super) fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE_BYTES
}

impl Pressure {
    pub(super) fn new(bound: u64, resident: fn() -> u64) -> Arc<Self> {
        Arc::new(Self { bound, resident, queries: Mutex::default(), begun: AtomicU64::new(0) })
    }

    /// `threads` run the look-out while there are queries.
    pub(super) fn admit(self: &Arc<Self>, threads: &Handle) -> Result<Place, QueryError> {
        let resident_at_begin = (self.resident)();
        let mut queries = self.queries.lock();
        if resident_at_begin > self.bound && !queries.running.is_empty() {
            return Err(QueryError::Pressed { what: "was not begun", bound: self.bound });
        }
        let (number, stopped) = (self.begun.fetch_add(1, Ordering::Relaxed), Arc::<AtomicBool>::default());
        queries.running.insert(number, Running { resident_at_begin, stopped: Arc::clone(&stopped), work: None });
        if !std::mem::replace(&mut queries.watched, true) {
            threads.spawn(Arc::clone(self).watch());
        }
        Ok(Place { number, stopped, of: Arc::clone(self) })
    }

    /// Stops the latest query under which the process has grown, if it holds too much.
    fn relieve(&self) -> bool {
        let resident = (self.resident)();
        if resident <= self.bound {
            return false;
        }
        let running = &mut self.queries.lock().running;
        let has_grown = |query: &Running| resident.saturating_sub(query.resident_at_begin) >= self.bound / GROWN;
        let Some(number) =
            running.iter().rev().find(|(_, query)| query.work.is_some() && has_grown(query)).map(|(n, _)| *n)
        else {
            return false;
        };
        if let Some(Running { stopped, work: Some((task, stop)), .. }) = running.remove(&number) {
            stopped.store(true, Ordering::Release);
            stop.inspect(|stop| stop.now());
            task.abort();
            tracing::warn!(resident, bound = self.bound, "a query was stopped, the server holds too much memory");
        }
        true
    }

    /// Looks for as long as a query runs.
    async fn watch(self: Arc<Self>) {
        loop {
            let pause = if self.relieve() { SETTLE } else { LOOK_EVERY };
            tokio::time::sleep(pause).await;
            let mut queries = self.queries.lock();
            if queries.running.is_empty() {
                queries.watched = false;
                return;
            }
        }
    }
}

impl Place {
    /// What is to be stopped for this query.
    pub(super) fn runs(&self, task: AbortHandle, stop: Option<Arc<Stop>>) {
        if let Some(query) = self.of.queries.lock().running.get_mut(&self.number) {
            query.work = Some((task, stop));
        }
    }

    /// Why a query's work is gone without a word.
    pub(super) fn error(&self) -> QueryError {
        if self.stopped.load(Ordering::Acquire) {
            return QueryError::Pressed { what: "was stopped", bound: self.of.bound };
        }
        QueryError::Internal("the query's thread has stopped".to_owned())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.queries.lock().running.remove(&self.number);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    const MUCH: u64 = 1 << 60;

    #[test]
    fn the_process_has_a_size() {
        assert!((1 << 20..1 << 40).contains(&resident_bytes()));
    }

    #[tokio::test]
    async fn one_query_always_may_and_the_next_must_wait() {
        let threads = Handle::current();
        let pressure = Pressure::new(1000, || MUCH);
        let first = pressure.admit(&threads).unwrap();
        let refused = pressure.admit(&threads).err().unwrap();
        assert!(refused.to_string().contains("was not begun") && refused.to_string().contains("1000"), "{refused}");
        drop(first);
        pressure.admit(&threads).unwrap();
    }

    #[tokio::test]
    async fn the_latest_query_that_grew_is_stopped_and_says_why() {
        static RESIDENT: AtomicU64 = AtomicU64::new(0);
        let pressure = Pressure::new(1000, || RESIDENT.load(Ordering::Relaxed));
        let endless = || tokio::spawn(std::future::pending::<()>());
        let begin = |resident| {
            RESIDENT.store(resident, Ordering::Relaxed);
            let (place, task) = (pressure.admit(&Handle::current()).unwrap(), endless());
            place.runs(task.abort_handle(), None);
            (place, task)
        };
        let (first, second, third) = (begin(0), begin(500), begin(950));
        assert!(!pressure.relieve(), "within the bound");
        // While this waits, the look-out that `admit` has begun looks, too.
        let too_much = |relieves| {
            RESIDENT.store(1001, Ordering::Relaxed);
            assert_eq!(pressure.relieve(), relieves);
            RESIDENT.store(0, Ordering::Relaxed);
        };
        too_much(true);
        assert!(second.1.await.unwrap_err().is_cancelled(), "the third has not grown");
        assert!(second.0.error().to_string().contains("was stopped"));
        too_much(true);
        assert!(first.1.await.unwrap_err().is_cancelled());
        too_much(false);
        assert!(!third.1.is_finished() && third.0.error().to_string().contains("thread has stopped"));
    }
}
