//! A receiver of webhooks that checks each signature with Standard Webhooks' own library.

use crate::{Program, target_dir, workspace_root};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// `whsec_` and 24 bytes; nothing but the file on the server and the receiver may hold it.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const START_AT_MOST: Duration = Duration::from_secs(60);

/// Runs until it is dropped.
pub struct Hook {
    program: Program,
    pub url: String,
}

impl Hook {
    /// Each answer is a status, or `hold`; after the last one it answers 200.
    pub fn start(answers: &[&str]) -> Self {
        let python = target_dir().join("python/bin/python");
        assert!(python.is_file(), "{python:?} is missing: `cargo xtask test` installs it");
        let script = workspace_root().join("tests/python/webhooks.py");
        let mut program = Program::start(Command::new(python).arg(script).arg(SECRET).args(answers));
        let url = program.wait_for_line("receiver: ", START_AT_MOST);
        Self { program, url }
    }

    /// What came so far.
    pub fn requests(&self) -> Vec<Value> {
        let log = self.program.log();
        let lines = log.lines().filter_map(|line| line.strip_prefix("request: "));
        lines.map(|line| serde_json::from_str(line).expect("the receiver prints JSON")).collect()
    }
}

/// Puts [`SECRET`] under a name where a server on this folder looks for it.
pub fn put_secret(data: &Path, name: &str) {
    put_secret_text(data, name, SECRET);
}

/// Likewise any text.
pub fn put_secret_text(data: &Path, name: &str, text: &str) {
    let file = data.join("secrets").join(name);
    fs::create_dir_all(data.join("secrets")).expect("a folder can be made");
    fs::write(&file, text).expect("a file can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
}
