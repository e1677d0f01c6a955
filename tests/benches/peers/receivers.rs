//! Others that take Prometheus remote write.

use crate::ingest::{CLIENTS, Took, drive};
use crate::{bytes_below, wait_until_quiet};
use coulomb_tests::{Program, send};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::{Duration, Instant};

const START_WITHIN: Duration = Duration::from_secs(20);

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port is free")
}

fn wait_until_ready(url: &str) {
    let end = Instant::now() + START_WITHIN;
    while !send("GET", url, &[], b"").is_ok_and(|answer| answer.status < 300) {
        assert!(Instant::now() < end, "{url} is not ready");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn write(url: &str, body: &[u8]) {
    let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
    let answer = send("POST", url, &headers, body).expect("a receiver answers");
    assert!(answer.status < 300, "{url} answered {}: {}", answer.status, answer.text());
}

/// What VictoriaMetrics took for the samples, and its bytes on disk.
pub(crate) fn victoria_metrics(bodies: &[Vec<u8>]) -> Option<(Took, f64)> {
    with_victoria_metrics(|program, to, settle| {
        drive(program.pid(), CLIENTS, bodies, &|_, _, body| write(to, body), settle)
    })
}

/// Its bytes on disk after it has merged everything.
pub(crate) fn bytes_of_victoria_metrics(bodies: impl Iterator<Item = Vec<u8>>) -> Option<f64> {
    let sent = with_victoria_metrics(|_, to, settle| {
        bodies.for_each(|body| write(to, &body));
        settle();
    });
    sent.map(|((), bytes)| bytes)
}

/// Starts it, and says what it has on disk after `send` (which gets the program, the address of its remote write, and
/// what makes it write and merge).
fn with_victoria_metrics<T>(send_all: impl FnOnce(&Program, &str, &dyn Fn()) -> T) -> Option<(T, f64)> {
    if !is_installed("victoria-metrics") {
        return None;
    }
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let address = free_address();
    let mut command = Command::new("victoria-metrics");
    command.arg(format!("-httpListenAddr={address}")).arg(format!("-storageDataPath={}", data.path().display()));
    let program = Program::start(command.args(["-retentionPeriod=100y", "-loggerLevel=ERROR"]));
    let url = |path: &str| format!("http://{address}{path}");
    wait_until_ready(&url("/health"));
    let settle = || {
        for path in ["/internal/force_flush", "/internal/force_merge"] {
            send("GET", &url(path), &[], b"").expect("VictoriaMetrics answers").expect_status(200);
        }
    };
    let took = send_all(&program, &url("/api/v1/write"), &settle);
    settle();
    wait_until_quiet(program.pid());
    Some((took, bytes_below(&data.path().join("data")) + bytes_below(&data.path().join("indexdb"))))
}

/// What Prometheus took for the samples, and the bytes of the block that it makes of them. It takes the samples of a
/// series in order only, so there is one client.
pub(crate) fn prometheus(bodies: &[Vec<u8>]) -> Option<(Took, f64)> {
    if !is_installed("prometheus") {
        return None;
    }
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let config = data.path().join("prometheus.yml");
    std::fs::write(&config, "").expect("a configuration can be written");
    let address = free_address();
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", config.display())).arg(format!("--web.listen-address={address}"));
    command.arg(format!("--storage.tsdb.path={}", data.path().join("data").display()));
    command.args(["--storage.tsdb.retention.time=100y", "--log.level=error"]);
    let program = Program::start(command.args(["--web.enable-remote-write-receiver", "--web.enable-admin-api"]));
    let url = |path: &str| format!("http://{address}{path}");
    wait_until_ready(&url("/-/ready"));
    let to = url("/api/v1/write");
    // Two hours are not a block of their own accord yet.
    let settle = || {
        let made = send("POST", &url("/api/v1/admin/tsdb/snapshot"), &[], b"").expect("Prometheus answers");
        made.expect_status(200);
    };
    let took = drive(program.pid(), 1, bodies, &|_, _, body| write(&to, body), &settle);
    Some((took, bytes_below(&data.path().join("data/snapshots"))))
}
