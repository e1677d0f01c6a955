//! Alerts end to end: a signed webhook over errors and kills, commands, and a real Alertmanager as receiver.

use coulomb_tests::alerting::{SURELY_SEEN, THIS_MACHINE, put, rule, wait_until};
use coulomb_tests::hook::{Hook, SECRET, put_secret};
use coulomb_tests::{Program, Server, run, send};
use serde_json::{Value, json};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn nodes(request: &Value, status: &str) -> Vec<String> {
    let alerts = request["alerts"].as_array().expect("a list of alerts").iter();
    let alerts = alerts.filter(|alert| alert["status"] == status);
    let mut nodes: Vec<String> =
        alerts.map(|alert| alert["labels"]["node"].as_str().unwrap_or_default().to_owned()).collect();
    nodes.sort();
    nodes
}

#[test]
fn a_webhook_is_signed_tried_again_and_told_once_also_over_kills() {
    let receiver = Hook::start(&["500", "200"]);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut server = Server::start_in(folder.path(), &THIS_MACHINE);
    put_secret(&server.data, "ops");
    let to = format!(
        "[[receiver]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"{}/part-that-only-the-receiver-knows\"\n\
         secret = \"ops\"\n[[route]]\nto = \"ops\"\nwait = \"0s\"\ninterval = \"1s\"\n",
        receiver.url
    );
    put(&server.data, "receivers.toml", &to);
    put(&server.data, "mine.toml", &rule(&["n1"]));
    // Its second try comes by itself.
    wait_until("two tries", || receiver.requests().len() == 2);
    let requests = receiver.requests();
    for request in &requests {
        assert_eq!(request["verified"], true, "{request}");
        assert_eq!(request["id"], requests[0]["id"], "each try has the same id");
        assert_eq!((&request["version"], nodes(request, "firing")), (&json!("4"), vec!["n1".to_owned()]));
        assert_eq!(request["alerts"][0]["annotations"]["summary"], "n1 is broken by 1.5");
    }
    let delivered = "select count(*) from alert_notifications where state = 'delivered'";
    wait_until("it is written down", || server.query_count(delivered) == 1);
    server.program.kill();
    let mut server = Server::start_in(folder.path(), &THIS_MACHINE);
    std::thread::sleep(SURELY_SEEN);
    assert_eq!(receiver.requests().len(), 2, "it was told before");
    put(&server.data, "mine.toml", &rule(&["n1", "n2"]));
    wait_until("news", || receiver.requests().len() == 3);
    assert_eq!(nodes(&receiver.requests()[2], "firing"), ["n1", "n2"]);
    wait_until("it is written down", || server.query_count(delivered) == 2);
    // What ends while no server runs is told by the next one.
    put(&server.data, "mine.toml", &rule(&["n2"]));
    server.program.kill();
    let server = Server::start_in(folder.path(), &THIS_MACHINE);
    wait_until("the end", || receiver.requests().len() == 4);
    assert_eq!(
        (nodes(&receiver.requests()[3], "firing"), nodes(&receiver.requests()[3], "resolved")),
        (vec!["n2".to_owned()], vec!["n1".to_owned()])
    );
    std::thread::sleep(SURELY_SEEN);
    assert_eq!(receiver.requests().len(), 4);
    let states =
        server.query("select state from alert_changes where rule = 'Broken' and labels['node'] = 'n1' order by time");
    assert_eq!(states, [["firing"], ["resolved"]]);
    let shown = server.get("/api/v1/alerts").text() + &said(&run(&mut server.command(&["alerts"])));
    let table = server.query("select * from alert_notifications");
    for text in [shown, server.program.log(), format!("{table:?}")] {
        assert!(!text.contains(&SECRET[6..]) && !text.contains("only-the-receiver-knows"), "{text}");
    }
}

#[test]
fn addresses_of_this_network_are_refused_unless_they_are_allowed() {
    let receiver = Hook::start(&[]);
    let server = Server::start();
    let to = format!("[[receiver]]\nname = \"inside\"\nkind = \"webhook\"\nurl = \"{}/\"\n", receiver.url);
    put(&server.data, "receivers.toml", &to);
    let test = || said(&run(&mut server.command(&["alerts", "test-receiver", "inside"])));
    wait_until("it is known", || !test().contains("there is no receiver"));
    let refused = test();
    assert!(refused.contains("loopback") && refused.contains("--outgoing-allow"), "{refused}");
    let metadata = to.replace(&receiver.url, "https://169.254.169.254");
    put(&server.data, "receivers.toml", &metadata);
    wait_until("it is read again", || test().contains("169.254.169.254"));
    assert!(receiver.requests().is_empty());
}

#[test]
fn commands_check_keep_and_list() {
    let server = Server::start();
    let file = server.data.join("mine.toml");
    let told = |words: &[&str]| {
        let output = run(&mut server.command(words));
        (output.status.success(), said(&output))
    };
    let path = file.to_str().expect("a path is text").to_owned();
    fs::write(&file, rule(&["n1"]).replace("{value}", "{colour}")).expect("a file can be written");
    let (good, why) = told(&["rules", "check", &path]);
    assert!(!good && why.contains("mine.toml line 1") && why.contains("{colour}"), "{why}");
    fs::write(&file, rule(&["n1"])).expect("a file can be written");
    let (good, kept) = told(&["rules", "put", &path]);
    assert!(good && kept.contains("1 rules, 0 receivers, 0 routes"), "{kept}");
    wait_until("it fires", || told(&["alerts"]).1.contains("n1 is broken"));
    let listed: Value = serde_json::from_str(&told(&["alerts", "--format", "json"]).1).expect("JSON");
    let fingerprint = listed["alerts"][0]["fingerprint"].as_str().expect("a fingerprint").to_owned();
    assert_eq!((&listed["alerts"][0]["state"], &listed["alerts"][0]["value"]), (&json!("firing"), &json!(1.5)));
    let (good, why) = told(&["alerts", "silence", "node=~\"n.\"", "--comment", "new fans"]);
    assert!(good, "{why}");
    assert!(told(&["alerts"]).1.contains("silence "), "{}", told(&["alerts"]).1);
    let (good, why) = told(&["alerts", "acknowledge", &fingerprint]);
    assert!(good, "{why}");
    let silences = told(&["alerts", "silences", "--format", "csv"]).1;
    assert!(silences.contains("new fans") && silences.contains("acknowledgement"), "{silences}");
    let (good, rules) = told(&["rules", "--format", "csv"]);
    assert!(good && rules.contains("Broken,mine:1,critical,well,1") && rules.contains("GpuLost"), "{rules}");
    let prometheus = server.get("/prometheus/api/v1/rules").json();
    let groups = prometheus["data"]["groups"].as_array().expect("groups");
    assert!(
        groups.iter().any(|group| group["name"] == "mine" && group["rules"][0]["state"] == "firing"),
        "{prometheus}"
    );
    let viewer = told(&["token", "create", "--name", "viewer", "--role", "viewer"]).1;
    let bearer = format!("Bearer {}", viewer.trim());
    let asked = server.try_request("DELETE", "/api/v1/alerts/texts/mine", &[("Authorization", &bearer)], b"");
    assert_eq!(asked.expect("it answers").status, 403);
    assert!(told(&["rules", "remove", "mine"]).0);
    wait_until("it is over", || !told(&["alerts"]).1.contains("n1 is broken"));
}

/// A real one, where it is installed.
fn alertmanager(folder: &Path) -> Option<(Program, String)> {
    const NAME: &str = "prometheus-alertmanager";
    if Command::new(NAME).arg("--version").output().is_err() {
        eprintln!("skipped: {NAME} is not installed");
        return None;
    }
    let config = folder.join("alertmanager.yml");
    let text = "route:\n  receiver: nobody\n  group_wait: 0s\nreceivers:\n- name: nobody\n";
    fs::write(&config, text).expect("a file can be written");
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let address = free.expect("there is a free port").to_string();
    let mut command = Command::new(NAME);
    command.arg(format!("--config.file={}", config.display())).arg(format!("--storage.path={}", folder.display()));
    command.arg(format!("--web.listen-address={address}")).arg("--cluster.listen-address=");
    let program = Program::start(&mut command);
    let url = format!("http://{address}");
    wait_until("the Alertmanager is ready", || {
        send("GET", &format!("{url}/-/ready"), &[], b"").is_ok_and(|a| a.status == 200)
    });
    Some((program, url))
}

#[test]
fn alertmanager_and_amtool_show_our_alerts_and_resolve_them() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let Some((_program, url)) = alertmanager(folder.path()) else { return };
    let server = Server::start_with(&THIS_MACHINE);
    let to = format!("[[receiver]]\nname = \"am\"\nkind = \"alertmanager\"\nurl = \"{url}\"\n[[route]]\nto = \"am\"\n");
    put(&server.data, "receivers.toml", &to);
    put(&server.data, "mine.toml", &rule(&["n1", "n2"]));
    let shown = || {
        let url = format!("--alertmanager.url={url}");
        let output = run(Command::new("amtool").args([&url, "alert", "query", "-o", "json"]));
        let alerts: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let mut nodes: Vec<String> =
            alerts.iter().map(|a| a["labels"]["node"].as_str().unwrap_or_default().to_owned()).collect();
        nodes.sort();
        (nodes, alerts)
    };
    wait_until("both are shown", || shown().0 == ["n1", "n2"]);
    let (_, alerts) = shown();
    assert_eq!(alerts[0]["labels"]["alertname"], "Broken");
    let ours = server.get("/api/v1/alerts").json();
    let prints = |alerts: &[Value]| {
        let mut all: Vec<String> =
            alerts.iter().map(|a| a["fingerprint"].as_str().unwrap_or_default().to_owned()).collect();
        all.sort();
        all
    };
    let broken: Vec<Value> =
        ours["alerts"].as_array().expect("a list").iter().filter(|a| a["rule"] == "Broken").cloned().collect();
    assert_eq!(prints(&alerts), prints(&broken), "the fingerprints are the same");
    put(&server.data, "mine.toml", &rule(&["n2"]));
    wait_until("one is resolved", || shown().0 == ["n2"]);
}
