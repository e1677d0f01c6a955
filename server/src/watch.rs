//! Watching: asks what the rules ask, keeps what changed, and tells receivers until they have it.
//!
//! Owns the tables `alert_changes`, `alert_notifications` and `alert_silences`, the texts of `alerts/` and the two loops.
//! Must not know HTTP routes, nor when something fires or is told (`alert` does) or which addresses may be asked
//! (`deliver` does). **Invariants:** a change is durable before it counts; what a receiver has taken is written down
//! before anything else is told to it, so a message is told twice only where the server ends between the answer and
//! its record; a rule that is slow keeps no other from its look.

mod ask;
mod check;
mod error;
mod keep;
mod letters;
mod look;
mod message;
mod past;
mod preview;
mod read;
mod rehearse;
mod shipped;
mod silences;
mod standing;
mod tell;

pub use error::WatchError;
pub use letters::Letter;
pub use preview::{Firing, Preview};
pub use rehearse::{RehearsalError, rehearse};
pub use shipped::shelf;
pub use silences::Silencing;
pub use standing::{AlertStanding, Health, ReceiverStanding, RuleStanding, Standing};

use crate::alert::{Book, Fingerprint, GroupKey, Instance, Rule, Silence, Stated};
use crate::deliver::{Networks, Outgoing, Secrets, look_up};
use crate::query::Engine;
use crate::shelf::Shelf;
use crate::store::Store;
use keep::Keeper;
use parking_lot::Mutex;
use past::Past;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tell::Telling;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};

/// Statements of rules that are under way at once; the engine serves people, too.
const ASKING_MAX: usize = 4;
/// Requests to receivers that are under way at once; most of the time they wait for an answer.
const TELLING_MAX: usize = 8;
/// A turn compares times in memory.
const TURN_EVERY: Duration = Duration::from_millis(200);
/// Files are looked at so often.
const BOOK_EVERY: Duration = Duration::from_secs(2);

/// An orderly stop waits so long for receivers: what they have taken is then written down.
const FINISH_WITHIN: Duration = Duration::from_secs(20);
const FINISH_LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug, Clone)]
pub struct WatchSettings {
    /// Networks that are not public and may be asked all the same.
    pub networks: Networks,
    /// Where the secrets of receivers lie.
    pub secrets_dir: PathBuf,
    /// Where people find this server; messages lead there.
    pub external_url: String,
}

/// Shared handle; clones are cheap.
#[derive(Clone)]
pub struct Watch {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    keeper: Keeper,
    shelf: Arc<Shelf<Stated>>,
    outgoing: Outgoing,
    secrets: Secrets,
    external_url: String,
    /// Unix microseconds, UTC.
    clock: fn() -> i64,
    book: Mutex<Arc<Book>>,
    watched: Mutex<BTreeMap<Arc<str>, Watched>>,
    silences: Mutex<Vec<Silence>>,
    told: Mutex<BTreeMap<GroupKey, Telling>>,
    past: Mutex<Past>,
    asking: Arc<Semaphore>,
    telling: Arc<Semaphore>,
    /// Trying a rule asks hundreds of times: one after the other.
    previewing: Semaphore,
    wake: Notify,
    /// Where rules are looked at and receivers told, whoever asked.
    runtime: Handle,
}

/// A rule and what it sees.
struct Watched {
    rule: Arc<Rule>,
    /// The text that it is of.
    text: Arc<str>,
    instances: BTreeMap<Fingerprint, Instance>,
    /// Of the last look that came to an end, Unix microseconds.
    last_micros: Option<i64>,
    /// When it is looked at again.
    next_micros: i64,
    is_asking: bool,
    took: Duration,
    health: Health,
}

impl Watch {
    /// Called within a runtime of several threads. Goes on from what was kept before.
    pub async fn open(
        store: Store,
        engine: Engine,
        shelf: Arc<Shelf<Stated>>,
        settings: WatchSettings,
        clock: fn() -> i64,
    ) -> Result<Self, WatchError> {
        let kept = read::all(&engine).await?;
        let inner = Inner {
            keeper: Keeper::new(store)?,
            engine,
            shelf,
            outgoing: Outgoing::new(settings.networks, look_up),
            secrets: Secrets::of(settings.secrets_dir),
            external_url: settings.external_url,
            clock,
            book: Mutex::default(),
            watched: Mutex::default(),
            silences: Mutex::new(kept.silences),
            told: Mutex::new(kept.told.into_iter().map(|(key, told)| (key, Telling::of(told))).collect()),
            past: Mutex::new(Past::of(kept.over)),
            asking: Arc::new(Semaphore::new(ASKING_MAX)),
            telling: Arc::new(Semaphore::new(TELLING_MAX)),
            previewing: Semaphore::new(1),
            wake: Notify::new(),
            runtime: Handle::current(),
        };
        let watch = Self { inner: Arc::new(inner) };
        watch.take_up(kept.instances).await?;
        Ok(watch)
    }

    /// Looks and tells, again and again. Ends when it is dropped.
    pub async fn keep(&self) {
        let mut book_due = tokio::time::Instant::now();
        loop {
            if tokio::time::Instant::now() >= book_due {
                if let Err(error) = self.refresh_book().await {
                    tracing::error!(%error, "the rules of alerts could not be read again");
                }
                if let Err(error) = self.end_acknowledgements().await {
                    tracing::error!(%error, "an acknowledgement could not be ended");
                }
                book_due = tokio::time::Instant::now() + BOOK_EVERY;
            }
            self.look_at_all();
            self.tell_all();
            tokio::select! {
                () = tokio::time::sleep(TURN_EVERY) => (),
                () = self.inner.wake.notified() => (),
            }
        }
    }

    /// Begins nothing further, and returns when what is under way has come to an end, or after a while.
    pub async fn finish(&self) {
        self.inner.asking.close();
        self.inner.telling.close();
        let is_busy = || {
            self.inner.watched.lock().values().any(|watched| watched.is_asking)
                || self.inner.told.lock().values().any(|telling| telling.is_sending)
        };
        let all_done = async {
            while is_busy() {
                tokio::time::sleep(FINISH_LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(FINISH_WITHIN, all_done).await.is_err() {
            tracing::warn!("a message about alerts is still on its way, the next start may send it again");
        }
    }

    /// What was watched before a restart, under the rules of now; what no rule watches any more is over.
    async fn take_up(&self, mut kept: BTreeMap<Arc<str>, BTreeMap<Fingerprint, Instance>>) -> Result<(), WatchError> {
        let book = self.read_book().await?;
        let now_micros = (self.inner.clock)();
        let watched = book.rules.iter().map(|(name, (text, rule))| {
            let instances = kept.remove(name).unwrap_or_default();
            (Arc::clone(name), Watched::new(rule, text, instances, now_micros))
        });
        *self.inner.watched.lock() = watched.collect();
        *self.inner.book.lock() = Arc::new(book);
        for (name, instances) in kept {
            self.end(&name, instances).await?;
        }
        Ok(())
    }

    async fn read_book(&self) -> Result<Book, WatchError> {
        let shelf = Arc::clone(&self.inner.shelf);
        let all = tokio::task::spawn_blocking(move || shelf.all()).await;
        let all = all.map_err(|error| WatchError::Internal(format!("the reading stopped: {error}")))??;
        Ok(Book::of(all.iter().filter_map(|shelved| Some((shelved.name.as_str(), shelved.read.as_deref()?)))))
    }

    /// Takes over what the texts say now. A rule that changed keeps what it sees.
    pub async fn refresh_book(&self) -> Result<(), WatchError> {
        let book = self.read_book().await?;
        if **self.inner.book.lock() == book {
            return Ok(());
        }
        let now_micros = (self.inner.clock)();
        let mut gone = Vec::new();
        {
            let mut watched = self.inner.watched.lock();
            for (name, (text, rule)) in &book.rules {
                match watched.get_mut(name) {
                    Some(known) => known.follow(rule, text, now_micros),
                    None => {
                        drop(watched.insert(Arc::clone(name), Watched::new(rule, text, BTreeMap::new(), now_micros)))
                    }
                }
            }
            let names: BTreeSet<Arc<str>> = watched.keys().filter(|n| !book.rules.contains_key(*n)).cloned().collect();
            gone.extend(names.into_iter().filter_map(|name| watched.remove_entry(&name)));
            *self.inner.book.lock() = Arc::new(book);
        }
        for (name, known) in gone {
            self.end(&name, known.instances).await?;
        }
        Ok(())
    }
}

impl Watched {
    fn new(rule: &Arc<Rule>, text: &Arc<str>, instances: BTreeMap<Fingerprint, Instance>, now_micros: i64) -> Self {
        Self {
            rule: Arc::clone(rule),
            text: Arc::clone(text),
            instances,
            last_micros: None,
            next_micros: now_micros,
            is_asking: false,
            took: Duration::ZERO,
            health: Health::Waiting,
        }
    }

    fn follow(&mut self, rule: &Arc<Rule>, text: &Arc<str>, now_micros: i64) {
        if self.rule != *rule {
            self.next_micros = now_micros;
        }
        (self.rule, self.text) = (Arc::clone(rule), Arc::clone(text));
    }
}

#[cfg(test)]
mod tests;
