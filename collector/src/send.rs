//! The way to the server: an HTTP client for ingest, and the uplink that empties the spool through it.
//!
//! Owns retry, backoff and jitter, and the thread that sends; one request is in flight at a time.
//! Must not know rows or sources. **Invariants:** a frame leaves the spool only after the server said that it
//! has it, or that it will never take it; everything else is tried again for ever.

mod client;

pub(crate) use client::{Client, ClientSettings, PostError, TokenSource};

use crate::batch::TableBatch;
use crate::metrics::Counters;
use crate::signal::{Signals, Wake};
use crate::spool::{Frame, Recovered, Spool, SpoolError};
use rand::{Rng as _, SeedableRng as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// First pause after a failure: a restarting server is back soon.
const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// Longest pause: a server that comes back hears from every collector within half a minute.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A wrong token does not become right by asking often; each try may be an entry in the server's audit log.
const BACKOFF_DENIED: Duration = Duration::from_secs(30);
/// How soon a signal is seen while waiting for the server.
const SIGNAL_CHECK: Duration = Duration::from_millis(100);
/// Losses that wait to be told; more than one per table and reason never pile up, because they are summed.
const LOSSES_MAX: usize = 64;

#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("a batch could not be encoded: {0}")]
    Encode(#[from] arrow::error::ArrowError),
    #[error("the sending thread could not be started: {0}")]
    Thread(#[source] std::io::Error),
    #[error("the sending was stopped while {rows} rows waited; they stay in the spool")]
    Stopped { rows: u64 },
}

/// What to do when the spool is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// Live rows: the newest matter most.
    DropOldest,
    /// Rows that can wait at their source, such as a replay.
    Wait,
}

/// How long to go on when the sources have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drain {
    /// Until everything is acknowledged.
    All,
    /// At most so long; the rest stays in the spool.
    For(Duration),
}

/// Rows that the server will never have, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    pub table: String,
    pub rows: u64,
    pub reason: &'static str,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct State {
    spool: Spool,
    losses: Vec<Loss>,
    /// Set when the sources have ended: leave when the spool is empty, or at once.
    ending: Option<Ending>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    WhenEmpty,
    Now,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave the spool half changed in memory without its file saying so.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running uplink. Dropping it without [`Uplink::finish`] leaves the unsent rows in the spool.
#[derive(Debug)]
pub(crate) struct Uplink {
    shared: Arc<Shared>,
    when_full: WhenFull,
    signals: Signals,
    thread: Option<JoinHandle<()>>,
}

impl Uplink {
    pub(crate) fn start(
        client: Client,
        spool: Spool,
        when_full: WhenFull,
        signals: Signals,
        counters: Arc<Counters>,
    ) -> Result<Self, SendError> {
        let state = Mutex::new(State { spool, losses: Vec::new(), ending: None });
        let shared = Arc::new(Shared { state, changed: Condvar::new(), counters });
        let sender = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("uplink".to_owned())
            .spawn(move || send_until_end(&sender, &client))
            .map_err(SendError::Thread)?;
        Ok(Self { shared, when_full, signals, thread: Some(thread) })
    }

    /// Puts a batch into the spool, from where it is sent. Returns after it is written through.
    pub(crate) fn put(&self, batch: &TableBatch) -> Result<(), SendError> {
        let (table, rows) = (batch.0.name, batch.1.num_rows() as u64);
        let payload = crate::wire::encode(&batch.1)?;
        let mut state = self.shared.lock();
        while self.when_full == WhenFull::Wait && !state.spool.has_room(payload.len()) && state.spool.rows_pending() > 0
        {
            state = self.shared.changed.wait_timeout(state, SIGNAL_CHECK).unwrap_or_else(PoisonError::into_inner).0;
            if self.signals.wait(Duration::ZERO) == Wake::Stop {
                return Err(SendError::Stopped { rows: state.spool.rows_pending() });
            }
        }
        let appended = state.spool.append(table, rows, &payload);
        let dropped = match appended {
            Ok(dropped) => dropped,
            Err(error) => {
                state.lose(table, rows, "the spool could not take them");
                Counters::add(&self.shared.counters.rows_dropped, rows);
                return Err(error.into());
            }
        };
        for (table, rows) in dropped {
            tracing::error!(%table, rows, "the spool is full: the oldest rows were dropped");
            Counters::add(&self.shared.counters.rows_dropped, rows);
            state.lose(&table, rows, "the spool was full");
        }
        state.show(&self.shared.counters);
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// The losses since the last call, to be told as device events.
    pub(crate) fn take_losses(&self) -> Vec<Loss> {
        std::mem::take(&mut self.shared.lock().losses)
    }

    /// Ends the sending; returns the rows that stay in the spool.
    pub(crate) fn finish(mut self, drain: Drain) -> u64 {
        let deadline = match drain {
            Drain::All => None,
            Drain::For(limit) => Some(Instant::now() + limit),
        };
        let mut state = self.shared.lock();
        state.ending = Some(Ending::WhenEmpty);
        self.shared.changed.notify_all();
        while state.spool.rows_pending() > 0 {
            let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if over || self.signals.wait(Duration::ZERO) == Wake::Stop {
                state.ending = Some(Ending::Now);
                self.shared.changed.notify_all();
                // The thread may sit in a request; nobody waits for it, the spool keeps its frame.
                return state.spool.rows_pending();
            }
            state = self.shared.changed.wait_timeout(state, SIGNAL_CHECK).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the sending thread panicked; unsent rows stay in the spool");
        }
        0
    }
}

impl State {
    fn lose(&mut self, table: &str, rows: u64, reason: &'static str) {
        if let Some(loss) = self.losses.iter_mut().find(|l| l.table == table && l.reason == reason) {
            loss.rows += rows;
        } else if self.losses.len() < LOSSES_MAX {
            self.losses.push(Loss { table: table.to_owned(), rows, reason });
        }
    }

    fn show(&self, counters: &Counters) {
        Counters::set(&counters.spool_bytes, self.spool.bytes());
        Counters::set(&counters.spool_rows, self.spool.rows_pending());
    }
}

/// Logs what a restart found in the spool.
pub(crate) fn log_recovered(recovered: Recovered) {
    if recovered.frames > 0 {
        tracing::info!(frames = recovered.frames, rows = recovered.rows, "the spool holds unsent rows; sending them");
    }
    if recovered.bytes_cut > 0 {
        tracing::warn!(bytes = recovered.bytes_cut, "the spool ended in a torn write, which was cut");
    }
}

/// The sending thread: tables in turn, one frame each, until the end.
fn send_until_end(shared: &Shared, client: &Client) {
    let mut failures = 0_u32;
    let mut random = rand::rngs::StdRng::from_os_rng();
    loop {
        let tables = {
            let mut state = shared.lock();
            loop {
                let tables = state.spool.tables_pending();
                match state.ending {
                    Some(Ending::Now) => return,
                    Some(Ending::WhenEmpty) if tables.is_empty() => return,
                    _ if !tables.is_empty() => break tables,
                    _ => state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            }
        };
        for table in tables {
            let Some(frame) = next_frame(shared, &table) else { continue };
            match client.post(&frame.table, &frame.writer, frame.sequence, &frame.payload) {
                Ok(answer) => {
                    if failures > 0 {
                        tracing::info!(failures, "the server answers again");
                    }
                    failures = 0;
                    acknowledged(shared, &frame, &answer);
                }
                Err(PostError::Refused { status, message }) => refused(shared, &frame, status, &message),
                Err(PostError::Retry { message, after, denied }) => {
                    failures = failures.saturating_add(1);
                    Counters::add(&shared.counters.retries, 1);
                    let pause = pause(failures, after, denied, random.random_range(0.5..1.0));
                    log_failure(failures, pause, &message);
                    if !wait_or_end(shared, pause) {
                        return;
                    }
                    break;
                }
            }
        }
    }
}

fn next_frame(shared: &Shared, table: &str) -> Option<Frame> {
    let mut state = shared.lock();
    match state.spool.next(table) {
        Ok((frame, 0)) => frame,
        Ok((frame, rows)) => {
            tracing::error!(table, rows, "rows in the spool became unreadable");
            Counters::add(&shared.counters.rows_dropped, rows);
            state.lose(table, rows, "the spool was damaged");
            frame
        }
        Err(error) => {
            tracing::error!(table, %error, "the spool could not be read; trying again");
            drop(state);
            // Without a pause an unreadable disk would be asked in a tight loop.
            wait_or_end(shared, BACKOFF_MAX);
            None
        }
    }
}

fn acknowledged(shared: &Shared, frame: &Frame, answer: &contract::answers::IngestAnswer) {
    let counters = &shared.counters;
    Counters::add(&counters.rows_sent, frame.rows);
    Counters::add(&counters.bytes_sent, frame.payload.len() as u64);
    Counters::add(&counters.frames_sent, 1);
    Counters::add(&counters.frames_duplicate, u64::from(answer.duplicate));
    if let Some(first) = answer.rejected.first() {
        let (rows, table) = (answer.rejected.len(), &frame.table);
        tracing::error!(%table, rows, column = first.column, reason = first.reason, "the server rejected rows");
    }
    let mut state = shared.lock();
    if let Err(error) = state.spool.done(frame) {
        tracing::error!(%error, "an acknowledged frame could not be removed from the spool");
    }
    state.show(counters);
    drop(state);
    shared.changed.notify_all();
}

fn refused(shared: &Shared, frame: &Frame, status: u16, message: &str) {
    let (table, rows) = (&frame.table, frame.rows);
    tracing::error!(%table, rows, status, message, "the server refuses a batch for good; it was set aside");
    Counters::add(&shared.counters.rows_refused, rows);
    let mut state = shared.lock();
    if let Err(error) = state.spool.set_aside(frame) {
        tracing::error!(%error, "a refused batch could not be kept");
    }
    // A refused report of losses must not cause the next one.
    if frame.table != "device_events" {
        state.lose(&frame.table, frame.rows, "the server refused them");
    }
    state.show(&shared.counters);
    drop(state);
    shared.changed.notify_all();
}

/// The pause after so many failures in a row; `jitter` in 0.5..1 spreads the collectors of a fleet.
fn pause(failures: u32, after: Option<Duration>, denied: bool, jitter: f64) -> Duration {
    let doubled = BACKOFF_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(BACKOFF_MAX);
    let wanted = if denied { BACKOFF_DENIED } else { doubled };
    // What the server asks for is a minimum; the jitter comes on top of it.
    let spread = wanted.mul_f64(jitter);
    after.map_or(spread, |after| after.min(client::RETRY_AFTER_MAX) + BACKOFF_MIN.mul_f64(jitter).min(spread))
}

fn log_failure(failures: u32, pause: Duration, message: &str) {
    // The first failure and then each power of two: enough to see it, not enough to fill a disk.
    if failures.is_power_of_two() {
        tracing::warn!(
            failures,
            pause_seconds = pause.as_secs_f64(),
            message,
            "sending failed; rows wait in the spool"
        );
    }
}

/// Waits so long; `false` when the end came.
fn wait_or_end(shared: &Shared, pause: Duration) -> bool {
    let deadline = Instant::now() + pause;
    let mut state = shared.lock();
    loop {
        if state.ending == Some(Ending::Now) {
            return false;
        }
        let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) else { return true };
        state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_keep_what_the_server_asks() {
        assert_eq!(pause(1, None, false, 1.0), BACKOFF_MIN);
        assert_eq!(pause(3, None, false, 1.0), BACKOFF_MIN * 4);
        assert_eq!(pause(u32::MAX, None, false, 1.0), BACKOFF_MAX);
        assert_eq!(pause(1, None, false, 0.5), BACKOFF_MIN / 2);
        assert_eq!(pause(1, None, true, 1.0), BACKOFF_DENIED);
        assert!(pause(1, Some(Duration::from_secs(7)), false, 0.5) >= Duration::from_secs(7));
        assert!(pause(1, Some(Duration::from_secs(1 << 40)), false, 0.5) < Duration::from_secs(3600));
    }
}
