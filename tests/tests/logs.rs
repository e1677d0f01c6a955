//! Logs end to end: files that grow and rotate, a collector that is killed, the journal, search, tail and command.

use coulomb_tests::{Program, Server, binary, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(60);

/// More than the time between two searches for new files.
const FOUND: Duration = Duration::from_millis(2500);

fn collector(server: &Server, spool: &Path, inputs: &[&str]) -> Program {
    collector_of(server, &server.url, spool, inputs)
}

/// One that sends to an address.
fn collector_of(server: &Server, url: &str, spool: &Path, inputs: &[&str]) -> Program {
    let mut command = Command::new(binary("coulomb-collector"));
    command.args(["run", "--node", "n1", "--cluster", "c", "--interval", "1s", "--server", url]);
    command.arg("--token-file").arg(server.data.join("admin.token")).arg("--spool").arg(spool).args(inputs);
    Program::start(&mut command)
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file can be made");
    file.write_all(text.as_bytes()).expect("a file can be written");
}

/// How often each message was kept.
fn kept(server: &Server) -> BTreeMap<String, u64> {
    let rows = server.query("select body, count(*) from logs group by 1");
    rows.into_iter().map(|row| (row[0].clone(), row[1].parse().expect("a count"))).collect()
}

/// Waits until there are so many different messages, and a look longer for what must not come.
fn settled(server: &Server, messages: usize) -> BTreeMap<String, u64> {
    let end = Instant::now() + SOON;
    let different = || server.query_count("select count(distinct body) from logs") as usize;
    while different() < messages && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(200));
    }
    std::thread::sleep(Duration::from_secs(2));
    kept(server)
}

fn once(messages: impl IntoIterator<Item = String>) -> BTreeMap<String, u64> {
    messages.into_iter().map(|message| (message, 1)).collect()
}

#[test]
fn every_line_is_kept_once_through_rotation_copies_and_kills() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let (logs, spool) = (dir.path().join("logs"), dir.path().join("spool"));
    fs::create_dir(&logs).expect("a folder can be made");
    let pattern = format!("{}/*.log", logs.display());
    let (renamed, copied) = (logs.join("renamed.log"), logs.join("copied.log"));
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut expected = Vec::new();
    let mut program = collector(&server, &spool, &["--logs", &pattern]);
    for round in 0..9_u32 {
        for line in 0..200 {
            for (name, path) in [("renamed", &renamed), ("copied", &copied)] {
                let message = format!("{name} round {round} line {line}");
                append(path, &format!("{message}\n"));
                expected.push(message);
            }
            if line % 50 == 0 {
                std::thread::sleep(Duration::from_millis(next(300)));
            }
        }
        // A file that comes and goes between two looks is nobody's.
        std::thread::sleep(if round < 3 { FOUND } else { Duration::from_millis(next(900)) });
        for (name, path) in [("renamed", &renamed), ("copied", &copied)] {
            let message = format!("{name} round {round} at the end");
            append(path, &format!("{message}\n"));
            expected.push(message);
        }
        match round % 3 {
            0 => fs::rename(&renamed, logs.join(format!("renamed.log.{round}"))).expect("a file can be renamed"),
            1 => {
                fs::copy(&copied, logs.join(format!("copied.log.{round}"))).expect("a file can be copied");
                fs::write(&copied, "").expect("a file can be cut");
            }
            _ => {}
        }
        if round % 2 == 1 {
            std::thread::sleep(Duration::from_millis(next(1500)));
            program.kill();
            program = collector(&server, &spool, &["--logs", &pattern]);
        }
    }
    let found = settled(&server, expected.len());
    let missing: Vec<_> = expected.iter().filter(|message| !found.contains_key(*message)).take(5).collect();
    assert!(missing.is_empty(), "missing, such as {missing:?}; the collector said:\n{}", program.log());
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count != 1).take(5).collect();
    assert!(twice.is_empty(), "kept more than once, such as {twice:?}");
    assert_eq!(found.len(), expected.len());
    assert!(program.stop(SOON), "the collector did not stop well");
}

#[test]
fn files_tell_jobs_levels_and_times_and_what_waits_comes_whole() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let pods = dir.path().join("pods/ml_train-0_0b1c/worker");
    fs::create_dir_all(&pods).expect("a folder can be made");
    let (job, pod) = (dir.path().join("123_4.out"), pods.join("0.log"));
    let traceback = "Traceback (most recent call last):\n  File \"a.py\" line 1\nValueError: bad";
    append(
        &job,
        &format!("2026-01-02T03:04:05Z ERROR loss is nan\n{traceback}\n2026-01-02T03:04:06Z INFO goes on\nlast"),
    );
    append(&pod, "2026-01-02T03:04:05.5Z stderr P out of \n2026-01-02T03:04:05.6Z stderr F memory\n");
    append(&dir.path().join("old.out.gz"), "packed\n");
    let patterns =
        [format!("{}/{{job}}.out*", dir.path().display()), format!("{}/pods/*/*/*.log", dir.path().display())];
    let spool = dir.path().join("spool");
    let program = collector(&server, &spool, &["--logs", &patterns[0], "--logs", &patterns[1]]);
    let wait = |count: u64| {
        let end = Instant::now() + SOON;
        while server.query_count("select count(*) from logs") < count && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    wait(3);
    // The last line has no end yet.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(server.query_count("select count(*) from logs"), 3, "{}", program.log());
    append(&job, " word\n");
    wait(4);
    let found = server.get("/api/v1/logs?from=2026-01-01&to=now%2B1h&limit=10").expect_status(200).json();
    let records = found["records"].as_array().expect("a list").clone();
    let of = |text: &str| {
        let is_it = |record: &&Value| record["body"].as_str().is_some_and(|body| body.contains(text));
        records.iter().find(is_it).cloned().unwrap_or_else(|| panic!("no {text:?} in {records:?}"))
    };
    let failed = of("loss is nan");
    assert!(failed["body"].as_str().is_some_and(|body| body.ends_with(traceback)), "{failed}");
    assert_eq!((&failed["severity_number"], &failed["job_id"]), (&17.into(), &"123_4".into()));
    assert_eq!(failed["time_unix_micros"], 1_767_323_045_000_000_i64);
    assert_eq!((&failed["cluster"], &failed["node"]), (&"c".into(), &"n1".into()));
    let of_pod = of("out of memory");
    assert_eq!((&of_pod["job_id"], &of_pod["service"]), (&"ml/train-0".into(), &"worker".into()));
    assert_eq!(of_pod["attributes"]["log.iostream"], "stderr");
    assert_eq!(of("last word")["severity_number"], Value::Null);
    assert_eq!(records.len(), 4);
}

#[test]
fn what_does_not_fit_the_spool_waits_in_the_files() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let (path, spool) = (dir.path().join("a.log"), dir.path().join("spool"));
    let mut random = 7_u64;
    let mut word = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{random:016x}")
    };
    let lines: Vec<String> = (0..40_000).map(|line| format!("{line} {} {} {}", word(), word(), word())).collect();
    append(&path, &(lines.join("\n") + "\n"));
    let inputs = ["--logs", path.to_str().expect("a text"), "--spool-bytes-max", "1MiB"];
    let mut program = collector_of(&server, "http://127.0.0.1:9", &spool, &inputs);
    std::thread::sleep(Duration::from_secs(6));
    program.kill();
    let bytes: u64 =
        fs::read_dir(&spool).expect("a spool").flatten().map(|e| e.metadata().map_or(0, |m| m.len())).sum();
    assert!(bytes < 2 << 20, "{bytes} bytes in a spool of 1 MiB");
    let program = collector(&server, &spool, &inputs);
    assert_eq!(settled(&server, lines.len()), once(lines), "{}", program.log());
}

#[test]
fn the_journal_goes_on_where_it_was_and_tells_of_gpus() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    // No journal runs where tests do: a program stands in that prints its lines, from the cursor on.
    let (lines, program) = (dir.path().join("lines"), dir.path().join("journalctl"));
    let script = format!(
        "#!/bin/sh\nafter=0\nfor word in \"$@\"; do case $word in --after-cursor=*) after=${{word#*=}};; esac; done\n\
         exec tail -n +$((after + 1)) -f {}\n",
        lines.display()
    );
    fs::write(&program, script).expect("a script can be written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a script can run");
    let entry = |cursor: u64, message: &str| {
        let object = serde_json::json!({
            "__CURSOR": cursor.to_string(), "__REALTIME_TIMESTAMP": (1_767_323_045_000_000_u64 + cursor).to_string(),
            "PRIORITY": "3", "_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "kernel", "MESSAGE": message,
        });
        append(&lines, &format!("{object}\n"));
    };
    entry(1, "NVRM: Xid (PCI:0000:3b:00): 79 GPU has fallen off the bus.");
    let flag = format!("--journal={}", program.display());
    let spool = dir.path().join("spool");
    let mut running = collector(&server, &spool, &[&flag]);
    let first = settled(&server, 1);
    assert_eq!(first.values().sum::<u64>(), 1, "{first:?}; {}", running.log());
    running.kill();
    entry(2, "second");
    let running = collector(&server, &spool, &[&flag]);
    let both = settled(&server, 2);
    assert_eq!(both.values().copied().collect::<Vec<_>>(), [1, 1], "{both:?}; {}", running.log());
    let events = server.query("select kind, code, severity, node from device_events where kind = 'xid'");
    assert_eq!(events, [["xid", "79", "critical", "n1"].map(str::to_owned)]);
    assert_eq!(server.query_count("select count(*) from logs where service = 'kernel' and severity_number = 17"), 2);
}

fn post(server: &Server, records: &[(u64, &str)]) {
    let record = |(nanos, body): &(u64, &str)| serde_json::json!({ "timeUnixNano": nanos.to_string(), "severityNumber": 9, "body": { "stringValue": body } });
    let records: Vec<Value> = records.iter().map(record).collect();
    let message = serde_json::json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] });
    let headers = [("Content-Type", "application/json")];
    server.request("POST", "/v1/logs", &headers, message.to_string().as_bytes()).expect_status(200);
}

#[test]
fn a_search_is_paged_and_refuses_what_it_cannot_read() {
    let server = Server::start();
    let nanos = 1_767_323_045_000_000_000_u64;
    post(
        &server,
        &[(nanos, "alpha one"), (nanos, "alpha two"), (nanos + 1_000, "beta three"), (nanos + 2_000, "alphabet")],
    );
    let window = "from=2026-01-01&to=2026-02-01";
    let mut bodies = Vec::new();
    let mut before = String::new();
    loop {
        let page =
            server.get(&format!("/api/v1/logs?{window}&text=alpha&limit=1&before={before}")).expect_status(200).json();
        bodies.extend(
            page["records"].as_array().expect("a list").iter().map(|r| r["body"].as_str().unwrap_or("").to_owned()),
        );
        assert_eq!(page["counts"].is_null(), !before.is_empty());
        match page["before"].as_str() {
            Some(next) => before = next.to_owned(),
            None => break,
        }
    }
    bodies.sort();
    assert_eq!(bodies, ["alpha one", "alpha two"]);
    let counts = server.get(&format!("/api/v1/logs?{window}&text=alpha*")).expect_status(200).json()["counts"].clone();
    assert_eq!((&counts["total"], &counts["complete"]), (&3.into(), &true.into()));
    for bad in [
        "severity=loud",
        "limit=0",
        "limit=5000",
        "before=x",
        "text=%2F(%2F",
        "count=some",
        "from=now&to=now-1h",
        "x=1",
    ] {
        let answer = server.get(&format!("/api/v1/logs?{bad}"));
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text());
    }
    let command = run(&mut server.command(&["logs", "--from", "2026-01-01", "--text", "beta"]));
    let said = String::from_utf8_lossy(&command.stdout);
    assert!(command.status.success() && said.contains("beta three") && said.lines().count() == 1, "{command:?}");
}

#[test]
fn a_tail_shows_what_comes_and_ends_with_its_client() {
    let server = Server::start();
    let mut command = server.command(&["logs", "--follow", "--text", "boom"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the command starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout was piped")).lines();
    let (send, came) = std::sync::mpsc::sync_channel(16);
    std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    let end = Instant::now() + SOON;
    let mut seen = None;
    // Until the tail has begun, what comes is not for it.
    for turn in 0.. {
        post(&server, &[(1_767_323_045_000_000_000 + turn, "quiet"), (1_767_323_045_000_000_000 + turn, "boom")]);
        seen = came.recv_timeout(Duration::from_millis(500)).ok();
        if seen.is_some() || Instant::now() > end {
            break;
        }
    }
    let seen = seen.expect("a line came");
    assert!(seen.ends_with("boom") && !seen.contains("quiet"), "{seen}");
    child.kill().expect("it ran");
    child.wait().expect("it was started");
    assert!(server.get("/health/ready").status == 200);
}
