//! `demo`: a server, a simulated fleet with a month of history, and a link that logs a browser in.
//!
//! **Invariant:** what it started ends with it, the fleet before the server.

use crate::build::{PACKAGES, cargo};
use crate::config::Config;
use crate::step::{Steps, read, remove, run, succeeds};
use crate::web;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Of HTTP; Flight SQL has the next.
const PORT: u16 = 6240;
/// A month of 256 GPUs takes one minute; a larger fleet on a slow disk may take many.
const WAIT_AT_MOST: Duration = Duration::from_secs(1800);
/// A flush of everything that is in memory.
const STOP_AT_MOST: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The collector says this when the past is in and the present begins.
const HISTORY_IS_IN: &str = "coulomb-collector: history sent";

/// The fleet and its past.
const GPUS: &str = "256";
const HISTORY: &str = "30d";

pub(crate) fn demo(config: &Config, steps: Steps, words: &[String]) -> Result<()> {
    if let Some(word) = words.iter().find(|word| !["--keep", "--exit-when-ready"].contains(&word.as_str())) {
        bail!("demo does not know {word:?}: it takes --keep and --exit-when-ready");
    }
    let asked = |flag: &str| words.iter().any(|word| word == flag);
    let dist = web::bundle(config, steps)?;
    steps.say("building coulomb and coulomb-collector");
    run(cargo(config, &dist).arg("build").args(PACKAGES).arg("--bins"))?;
    let folder = config.target.join("debug");
    let lock = fs::File::create(config.target.join("demo.lock"))?;
    ensure!(lock.try_lock().is_ok(), "a demo already runs from this target folder: stop it with Ctrl-C first");
    let data = config.target.join("demo-data");
    if !asked("--keep") {
        remove(&data)?;
    }
    fs::create_dir_all(&data)?;

    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopped);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot catch Ctrl-C")?;
    let built = Instant::now();
    let (server, url) = start_server(steps, &folder, &data, &stopped)?;
    for (kind, file) in [("prices", "demo.csv"), ("ownership", "demo-owners.toml")] {
        ask(&folder, &data, &url, &["import", kind, &format!("{}/docs/prices/{file}", config.root.display())])?;
    }
    let fleet = start_fleet(steps, &folder, &data, &url, &stopped)?;
    steps.say(&format!("{GPUS} GPUs with {HISTORY} of history, {:.1?} after the server's start", built.elapsed()));
    if !asked("--exit-when-ready") && !stopped.load(Ordering::Relaxed) {
        show(config, steps, &folder, &data, &url)?;
        live(steps, &stopped, fleet, server)?;
    }
    Ok(())
}

/// Starts the server and waits until it says where it listens.
fn start_server(steps: Steps, folder: &Path, data: &Path, stopped: &AtomicBool) -> Result<(Running, String)> {
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).map_or(0, |_| port);
    let log = data.with_file_name("demo-server.log");
    steps.say(&format!("starting the server, its log is {}", log.display()));
    let mut command = Command::new(folder.join("coulomb"));
    command.arg("serve").arg("--data").arg(data).arg(format!("--listen=127.0.0.1:{}", free(PORT)));
    command.arg(format!("--flight-listen=127.0.0.1:{}", free(PORT + 1))).stderr(fs::File::create(&log)?);
    let mut server = Running::start("the server", &mut command)?;
    let url = server.wait_for("coulomb: listening on ", steps, stopped);
    let url = url.with_context(|| format!("the server did not start, see {}", log.display()))?;
    Ok((server, url))
}

/// What a command of `coulomb` that asks the server says.
fn ask(folder: &Path, data: &Path, url: &str, words: &[&str]) -> Result<String> {
    let mut command = Command::new(folder.join("coulomb"));
    command.args(words).args(["--server", url, "--token-file"]).arg(data.join("admin.token"));
    read(&mut command)
}

/// Starts the simulated fleet and waits until its history is in.
fn start_fleet(steps: Steps, folder: &Path, data: &Path, url: &str, stopped: &AtomicBool) -> Result<Running> {
    steps.say(&format!("simulating {GPUS} GPUs and their last {HISTORY}"));
    let mut command = Command::new(folder.join("coulomb-collector"));
    command.args(["simulate", "--gpus", GPUS, "--backfill", HISTORY, "--server", url]);
    command.arg("--token-file").arg(data.join("admin.token"));
    let mut fleet = Running::start("the fleet", &mut command)?;
    fleet.wait_for(HISTORY_IS_IN, steps, stopped)?;
    Ok(fleet)
}

/// Prints the link, and opens it where there is a browser.
fn show(config: &Config, steps: Steps, folder: &Path, data: &Path, url: &str) -> Result<()> {
    let link = ask(folder, data, url, &["token", "link"])?.trim().to_owned();
    steps.say(&format!("open this page, the link works once:\n\n    {link}\n"));
    if config.has_display && !succeeds(Command::new("xdg-open").arg(&link)) {
        steps.say("no browser could be opened from here");
    }
    Ok(())
}

/// Until Ctrl-C, or until one of the two ends by itself.
fn live(steps: Steps, stopped: &AtomicBool, mut fleet: Running, mut server: Running) -> Result<()> {
    steps.say("the fleet is live; Ctrl-C stops everything");
    while !stopped.load(Ordering::Relaxed) {
        for program in [&mut fleet, &mut server] {
            if let Some(status) = program.child.try_wait()? {
                bail!("{} ended by itself ({status})", program.name);
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// A child in a process group of its own, so that Ctrl-C reaches it through us; stopped when dropped.
struct Running {
    child: Child,
    name: &'static str,
}

impl Running {
    fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name })
    }

    /// The rest of the first line that begins with `prefix`; lines before it are said.
    fn wait_for(&mut self, prefix: &str, steps: Steps, stopped: &AtomicBool) -> Result<String> {
        let output = self.child.stdout.take().context("its output is already read")?;
        // One line at a time: the program waits until we have shown it. Afterwards its lines are read and dropped.
        let (send, lines) = sync_channel(0);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                drop(send.send(line));
            }
        });
        let end = Instant::now() + WAIT_AT_MOST;
        while Instant::now() < end && !stopped.load(Ordering::Relaxed) {
            match lines.recv_timeout(LOOK_EVERY) {
                Ok(line) => match line.strip_prefix(prefix) {
                    Some(rest) => return Ok(rest.trim().to_owned()),
                    None => steps.say(&line),
                },
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("{} ended early ({})", self.name, self.child.wait()?),
            }
        }
        bail!("{} was stopped, or took longer than {} s", self.name, WAIT_AT_MOST.as_secs())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        drop(run(Command::new("kill").args(["-TERM", &pid])));
        let end = Instant::now() + STOP_AT_MOST;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        // It had its time; nothing more can be done about a failure here.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
