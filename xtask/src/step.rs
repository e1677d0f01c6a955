//! What the user sees: each step with the time since the start, and commands that fail with a reason.

use anyhow::{Context, Result, ensure};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What `npm` is told where a lock file says everything.
pub(crate) const NPM_CI: [&str; 4] = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];

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

    /// For what every xtask of a target folder writes to; another one waits until it is dropped.
    pub(crate) fn lock(self, target: &std::path::Path) -> Result<std::fs::File> {
        let lock = std::fs::File::create(target.join("xtask.lock")).context("cannot make xtask.lock")?;
        if lock.try_lock().is_err() {
            self.say("waiting for another xtask of this target folder");
            lock.lock().context("cannot lock xtask.lock")?;
        }
        Ok(lock)
    }
}

/// Runs a command that may print for itself; an error names it and its status.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    ensure!(status.success(), "{} failed ({status})", shown(command));
    Ok(())
}

/// A folder with everything in it, if it is there.
pub(crate) fn remove(folder: &std::path::Path) -> Result<()> {
    run(Command::new("rm").arg("-rf").arg(folder))
}

/// Runs a command and gives what it printed on standard output.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    let why = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed ({}): {}", shown(command), output.status, why.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether it runs well; silent.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

pub(crate) fn is_installed(program: &str) -> bool {
    succeeds(Command::new(program).arg("--version"))
}

/// Says what to install where a program is missing.
pub(crate) fn need(program: &str, install: &str) -> Result<()> {
    ensure!(is_installed(program), "{program} is not installed: {install}");
    Ok(())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
