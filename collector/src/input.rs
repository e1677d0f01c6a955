//! What arrives or is watched beside the looks at devices: one file an input, each with a thread of its own.
//!
//! Owns the start and the end of those threads, and the way of their rows into the spool.
//! **Invariants:** an input that fails says so and tries again, and takes nothing else with it; none outlives
//! [`Inputs::stop`] by more than [`STOP_WITHIN`].

mod journal;
pub(crate) mod kubernetes;
pub(crate) mod logs;
mod measured;
mod note;
pub(crate) mod otlp;
pub(crate) mod scrape;
pub(crate) mod slurm;

use crate::batch::{self, TableBatch};
use crate::config::InputOptions;
use crate::metrics::Counters;
use crate::send::{Note, SendError, Uplink};
use crate::source::{NodeIdentity, Sample};
use crate::spool::KeepError;
use measured::Measured;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// An input that sits in a request is not waited for longer; what it had not put yet it would read again.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// How often the threads are looked at while they end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What an input is given: whose rows these are, where they go, and when to end.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    node: NodeIdentity,
    uplink: Arc<Uplink>,
    counters: Arc<Counters>,
    end: Arc<End>,
    measured: Arc<Measured>,
}

#[derive(Debug, Default)]
struct End {
    over: Mutex<bool>,
    changed: Condvar,
}

impl Feed {
    pub(crate) fn new(node: NodeIdentity, uplink: Arc<Uplink>, counters: Arc<Counters>) -> Self {
        Self { node, uplink, counters, end: Arc::default(), measured: Arc::default() }
    }

    /// The node that the collector runs on.
    pub(crate) fn node(&self) -> &NodeIdentity {
        &self.node
    }

    /// The collector's own numbers, for those of an input.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The GPUs of which the collector has rows of its own.
    pub(crate) fn measured(&self) -> &Measured {
        &self.measured
    }

    /// Puts rows into the spool; they are on disk when it returns. What the spool does not take is counted and told
    /// as a loss.
    pub(crate) fn put(&self, sample: &Sample) {
        match batch::batches(sample) {
            Ok(batches) => self.put_batches(&batches),
            Err(error) => tracing::error!(%error, rows = sample.rows(), "rows were lost"),
        }
    }

    /// The same for rows that are Arrow already.
    pub(crate) fn put_batches(&self, batches: &[TableBatch]) {
        for batch in batches {
            Counters::add(&self.counters.rows_collected, batch.1.num_rows() as u64);
            // The uplink counts the loss and tells it as an event; the input goes on.
            if let Err(error) = self.uplink.put(batch) {
                tracing::error!(%error, table = batch.0.name, rows = batch.1.num_rows(), "rows were lost");
            }
        }
    }

    /// Keeps rows for somebody who waits for the answer: on the disk itself, or refused. Tables are written in their
    /// order and one by one, so after an error, or a crash in between, the first of them may be kept.
    pub(crate) fn keep(&self, batches: &[TableBatch]) -> Result<(), KeepError> {
        self.uplink.keep(batches)?;
        let rows: usize = batches.iter().map(|(_, batch)| batch.num_rows()).sum();
        Counters::add(&self.counters.rows_collected, rows as u64);
        Ok(())
    }

    /// Puts rows together with how far their input has come: whatever happens, a restart finds both or none. An error
    /// means that nothing was put.
    pub(crate) fn put_noted(&self, batch: &TableBatch, note: &mut dyn Note) -> Result<(), SendError> {
        match self.uplink.put_noted(batch, note) {
            Err(error @ SendError::Note(_)) => return Err(error),
            // The uplink counts the loss and tells it as an event; the input goes on.
            Err(error) => tracing::error!(%error, table = batch.0.name, rows = batch.1.num_rows(), "rows were lost"),
            Ok(()) => {}
        }
        Counters::add(&self.counters.rows_collected, batch.1.num_rows() as u64);
        Ok(())
    }

    /// Whether rows that can wait where they are should do so: the other half of the spool is for those that cannot.
    pub(crate) fn is_half_full(&self) -> bool {
        self.uplink.is_half_full()
    }

    pub(crate) fn uplink(&self) -> &Uplink {
        &self.uplink
    }

    /// Waits for `time`, or less when the collector ends; true when it does.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        let over = self.end.over.lock().unwrap_or_else(PoisonError::into_inner);
        let (over, _) =
            self.end.changed.wait_timeout_while(over, time, |over| !*over).unwrap_or_else(PoisonError::into_inner);
        *over
    }
}

/// The threads of the inputs that were asked for.
#[derive(Debug)]
pub(crate) struct Inputs {
    feed: Feed,
    threads: Vec<JoinHandle<()>>,
}

impl Inputs {
    pub(crate) fn new(feed: Feed) -> Self {
        Self { feed, threads: Vec::new() }
    }

    /// What the collector measures itself, so that no input gives it a second time.
    pub(crate) fn measures<'a>(&self, gpu_uuids: impl Iterator<Item = &'a Arc<str>>) {
        self.feed.measured.add(gpu_uuids);
    }

    /// Runs `input` until it returns, which it does soon after [`Feed::ends_within`] is true.
    pub(crate) fn start(&mut self, name: &str, input: impl FnOnce(Feed) + Send + 'static) -> std::io::Result<()> {
        let feed = self.feed.clone();
        self.threads.push(std::thread::Builder::new().name(name.to_owned()).spawn(move || input(feed))?);
        Ok(())
    }

    /// Starts those that read the node's logs.
    pub(crate) fn start_logs(
        &mut self,
        options: &InputOptions,
        spool: &Path,
        driver_tells_xids: Arc<AtomicBool>,
    ) -> std::io::Result<()> {
        if !options.logs.is_empty() {
            let (patterns, spool) = (options.logs.clone(), spool.to_owned());
            self.start("logs", move |feed| logs::run(feed, patterns, &spool))?;
        }
        if let Some(program) = options.journal.clone() {
            let (settings, spool) = (journal::Settings { program, driver_tells_xids }, spool.to_owned());
            self.start("journal", move |feed| journal::run(feed, &settings, &spool))?;
        }
        Ok(())
    }

    /// Tells all inputs to end and waits for them, for [`STOP_WITHIN`] at most.
    pub(crate) fn stop(self) {
        *self.feed.end.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.feed.end.changed.notify_all();
        let until = Instant::now() + STOP_WITHIN;
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            if Instant::now() >= until {
                return tracing::warn!("an input did not end in time; what it had not put is read again");
            }
            std::thread::sleep(LOOK_EVERY);
        }
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("the thread of an input panicked");
            }
        }
    }
}
