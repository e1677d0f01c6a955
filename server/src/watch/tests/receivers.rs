//! Receivers that must not be asked, that do not answer, and what they were not told.

use super::*;
use crate::alert::{Labels, ToldAlert, Wanted, Why};
use crate::watch::keep::{Outcome, Try};
use std::os::unix::fs::PermissionsExt;

fn put(folder: &TempDir, name: &str, text: &str) {
    fs::create_dir_all(folder.path().join("alerts")).unwrap();
    fs::write(folder.path().join("alerts").join(name), text).unwrap();
}

fn put_secret(folder: &TempDir, name: &str, text: &str) {
    let file = folder.path().join("secrets").join(name);
    fs::create_dir_all(folder.path().join("secrets")).unwrap();
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kind_of_receiver_is_asked_where_it_must_not() {
    let hosts = [
        "127.0.0.2", // this machine, and not the address that is allowed
        "10.1.2.3",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "[::ffff:10.0.0.1]",
        "2130706434",
        "0x7f.2",
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for (at, host) in hosts.iter().enumerate() {
        put_secret(&folder, &format!("slack{at}"), &format!("https://{host}/T/B/X"));
        text += &format!(
            "[[receiver]]\nname = \"w{at}\"\nkind = \"webhook\"\nurl = \"https://{host}/\"\n\
             [[receiver]]\nname = \"a{at}\"\nkind = \"alertmanager\"\nurl = \"https://{host}/\"\n\
             [[receiver]]\nname = \"p{at}\"\nkind = \"pagerduty\"\nurl = \"https://{host}/\"\nsecret = \"slack{at}\"\n\
             [[receiver]]\nname = \"s{at}\"\nkind = \"slack\"\nsecret = \"slack{at}\"\n\
             [[receiver]]\nname = \"e{at}\"\nkind = \"email\"\nserver = \"{host}\"\nfrom = \"a@example.org\"\n\
             to = \"b@example.org\"\n"
        );
    }
    put(&folder, "receivers.toml", &text);
    let scene = Scene::start_asking(folder, "127.0.0.1/32").await;
    for (at, host) in hosts.iter().enumerate() {
        for kind in ["w", "a", "p", "s", "e"] {
            let told = scene.watch.test_receiver(&format!("{kind}{at}")).await.unwrap_err().to_string();
            assert!(told.contains("--outgoing-allow"), "{kind} {host}: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_of_a_receiver_is_not_followed() {
    let (inside, leads) = (Hook::start(), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let (port, target) = (leads.local_addr().unwrap().port(), inside.port);
    std::thread::spawn(move || {
        for mut stream in leads.incoming().map_while(Result::ok) {
            let mut part = [0; 65_536];
            drop(stream.read(&mut part));
            let head =
                format!("HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:{target}/\r\nContent-Length: 0\r\n\r\n");
            drop(stream.write_all(head.as_bytes()));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "mine.toml", &RULES.replace("PORT", &port.to_string()));
    let mut scene = Scene::start(folder).await;
    scene.lost("n1").await;
    let is_told = |s: &Standing| {
        s.receivers.iter().any(|r| r.problem.as_ref().is_some_and(|why| why.contains("redirects are not followed")))
    };
    scene.until("it says why", is_told).await;
    assert!(inside.hears_nothing());
}

/// A message that a receiver has not taken for a day.
async fn give_up(scene: &Scene, alerts: &[(Fingerprint, i64)]) {
    let key = GroupKey {
        receiver: "hook".into(),
        route: "".into(),
        labels: Labels::from([("alertname".into(), "Lost".into())]),
    };
    let over = alerts
        .iter()
        .map(|(fingerprint, started_micros)| ToldAlert { fingerprint: *fingerprint, started_micros: *started_micros });
    let wanted = Wanted { why: Why::News, firing: BTreeSet::new(), over: over.collect() };
    let tried = Try {
        time_micros: now(),
        id: "alert_given_up",
        key: &key,
        wanted: &wanted,
        outcome: Outcome::GivenUp,
        attempt: 300,
        error: Some("it answered 503".to_owned()),
    };
    scene.watch.inner.keeper.tried(&tried).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_kept_and_can_be_sent_once_more() {
    let hook = Hook::start();
    let mut scene = Scene::start(folder(&hook)).await;
    scene.lost("n1").await;
    assert_eq!(nodes(&hook.next(), "firing"), ["n1"]);
    scene.until("it is written down", |s| s.alerts.iter().all(|alert| alert.told.len() == 1)).await;
    let standing = scene.watch.standing();
    let alert = &standing.alerts[0];
    let still = (alert.fingerprint, alert.instance.started_micros.unwrap());
    let gone = (Fingerprint(7), now() - 3_600_000_000);
    give_up(&scene, &[still, gone]).await;
    let scene = scene.restart().await;
    let letters = scene.watch.letters().await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].id.as_str(), letters[0].attempts, letters[0].over.len()), ("alert_given_up", 300, 2));
    assert_eq!(letters[0].error, "it answered 503");
    assert!(scene.watch.replay("alert_other").await.unwrap_err().to_string().contains("alert_other"));
    hook.refuses.store(true, Ordering::Relaxed);
    assert!(scene.watch.replay("alert_given_up").await.unwrap_err().to_string().contains("503"));
    assert_eq!(scene.watch.letters().await.unwrap().len(), 1, "it is kept until it is taken");
    hook.refuses.store(false, Ordering::Relaxed);
    scene.watch.replay("alert_given_up").await.unwrap();
    let told = hook.next();
    assert_eq!((nodes(&told, "firing"), told["alerts"].as_array().unwrap().len()), (vec!["n1".to_owned()], 2));
    assert!(scene.watch.letters().await.unwrap().is_empty());
    let scene = scene.restart().await;
    assert!(scene.watch.letters().await.unwrap().is_empty());
    assert!(hook.hears_nothing(), "what fires is known");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_tried_over_time_that_is_over() {
    let mut scene = Scene::start(tempfile::tempdir().unwrap()).await;
    scene.lost("n1").await;
    let text = RULES.replace("PORT", "1").replace("over = \"1h\"", "over = \"1m\"");
    let rule = &Stated::parse(&text).unwrap().rules[0];
    let found = scene.watch.preview(rule, now() - 300_000_000, now() + 300_000_000).await.unwrap();
    assert_eq!((found.is_complete, found.looks.len()), (true, 601));
    assert_eq!((found.count, found.firings.len()), (1, 1));
    assert!(found.firings[0].ended_micros.is_some());
    assert!((50..=70).contains(&(found.firing_micros / 1_000_000)), "{}", found.firing_micros);
    assert_eq!(found.firings[0].summary, "n1 lost a GPU");
    let at = now();
    for (from, to) in [(at, at), (at - 500 * 86_400_000_000, at)] {
        assert!(scene.watch.preview(rule, from, to).await.is_err());
    }
    let wrong = Stated::parse(&text.replace("select node", "select nothing")).unwrap();
    assert!(scene.watch.preview(&wrong.rules[0], now() - 60_000_000, now()).await.is_err());
    let asks = "promql = \"vector(5) > 4\"\nabove = 4";
    let text = format!("[[rule]]\nname = \"P\"\n{asks}\nevery = \"1m\"\nseverity = \"info\"\nsummary = \"x\"\n");
    let rule = &Stated::parse(&text).unwrap().rules[0];
    let found = scene.watch.preview(rule, now() - 600_000_000, now()).await.unwrap();
    assert_eq!((found.count, found.looks.len(), found.looks[0].1), (1, 11, Some(5.0)));
}
