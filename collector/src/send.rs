//! The way to the server: an HTTP client for ingest, and the uplink that empties the spool through it.
//!
//! Owns retry, backoff and jitter, and the thread that sends; one request is in flight at a time.
//! Must not know rows or sources. **Invariants:** a frame leaves the spool only after the server said that it
//! has it, or that it will never take it; everything else is tried again for ever.

mod client;
mod keep;
mod turns;

pub(crate) use client::{Client, ClientSettings, PostError, TokenSource};

use crate::batch::TableBatch;
use crate::metrics::Counters;
use crate::signal::{Signals, Wake};
pub(crate) use crate::spool::Mark;
use crate::spool::{Recovered, Spool, SpoolError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
    #[error("it could not be noted how far the rows come: {0}")]
    Note(#[source] std::io::Error),
    #[error("the sending was stopped while {rows} rows waited; they stay in the spool")]
    Stopped { rows: u64 },
}

/// What is written down with rows that go into the spool.
pub(crate) trait Note {
    /// Before, with the frame that the rows become. After an error they are not put.
    fn before(&mut self, mark: &Mark) -> std::io::Result<()>;
    /// After, and before anything can be sent.
    fn after(&mut self) -> std::io::Result<()>;
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
    thread: Mutex<Option<JoinHandle<()>>>,
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
            .spawn(move || turns::send_until_end(&sender, &client))
            .map_err(SendError::Thread)?;
        Ok(Self { shared, when_full, signals, thread: Mutex::new(Some(thread)) })
    }

    /// Puts a batch into the spool, from where it is sent. Returns after it is written through.
    pub(crate) fn put(&self, batch: &TableBatch) -> Result<(), SendError> {
        self.put_with(batch, None)
    }

    /// The same with a note of how far their input has come.
    pub(crate) fn put_noted(&self, batch: &TableBatch, note: &mut dyn Note) -> Result<(), SendError> {
        self.put_with(batch, Some(note))
    }

    fn put_with(&self, batch: &TableBatch, mut note: Option<&mut dyn Note>) -> Result<(), SendError> {
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
        if let Some(note) = note.as_deref_mut() {
            note.before(&state.spool.next_mark()).map_err(SendError::Note)?;
        }
        let appended = state.spool.append(table, rows, &payload);
        // While the spool is held nothing of it is sent and forgotten.
        if let Some(Err(error)) = note.map(|note| note.after()) {
            tracing::error!(%error, "it could not be noted how far rows come; a restart may send them again");
        }
        let dropped = match appended {
            Ok(dropped) => dropped,
            Err(error) => {
                state.drop_rows(&self.shared.counters, table, rows, "the spool could not take them");
                return Err(error.into());
            }
        };
        for (table, rows) in dropped {
            tracing::error!(%table, rows, "the spool is full: the oldest rows were dropped");
            state.drop_rows(&self.shared.counters, &table, rows, "the spool was full");
        }
        state.show(&self.shared.counters);
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Whether a restart found a frame in the spool.
    pub(crate) fn found(&self, table: &str, mark: &Mark) -> bool {
        self.shared.lock().spool.found(table, mark)
    }

    /// Whether half of the spool is in use.
    pub(crate) fn is_half_full(&self) -> bool {
        self.shared.lock().spool.is_half_full()
    }

    /// Counts and tells what a restart found damaged.
    pub(crate) fn tell_damage(&self, damaged: &[(String, u64)]) {
        let mut state = self.shared.lock();
        for (table, rows) in damaged {
            tracing::error!(%table, rows, "rows in the spool were damaged");
            state.drop_rows(&self.shared.counters, table, *rows, "the spool was damaged");
        }
    }

    /// The losses since the last call, to be told as device events.
    pub(crate) fn take_losses(&self) -> Vec<Loss> {
        std::mem::take(&mut self.shared.lock().losses)
    }

    /// Ends the sending; returns the rows that stay in the spool.
    pub(crate) fn finish(&self, drain: Drain) -> u64 {
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
                for (table, rows) in state.spool.close() {
                    tracing::error!(%table, rows, "the spool's disk takes nothing: rows that waited in memory are lost");
                    state.drop_rows(&self.shared.counters, &table, rows, "the spool's disk took nothing");
                }
                return state.spool.rows_pending();
            }
            state = self.shared.changed.wait_timeout(state, SIGNAL_CHECK).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
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

    /// A loss on this side.
    fn drop_rows(&mut self, counters: &Counters, table: &str, rows: u64, reason: &'static str) {
        Counters::add(&counters.rows_dropped, rows);
        self.lose(table, rows, reason);
    }

    fn show(&self, counters: &Counters) {
        Counters::set(&counters.spool_bytes, self.spool.bytes());
        Counters::set(&counters.spool_rows, self.spool.rows_pending());
    }
}

/// Logs what a restart found in the spool.
pub(crate) fn log_recovered(recovered: &Recovered) {
    if recovered.frames > 0 {
        tracing::info!(frames = recovered.frames, rows = recovered.rows, "the spool holds unsent rows; sending them");
    }
    if recovered.bytes_cut > 0 {
        tracing::warn!(bytes = recovered.bytes_cut, "the spool ended in a torn write, which was cut");
    }
}
