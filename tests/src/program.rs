//! Where the built programs are, and a child process that does not outlive its test.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Lines that may wait for [`Program::wait_for_line`]; further ones are only kept in the log.
const LINES_WAITING_MAX: usize = 1024;

/// The folder with `Cargo.toml` of the workspace.
pub fn workspace_root() -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.parent().expect("the tests crate lies in the workspace").to_path_buf()
}

/// The folder that holds `debug/` and `release/`: that of the running test, or `COULOMB_TARGET_DIR`.
#[allow(clippy::disallowed_methods)] // tests have no config.rs; this is their one knob
pub fn target_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("COULOMB_TARGET_DIR") {
        return PathBuf::from(dir);
    }
    let test = std::env::current_exe().expect("a running test has a path");
    let deps = test.parent().and_then(Path::parent).and_then(Path::parent);
    deps.expect("a test lies in target/debug/deps").to_path_buf()
}

/// `debug` for tests, `release` for benchmarks: the programs are taken from the profile of their test.
fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let profile = test.parent().and_then(Path::parent).and_then(Path::file_name);
    target_dir().join(profile.expect("a test lies in target/<profile>/deps"))
}

/// A program of the workspace that was built before, by name.
pub fn binary(name: &str) -> PathBuf {
    let path = profile_dir().join(name);
    assert!(
        path.is_file(),
        "{name} is not built in {:?}: run `cargo xtask test`, or `cargo build` first, \
         or name another target folder in COULOMB_TARGET_DIR",
        path.parent()
    );
    path
}

/// `USER_HZ`, fixed on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of a process so far, user and system; `self` is the asker.
pub fn cpu_seconds(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a live process has a stat file");
    let after_name = stat.rsplit_once(')').expect("stat has a name in parentheses").1;
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output();
    output.unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"))
}

/// A running child; killed when dropped.
pub struct Program {
    child: Child,
    name: String,
    /// Behind a lock only so that tests may share a program between threads.
    lines: Mutex<Receiver<String>>,
    log: Arc<Mutex<String>>,
}

impl Program {
    /// Starts it with both outputs read into the log.
    pub fn start(command: &mut Command) -> Self {
        let name = Path::new(command.get_program()).file_name().map(|n| n.to_string_lossy().into_owned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let (send, lines) = sync_channel(LINES_WAITING_MAX);
        let log = Arc::new(Mutex::new(String::new()));
        let outputs: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("stdout was piped")),
            Box::new(child.stderr.take().expect("stderr was piped")),
        ];
        for output in outputs {
            let (send, log) = (send.clone(), Arc::clone(&log));
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let mut text = log.lock().expect("no reader panics");
                    text.push_str(&line);
                    text.push('\n');
                    drop(text);
                    // A full or closed queue only means that nobody waits for this line.
                    drop(send.try_send(line));
                }
            });
        }
        Self { child, name: name.unwrap_or_default(), lines: Mutex::new(lines), log }
    }

    /// The rest of the first line that starts with `prefix`; panics with the log when it does not come.
    pub fn wait_for_line(&mut self, prefix: &str, at_most: Duration) -> String {
        let end = Instant::now() + at_most;
        loop {
            match self
                .lines
                .get_mut()
                .expect("no reader panics")
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(prefix) {
                        return rest.trim().to_owned();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{} did not say {prefix:?} within {at_most:?}; it said:\n{}", self.name, self.log())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{} ended before it said {prefix:?}; it said:\n{}", self.name, self.log())
                }
            }
        }
    }

    /// Everything that it printed so far, both outputs.
    pub fn log(&self) -> String {
        self.log.lock().expect("no reader panics").clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, from `/proc`.
    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {path}: {e}"));
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("a live process has a VmRSS line");
        let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().expect("VmRSS is a number of kB");
        kib * 1024
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        // It may have ended by itself, which is what kill is for.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Asks it to end (SIGTERM), and tells whether it did so with status 0 in time; kills it otherwise.
    pub fn stop(&mut self, at_most: Duration) -> bool {
        drop(run(Command::new("kill").args(["-TERM", &self.pid().to_string()])));
        let end = Instant::now() + at_most;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
        false
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, self.log());
        }
    }
}
