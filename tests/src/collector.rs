//! A real `coulomb-collector run` that sends to a server of the test.

use crate::program::{Program, binary};
use crate::server::Server;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Rows reach the server within 5 s; a busy machine takes longer.
const WITHIN: Duration = Duration::from_secs(120);

/// A running collector; killed when dropped.
pub struct Collector {
    pub program: Program,
    spool: PathBuf,
    owned_dir: Option<tempfile::TempDir>,
}

impl Collector {
    /// With a spool of its own that goes with it, and no GPU.
    pub fn start(server: &Server, flags: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("coulomb-test-").tempdir().expect("a temporary folder can be made");
        let spool = dir.path().join("spool");
        let mut collector = Self::start_in(&spool, &server.url, &server.data.join("admin.token"), flags);
        collector.owned_dir = Some(dir);
        collector
    }

    /// On a spool that the caller keeps.
    pub fn start_in(spool: &Path, server: &str, token_file: &Path, flags: &[&str]) -> Self {
        Self::start_command(&mut Self::command(spool, server, token_file, flags), spool)
    }

    /// What starts one, for tests that change its environment or put it on one core.
    pub fn command(spool: &Path, server: &str, token_file: &Path, flags: &[&str]) -> Command {
        let mut command = Command::new(binary("coulomb-collector"));
        command.args(["run", "--node", "here", "--server", server, "--metrics-listen", "127.0.0.1:0"]);
        command.arg("--token-file").arg(token_file).arg("--spool").arg(spool);
        if !flags.contains(&"--nvml-library") {
            command.args(["--nvml-library", "no-such-library.so"]);
        }
        command.args(flags);
        command
    }

    pub fn start_command(command: &mut Command, spool: &Path) -> Self {
        Self { program: Program::start(command), spool: spool.to_path_buf(), owned_dir: None }
    }

    pub fn spool(&self) -> &Path {
        &self.spool
    }

    /// The word behind the first `marker` in its log, such as an address.
    pub fn said(&self, marker: &str) -> String {
        let word = || {
            let log = self.program.log();
            let at = log.find(marker)?;
            // The rest of the line has arrived with its end.
            log[at + marker.len()..].split_once('\n')?.0.split_whitespace().next().map(str::to_owned)
        };
        let until = Instant::now() + WITHIN;
        loop {
            match word() {
                Some(word) => return word,
                None if Instant::now() > until => panic!("it did not say {marker:?}:\n{}", self.program.log()),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Where OTLP is over HTTP, as `http://127.0.0.1:PORT`.
    pub fn otlp_http(&self) -> String {
        format!("http://{}", self.said("OTLP over HTTP on "))
    }

    /// Where OTLP is over gRPC, as `grpc://127.0.0.1:PORT`.
    pub fn otlp_grpc(&self) -> String {
        format!("grpc://{}", self.said("OTLP over gRPC on "))
    }

    /// Its own metrics' address.
    pub fn metrics(&self) -> String {
        self.said("own metrics at ")
    }
}

/// Waits until a server answers a question with what is expected.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + WITHIN;
    while !is_so() {
        assert!(Instant::now() < end, "not within {WITHIN:?}: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
