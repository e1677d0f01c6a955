//! A mail server that prints what it takes, with a certificate of its own.

use crate::{Program, run, target_dir, workspace_root};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What the user `coulomb` has to say.
pub const PASSWORD: &str = "hunter2";
const START_AT_MOST: Duration = Duration::from_secs(60);

/// Runs until it is dropped.
pub struct Postbox {
    program: Program,
    pub port: u16,
    /// Whoever trusts it may talk to this server.
    pub certificate: PathBuf,
}

impl Postbox {
    /// At any port that is free, see [`Postbox::start_at`].
    pub fn start(mode: &str, answers: &str, folder: &Path) -> Self {
        Self::start_at(0, mode, answers, folder)
    }

    /// `plain`, `starttls` or `tls`; each answer is `ok`, `4xx`, `5xx` or `cut`, and after the last one it is `ok`.
    pub fn start_at(port: u16, mode: &str, answers: &str, folder: &Path) -> Self {
        let python = target_dir().join("python/bin/python");
        assert!(python.is_file(), "{python:?} is missing: `cargo xtask test` installs it");
        let (key, certificate) = (folder.join("mail.key"), folder.join("mail.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
        // One that is an authority, too, is no server to whoever is strict.
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        openssl.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"]).arg(&key);
        let made = run(openssl.arg("-out").arg(&certificate));
        assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
        let mut command = Command::new(python);
        command.arg(workspace_root().join("tests/python/mail.py")).arg(mode).arg(&certificate).arg(&key);
        let mut program = Program::start(command.env("MAIL_ANSWERS", answers).env("MAIL_PORT", port.to_string()));
        let port = program.wait_for_line("mail: ", START_AT_MOST).trim().parse().expect("a port is a number");
        Self { program, port, certificate }
    }

    /// What came so far.
    pub fn messages(&self) -> Vec<Value> {
        let log = self.program.log();
        let lines = log.lines().filter_map(|line| line.strip_prefix("message: "));
        lines.map(|line| serde_json::from_str(line).expect("the server prints JSON")).collect()
    }
}
