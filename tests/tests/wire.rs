//! A foreign client, pyarrow, posts good and bad bodies and gets exactly the answers that ingest promises.

use coulomb_tests::{Server, run, target_dir, workspace_root};
use std::process::Command;

fn wire_client(server: &Server, phase: &str) {
    let python = target_dir().join("python/bin/python");
    assert!(python.is_file(), "{python:?} is missing: `cargo xtask test` installs it");
    let mut command = Command::new(python);
    command.arg(workspace_root().join("tests/python/wire.py")).arg(&server.url).arg(&server.token);
    let output = run(command.arg(server.program.pid().to_string()).arg(phase));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "the client, {phase}:\n{said}");
    assert!(said.contains("\nOK"), "the client ran no tests:\n{said}");
}

#[test]
fn pyarrow_gets_the_promised_answers_also_after_a_kill() {
    let server = Server::start();
    wire_client(&server, "first");
    let server = server.kill_and_restart();
    wire_client(&server, "restarted");
    let server = server.stop_and_restart();
    wire_client(&server, "restarted");
}
