//! Kubernetes: which pod holds which GPU, and what becomes of the pods of this node.
//!
//! The kubelet says who holds what (`kubelet`), the API server what the pods are (`watch`); `jobs` makes events of
//! both, and the sources learn the names of pods. **Invariants:** each of the two is enough for what it says alone;
//! what was told of a pod is on disk after its events are.

mod claims;
mod device;
mod jobs;
mod kubelet;
mod messages;
mod pod;
mod quantity;
mod watch;

use super::Feed;
use crate::source::{Pods, Sample};
use jobs::Jobs;
use k8s_openapi::api::core::v1::Pod;
use kubelet::Holdings;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, timeout};

/// Messages that wait while rows are written; a sender waits beyond.
const HEARD_MAX: usize = 64;
/// How soon the end of the collector is seen.
const LOOK_FOR_END: Duration = Duration::from_millis(200);
/// Without a list of the kubelet for so long nobody knows who holds what; an upgrade of it takes less.
const HOLDERS_KEPT: Duration = Duration::from_secs(300);
/// How often it is written down which pods are there; a pod that vanishes while the collector is away ended then.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// What the two say.
#[derive(Debug)]
enum Heard {
    /// All pods of the node.
    Listed(Vec<Pod>),
    Seen(Box<Pod>),
    Gone(Box<Pod>),
    /// The watch lives and has nothing new.
    Unchanged,
    Held(Holdings),
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub socket: PathBuf,
    /// How often the kubelet is asked, at most once a second.
    pub interval: Duration,
    /// Where it is kept what was told.
    pub dir: PathBuf,
}

/// Follows the pods of this node until the collector ends. `clock` gives Unix microseconds.
pub(crate) fn follow(feed: &Feed, settings: &Settings, pods: &Pods, clock: fn() -> i64) {
    pods.watch();
    // Another part of the program may have chosen already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    // A thread of its own for what is asked: this one writes rows to the disk, which may take its time.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "pods are not followed: their thread has no runtime"),
    };
    let mut books = Books {
        jobs: jobs::load(&settings.dir, feed.node().clone()),
        feed,
        settings,
        pods,
        held: Holdings::new(),
        saved: None,
        failing: false,
    };
    runtime.block_on(async {
        let (send, heard) = channel(HEARD_MAX);
        let node = &feed.node().node;
        tokio::spawn(kubelet::follow(settings.socket.clone(), Arc::clone(node), settings.interval, send.clone()));
        tokio::spawn(watch::follow(Arc::clone(node), send));
        books.keep(heard, clock).await;
    });
    runtime.shutdown_background();
}

/// An error with what caused it, each said once; many say only that something failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    for cause in std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string) {
        if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

struct Books<'a> {
    jobs: Jobs,
    feed: &'a Feed,
    settings: &'a Settings,
    pods: &'a Pods,
    held: Holdings,
    saved: Option<Instant>,
    failing: bool,
}

impl Books<'_> {
    async fn keep(&mut self, mut heard: Receiver<Heard>, clock: fn() -> i64) {
        let mut listed = Instant::now();
        while !self.feed.ends_within(Duration::ZERO) {
            if let Ok(Some(heard)) = timeout(LOOK_FOR_END, heard.recv()).await {
                if matches!(heard, Heard::Held(_)) {
                    listed = Instant::now();
                }
                self.hear(heard, clock());
            }
            if listed.elapsed() >= HOLDERS_KEPT && !self.held.is_empty() {
                self.held.clear();
                self.name_holders();
            }
            if self.saved.is_none_or(|saved| saved.elapsed() >= SAVE_EVERY) {
                self.save();
            }
        }
        self.save();
    }

    fn hear(&mut self, heard: Heard, now: i64) {
        match heard {
            Heard::Listed(all) => self.jobs.listed(all.iter().filter_map(pod::facts).collect(), now),
            Heard::Seen(one) => {
                if let Some(facts) = pod::facts(&one) {
                    self.jobs.seen(facts, now);
                }
            }
            Heard::Gone(one) => {
                if let Some(facts) = pod::facts(&one) {
                    self.jobs.gone(facts, pod::after_deletion(&one, now), now);
                }
            }
            Heard::Unchanged => self.jobs.unchanged(now),
            Heard::Held(held) => {
                let elements = held.iter().map(|(job, devices)| (Arc::clone(job), self.elements(devices))).collect();
                self.held = held;
                self.jobs.held(elements, now);
            }
        }
        self.pods.set_names(self.jobs.names());
        self.name_holders();
        let rows = self.jobs.take_rows();
        if !rows.is_empty() {
            self.feed.put(&Sample { jobs: rows, ..Sample::default() });
            self.save();
        }
    }

    fn elements(&self, devices: &[device::Device]) -> Vec<Arc<str>> {
        let node = &self.feed.node().node;
        let named = devices.iter().filter_map(|device| device.element(node, |gpu, at| self.pods.instance(gpu, at)));
        let mut elements: Vec<Arc<str>> = named.map(Arc::from).collect();
        elements.sort();
        elements.dedup();
        elements
    }

    fn name_holders(&self) {
        let held = self.held.iter().filter(|(job, _)| !self.jobs.is_over(job));
        let units = held.flat_map(|(job, devices)| devices.iter().map(move |device| (device, job)));
        let named = units
            .filter_map(|(device, job)| Some((device.unit(|gpu, at| self.pods.instance(gpu, at))?, Arc::clone(job))));
        self.pods.set_holders(named);
    }

    fn save(&mut self) {
        self.saved = Some(Instant::now());
        match jobs::save(&self.settings.dir, &self.jobs) {
            Ok(()) => self.failing = false,
            Err(error) if !std::mem::replace(&mut self.failing, true) => {
                tracing::error!(%error, dir = ?self.settings.dir, "what was told of pods cannot be written down");
            }
            Err(_) => {} // said before
        }
    }
}
