//! Slots, kills and failures on a real store, with a clock that the test sets.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::ledger::DocumentKind;
use crate::query::QuerySettings;
use crate::store::StoreSettings;
use chrono::DateTime;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;

/// A clock is a function; each test has one of its own.
macro_rules! clock {
    ($name:ident) => {{
        static NOW: AtomicI64 = AtomicI64::new(0);
        Clock { set: &NOW, read: || NOW.load(Ordering::SeqCst) }
    }};
}

#[derive(Clone, Copy)]
struct Clock {
    set: &'static AtomicI64,
    read: fn() -> i64,
}

impl Clock {
    fn at(self, text: &str) {
        self.set.store(DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros(), Ordering::SeqCst);
    }

    fn after_seconds(self, seconds: i64) {
        self.set.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

struct Scene {
    folder: TempDir,
    clock: Clock,
    store: Store,
    dispatch: Dispatch,
}

const DAILY: &str = "[[schedule]]\nname = \"daily\"\ncron = \"5 0 * * *\"\nreport = \"chargeback\"\n\
                     period = \"previous_day\"\nto = \"file:finance\"\n";

impl Scene {
    async fn new(clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, dispatch) = Self::open(folder.path(), clock, true).await;
        Self { folder, clock, store, dispatch }
    }

    async fn open(folder: &Path, clock: Clock, with_folder: bool) -> (Store, Dispatch) {
        let store = Store::open(StoreSettings {
            data_dir: folder.join("data"),
            tables: None,
            flush_after: Duration::from_secs(3600),
            flush_bytes: 1 << 30,
            hot_bytes_max: 2 << 30,
            remove_after: Duration::from_secs(3600),
        });
        let store = store.unwrap();
        let settings = QuerySettings {
            timeout: Duration::from_secs(60),
            rows_max: 1_000_000,
            memory_bytes_max: 512 << 20,
            resident_bytes_max: 1 << 40,
            spill_dir: folder.join("spill"),
            spill_bytes_max: 64 << 20,
        };
        let engine = Engine::new(store.clone(), settings).unwrap();
        let ledger = Ledger::open(store.clone(), engine.clone(), clock.read).await.unwrap();
        let settings = DispatchSettings {
            reports_dir: with_folder.then(|| folder.join("reports")),
            networks: Networks::default(),
            secrets_dir: folder.join("secrets"),
            variables: BucketVariables::default(),
            tables: None,
        };
        let insight = Insight::open(engine.clone(), clock.read).unwrap();
        (store.clone(), Dispatch::open(store, (engine, ledger, insight), settings, clock.read))
    }

    async fn restart(self, with_folder: bool) -> Self {
        let Self { folder, clock, store, dispatch } = self;
        let closing = store.clone();
        tokio::task::spawn_blocking(move || closing.close()).await.unwrap().unwrap();
        drop((store, dispatch));
        let (store, dispatch) = Self::open(folder.path(), clock, with_folder).await;
        Self { folder, clock, store, dispatch }
    }

    async fn state(&self, text: &str) {
        let ledger = &self.dispatch.inner.ledger;
        ledger.state(DocumentKind::Schedules, "schedules", text, "ann", false).await.unwrap();
    }

    /// Looks, and waits for what is begun.
    async fn look(&self) {
        self.dispatch.look().await.unwrap();
        while !self.dispatch.inner.in_hand.lock().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Slot, state, attempts.
    async fn runs(&self) -> Vec<String> {
        let runs = self.dispatch.inner.runs.recent(100).await.unwrap();
        let shown = |run: &Run| {
            let slot = DateTime::from_timestamp_micros(run.slot_micros).unwrap().format("%dT%H:%M");
            format!("{slot} {} {}", run.state.as_str(), run.attempts)
        };
        runs.values().flatten().map(shown).collect()
    }

    async fn last(&self) -> Run {
        self.dispatch.inner.runs.recent(1).await.unwrap().into_values().flatten().next().unwrap()
    }

    fn files(&self) -> Vec<String> {
        let Ok(folder) = std::fs::read_dir(self.folder.path().join("reports/finance")) else { return Vec::new() };
        let mut names: Vec<String> =
            folder.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_runs_once_across_restarts_and_of_missed_ones_the_latest_does() {
    let clock = clock!(slots);
    clock.at("2026-11-20T12:00:00Z");
    let scene = Scene::new(clock).await;
    scene.state(DAILY).await;
    scene.look().await;
    assert!(scene.runs().await.is_empty() && scene.files().is_empty(), "the slot of this morning was before");
    clock.at("2026-11-21T00:05:01Z");
    scene.look().await;
    assert_eq!(scene.runs().await, ["21T00:05 due 0"], "the last hour of the day is not known yet");
    clock.at("2026-11-21T00:10:00Z");
    for _ in 0..3 {
        scene.look().await;
    }
    assert_eq!(
        (scene.runs().await, scene.files()),
        (vec!["21T00:05 delivered 1".to_owned()], vec!["daily-2026-11-21T000500Z.csv".to_owned()])
    );
    let run = scene.last().await;
    let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
    assert_eq!(run.period_micros, Some((at("2026-11-20T00:00:00Z"), at("2026-11-21T00:00:00Z"))));
    let text =
        std::fs::read_to_string(scene.folder.path().join("reports/finance/daily-2026-11-21T000500Z.csv")).unwrap();
    assert_eq!((text.as_str(), run.bytes), ("team,gpu_hours,cost,currency\n", Some(text.len() as i64)));
    // Stating it again makes nothing due that is over.
    scene.state(&format!("# once more\n{DAILY}")).await;
    let scene = scene.restart(true).await;
    scene.look().await;
    assert_eq!(scene.runs().await, ["21T00:05 delivered 1"]);
    clock.at("2026-11-24T09:00:00Z");
    scene.look().await;
    let expected = ["24T00:05 delivered 1", "23T00:05 missed 0", "22T00:05 missed 0", "21T00:05 delivered 1"];
    assert_eq!(scene.runs().await, expected);
    assert_eq!(scene.files().len(), 2);
    let missed = &scene.dispatch.standing().await.unwrap()[0].runs[1];
    let why = "no server ran when it was due, and 2026-11-24T00:05Z took its place";
    assert_eq!(missed.error.as_deref(), Some(why));
    let scene = scene.restart(true).await;
    scene.look().await;
    assert_eq!((scene.runs().await.len(), scene.files().len()), (4, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_seen_and_tried_again_and_a_killed_try_is_taken_up() {
    let clock = clock!(failures);
    clock.at("2026-11-20T12:00:00Z");
    let scene = Scene::new(clock).await.restart(false).await;
    scene.state(DAILY).await;
    let standing = &scene.dispatch.standing().await.unwrap()[0];
    assert!(standing.problem.as_ref().unwrap().contains("--reports-dir"), "{:?}", standing.problem);
    clock.at("2026-11-21T00:10:00Z");
    scene.look().await;
    let failed = scene.last().await;
    assert_eq!((failed.state, failed.attempts), (RunState::Failed, 1));
    assert!(failed.error.as_ref().unwrap().contains("--reports-dir"), "{failed:?}");
    clock.after_seconds(9);
    scene.look().await;
    assert_eq!(scene.last().await, failed, "it waits");
    clock.after_seconds(1);
    scene.look().await;
    assert_eq!((scene.last().await.state, scene.last().await.attempts), (RunState::Failed, 2));
    // The operator allows a folder; the server is killed while it works at the run.
    clock.after_seconds(30);
    let scene = scene.restart(true).await;
    let by = Taking { server: scene.store.server(), is_in_hand: false, now_micros: (clock.read)() };
    let run = scene.last().await;
    let taken = scene.dispatch.inner.runs.change(&run, |kept| kept.map(|kept| kept.taken(by))).await.unwrap();
    assert_eq!(taken.unwrap().state, RunState::Running);
    let scene = scene.restart(true).await;
    scene.look().await;
    let done = scene.last().await;
    assert_eq!((done.state, done.attempts, scene.files().len()), (RunState::Delivered, 4, 1));
    assert!(done.error.unwrap().contains("--reports-dir"), "why it was not delivered at once");
    // What is no longer stated is given up.
    clock.at("2026-11-22T00:05:30Z");
    scene.look().await;
    scene.state("").await;
    clock.at("2026-11-22T00:10:00Z");
    scene.look().await;
    let gone = scene.last().await;
    assert_eq!((gone.state, gone.error.as_deref()), (RunState::GivenUp, Some("the schedule is no longer stated")));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_made_on_request_and_two_in_a_second_are_two() {
    let clock = clock!(requests);
    clock.at("2026-11-20T12:00:00Z");
    let scene = Scene::new(clock).await;
    scene.state(DAILY).await;
    for (second, state) in ["2026-11-20T120000Z", "2026-11-20T120001Z"].into_iter().zip([RunState::Delivered; 2]) {
        let run = scene.dispatch.run("daily", "ann").await.unwrap();
        assert_eq!((run.state, run.asked_by.as_deref()), (state, Some("ann")));
        assert_eq!(run.file.as_deref(), Some(format!("daily-{second}.csv").as_str()));
    }
    assert_eq!(scene.files().len(), 2);
    let unknown = scene.dispatch.run("weekly", "ann").await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no schedule \"weekly\"; there are daily");
    // What was asked for takes no slot's place.
    clock.at("2026-11-21T00:10:00Z");
    scene.look().await;
    assert_eq!(scene.runs().await[0], "21T00:05 delivered 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_change_the_table_one_after_another() {
    let clock = clock!(many);
    clock.at("2026-11-20T12:00:00Z");
    let scene = Scene::new(clock).await;
    scene.state(DAILY).await;
    let asked = (0..8).map(|_| {
        let dispatch = scene.dispatch.clone();
        tokio::spawn(async move { dispatch.run("daily", "ann").await.unwrap() })
    });
    let mut slots = BTreeSet::new();
    for run in asked.collect::<Vec<_>>() {
        slots.insert(run.await.unwrap().slot_micros);
    }
    assert_eq!(slots.len(), 8);
    clock.after_seconds(60);
    while scene.runs().await.iter().any(|run| !run.contains("delivered 1")) {
        scene.look().await;
    }
    assert_eq!(scene.files().len(), 8);
}
