//! What one evaluation may take: samples, memory from the engine's pool, time.

use super::super::QueryError;
use super::super::yielding::Stop;
use super::series::Sample;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use std::mem::size_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Samples that one query may load, as in Prometheus; the engine's memory usually ends first.
pub(super) const SAMPLES_MAX: u64 = 50_000_000;

/// Shared by the parts of one evaluation.
pub(super) struct Budget {
    reservation: MemoryReservation,
    samples: AtomicU64,
    stop: Arc<Stop>,
    /// The time after which `stop` stops, for who is told so.
    limit: Duration,
}

impl Budget {
    pub(super) fn new(pool: &Arc<dyn MemoryPool>, stop: Arc<Stop>, limit: Duration) -> Self {
        let reservation = MemoryConsumer::new("promql").register(pool);
        Self { reservation, samples: AtomicU64::new(0), stop, limit }
    }

    /// Fails once nobody waits any more, or time is over.
    pub(super) fn check(&self) -> Result<(), QueryError> {
        self.stop.check().map_err(|_| QueryError::Timeout { limit: self.limit })
    }

    /// Before so many further samples are kept.
    pub(super) fn load(&self, samples: u64) -> Result<(), QueryError> {
        self.check()?;
        if self.samples.fetch_add(samples, Ordering::Relaxed) + samples > SAMPLES_MAX {
            return Err(QueryError::Evaluation(format!(
                "the query would load more than {SAMPLES_MAX} samples into memory; ask for fewer series or a narrower \
                 time range"
            )));
        }
        self.grow(samples as usize * size_of::<Sample>())
    }

    /// Before lines of so many steps are made.
    pub(super) fn lines(&self, lines: usize, steps: usize) -> Result<(), QueryError> {
        self.check()?;
        self.grow(lines.saturating_mul(steps).saturating_mul(size_of::<Option<f64>>()))
    }

    fn grow(&self, bytes: usize) -> Result<(), QueryError> {
        Ok(self.reservation.try_grow(bytes)?)
    }

    pub(super) fn bytes(&self) -> usize {
        self.reservation.size()
    }

    /// After a part of the evaluation: of all that it made, so many bytes are left.
    pub(super) fn settle(&self, before: usize, left: usize) -> Result<(), QueryError> {
        Ok(self.reservation.try_resize(before + left)?)
    }
}
