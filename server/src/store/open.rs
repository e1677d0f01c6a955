//! Start and stop: lock the directory, open tables, replay the log, run the three threads.

use super::backup::{Backup, CopyAsked};
use super::change::{Asked, Change};
use super::commit::{Command, Committer, QUEUE_APPENDS_MAX};
use super::compact::Compactor;
use super::derived::DerivedTables;
use super::error::StoreError;
use super::flush::{Flusher, LOOK_EVERY};
use super::health::Health;
use super::hot::{Hot, Tables, batch_bytes};
use super::meta::{Meta, Watermarks};
use super::pace::{Failures, Refresh};
use super::place::{self, Place};
use super::replaced::Replaced;
use super::verify::{Checked, Verifier};
use super::wal::{self, Segment};
use super::{Counters, Damage, StoreSettings, columns, durable, logged, replay};
use contract::Table;
use object_store::ObjectStore;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc, oneshot};

/// A store that is open: its threads and what readers share with them.
pub(super) struct Running {
    pub tables: Arc<Tables>,
    pub derived: &'static DerivedTables,
    pub counters: Arc<Counters>,
    pub object_store: Arc<dyn ObjectStore>,
    pub place: Place,
    pub hot_bytes_max: u64,
    pub damage: Damage,
    pub health: Arc<Health>,
    pub data_dir: PathBuf,
    replaced: Arc<Replaced>,
    /// Whether somebody reads everything just now.
    verifying: Arc<AtomicBool>,
    threads: Threads,
    _lock: File,
}

pub(super) fn open(settings: StoreSettings) -> Result<Running, StoreError> {
    // Delta needs a runtime of its own: `open` may be called from within one, where blocking is not allowed.
    let opened = std::thread::Builder::new().name("coulomb-open".into()).spawn(move || start(settings));
    let joined = opened.map_err(StoreError::io("start a thread"))?.join();
    joined.unwrap_or_else(|_| Err(StoreError::Internal("opening the store panicked".into())))
}

/// Delta's reader blocks within async code, which only a runtime with a worker of its own allows without deadlock.
pub(super) fn runtime() -> Result<Runtime, StoreError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(1)
        .thread_name("coulomb-delta")
        .enable_all()
        .build()
        .map_err(StoreError::io("start a runtime"))
}

fn start(settings: StoreSettings) -> Result<Running, StoreError> {
    let wal_dir = settings.data_dir.join("wal");
    for dir in [&settings.data_dir, &wal_dir] {
        std::fs::create_dir_all(dir).map_err(StoreError::io(format!("create {dir:?}")))?;
    }
    wal::sync_dir(&settings.data_dir)?;
    durable::sync_parent(&settings.data_dir)?;
    let lock = lock(&settings.data_dir)?;
    let derived = DerivedTables::new();
    let tables = Arc::new(Tables::new(derived.with_sources()));
    let counters = Arc::new(Counters::default());
    let meta = Meta::open(&settings.data_dir.join("meta.sqlite"))?;
    let mut watermarks = meta.load()?;
    let runtime = runtime()?;
    let place = runtime.block_on(place::open(&settings, &meta, &wal_dir))?;
    let object_store = place.objects()?;
    let mut flusher = Flusher {
        wal_dir: wal_dir.clone(),
        place: place.clone(),
        meta,
        deltas: HashMap::new(),
        tables: Arc::clone(&tables),
        counters: Arc::clone(&counters),
        unsaved: Watermarks::new(),
        pending: HashMap::new(),
        sync: durable::disk(),
        replaced: Arc::new(Replaced::new(settings.remove_after)),
    };
    let covered = runtime.block_on(flusher.open_tables(derived.with_sources()))?;
    let replayed = replay_log(&wal_dir, &covered, &settings, &mut flusher, &runtime)?;
    for (key, sequence) in &replayed.watermarks {
        // A log that was not cut holds sequences below those that were saved since.
        let kept = watermarks.entry(key.clone()).or_insert(0);
        *kept = (*kept).max(*sequence);
    }
    let health = Arc::new(Health::default());
    // A log that belonged to other tables may have come further than these know.
    let begun = wal::list_segments(&wal_dir)?.last().map_or(0, |(first, _)| first.saturating_sub(1));
    let next_position = covered.values().copied().chain([replayed.position, begun]).max().unwrap_or(0) + 1;
    counters.log_position.store(next_position - 1, Ordering::Release);
    let committer = Committer {
        segment: Segment::create(&wal_dir, next_position)?,
        dir: wal_dir,
        next_position,
        watermarks,
        changed: replayed.watermarks,
        tables: Arc::clone(&tables),
        counters: Arc::clone(&counters),
        health: Arc::clone(&health),
    };
    let replaced = Arc::clone(&flusher.replaced);
    let limits = (settings.flush_after, settings.flush_bytes);
    let threads = start_threads(committer, flusher, runtime, limits)?;
    Ok(Running {
        tables,
        derived,
        counters,
        object_store,
        place,
        hot_bytes_max: settings.hot_bytes_max,
        damage: replayed.damage,
        health,
        data_dir: settings.data_dir,
        replaced,
        verifying: Arc::default(),
        threads,
        _lock: lock,
    })
}

/// The store's three threads, and how they are reached and stopped.
pub(super) struct Threads {
    log: Mutex<Option<mpsc::Sender<Command>>>,
    wake_flush: Arc<Notify>,
    stop_flush: Mutex<Option<oneshot::Sender<()>>>,
    stop_merging: Mutex<Option<std::sync::mpsc::SyncSender<()>>>,
    changes: mpsc::Sender<Asked>,
    copies: mpsc::Sender<CopyAsked>,
    running: Mutex<Vec<JoinHandle<Result<(), StoreError>>>>,
}

fn start_threads(
    committer: Committer,
    flusher: Flusher,
    runtime: Runtime,
    limits: (Duration, u64),
) -> Result<Threads, StoreError> {
    let runtime = Arc::new(runtime);
    let health = Arc::clone(&committer.health);
    let (log, commands) = mpsc::channel(QUEUE_APPENDS_MAX);
    let (changes, changing) = mpsc::channel(1);
    let (copies, copying) = mpsc::channel(1);
    let (stop_flush, stopped) = oneshot::channel();
    let (stop_merging, stop) = std::sync::mpsc::sync_channel(0);
    let wake_flush = Arc::new(Notify::new());
    let compactor = Compactor {
        place: flusher.place.clone(),
        runtime: Arc::clone(&runtime),
        tables: Arc::clone(&flusher.tables),
        counters: Arc::clone(&flusher.counters),
        changes: changes.clone(),
        replaced: Arc::clone(&flusher.replaced),
        stop,
    };
    let heard = Heard { log: log.clone(), wake: Arc::clone(&wake_flush), changes: changing, copies: copying, stopped };
    let commit = spawn("coulomb-log", &health, move || {
        committer.run(commands);
        Ok(())
    })?;
    let merge = spawn("coulomb-merge", &health, move || compactor.run())?;
    let flush = spawn("coulomb-flush", &health, move || runtime.block_on(keep_flushing(flusher, limits, heard)))?;
    Ok(Threads {
        log: Mutex::new(Some(log)),
        wake_flush,
        stop_flush: Mutex::new(Some(stop_flush)),
        stop_merging: Mutex::new(Some(stop_merging)),
        changes,
        copies,
        running: Mutex::new(vec![merge, flush, commit]),
    })
}

/// A thread that the store cannot do without: when it panics, nothing more is kept.
pub(super) fn spawn(
    name: &str,
    health: &Arc<Health>,
    body: impl FnOnce() -> Result<(), StoreError> + Send + 'static,
) -> Result<JoinHandle<Result<(), StoreError>>, StoreError> {
    let (health, what) = (Arc::clone(health), format!("the thread {name} panicked"));
    let guarded = move || {
        std::panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
            health.fail(&what);
            Err(StoreError::Internal(what))
        })
    };
    std::thread::Builder::new().name(name.into()).spawn(guarded).map_err(StoreError::io("start a thread"))
}

fn lock(data_dir: &Path) -> Result<File, StoreError> {
    let path = data_dir.join("lock");
    let file = File::create(&path).map_err(StoreError::io("create the lock file"))?;
    file.try_lock().map_err(|e| {
        let source = std::io::Error::from(e);
        StoreError::Io { what: format!("lock {data_dir:?}, is another server using it"), source }
    })?;
    Ok(file)
}

struct Replayed {
    damage: Damage,
    position: u64,
    watermarks: Watermarks,
}

fn replay_log(
    wal_dir: &Path,
    covered: &HashMap<&'static str, u64>,
    settings: &StoreSettings,
    flusher: &mut Flusher,
    runtime: &Runtime,
) -> Result<Replayed, StoreError> {
    let mut position = 0;
    let mut watermarks = Watermarks::new();
    let tables = Arc::clone(&flusher.tables);
    let damage = replay::replay(wal_dir, |frame| {
        position = position.max(frame.position);
        // All tables of a frame before a flush, which says that they are covered up to its position.
        for part in frame.parts() {
            let Some(table) = crate::store::ground_table(part.table) else {
                let why = "its table is not in the contract".to_owned();
                let what = format!("log frame {} of {:?}", frame.position, part.table);
                return Err(StoreError::Corrupt { what, why });
            };
            let kept = watermarks.entry((table.name.to_owned(), frame.writer.to_owned())).or_insert(0);
            *kept = frame.sequence.max(*kept);
            if frame.position > covered.get(table.name).copied().unwrap_or(0) {
                publish_logged(&tables, table, part.rows)?;
            }
        }
        if tables.bytes() >= settings.flush_bytes {
            tables.seal();
            flusher.unsaved.extend(watermarks.clone());
            runtime.block_on(flusher.commit_sealed(position))?;
        }
        Ok(())
    })?;
    if damage != Damage::default() {
        tracing::warn!(damage.torn_bytes, damage.corrupt_ranges, damage.corrupt_bytes, "the log was not whole");
    }
    Ok(Replayed { damage, position, watermarks })
}

fn publish_logged(tables: &Tables, table: &'static Table, rows: &[u8]) -> Result<(), StoreError> {
    let schemas = tables.schemas(table);
    let stored = logged::from_ipc(table, &schemas.stored, rows)?;
    // No limit here: the bound is kept by flushing, not by refusing what was acknowledged.
    let room = tables.reserve(batch_bytes(&stored), u64::MAX).expect("memory ends before this sum does");
    tables.publish(table, Hot { rows: columns::as_read(&schemas.read, &stored)?, room });
    Ok(())
}

/// What the flush hears and whom it asks.
struct Heard {
    log: mpsc::Sender<Command>,
    wake: Arc<Notify>,
    changes: mpsc::Receiver<Asked>,
    copies: mpsc::Receiver<CopyAsked>,
    stopped: oneshot::Receiver<()>,
}

async fn keep_flushing(
    mut flusher: Flusher,
    (flush_after, flush_bytes): (Duration, u64),
    mut heard: Heard,
) -> Result<(), StoreError> {
    let mut failures = Failures::default();
    let mut refresh = Refresh::default();
    loop {
        let stopping = tokio::select! {
            _ = &mut heard.stopped => true,
            Some(Asked { table, change, answer }) = heard.changes.recv() => {
                // Who asked may have ended with the store; the next start finds what was done.
                drop(answer.send(flusher.change(table, change).await));
                false
            }
            Some(answer) = heard.copies.recv() => {
                // Likewise: a copy that nobody takes is dropped.
                drop(answer.send(flusher.copy(&heard.log).await));
                false
            }
            () = heard.wake.notified() => false,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        let old = flusher.tables.oldest_age().is_some_and(|age| age >= flush_after);
        let is_due = failures.any() || old || flusher.tables.bytes() >= flush_bytes;
        if stopping || is_due && failures.may_try() {
            let flushed = flusher.flush(&heard.log).await;
            if let Err(error) = &flushed {
                flusher.counters.flush_failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "hot rows could not be written to files, they stay in the log");
            }
            if stopping {
                return flushed;
            }
            failures.note(flushed.is_err(), flusher.place.is_shared());
        }
        if flusher.place.is_shared() {
            refresh.if_due(&mut flusher).await;
        }
    }
}

impl Running {
    pub(super) async fn send(&self, command: Command) -> Result<(), StoreError> {
        let log = self.threads.log.lock().clone();
        log.ok_or(StoreError::Closed)?.send(command).await.map_err(|_| StoreError::Closed)
    }

    pub(super) async fn change(&self, table: &'static Table, change: Change) -> Result<(), StoreError> {
        let (asked, outcome) = Asked::new(table, change);
        self.threads.changes.send(asked).await.map_err(|_| StoreError::Closed)?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    pub(super) async fn backup(&self) -> Result<Backup, StoreError> {
        Backup::begin(&self.threads.copies, &self.replaced, self.object_store.clone()).await
    }

    pub(super) fn verify(&self) -> Result<mpsc::Receiver<Checked>, StoreError> {
        let verifier = Verifier {
            data_dir: self.data_dir.clone(),
            place: self.place.clone(),
            derived: self.derived,
            tables: Arc::clone(&self.tables),
            objects: self.object_store.clone(),
            log_position: self.counters.log_position.load(Ordering::Acquire),
        };
        verifier.start(&self.verifying)
    }

    pub(super) fn ask_for_flush(&self) {
        self.threads.wake_flush.notify_one();
    }

    pub(super) fn close(&self) -> Result<(), StoreError> {
        // Without senders the log's thread ends, after the flush's last seal.
        drop(self.threads.stop_merging.lock().take());
        drop(self.threads.log.lock().take());
        drop(self.threads.stop_flush.lock().take());
        let mut outcome = Ok(());
        for thread in std::mem::take(&mut *self.threads.running.lock()) {
            let ended = thread.join().unwrap_or_else(|_| Err(StoreError::Internal("a store thread panicked".into())));
            outcome = outcome.and(ended);
        }
        outcome
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the store did not close cleanly, the next start replays the log");
        }
    }
}
