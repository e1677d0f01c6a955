//! The thread that empties the spool: tables in turn, one frame each, until the end.
//!
//! Owns retry, backoff and jitter. **Invariant:** a table whose frame is not taken waits alone; the others go on.

use super::client::{self, Client, PostError};
use super::{Ending, Shared};
use crate::metrics::Counters;
use crate::spool::Frame;
use contract::answers::IngestAnswer;
use rand::{Rng as _, SeedableRng as _};
use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// First pause after a failure: a restarting server is back soon.
const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// Longest pause: a server that comes back hears from every collector within half a minute.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A wrong token does not become right by asking often; each try may be an entry in the server's audit log.
const BACKOFF_DENIED: Duration = Duration::from_secs(30);
/// The table that tells of losses; losing a part of it must not cause the next report.
const LOSSES: &str = "device_events";

/// Whose turn it is.
#[derive(Debug, Default)]
struct Turns {
    /// The table that was served last.
    last: String,
    /// Tables whose last frame was not taken: failures in a row, and when they are tried again.
    waiting: HashMap<String, (u32, Instant)>,
}

impl Turns {
    /// The next of these tables, in their order after the last one, that need not wait.
    fn next(&mut self, tables: &[String], now: Instant) -> Option<String> {
        let is_due = |table: &&String| self.waiting.get(*table).is_none_or(|(_, due)| *due <= now);
        let due: Vec<&String> = tables.iter().filter(is_due).collect();
        let table = due.iter().find(|table| ***table > self.last).or(due.first())?;
        self.last = (**table).clone();
        Some(self.last.clone())
    }

    /// When the first of these tables is tried again.
    fn first_due(&self, tables: &[String]) -> Option<Instant> {
        tables.iter().filter_map(|table| self.waiting.get(table)).map(|(_, due)| *due).min()
    }

    /// Failures in a row of a table, with this one.
    fn failures(&self, table: &str) -> u32 {
        self.waiting.get(table).map_or(0, |(failures, _)| *failures).saturating_add(1)
    }

    fn wait(&mut self, table: &str, due: Instant) {
        self.waiting.insert(table.to_owned(), (self.failures(table), due));
    }

    fn served(&mut self, table: &str) {
        if let Some((failures, _)) = self.waiting.remove(table) {
            tracing::info!(table, failures, "the server answers again");
        }
    }
}

pub(super) fn send_until_end(shared: &Shared, client: &Client) {
    let mut turns = Turns::default();
    let mut random = rand::rngs::StdRng::from_os_rng();
    while let Some(table) = next_table(shared, &mut turns) {
        let frame = match next_frame(shared, &table) {
            Ok(Some(frame)) => frame,
            Ok(None) => continue,
            Err(error) => {
                tracing::error!(table, %error, "the spool could not be read; trying again");
                turns.wait(&table, Instant::now() + BACKOFF_MAX);
                continue;
            }
        };
        let span = tracing::info_span!("send", otel.kind = "client", table = frame.table, bytes = frame.payload.len());
        let answer = span.in_scope(|| client.post(&frame.table, &frame.writer, frame.sequence, &frame.payload));
        match answer {
            Ok(answer) => {
                turns.served(&table);
                acknowledged(shared, &frame, &answer);
            }
            Err(PostError::Refused { status, message }) => {
                turns.served(&table);
                refused(shared, &frame, status, &message);
            }
            Err(PostError::Retry { message, after, denied }) => {
                let failures = turns.failures(&table);
                let pause = pause(failures, after, denied, random.random_range(0.5..1.0));
                log_failure(failures, pause, &message);
                turns.wait(&table, Instant::now() + pause);
                not_taken(shared, &frame);
            }
        }
    }
}

/// Waits until it is some table's turn; `None` at the end.
fn next_table(shared: &Shared, turns: &mut Turns) -> Option<String> {
    let mut state = shared.lock();
    loop {
        let tables = state.spool.tables_pending();
        if state.ending == Some(Ending::Now) || (state.ending == Some(Ending::WhenEmpty) && tables.is_empty()) {
            return None;
        }
        let now = Instant::now();
        if let Some(table) = turns.next(&tables, now) {
            return Some(table);
        }
        state = match turns.first_due(&tables) {
            Some(due) => {
                let wait = due.saturating_duration_since(now);
                shared.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
            }
            None => shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

fn next_frame(shared: &Shared, table: &str) -> std::io::Result<Option<Frame>> {
    let mut state = shared.lock();
    let (frame, rows) = state.spool.next(table)?;
    if rows > 0 {
        tracing::error!(table, rows, "rows in the spool became unreadable");
        state.drop_rows(&shared.counters, table, rows, "the spool was damaged");
    }
    Ok(frame)
}

fn acknowledged(shared: &Shared, frame: &Frame, answer: &IngestAnswer) {
    let counters = &shared.counters;
    let rejected = if answer.duplicate { 0 } else { frame.rows.saturating_sub(answer.accepted) };
    Counters::add(&counters.rows_sent, frame.rows - rejected);
    Counters::add(&counters.rows_rejected, rejected);
    Counters::add(&counters.bytes_sent, frame.payload.len() as u64);
    Counters::add(&counters.frames_sent, 1);
    Counters::add(&counters.frames_duplicate, u64::from(answer.duplicate));
    let mut state = shared.lock();
    if rejected > 0 {
        let (table, first) = (&frame.table, answer.rejected.first());
        let (column, reason) = first.map_or(("", ""), |first| (first.column.as_str(), first.reason.as_str()));
        tracing::error!(%table, rows = rejected, column, reason, "the server rejected rows");
        if frame.table != LOSSES {
            state.lose(&frame.table, rejected, "the server rejected them");
        }
    }
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
    if frame.table != LOSSES {
        state.lose(&frame.table, frame.rows, "the server refused them");
    }
    state.show(&shared.counters);
    drop(state);
    shared.changed.notify_all();
}

/// The frame waits, unless the spool had to drop it while it was on its way.
fn not_taken(shared: &Shared, frame: &Frame) {
    Counters::add(&shared.counters.retries, 1);
    let mut state = shared.lock();
    let rows = state.spool.not_sent(frame);
    if rows > 0 {
        tracing::error!(table = frame.table, rows, "the spool is full: rows were dropped on their way to the server");
        state.drop_rows(&shared.counters, &frame.table, rows, "the spool was full");
    }
}

/// The pause after so many failures in a row; `jitter` in 0.5..1 spreads the collectors of a fleet.
fn pause(failures: u32, after: Option<Duration>, denied: bool, jitter: f64) -> Duration {
    let doubled = BACKOFF_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(BACKOFF_MAX);
    let wanted = if denied { BACKOFF_DENIED } else { doubled };
    let Some(after) = after.map(|after| after.min(client::RETRY_AFTER_MAX)) else { return wanted.mul_f64(jitter) };
    // What the server asks for is a minimum; a fleet that was told the same must not come back at once, so up to
    // as much comes on top.
    after + after.max(BACKOFF_MIN).mul_f64((jitter * 2.0 - 1.0).clamp(0.0, 1.0))
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
        assert_eq!(pause(1, Some(Duration::from_secs(60)), false, 1.0), Duration::from_secs(120), "a fleet spreads");
    }

    #[test]
    fn a_table_that_waits_does_not_hold_up_the_others() {
        let tables = ["a", "b", "c"].map(str::to_owned);
        let (mut turns, start) = (Turns::default(), Instant::now());
        let served = |turns: &mut Turns, now| turns.next(&tables, now).unwrap_or_default();
        let order: Vec<String> = (0..4).map(|_| served(&mut turns, start)).collect();
        assert_eq!(order, ["a", "b", "c", "a"]);
        let later = start + Duration::from_secs(9);
        turns.wait("b", later);
        assert_eq!([served(&mut turns, start), served(&mut turns, start)], ["c", "a"]);
        assert_eq!((turns.failures("b"), turns.first_due(&tables)), (2, Some(later)));
        assert_eq!(served(&mut turns, later), "b");
        turns.served("b");
        assert_eq!((turns.failures("b"), turns.first_due(&tables)), (1, None));
    }
}
