//! Rules over a real store, receivers on a real socket, restarts in between.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod receivers;
mod shipped;

use super::*;
use crate::alert::Phase;
use crate::query::QuerySettings;
use crate::store::StoreSettings;
use arrow::json::ReaderBuilder;
use contract::WriterId;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use tempfile::TempDir;

const RULES: &str = r#"
[[rule]]
name = "Lost"
sql = "select node, count(*) as value from device_events where kind = 'lost' and time > $1 and time <= $2 group by node"
over = "1h"
every = "1s"
severity = "critical"
summary = "{node} lost a GPU"

[[receiver]]
name = "hook"
kind = "webhook"
url = "http://127.0.0.1:PORT/hook"

[[route]]
to = "hook"
wait = "0s"
interval = "1s"
"#;
const PATIENCE: Duration = Duration::from_secs(30);

fn now() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

/// A receiver that takes, or refuses, what it is sent.
struct Hook {
    port: u16,
    refuses: Arc<AtomicBool>,
    bodies: mpsc::Receiver<Value>,
}

impl Hook {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (port, refuses) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let (send, bodies) = mpsc::channel();
        let refusing = Arc::clone(&refuses);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut text = Vec::new();
                let mut part = [0; 4096];
                let body = loop {
                    let read = stream.read(&mut part).unwrap_or_default();
                    text.extend_from_slice(&part[..read]);
                    let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                    let head = String::from_utf8_lossy(&text[..end]).to_ascii_lowercase();
                    let length =
                        head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse::<usize>();
                    if text.len() >= end + 4 + length.clone().unwrap() || read == 0 {
                        break text[end + 4..].to_vec();
                    }
                };
                let is_refused = refusing.load(Ordering::Relaxed);
                let status = if is_refused { "503 Service Unavailable" } else { "200 OK" };
                if !is_refused && send.send(serde_json::from_slice(&body).unwrap()).is_err() {
                    return;
                }
                stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).unwrap();
            }
        });
        Self { port, refuses, bodies }
    }

    fn next(&self) -> Value {
        self.bodies.recv_timeout(PATIENCE).expect("the receiver is told")
    }

    fn hears_nothing(&self) -> bool {
        self.bodies.recv_timeout(Duration::from_secs(3)).is_err()
    }
}

struct Scene {
    folder: TempDir,
    store: Store,
    watch: Watch,
    keeping: tokio::task::JoinHandle<()>,
    sequence: u64,
}

impl Scene {
    async fn start(folder: TempDir) -> Self {
        Self::start_asking(folder, "127.0.0.0/8").await
    }

    /// Where only this network may be asked, beside the public ones.
    async fn start_asking(folder: TempDir, network: &str) -> Self {
        let store = Store::open(StoreSettings {
            data_dir: folder.path().join("data"),
            tables: None,
            flush_after: Duration::from_secs(3600),
            flush_bytes: 1 << 30,
            hot_bytes_max: 1 << 30,
            remove_after: Duration::from_secs(3600),
        });
        let store = store.unwrap();
        let settings = QuerySettings {
            timeout: Duration::from_secs(30),
            rows_max: 100_000,
            memory_bytes_max: 256 << 20,
            resident_bytes_max: 1 << 40,
            spill_dir: folder.path().join("spill"),
            spill_bytes_max: 64 << 20,
        };
        let engine = Engine::new(store.clone(), settings).unwrap();
        let settings = WatchSettings {
            networks: Networks::parse([network]).unwrap(),
            secrets_dir: folder.path().join("secrets"),
            external_url: "http://coulomb.test".to_owned(),
        };
        let kind = crate::shelf::Kind {
            noun: "text",
            folder: "alerts",
            shipped: &[],
            bytes_max: 100_000,
            parse: Stated::parse,
        };
        let shelf = Arc::new(Shelf::new(folder.path(), kind));
        let watch = Watch::open(store.clone(), engine, shelf, settings, now).await.unwrap();
        let keeping = tokio::spawn({
            let watch = watch.clone();
            async move { watch.keep().await }
        });
        let sequence = now().unsigned_abs();
        Self { folder, store, watch, keeping, sequence }
    }

    /// As after an orderly stop.
    async fn restart(self) -> Self {
        let Self { folder, store, watch, keeping, .. } = self;
        keeping.abort();
        drop(keeping.await);
        watch.finish().await;
        let left = Arc::downgrade(&watch.inner);
        drop(watch);
        // A task that has told somebody lets go of it a moment later.
        while left.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::task::spawn_blocking(move || store.close()).await.unwrap().unwrap();
        Self::start(folder).await
    }

    async fn lost(&mut self, node: &str) {
        let table = contract::table("device_events").unwrap();
        let time = chrono::Utc::now().to_rfc3339();
        let event = json!({ "time": time, "cluster": "c", "node": node, "kind": "lost", "severity": "critical", "message": "gone" });
        let mut decoder = ReaderBuilder::new(contract::schema(table)).build_decoder().unwrap();
        decoder.serialize(&[event]).unwrap();
        let batch = decoder.flush().unwrap().unwrap();
        self.sequence += 1;
        self.store.append(table, &WriterId::parse("test/1").unwrap(), self.sequence, batch).await.unwrap();
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Standing) -> bool) {
        let end = std::time::Instant::now() + PATIENCE;
        while !is_so(&self.watch.standing()) {
            assert!(std::time::Instant::now() < end, "{what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn folder(hook: &Hook) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("alerts")).unwrap();
    fs::write(folder.path().join("alerts/mine.toml"), RULES.replace("PORT", &hook.port.to_string())).unwrap();
    folder
}

fn nodes(body: &Value, status: &str) -> Vec<String> {
    let alerts = body["alerts"].as_array().unwrap().iter().filter(|alert| alert["status"] == status);
    let mut nodes: Vec<String> = alerts.map(|alert| alert["labels"]["node"].as_str().unwrap().to_owned()).collect();
    nodes.sort();
    nodes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_told_once_also_over_restarts() {
    let hook = Hook::start();
    let mut scene = Scene::start(folder(&hook)).await;
    scene.lost("n1").await;
    assert_eq!(nodes(&hook.next(), "firing"), ["n1"]);
    scene.until("it is written down", |s| s.alerts.iter().all(|alert| alert.told.len() == 1)).await;
    let mut scene = scene.restart().await;
    assert!(hook.hears_nothing(), "it was told before");
    let standing = scene.watch.standing();
    assert_eq!((standing.alerts.len(), standing.alerts[0].instance.phase), (1, Phase::Firing));
    scene.lost("n2").await;
    assert_eq!(nodes(&hook.next(), "firing"), ["n1", "n2"]);
    // The rule goes, and what it saw is over.
    fs::write(
        scene.folder.path().join("alerts/mine.toml"),
        RULES.replace("PORT", &hook.port.to_string()).replace("\"Lost\"", "\"Other\"").replace("'lost'", "'never'"),
    )
    .unwrap();
    let told = hook.next();
    assert_eq!(
        (nodes(&told, "resolved"), &told["status"]),
        (vec!["n1".to_owned(), "n2".to_owned()], &json!("resolved"))
    );
    assert!(hook.hears_nothing());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_does_not_take_waits_for_it_also_over_a_restart() {
    let hook = Hook::start();
    hook.refuses.store(true, Ordering::Relaxed);
    let mut scene = Scene::start(folder(&hook)).await;
    scene.lost("n1").await;
    scene.until("it is tried", |s| s.receivers.iter().any(|receiver| receiver.attempts > 0)).await;
    let scene = scene.restart().await;
    scene.until("it is tried again", |s| s.receivers.iter().any(|receiver| receiver.problem.is_some())).await;
    hook.refuses.store(false, Ordering::Relaxed);
    assert_eq!(nodes(&hook.next(), "firing"), ["n1"]);
    assert!(hook.hears_nothing(), "once");
    scene.until("all is well", |s| s.receivers.iter().all(|receiver| receiver.problem.is_none())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_silenced_is_not_told_and_a_silence_outlives_a_restart() {
    let hook = Hook::start();
    let mut scene = Scene::start(folder(&hook)).await;
    let silencing = |matchers: &[&str], ends_micros: i64| Silencing {
        matchers: matchers.iter().map(|text| crate::alert::Matcher::parse(text).unwrap()).collect(),
        starts_micros: now(),
        ends_micros,
        author: "ann".to_owned(),
        comment: "new fans".to_owned(),
    };
    let hour = now() + 3_600_000_000;
    for (wrong, said) in [
        (silencing(&[], hour), "conditions"),
        (silencing(&["a=~\".*\""], hour), "fit everything"),
        (silencing(&["node=n1"], now() - 1), "ends after"),
    ] {
        let refused = scene.watch.silence(wrong).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
    let silence = scene.watch.silence(silencing(&["node=n1"], hour)).await.unwrap();
    scene.lost("n1").await;
    scene.until("it fires", |s| s.alerts.iter().any(|alert| alert.muted_by.is_some())).await;
    let scene = scene.restart().await;
    scene.until("it is muted still", |s| s.alerts.iter().any(|alert| alert.muted_by.is_some())).await;
    assert!(hook.hears_nothing());
    scene.watch.end_silence(&silence.id, "ben").await.unwrap();
    assert_eq!(nodes(&hook.next(), "firing"), ["n1"]);
    let alert = scene.watch.standing().alerts[0].fingerprint.to_string();
    scene.watch.acknowledge(&alert, "ben", "").await.unwrap();
    scene.until("somebody works at it", |s| s.alerts.iter().all(|alert| alert.is_acknowledged)).await;
    assert!(scene.watch.acknowledge("0000000000000000", "ben", "").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_cannot_be_asked_says_so_and_keeps_no_other_from_its_look() {
    let hook = Hook::start();
    let folder = folder(&hook);
    let bad = "[[rule]]\nname = \"Bad\"\nsql = \"select nothing from nowhere\"\nevery = \"1s\"\nseverity = \"info\"\nsummary = \"x\"\n";
    fs::write(folder.path().join("alerts/bad.toml"), bad).unwrap();
    let mut scene = Scene::start(folder).await;
    scene.lost("n1").await;
    assert_eq!(nodes(&hook.next(), "firing"), ["n1"]);
    let failing = |s: &Standing| {
        s.rules.iter().any(|rule| {
            *rule.rule.name == *"Bad" && matches!(&rule.health, Health::Failing(why) if why.contains("nowhere"))
        })
    };
    scene.until("it says why", failing).await;
    let faults = scene.watch.check(&Stated::parse(bad).unwrap()).await.unwrap();
    assert!(faults[0].what.contains("nowhere") && faults[0].line == 1, "{faults:?}");
    let named = bad.replace("select nothing from nowhere", "select 1 as value").replace("\"x\"", "\"{gpu} is hot\"");
    let faults = scene.watch.check(&Stated::parse(&named).unwrap()).await.unwrap();
    assert!(faults[0].what.contains("{gpu}"), "{faults:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_ask_the_same_are_answered_at_once_and_each_by_its_own_limit() {
    let hook = Hook::start();
    let folder = folder(&hook);
    let rule = |limit: usize, over: &str| {
        let sql = "select node, count(*) as value from device_events where time > $1 and time <= $2 group by node";
        format!(
            "[[rule]]\nname = \"Over{limit}In{over}\"\nsql = \"{sql}\"\nabove = {limit}\nover = \"{over}\"\nevery = \"1s\"\n\
             severity = \"info\"\nsummary = \"{{node}}: {{value}}\"\n"
        )
    };
    let text: String = (0..40).map(|limit| rule(limit, "1h")).chain([rule(0, "2h")]).collect();
    fs::write(folder.path().join("alerts/many.toml"), text).unwrap();
    let mut scene = Scene::start(folder).await;
    for node in ["n1", "n1", "n2"] {
        scene.lost(node).await;
    }
    let fires = |s: &Standing| {
        let mut found: Vec<String> = s
            .alerts
            .iter()
            .filter(|alert| alert.rule.starts_with("Over"))
            .map(|alert| format!("{} {}", alert.rule, alert.instance.labels["node"]))
            .collect();
        found.sort();
        found == ["Over0In1h n1", "Over0In1h n2", "Over0In2h n1", "Over0In2h n2", "Over1In1h n1"]
    };
    scene.until("each by its own limit", fires).await;
    let at_once = |s: &Standing| {
        let looks: BTreeSet<i64> = s
            .rules
            .iter()
            .filter(|rule| rule.rule.name.ends_with("In1h"))
            .filter_map(|rule| rule.last_micros)
            .collect();
        looks.len() == 1
    };
    for _ in 0..3 {
        scene.until("one answer for all of them", at_once).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shipped_rules_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::start(folder).await;
    let dir = tempfile::tempdir().unwrap();
    for shelved in shelf(dir.path()).all().unwrap() {
        let faults = scene.watch.check(&shelved.read.unwrap()).await.unwrap();
        assert!(faults.is_empty(), "{}: {faults:?}", shelved.name);
    }
}
