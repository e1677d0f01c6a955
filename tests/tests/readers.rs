//! The Delta tables without Coulomb: the Python package deltalake and DuckDB read them and agree with our SQL.

use coulomb_tests::{Server, binary, run, target_dir, workspace_root};
use std::process::Command;
use std::time::{Duration, Instant};

/// Files are merged within seconds on an idle machine.
const MERGED_AT_MOST: Duration = Duration::from_secs(120);

/// The value of a line of `/metrics`.
fn metric(server: &Server, name: &str) -> f64 {
    let text = server.get("/metrics").expect_status(200).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    line.unwrap_or_else(|| panic!("{name} is not in /metrics:\n{text}"))
}

#[test]
fn deltalake_and_duckdb_agree_with_the_server_to_the_row() {
    let python = target_dir().join("python/bin/python");
    assert!(python.is_file(), "{python:?} is missing: `cargo xtask test` installs it");
    let mut server = Server::start_with(&["--flush-after-seconds", "1"]);
    // Two histories of the same days, so that each day has more than one file.
    for cluster in ["a", "b"] {
        let mut fleet = Command::new(binary("coulomb-collector"));
        fleet.args(["simulate", "--gpus", "32", "--backfill", "3d", "--no-live", "--cluster", cluster]);
        fleet.args(["--until", "2026-09-01T00:00:00Z", "--server", &server.url]);
        let sent = run(fleet.arg("--token-file").arg(server.data.join("admin.token")));
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
        server = server.stop_and_restart();
    }
    let end = Instant::now() + MERGED_AT_MOST;
    while metric(&server, "coulomb_store_merges_total") == 0.0 {
        assert!(Instant::now() < end, "no file was merged; the server said:\n{}", server.program.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut readers = Command::new(python);
    readers.arg(workspace_root().join("tests/python/readers.py")).arg(&server.url).arg(&server.token);
    let read = run(readers.arg(server.data.join("tables")));
    let said = String::from_utf8_lossy(&read.stderr).into_owned();
    assert!(read.status.success() && said.ends_with("OK\n"), "{said}");
}
