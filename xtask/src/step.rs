//! What the user sees: each step with the time since the start, and commands that fail with a reason.

use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Says steps; `start` is when the program began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) start: Instant,
}

impl Steps {
    pub(crate) fn say(&self, text: &str) {
        let seconds = self.start.elapsed().as_secs();
        eprintln!("[{:>3}:{:02}] {text}", seconds / 60, seconds % 60);
    }
}

/// Runs a command that may print for itself; an error names it and its status.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs a command and gives what it printed on standard output.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({}): {}", shown(command), output.status, why.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed something that is not text", shown(command)))
}

/// Whether it ran well within the time; silent.
pub(crate) fn succeeds(command: &mut Command, at_most: Duration) -> bool {
    let Ok(mut child) = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return false;
    };
    let end = Instant::now() + at_most;
    while Instant::now() < end {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(Duration::from_millis(50)),
            Err(_) => break,
        }
    }
    // It hangs; whether the kill succeeds makes no difference to the answer.
    drop(child.kill());
    drop(child.wait());
    false
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
