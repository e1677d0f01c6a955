//! Runs one of Slurm's commands and reads what it prints while it runs.
//!
//! **Invariants:** a command that takes too long, or is still running when the collector ends, is killed with all that
//! it started; what it prints is bounded.

use crate::input::Feed;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// slurmctld and slurmdbd answer in seconds; Slurm's own clients give up after a few times ten.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// How often a running command is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Some two hundred thousand jobs as JSON, which are read one by one.
const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// Of an error message.
const ERROR_BYTES_MAX: u64 = 2048;

#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("{program} cannot be started: {source}; it must be found in the PATH of the collector")]
    Start { program: &'static str, source: io::Error },
    #[error("{program} did not answer within {seconds} s")]
    Slow { program: &'static str, seconds: u64 },
    #[error("{program} failed with {status}: {said}")]
    Failed { program: &'static str, status: String, said: String },
    #[error("what {program} printed cannot be read: {what}")]
    Read { program: &'static str, what: String },
    #[error("the collector ends")]
    Ending,
}

/// Runs a command to its end; `read` is given what it prints.
pub(super) fn ask<T: Send + 'static>(
    feed: &Feed,
    program: &'static str,
    arguments: &[&str],
    within: Duration,
    read: impl FnOnce(io::Take<ChildStdout>) -> Result<T, String> + Send + 'static,
) -> Result<T, AskError> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Times as seconds since 1970, whatever the site's format and time zone; words in English.
    command.env("SLURM_TIME_FORMAT", "%s").env("LC_ALL", "C").process_group(0);
    let start = |source| AskError::Start { program, source };
    let mut child = command.spawn().map_err(start)?;
    let outputs = child.stdout.take().zip(child.stderr.take());
    let (stdout, stderr) = outputs.ok_or_else(|| start(io::ErrorKind::BrokenPipe.into()))?;
    let answer = spawn(move || read(stdout.take(ANSWER_BYTES_MAX)));
    let said = spawn(move || first_of(stderr));
    let (answer, said) = match answer.and_then(|answer| Ok((answer, said?))) {
        Ok(threads) => threads,
        Err(error) => {
            kill(&mut child);
            return Err(start(error));
        }
    };
    let until = Instant::now() + within;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(start)?
            && answer.is_finished()
            && said.is_finished()
        {
            break status;
        }
        let slow = Instant::now() >= until;
        if slow || feed.ends_within(LOOK_EVERY) {
            kill(&mut child);
            return Err(if slow { AskError::Slow { program, seconds: within.as_secs() } } else { AskError::Ending });
        }
    };
    let said = said.join().unwrap_or_default();
    if !status.success() {
        return Err(AskError::Failed { program, status: status.to_string(), said: said.trim().replace('\n', "; ") });
    }
    let answer = answer.join().unwrap_or_else(|_| Err("reading it panicked".to_owned()));
    answer.map_err(|what| AskError::Read { program, what })
}

fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name("slurm-ask".to_owned()).spawn(work)
}

/// The start of a text; the rest is read so that its writer goes on.
fn first_of(mut from: impl Read) -> String {
    let mut text = Vec::new();
    let read = from.by_ref().take(ERROR_BYTES_MAX).read_to_end(&mut text);
    // What is beyond the bound, or broke off, is not missed.
    drop(read.and_then(|_| io::copy(&mut from, &mut io::sink())));
    String::from_utf8_lossy(&text).into_owned()
}

/// Ends a command and what it started; the threads that read from it end with it.
#[allow(unsafe_code)]
fn kill(child: &mut Child) {
    if let Ok(group) = libc::pid_t::try_from(child.id()) {
        // SAFETY: kill(2) touches no memory; the group was made for this command and what it starts.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    if let Err(error) = child.wait() {
        tracing::debug!(%error, "a command of Slurm could not be waited for");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::metrics::Counters;
    use crate::run::new_writer;
    use crate::send::{Client, ClientSettings, Uplink, WhenFull};
    use crate::signal::Signals;
    use crate::source::NodeIdentity;
    use crate::spool::{Spool, SpoolSettings};
    use std::sync::Arc;

    const SHORT: Duration = Duration::from_millis(300);

    fn with_feed(test: impl FnOnce(&Feed)) {
        let dir = tempfile::tempdir().unwrap();
        let settings = SpoolSettings { dir: dir.path().to_owned(), bytes_max: 1 << 20 };
        let (spool, _) = Spool::open(settings, new_writer("n").unwrap()).unwrap();
        let counters = Arc::new(Counters::default());
        let client = Client::new(ClientSettings { server: "http://127.0.0.1:9".to_owned(), token: None });
        let signals = Signals::block().unwrap();
        let uplink = Uplink::start(client, spool, WhenFull::DropOldest, signals, Arc::clone(&counters)).unwrap();
        let node = NodeIdentity { cluster: "c".into(), node: "n".into() };
        test(&Feed::new(node, Arc::new(uplink), counters));
    }

    fn shell(feed: &Feed, script: &str, within: Duration) -> Result<String, AskError> {
        ask(feed, "sh", &["-c", script], within, |mut out| {
            let mut text = String::new();
            out.read_to_string(&mut text).map_err(|error| error.to_string())?;
            Ok(text)
        })
    }

    #[test]
    fn an_answer_is_what_was_printed() {
        with_feed(|feed| {
            let long = Duration::from_secs(20);
            assert_eq!(shell(feed, "echo $SLURM_TIME_FORMAT", long).unwrap(), "%s\n");
            // More than a pipe holds, on both outputs.
            let much = "seq 100000; seq 100000 >&2";
            assert_eq!(shell(feed, much, long).unwrap().lines().count(), 100_000);
            let failed = shell(feed, "echo the database is away >&2; exit 1", long).unwrap_err().to_string();
            assert!(failed.contains("exit status: 1") && failed.ends_with("the database is away"), "{failed}");
            let absent = ask(feed, "no-such-program", &[], long, |_| Ok(()));
            assert!(matches!(absent, Err(AskError::Start { .. })), "{absent:?}");
        });
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_what_it_started() {
        with_feed(|feed| {
            let dir = tempfile::tempdir().unwrap();
            let pids = dir.path().join("pids");
            let script = format!("sleep 300 & echo $$ $! > {}; wait", pids.display());
            let begun = Instant::now();
            assert!(matches!(shell(feed, &script, SHORT), Err(AskError::Slow { .. })));
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
            let text = std::fs::read_to_string(pids).unwrap();
            let is_gone = |pid: &str| {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                stat.is_empty() || stat.contains(") Z ")
            };
            let until = Instant::now() + Duration::from_secs(10);
            while !text.split_whitespace().all(is_gone) {
                assert!(Instant::now() < until, "still there: {text}");
                std::thread::sleep(LOOK_EVERY);
            }
        });
    }
}
