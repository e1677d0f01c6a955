//! Prometheus targets: their pages become rows of GPUs and of metrics.
//!
//! Owns the rhythm, and what is told of a target that is down. What a line of a page says, the crate
//! `coulomb-exposition` knows. **Invariants:** a target that fails has no rows but `up`; a GPU that the collector
//! measures itself has no second rows.

mod fetch;
mod gpu;
mod page;
mod rows;
mod target;

pub(crate) use target::Target;

use super::Feed;
use crate::batch;
use crate::metrics::Counters;
use crate::source::Sample;
use fetch::Fetch;
use gpu::Xids;
use page::{Read, ScrapeError};
use rows::Rows;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Rows reach the server this late at most, and few requests are enough; as for what is measured here.
const BATCH_SECONDS_MAX: Duration = Duration::from_secs(5);
/// Rows that are sent before their time: a large page must not wait in memory.
const BATCH_ROWS_MAX: usize = 4096;

/// A target, and how often it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Scrape {
    pub target: Target,
    pub interval: Duration,
    pub token_file: Option<PathBuf>,
}

/// Asks the target until the collector ends.
pub(crate) fn run(scrape: Scrape, clock: fn() -> i64, feed: &Feed) {
    let interval = scrape.interval;
    let mut running = Running::new(scrape, feed);
    let mut due = Instant::now();
    while !feed.ends_within(due.saturating_duration_since(Instant::now())) {
        tracing::info_span!("scrape", target = running.target.name)
            .in_scope(|| running.once(clock(), Instant::now(), feed));
        if running.waiting.rows() >= BATCH_ROWS_MAX || running.waiting.since.elapsed() + interval > BATCH_SECONDS_MAX {
            running.waiting.put(feed);
        }
        due += interval;
        if due < Instant::now() {
            // Too late for the next one already: start a new rhythm instead of catching up.
            due = Instant::now() + interval;
        }
    }
    running.waiting.put(feed);
}

/// Rows that are not in the spool yet.
struct Waiting {
    sample: Sample,
    metrics: Vec<batch::MetricRow>,
    since: Instant,
}

impl Waiting {
    fn new() -> Self {
        Self { sample: Sample::default(), metrics: Vec::new(), since: Instant::now() }
    }

    fn rows(&self) -> usize {
        self.sample.rows() + self.metrics.len()
    }

    fn put(&mut self, feed: &Feed) {
        let Self { sample, metrics, .. } = std::mem::replace(self, Self::new());
        feed.put(&sample);
        match batch::metrics(&metrics) {
            Ok(batches) => feed.put_batches(&batches),
            Err(error) => tracing::error!(%error, rows = metrics.len(), "rows were lost"),
        }
    }
}

/// A target between two scrapes.
struct Running {
    fetch: Fetch,
    rows: Rows,
    target: Target,
    /// The scrape before, if it went well: rows of GPUs stand for what lies between.
    before: Option<(i64, Instant)>,
    xids: Xids,
    waiting: Waiting,
    /// What was said of it last, so that it is said once.
    failing: bool,
    said: Said,
}

#[derive(Default)]
struct Said {
    rejected: bool,
    measured: bool,
    nameless: bool,
}

impl Running {
    fn new(scrape: Scrape, feed: &Feed) -> Self {
        Self {
            rows: Rows::new(&scrape.target, feed.node().clone()),
            target: scrape.target.clone(),
            fetch: Fetch::new(scrape),
            before: None,
            xids: Xids::default(),
            waiting: Waiting::new(),
            failing: false,
            said: Said::default(),
        }
    }

    fn once(&mut self, now_micros: i64, now: Instant, feed: &Feed) {
        Counters::add(&feed.counters().scrapes, 1);
        let read = self.fetch.get().and_then(|fetched| page::read(&fetched, now_micros));
        let took = now.elapsed();
        let samples = match read {
            Ok(read) => {
                let samples = read.page.samples;
                if std::mem::take(&mut self.failing) {
                    tracing::info!(target = self.target.name, "the target answers again");
                }
                self.take(read, now_micros, now, feed);
                self.before = Some((now_micros, now));
                Some(samples)
            }
            Err(error) => {
                self.before = None;
                Counters::add(&feed.counters().scrapes_failed, 1);
                self.say_failed(&error);
                None
            }
        };
        self.waiting.metrics.extend(self.rows.about(now_micros, took, samples));
    }

    fn say_failed(&mut self, error: &ScrapeError) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, target = self.target.name, url = %self.target.url, "the target gives no rows");
        }
    }

    fn take(&mut self, read: Read, now_micros: i64, now: Instant, feed: &Feed) {
        let node = self.target.node.as_deref().unwrap_or(&feed.node().node);
        let look = gpu::Look {
            cluster: &feed.node().cluster,
            node,
            now_micros,
            // Until it is known what is measured here, a row could be a second one.
            before: self
                .before
                .filter(|_| feed.measured().is_known())
                .map(|(micros, at)| (micros, now.duration_since(at).as_secs_f64())),
        };
        let made = gpu::rows(&read.gpus, &look, &mut self.xids, |gpu_uuid| feed.measured().has(gpu_uuid));
        let (rows, late) = self.rows.points(read.page.points, now_micros);
        let rejected = read.page.rejected.iter().map(|(_, count)| count).sum::<u64>() + late + made.nameless;
        Counters::add(&feed.counters().scrape_series_rejected, rejected);
        self.say(rejected, &read.page.rejected, &made);
        self.waiting.sample.append(Sample { gpus: made.rows, events: made.events, ..Sample::default() });
        self.waiting.metrics.extend(rows);
    }

    /// What is left out, once a target.
    fn say(&mut self, rejected: u64, reasons: &[(&'static str, u64)], made: &gpu::Made) {
        let target = self.target.name.as_str();
        if rejected > 0 && !std::mem::replace(&mut self.said.rejected, true) {
            tracing::warn!(target, rejected, ?reasons, "some of the target's series are no rows");
        }
        if made.measured > 0 && !std::mem::replace(&mut self.said.measured, true) {
            let gpus = made.measured;
            tracing::info!(target, gpus, "GPUs that are measured here are left out, they would count twice");
        }
        if made.nameless > 0 && !std::mem::replace(&mut self.said.nameless, true) {
            tracing::warn!(target, gpus = made.nameless, "GPUs without an index or a model have no rows");
        }
    }
}
