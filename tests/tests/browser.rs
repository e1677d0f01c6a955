//! The pages in a real browser: login by a one-time link, content, both themes, empty and broken states.
//!
//! Pictures of all of them lie in `<target>/screenshots` afterwards.

use coulomb_tests::{Program, Server, binary, run, target_dir, workspace_root};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

const HISTORY_AT_MOST: Duration = Duration::from_secs(600);
/// Hours are charged once their rows are in files.
const SOON: [&str; 2] = ["--flush-after-seconds", "5"];

/// Runs a script of tests/browser with a link that logs in, in front of `words`, and the folder for pictures behind.
fn drive(server: &Server, script: &str, before: &[&str], after: &[&str]) {
    let folder = target_dir().join("browser");
    assert!(folder.join("installed.txt").is_file(), "{folder:?} is not filled: `cargo xtask test` does it");
    let copy = folder.join(script);
    // Node looks for its packages beside the script.
    fs::copy(workspace_root().join("tests/browser").join(script), &copy).expect("the script can be copied");
    let screenshots = target_dir().join("screenshots");
    fs::create_dir_all(&screenshots).expect("a folder for the pictures can be made");

    let link = told(server, &["token", "link"]);
    let mut node = Command::new("node");
    node.arg(&copy).args(before).arg(&link).args(after).arg(&screenshots).arg(server.program.pid().to_string());
    let output = run(node.current_dir(&folder));
    let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{why}\npictures are in {screenshots:?}");
    assert!(said.contains("\n0 faults"), "the visit ended early:\n{said}{why}");
}

/// What a command of `coulomb` says.
fn told(server: &Server, words: &[&str]) -> String {
    let output = run(&mut server.command(words));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Some records of logs, of now.
fn say(server: &Server) {
    let now = chrono::Utc::now().timestamp_micros();
    let text = |key: &str, value: &str| serde_json::json!({ "key": key, "value": { "stringValue": value } });
    let record = |(number, (severity, body)): (i64, &(i64, &str))| {
        serde_json::json!({
            "timeUnixNano": ((now - number * 60_000_000) * 1000).to_string(), "severityNumber": severity,
            "body": { "stringValue": body }, "attributes": [text("log.iostream", "stderr"), text("slurm.job_id", "17")],
        })
    };
    let said = [
        (9, "epoch 3 is over, info: out of device memory was not seen"),
        (13, "rank 3 is slow"),
        (17, "CUDA error: out of device memory\n  at step 7"),
        (5, "loaded 12 shards"),
    ];
    let records: Vec<_> = (0..).zip(&said).map(record).collect();
    let resource = serde_json::json!({ "attributes": [text("host.name", "n1"), text("service.name", "trainer")] });
    let message =
        serde_json::json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": records }] }] });
    let headers = [("Content-Type", "application/json")];
    server.request("POST", "/v1/logs", &headers, message.to_string().as_bytes()).expect_status(200);
}

/// A simulated fleet with its past.
fn fill(server: &Server, gpus: &str, history: &str) -> Program {
    let mut fleet = Command::new(binary("coulomb-collector"));
    fleet.args(["simulate", "--gpus", gpus, "--backfill", history, "--server", &server.url]);
    fleet.arg("--token-file").arg(server.data.join("admin.token"));
    let mut fleet = Program::start(&mut fleet);
    fleet.wait_for_line("coulomb-collector: history sent", HISTORY_AT_MOST);
    say(server);
    fleet
}

/// Waits until most hours since then were summed up and have their price; a long history's latest days come first.
fn charged(server: &Server, from: &str) {
    let end = Instant::now() + HISTORY_AT_MOST;
    while Instant::now() < end {
        let path = format!("/api/v1/costs?from={from}&to=now");
        let costs = server.request("GET", &path, &[], b"").expect_status(200).json();
        let (all, unpriced) = (costs["gpu_hours"].as_f64(), costs["unpriced_gpu_hours"].as_f64());
        if all.zip(unpriced).is_some_and(|(all, unpriced)| unpriced < all / 2.0) {
            return;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("the hours from {from} on were not charged within {HISTORY_AT_MOST:?}");
}

#[test]
fn an_empty_server_says_what_to_do() {
    drive(&Server::start(), "pages.mjs", &["empty"], &[]);
}

#[test]
fn pages_show_a_fleet_and_say_when_the_server_is_gone() {
    let server = Server::start();
    let _fleet = fill(&server, "64", "2d");
    drive(&server, "pages.mjs", &["fleet"], &[]);
}

#[test]
fn a_users_day_with_a_month_of_a_thousand_gpus() {
    let server = Server::start_with(&SOON);
    for (kind, file) in [("prices", "demo.csv"), ("ownership", "demo-owners.toml")] {
        let file = workspace_root().join("docs/prices").join(file);
        told(&server, &["import", kind, file.to_str().expect("a path of this repository is text")]);
    }
    drop(fill(&server, "1000", "30d"));
    charged(&server, "now-24h");
    let viewer = told(&server, &["token", "create", "--name", "viewer", "--role", "viewer"]);
    drive(&server, "day.mjs", &[], &[&viewer]);
}

/// What a team may spend; half of it is gone soon.
const BUDGETS: &str = "[[budget]]\nname = \"Language\"\namount = 9000\ncurrency = \"USD\"\nperiod = \"monthly\"\n\
                       team = \"Language\"\nthresholds = [0.5, 0.8, 1]\n";

#[test]
fn costs_lead_down_to_the_rows_of_the_ledger_and_jobs_to_their_pages() {
    let server = Server::start_with(&SOON);
    let budgets = server.data.join("budgets.toml");
    fs::write(&budgets, BUDGETS).expect("a document can be written");
    let stated = workspace_root().join("docs/prices");
    let documents =
        [("prices", stated.join("demo.csv")), ("ownership", stated.join("demo-owners.toml")), ("budgets", budgets)];
    for (kind, file) in documents {
        let output = run(server.command(&["import", kind]).arg(file));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let _fleet = fill(&server, "32", "2d");
    charged(&server, "now-7d");
    drive(&server, "pages.mjs", &["money"], &[]);
}
