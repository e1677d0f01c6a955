//! Messages as their receivers document them.

use super::*;
use crate::alert::{Fingerprint, GroupKey, fingerprint};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// 2026-03-05T12:00Z.
const NOW: i64 = 1_772_712_000_000_000;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn spoken(gpu: &str, ended_micros: Option<i64>) -> Spoken {
    let labels = labels(&[(ALERTNAME, "GpuHot"), (SEVERITY, "warning"), ("gpu_uuid", gpu), ("node", "n1")]);
    Spoken {
        told: ToldAlert { fingerprint: fingerprint(&labels), started_micros: NOW - 60_000_000 },
        labels,
        annotations: BTreeMap::from([("summary".into(), format!("GPU {gpu} is at 95 °C & <hot>"))]),
        value: Some(95.0),
        ended_micros,
        is_missing: false,
    }
}

fn key() -> GroupKey {
    GroupKey { receiver: "ops".into(), route: "".into(), labels: labels(&[(ALERTNAME, "GpuHot")]) }
}

fn message(key: &GroupKey, firing: Vec<Spoken>, over: Vec<Spoken>) -> Message<'_> {
    let external_url = "https://coulomb.example.org";
    Message { id: "alert_1", receiver: &key.receiver, key, firing, over, external_url, now_micros: NOW }
}

#[test]
fn a_webhook_gets_alertmanagers_payload() {
    let key = key();
    let body = webhook::body(&message(&key, vec![spoken("a", None)], vec![spoken("b", Some(NOW))]));
    assert_eq!(body["status"], "firing");
    assert_eq!((&body["version"], &body["groupKey"]), (&json!("4"), &json!("{}:{alertname=\"GpuHot\"}")));
    assert_eq!(body["commonLabels"], json!({ "alertname": "GpuHot", "severity": "warning", "node": "n1" }));
    let [firing, over] = [&body["alerts"][0], &body["alerts"][1]];
    assert_eq!((&firing["status"], &firing["endsAt"]), (&json!("firing"), &json!("0001-01-01T00:00:00Z")));
    assert_eq!(firing["startsAt"], "2026-03-05T11:59:00Z");
    assert_eq!((&over["status"], &over["endsAt"]), (&json!("resolved"), &json!("2026-03-05T12:00:00Z")));
    let shown = Fingerprint::parse(firing["fingerprint"].as_str().unwrap()).unwrap();
    assert_eq!(firing["generatorURL"], format!("https://coulomb.example.org/alerts?alert={shown}"));
    let over = webhook::body(&message(&key, Vec::new(), vec![spoken("b", Some(NOW))]));
    assert_eq!(over["status"], "resolved");
    let many = (0..600).map(|gpu| spoken(&gpu.to_string(), None)).collect();
    let many = webhook::body(&message(&key, many, Vec::new()));
    assert_eq!((many["alerts"].as_array().map(Vec::len), &many["truncatedAlerts"]), (Some(500), &json!(100)));
}

#[test]
fn alertmanager_is_told_until_when_an_alert_is_good() {
    let key = key();
    let body = alertmanager::body(&message(&key, vec![spoken("a", None)], vec![spoken("b", Some(NOW - 1_000_000))]));
    assert_eq!(body[0]["endsAt"], "2026-03-05T12:04:00Z");
    assert_eq!(body[1]["endsAt"], "2026-03-05T11:59:59Z");
    assert_eq!(body[0]["labels"]["gpu_uuid"], "a");
}

#[test]
fn slack_shows_sentences_and_no_mark_up_of_others() {
    let key = key();
    let firing = (0..12).map(|gpu| spoken(&gpu.to_string(), None)).collect();
    let body = slack::body(&message(&key, firing, vec![spoken("b", Some(NOW))]));
    assert_eq!(body["text"], "GpuHot: 12 firing, 1 resolved");
    let text = body["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(text.contains("|GPU 0 is at 95 °C &amp; &lt;hot&gt;> (warning)") && text.contains("and 2 more"), "{text}");
}

#[test]
fn pagerduty_opens_an_incident_for_each_beginning_and_resolves_it() {
    let key = key();
    let (firing, over) = (spoken("a", None), spoken("a", Some(NOW)));
    let message = message(&key, vec![firing.clone()], vec![over.clone()]);
    let opened = pagerduty::body(&message, &firing, "k");
    assert_eq!((&opened["event_action"], &opened["payload"]["severity"]), (&json!("trigger"), &json!("warning")));
    assert_eq!(opened["payload"]["source"], "n1");
    let closed = pagerduty::body(&message, &over, "k");
    assert_eq!(closed, json!({ "routing_key": "k", "event_action": "resolve", "dedup_key": opened["dedup_key"] }));
}

#[test]
fn mail_follows_in_a_thread_and_others_words_stay_text() {
    let (dir, key) = (tempfile::tempdir().unwrap(), key());
    fs::write(dir.path().join("smtp"), "hunter2\n").unwrap();
    fs::set_permissions(dir.path().join("smtp"), fs::Permissions::from_mode(0o600)).unwrap();
    let secrets = Secrets::of(dir.path().to_owned());
    let way = Way::Email {
        server: crate::deliver::MailServer {
            host: "smtp.example.org".into(),
            port: 587,
            security: crate::deliver::MailSecurity::StartTls,
        },
        login: Some(("coulomb".into(), "smtp".into())),
        from: "Coulomb <alerts@example.org>".into(),
        to: vec!["ops@example.org".into()],
    };
    let sent = |firing, over| mail(&way, &message(&key, firing, over), &secrets).unwrap().unwrap();
    let first = sent(vec![spoken("a\r\nBcc: x@example.org", None)], Vec::new());
    assert_eq!(first.login, Some(("coulomb".to_owned(), "hunter2".to_owned())));
    assert_eq!(first.subject, "[Coulomb] firing: GPU a Bcc: x@example.org is at 95 °C & <hot>");
    assert!(first.html.contains("95 °C &amp; &lt;hot&gt;") && !first.html.contains("<hot>"), "{}", first.html);
    assert!(
        first.text.contains("since 2026-03-05T11:59:00Z") && first.text.contains("/alerts?alert="),
        "{}",
        first.text
    );
    let second = sent(vec![spoken("a", None), spoken("b", None)], vec![spoken("c", Some(NOW))]);
    assert_eq!((second.subject.as_str(), &second.thread), ("[Coulomb] GpuHot: 2 firing, 1 resolved", &first.thread));
    assert!(
        second.text.contains("Resolved (1)") && second.text.contains("until 2026-03-05T12:00:00Z"),
        "{}",
        second.text
    );
    let many = sent((0..70).map(|gpu| spoken(&gpu.to_string(), None)).collect(), Vec::new());
    assert!(many.text.contains("and 20 more"));
    assert!(
        mail(&Way::Alertmanager { url: "https://a.example.org".into() }, &message(&key, vec![], vec![]), &secrets)
            .unwrap()
            .is_none()
    );
    assert!(requests(&way, &message(&key, vec![], vec![]), &secrets).unwrap().is_empty());
}

#[test]
fn requests_go_where_the_receiver_is_and_hold_its_secret() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("slack", "https://hooks.example.org/T/B/X\n"), ("pager", "key\n"), ("bad", "whsec_?\n")] {
        fs::write(dir.path().join(name), text).unwrap();
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let (secrets, key) = (Secrets::of(dir.path().to_owned()), key());
    let message = message(&key, vec![spoken("a", None), spoken("b", None)], vec![spoken("c", Some(NOW))]);
    let sent = |way: &Way| requests(way, &message, &secrets);
    let slack = sent(&Way::Slack { secret: "slack".into() }).unwrap();
    assert_eq!((slack.len(), slack[0].url.as_str()), (1, "https://hooks.example.org/T/B/X"));
    let pager = sent(&Way::PagerDuty { url: "https://events.example.org/".into(), secret: "pager".into() }).unwrap();
    assert_eq!(pager.len(), 3, "one event for each alert");
    assert!(pager.iter().all(|request| request.body.contains("\"routing_key\":\"key\"")));
    let manager = sent(&Way::Alertmanager { url: "https://am.example.org/".into() }).unwrap();
    assert_eq!(manager[0].url.as_str(), "https://am.example.org/api/v2/alerts");
    let plain = sent(&Way::Webhook { url: "https://a.example.org".into(), secret: None }).unwrap();
    assert_eq!(plain[0].headers.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["webhook-id", "webhook-timestamp"]);
    let refused = |way: Way| sent(&way).err().unwrap().to_string();
    assert!(
        refused(Way::Webhook { url: "https://a.example.org".into(), secret: Some("bad".into()) }).contains("no use")
    );
    let missing = refused(Way::Slack { secret: "none".into() });
    assert!(missing.contains("there is no secret \"none\""), "{missing}");
}
