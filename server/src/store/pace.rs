//! When a failed flush is tried again, and when shared tables are looked at.

use super::flush::Flusher;
use std::time::{Duration, Instant};

/// After a failed flush (a full disk, say) the next try waits this long.
const RETRY_FLUSH_AFTER: Duration = Duration::from_secs(5);
/// Into a bucket each further try waits twice as long as the one before, at most this long.
const RETRY_BUCKET_AFTER_MAX: Duration = Duration::from_secs(60);
/// How often it is looked what other servers have put into shared tables: one small request a table.
const REFRESH_EVERY: Duration = Duration::from_secs(5);

/// Flushes that failed since the last one that did not.
#[derive(Default)]
pub(super) struct Failures {
    count: u32,
    /// When it is tried again.
    again: Option<Instant>,
}

impl Failures {
    pub(super) fn any(&self) -> bool {
        self.again.is_some()
    }

    pub(super) fn may_try(&self) -> bool {
        self.again.is_none_or(|again| again <= Instant::now())
    }

    pub(super) fn note(&mut self, failed: bool, is_shared: bool) {
        self.count = if failed { self.count + 1 } else { 0 };
        let doublings = if is_shared { self.count.saturating_sub(1).min(8) } else { 0 };
        let wait = (RETRY_FLUSH_AFTER * 2_u32.pow(doublings)).min(RETRY_BUCKET_AFTER_MAX);
        self.again = failed.then(|| Instant::now() + wait);
    }
}

/// Of what other servers have put into shared tables.
#[derive(Default)]
pub(super) struct Refresh {
    /// At once, if it is not said.
    due: Option<Instant>,
    fails: bool,
}

impl Refresh {
    pub(super) async fn if_due(&mut self, flusher: &mut Flusher) {
        if self.due.is_some_and(|due| Instant::now() < due) {
            return;
        }
        let refreshed = flusher.refresh().await;
        match &refreshed {
            // Once, not every few seconds.
            Err(error) if !self.fails => tracing::warn!(%error, "what other servers write is not seen for now"),
            Ok(()) if self.fails => tracing::info!("what other servers write is seen again"),
            _ => {}
        }
        self.fails = refreshed.is_err();
        self.due = Some(Instant::now() + REFRESH_EVERY);
    }
}
