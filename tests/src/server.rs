//! A real `coulomb serve` on a port of its own.

use crate::http::{self, Answer};
use crate::program::{Program, binary, cpu_seconds};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A start replays the WAL; on a busy machine with two cores that takes seconds, not minutes.
const START_AT_MOST: Duration = Duration::from_secs(60);
const STOP_AT_MOST: Duration = Duration::from_secs(60);
/// Free ports, so that many servers run at once.
const PORTS: [&str; 6] = ["--listen", "127.0.0.1:0", "--flight-listen", "127.0.0.1:0", "--otlp-listen", "127.0.0.1:0"];

/// A running server; killed when dropped.
pub struct Server {
    pub program: Program,
    pub url: String,
    /// Where Flight SQL is, as `grpc://127.0.0.1:PORT`.
    pub flight_url: String,
    /// Where OTLP is over gRPC, likewise.
    pub otlp_url: String,
    pub data: PathBuf,
    /// The administrator's, as the first start wrote it.
    pub token: String,
    owned_data: Option<tempfile::TempDir>,
}

impl Server {
    /// On an empty temporary data folder that goes with it.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Likewise, with further flags of `coulomb serve`.
    pub fn start_with(flags: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("coulomb-test-").tempdir().expect("a temporary folder can be made");
        let mut server = Self::start_in(dir.path(), flags);
        server.owned_data = Some(dir);
        server
    }

    /// On a folder that the caller keeps.
    pub fn start_in(data: &Path, flags: &[&str]) -> Self {
        Self::start_command(&mut Self::serve_command(data, flags), data)
    }

    /// What starts a server on a folder, for tests that change its environment or expect it to fail.
    pub fn serve_command(data: &Path, flags: &[&str]) -> Command {
        let mut command = Command::new(binary("coulomb"));
        command.arg("serve").arg("--data").arg(data).args(PORTS).args(flags);
        command
    }

    /// Likewise, by a command that the caller has begun: the program itself, or one that starts it.
    pub fn start_as(mut command: Command, data: &Path, flags: &[&str]) -> Self {
        command.arg("serve").arg("--data").arg(data).args(PORTS);
        Self::start_command(command.args(flags), data)
    }

    /// By a command that [`Self::serve_command`] made for `data`.
    pub fn start_command(command: &mut Command, data: &Path) -> Self {
        let mut program = Program::start(command);
        let url = program.wait_for_line("coulomb: listening on ", START_AT_MOST);
        let flight_url = program.wait_for_line("coulomb: Flight SQL on ", START_AT_MOST);
        let otlp_url = program.wait_for_line("coulomb: OTLP on ", START_AT_MOST);
        let token_file = data.join("admin.token");
        let token = std::fs::read_to_string(&token_file)
            .unwrap_or_else(|e| panic!("cannot read {token_file:?}: {e}; the server said:\n{}", program.log()));
        let url = url.trim_end_matches('/').to_owned();
        let (data, token) = (data.to_path_buf(), token.trim().to_owned());
        Self { program, url, flight_url, otlp_url, data, token, owned_data: None }
    }

    /// Likewise, with all its threads on one core.
    pub fn start_on_one_core(data: &Path) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(binary("coulomb")).arg("serve").arg("--data").arg(data);
        Self::start_command(command.args(PORTS), data)
    }

    /// SIGKILL and a new start on the same data, on another port.
    pub fn kill_and_restart(self) -> Self {
        self.restart(|program| program.kill())
    }

    /// An orderly stop and a new start on the same data, on another port.
    pub fn stop_and_restart(self) -> Self {
        self.restart(|program| assert!(program.stop(STOP_AT_MOST), "the server did not stop well"))
    }

    fn restart(mut self, end: impl FnOnce(&mut Program)) -> Self {
        end(&mut self.program);
        let owned_data = self.owned_data.take();
        let mut server = Self::start_in(&self.data, &[]);
        server.owned_data = owned_data;
        server
    }

    /// Asks as the administrator; panics when there is no answer at all.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        self.try_request(method, path, &all, body)
            .unwrap_or_else(|e| panic!("{method} {path} got no answer: {e}; the server said:\n{}", self.program.log()))
    }

    /// Asks with these headers only; an error when there is no answer at all.
    pub fn try_request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, Box<dyn std::error::Error>> {
        http::send(method, &format!("{}{path}", self.url), headers, body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    /// `POST /v1/ingest/{table}` of one Arrow IPC stream.
    pub fn ingest(&self, table: &str, writer: &str, sequence: u64, stream: &[u8]) -> Answer {
        let sequence = sequence.to_string();
        let headers = [
            ("Content-Type", "application/vnd.apache.arrow.stream"),
            ("Coulomb-Writer", writer),
            ("Coulomb-Sequence", sequence.as_str()),
        ];
        self.request("POST", &format!("/v1/ingest/{table}"), &headers, stream)
    }

    /// The answer of a query, one vector of cells a row, without the header line. Cells that hold a comma or a
    /// quote are not for this function.
    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        let body = serde_json::json!({ "sql": sql }).to_string();
        let headers = [("Content-Type", "application/json"), ("Accept", "text/csv")];
        let answer = self.request("POST", "/api/v1/query", &headers, body.as_bytes()).expect_status(200);
        answer.text().lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
    }

    /// The one number that a query answers.
    pub fn query_count(&self, sql: &str) -> u64 {
        let rows = self.query(sql);
        let cell = rows.first().and_then(|row| row.first());
        cell.and_then(|c| c.parse().ok()).unwrap_or_else(|| panic!("{sql} did not answer one count but {rows:?}"))
    }

    /// Waits until it has little to do: files are merged, hours derived, days charged. Returns how long that took, or
    /// the time that was given to it.
    pub fn settle(&self, at_most: Duration) -> Duration {
        const LOOK: Duration = Duration::from_secs(5);
        // Of a core, for what arrives meanwhile.
        const LITTLE: f64 = 0.1;
        let (pid, begun) = (self.program.pid().to_string(), Instant::now());
        loop {
            let before = cpu_seconds(&pid);
            std::thread::sleep(LOOK);
            if cpu_seconds(&pid) - before < LITTLE * LOOK.as_secs_f64() || begun.elapsed() >= at_most {
                return begun.elapsed();
            }
        }
    }

    /// A client command of the real program against this server.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("coulomb"));
        command.args(arguments).args(["--server", &self.url]).arg("--token-file").arg(self.data.join("admin.token"));
        command
    }
}
