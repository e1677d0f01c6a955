//! The real program against a server that fails in every way that servers do.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/sink.rs"]
mod sink;

use common::{Driver, healthy, replace, stub, wait_until};
use sink::{Answer, Sink};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// The program, killed when dropped.
struct Running(Child);

impl Running {
    fn start(dir: &Path, server: &str, arguments: &[&str]) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_coulomb-collector"))
            .args(["run", "--cluster", "c", "--node", "n1", "--interval", "100ms", "--server", server, "--spool"])
            .arg(dir.join("spool"))
            .args(["--nvml-library", dir.join("libnvidia-ml-stub.so").to_str().unwrap()])
            .args(arguments)
            .env("NVML_STUB", dir.join("script"))
            .env("COULOMB_TOKEN", "secret")
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        Self(child)
    }

    /// kill -9.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGTERM, and a success.
    fn stop(mut self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        if self.0.try_wait().unwrap().is_none() {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }
}

/// A directory with a stub of `gpus` healthy GPUs.
fn node(gpus: usize) -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir().unwrap();
    stub(Driver::Current, dir.path())?;
    let all: String = (0..gpus).map(healthy).collect();
    replace(&dir.path().join("script"), &format!("system count {gpus}\n{all}"));
    Some(dir)
}

fn spool_bytes(dir: &Path) -> u64 {
    let Ok(listing) = std::fs::read_dir(dir.join("spool")) else { return 0 };
    listing.map(|e| e.unwrap().metadata().unwrap().len()).sum()
}

fn no_row_twice(sink: &Sink) {
    for (row, times) in &sink.kept.lock().unwrap().rows {
        assert_eq!(*times, 1, "{row:?}");
    }
}

#[test]
fn rows_arrive_with_token_and_a_signal_ends_it_after_the_last() {
    let Some(dir) = node(2) else { return };
    let sink = Sink::start(Answer::Take);
    let running = Running::start(dir.path(), &sink.url(), &[]);
    wait_until("rows", PATIENCE, || sink.rows("gpu_samples") >= 20);
    let before = sink.rows("gpu_samples");
    std::thread::sleep(Duration::from_millis(500));
    running.stop();
    assert!(sink.rows("gpu_samples") >= before + 4, "the rows that waited for their batch were sent at the end");
    assert!(sink.rows("host_samples") > 0);
    assert!(sink.kept.lock().unwrap().tokens.iter().all(|t| t.as_deref() == Some("Bearer secret")));
    no_row_twice(&sink);
}

#[test]
fn killed_again_and_again_with_a_full_spool_every_row_arrives_once() {
    let Some(dir) = node(4) else { return };
    let sink = Sink::start(Answer::Status(503));
    let mut spooled = 0;
    for round in 0..4 {
        let running = Running::start(dir.path(), &sink.url(), &[]);
        wait_until("the spool grows", PATIENCE, || spool_bytes(dir.path()) > spooled + 4000);
        if round == 2 {
            // The server keeps what it is sent, and the collector is killed before it knows.
            sink.answer(Answer::TakeAndHangUp);
            let requests = sink.requests();
            wait_until("a frame that is kept but not confirmed", PATIENCE, || sink.requests() > requests + 1);
        }
        running.kill();
        sink.answer(Answer::Status(503));
        spooled = spool_bytes(dir.path());
    }
    let frames = frames_in(&dir.path().join("spool"));
    sink.answer(Answer::Take);
    let running = Running::start(dir.path(), &sink.url(), &[]);
    wait_until("the old rows", PATIENCE, || {
        let kept = sink.kept.lock().unwrap();
        frames.iter().all(|row| kept.rows.contains_key(row))
    });
    running.stop();
    no_row_twice(&sink);
    assert!(sink.kept.lock().unwrap().duplicates > 0, "what the server had was sent again and known");
    assert!(frames.len() > 100, "{}", frames.len());
}

/// The rows that a spool holds, read from its files by the format that `spool/frame.rs` describes.
fn frames_in(spool: &Path) -> Vec<(String, String, i64)> {
    use arrow::array::AsArray;
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(spool).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some((_, table)) = name.strip_suffix(".frames").and_then(|n| n.split_once('-')) else { continue };
        let bytes = std::fs::read(&path).unwrap();
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let mut at = 16 + u32_at(8);
        while at + 24 <= bytes.len() {
            let payload = &bytes[at + 24..at + 24 + u32_at(at + 4)];
            for batch in arrow::ipc::reader::StreamReader::try_new(payload, None).unwrap() {
                let batch = batch.unwrap();
                let key = batch.column_by_name("gpu_uuid").or(batch.column_by_name("node")).unwrap();
                let key = arrow::compute::cast(key, &arrow::datatypes::DataType::Utf8).unwrap();
                let times = batch.column_by_name("time").unwrap();
                let times = times.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
                for row in 0..batch.num_rows() {
                    rows.push((table.to_owned(), key.as_string::<i32>().value(row).to_owned(), times.value(row)));
                }
            }
            at += 24 + payload.len();
        }
    }
    rows
}

#[test]
fn a_server_that_is_away_busy_or_denies_is_asked_again() {
    let Some(dir) = node(1) else { return };
    let sink = Sink::start(Answer::Status(429));
    let running = Running::start(dir.path(), &sink.url(), &[]);
    for answer in [Answer::Status(429), Answer::Status(500), Answer::TakeAndHangUp] {
        sink.answer(answer);
        let requests = sink.requests();
        wait_until("it asks again", PATIENCE, || sink.requests() > requests);
    }
    sink.answer(Answer::Take);
    wait_until("rows", PATIENCE, || sink.rows("gpu_samples") > 0 && sink.rows("host_samples") > 0);
    running.stop();
    no_row_twice(&sink);
}

#[test]
fn a_refused_batch_is_set_aside_told_and_does_not_hold_up_the_others() {
    let Some(dir) = node(1) else { return };
    let sink = Sink::start(Answer::RefuseHosts);
    let running = Running::start(dir.path(), &sink.url(), &[]);
    wait_until("a loss is told", PATIENCE, || sink.kept.lock().unwrap().lost > 0);
    assert!(sink.rows("gpu_samples") > 0);
    assert_eq!(sink.rows("host_samples"), 0);
    running.stop();
    let aside = std::fs::read_dir(dir.path().join("spool/rejected")).unwrap().count();
    assert!(aside >= 1);
    assert!(sink.kept.lock().unwrap().messages.iter().any(|m| m.contains("host_samples") && m.contains("refused")));
}

#[test]
fn a_table_that_is_not_taken_does_not_hold_up_the_others() {
    let Some(dir) = node(1) else { return };
    let sink = Sink::start(Answer::BusyForGpus);
    let running = Running::start(dir.path(), &sink.url(), &[]);
    wait_until("rows of the host", PATIENCE, || sink.rows("host_samples") > 0);
    assert_eq!(sink.rows("gpu_samples"), 0);
    sink.answer(Answer::Take);
    wait_until("rows of the GPU", PATIENCE, || sink.rows("gpu_samples") > 0);
    running.stop();
    no_row_twice(&sink);
}

#[test]
fn rejected_rows_are_counted_and_told() {
    let Some(dir) = node(1) else { return };
    let sink = Sink::start(Answer::RejectOneGpuRow);
    let running = Running::start(dir.path(), &sink.url(), &["--metrics-listen", "127.0.0.1:0"]);
    let told = || sink.kept.lock().unwrap().messages.iter().any(|m| m.contains("1 rows of gpu_samples were lost"));
    wait_until("the loss is told", PATIENCE, told);
    assert!(metric(dir.path(), "coulomb_collector_rows_rejected_total") >= 1);
    running.stop();
}

#[test]
fn at_the_bound_the_oldest_rows_are_dropped_and_the_loss_arrives() {
    let Some(dir) = node(16) else { return };
    // Processes that do not exist are rows all the same, many of them.
    let mut script = String::from("system count 16\n");
    for gpu in 0..16 {
        script.push_str(&healthy(gpu));
        (0..110).for_each(|n| script.push_str(&format!("{gpu} process {} {n}\n", 5_000_000 + n)));
    }
    replace(&dir.path().join("script"), &script);
    let sink = Sink::start(Answer::Status(503));
    let running = Running::start(dir.path(), &sink.url(), &["--spool-bytes-max", "1MiB"]);
    wait_until("a drop", Duration::from_secs(90), || {
        assert!(spool_bytes(dir.path()) <= 1 << 20);
        std::fs::read_to_string(dir.path().join("log")).unwrap().contains("the oldest rows were dropped")
    });
    sink.answer(Answer::Take);
    wait_until("the loss is told", PATIENCE, || sink.kept.lock().unwrap().lost > 0);
    running.stop();
    no_row_twice(&sink);
}

#[test]
fn the_own_metrics_are_shown_on_a_loopback_port() {
    let Some(dir) = node(1) else { return };
    let sink = Sink::start(Answer::Take);
    let running = Running::start(dir.path(), &sink.url(), &["--metrics-listen", "127.0.0.1:0"]);
    let log = || std::fs::read_to_string(dir.path().join("log")).unwrap();
    wait_until("rows", PATIENCE, || sink.rows("gpu_samples") > 0 && log().contains("own metrics at http://"));
    // A row counts as sent once its answer was read.
    wait_until("rows are counted", PATIENCE, || metric(dir.path(), "coulomb_collector_rows_sent_total") > 0);
    running.stop();
}

/// A counter of the running program, whose log names the address.
fn metric(dir: &Path, name: &str) -> u64 {
    let text = std::fs::read_to_string(dir.join("log")).unwrap();
    let address = text.split("own metrics at http://").nth(1).unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let value = answer.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name} is not in {answer}")).parse().unwrap()
}

/// Times of GPU rows that follow another within seconds; those of the history are minutes apart.
fn live_times(sink: &Sink) -> usize {
    let kept = sink.kept.lock().unwrap();
    let times = kept.rows.keys().filter(|(table, ..)| table == "gpu_samples").map(|(.., time)| *time);
    let times: Vec<i64> = times.collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    times.windows(2).filter(|pair| pair[1] - pair[0] <= 10_000_000).count()
}

#[test]
fn a_fleet_that_is_simulated_twice_has_no_row_twice() {
    let sink = Sink::start(Answer::Take);
    for _ in 0..2 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coulomb-collector"));
        command.args([
            "simulate",
            "--gpus",
            "16",
            "--backfill",
            "1d",
            "--live-interval",
            "1s",
            "--server",
            &sink.url(),
        ]);
        let before = live_times(&sink);
        let running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        wait_until("live rows", PATIENCE * 3, || live_times(&sink) >= before + 3);
        running.kill();
    }
    let kept = sink.kept.lock().unwrap();
    let samples = kept.rows.iter().filter(|((table, ..), _)| table.ends_with("_samples"));
    for (row, times) in samples {
        assert_eq!(*times, 1, "{row:?}");
    }
}

#[test]
fn a_replay_that_is_refused_in_part_fails() {
    let Some(dir) = node(1) else { return };
    let program = || Command::new(env!("CARGO_BIN_EXE_coulomb-collector"));
    let recorded = program()
        .args(["record", "--node", "n1", "--interval", "200ms", "--duration", "1s", "--nvml-library"])
        .arg(dir.path().join("libnvidia-ml-stub.so"))
        .arg(dir.path().join("out"))
        .env("NVML_STUB", dir.path().join("script"))
        .status();
    assert!(recorded.unwrap().success());
    for (answer, word) in [(Answer::RefuseHosts, "refused"), (Answer::RejectOneGpuRow, "1 rejected")] {
        let sink = Sink::start(answer);
        let output = program()
            .args(["replay", "--from-original-time", "--server", &sink.url(), "--spool"])
            .arg(dir.path().join(format!("spool-{word}")))
            .arg(dir.path().join("out"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains("not all of") && log.contains(word), "{log}");
    }
}

#[test]
fn a_recording_is_replayed_as_if_it_happened_now() {
    let Some(dir) = node(2) else { return };
    let program = || Command::new(env!("CARGO_BIN_EXE_coulomb-collector"));
    let recorded = program()
        .args(["record", "--node", "n1", "--interval", "200ms", "--duration", "1s", "--nvml-library"])
        .arg(dir.path().join("libnvidia-ml-stub.so"))
        .arg(dir.path().join("out"))
        .env("NVML_STUB", dir.path().join("script"))
        .status();
    assert!(recorded.unwrap().success());
    let original = common::Rows::read(&dir.path().join("out"), "gpu_samples");
    let sink = Sink::start(Answer::Take);
    let replay = |arguments: &[&str], spool: &str| {
        let status = program()
            .args(["replay", "--server", &sink.url(), "--spool"])
            .arg(dir.path().join(spool))
            .args(arguments)
            .arg(dir.path().join("out"))
            .status();
        assert!(status.unwrap().success());
    };
    replay(&["--from-original-time"], "a");
    replay(&["--from-original-time"], "again");
    no_row_twice(&sink);
    let times: Vec<i64> = sink.kept.lock().unwrap().rows.keys().map(|(_, _, time)| *time).collect();
    assert_eq!(sink.rows("gpu_samples"), original.len() as u64);
    std::thread::sleep(Duration::from_millis(1500));
    replay(&["--speed", "2"], "b");
    assert_eq!(sink.rows("gpu_samples"), 2 * original.len() as u64);
    let kept = sink.kept.lock().unwrap();
    let shifted: Vec<i64> = kept.rows.keys().map(|k| k.2).filter(|time| !times.contains(time)).collect();
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    let (new_first, new_last) = (shifted.iter().min().unwrap(), shifted.iter().max().unwrap());
    assert!(new_first > last, "it starts now");
    assert!(((last - first) - 2 * (new_last - new_first)).abs() <= 4, "twice as fast");
}
