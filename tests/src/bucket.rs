//! An S3 server in a process of its own, and a proxy before it that can be told to fail.
//!
//! The proxy knows just enough HTTP: one request a connection, with a body of a stated length.

use crate::program::{Program, target_dir, workspace_root};
use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const START_AT_MOST: Duration = Duration::from_secs(60);
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Longer than any request of a test takes, so that a test never hangs on one.
const SILENT_AT_MOST: Duration = Duration::from_secs(60);
const BUCKET: &str = "coulomb-test";

/// A bucket behind a proxy; both end when it is dropped.
pub struct Bucket {
    /// Of the proxy.
    pub endpoint: String,
    /// Of the server itself.
    pub direct: String,
    rules: Arc<Rules>,
    _server: Program,
}

#[derive(Default)]
struct Rules {
    /// Of a thousand requests so many fail or are slow.
    faults_per_mille: AtomicU64,
    down: AtomicBool,
    random: Mutex<u64>,
    /// How many of each fault were made.
    made: [AtomicU64; FAULTS],
    /// The server checks a condition and writes in two steps, which two requests at once would come between.
    conditional: Mutex<()>,
    ended: AtomicBool,
}

const FAULTS: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// 503, nothing happens.
    Refused,
    /// The connection ends in the middle of the request's body.
    HalfRequest,
    /// It happens, and the connection ends before the answer.
    NoAnswer,
    /// The connection ends in the middle of the answer.
    HalfAnswer,
    /// The connection ends at once, and it happens a while later.
    Late,
    /// It takes a while.
    Slow,
}

const ALL: [Fault; FAULTS] =
    [Fault::Refused, Fault::HalfRequest, Fault::NoAnswer, Fault::HalfAnswer, Fault::Late, Fault::Slow];

impl Bucket {
    /// Starts both.
    pub fn start() -> Self {
        let python = target_dir().join("python/bin/python");
        assert!(python.is_file(), "{python:?} is missing: `cargo xtask test` installs it");
        let script = workspace_root().join("tests/python/bucket.py");
        let mut server = Program::start(Command::new(python).arg(script).arg(BUCKET));
        let direct = server.wait_for_line("bucket: ", START_AT_MOST);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine is free");
        let address = listener.local_addr().expect("it is bound");
        let rules = Arc::new(Rules { random: Mutex::new(0x9E37_79B9_7F4A_7C15), ..Rules::default() });
        let (shared, target) = (Arc::clone(&rules), direct.trim_start_matches("http://").to_owned());
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if shared.ended.load(Ordering::Relaxed) {
                    return;
                }
                let (rules, target) = (Arc::clone(&shared), target.clone());
                // An end of a connection is what this is for.
                std::thread::spawn(move || drop(serve(&connection, &target, &rules)));
            }
        });
        Self { endpoint: format!("http://{address}"), direct, rules, _server: server }
    }

    /// The address of a prefix of the bucket.
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// Lets so many of a thousand requests fail, in ways that follow from the order of requests.
    pub fn set_faults(&self, per_mille: u64) {
        self.rules.faults_per_mille.store(per_mille, Ordering::Relaxed);
    }

    /// Whether the proxy ends every connection at once.
    pub fn set_down(&self, down: bool) {
        self.rules.down.store(down, Ordering::Relaxed);
    }

    /// How often each fault was made.
    pub fn faults(&self) -> Vec<(String, u64)> {
        ALL.iter()
            .map(|fault| (format!("{fault:?}"), self.rules.made[*fault as usize].load(Ordering::Relaxed)))
            .collect()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.rules.ended.store(true, Ordering::Relaxed);
        // Wakes the listener, which then ends.
        drop(TcpStream::connect(self.endpoint.trim_start_matches("http://")));
    }
}

impl Rules {
    fn fault(&self) -> Option<Fault> {
        let mut random = self.random.lock().expect("no thread panics with it");
        let mut below = |limit: u64| {
            *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*random >> 33) % limit
        };
        let fault = ALL[usize::try_from(below(FAULTS as u64)).expect("it is below six")];
        let is_due = below(1000) < self.faults_per_mille.load(Ordering::Relaxed);
        is_due.then(|| {
            self.made[fault as usize].fetch_add(1, Ordering::Relaxed);
            fault
        })
    }
}

fn serve(mut client: &TcpStream, target: &str, rules: &Rules) -> Result<()> {
    client.set_read_timeout(Some(SILENT_AT_MOST))?;
    if rules.down.load(Ordering::Relaxed) {
        return client.shutdown(Shutdown::Both);
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read(&mut byte)? == 0 || head.len() > HEAD_BYTES_MAX {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    let fault = rules.fault();
    let mut body = vec![0; if fault == Some(Fault::HalfRequest) { length / 2 } else { length }];
    client.read_exact(&mut body)?;
    let forward = || {
        let _one = text.contains("\r\nif-none-match:").then(|| rules.conditional.lock());
        forward(target, &head, &body)
    };
    let later = || std::thread::sleep(Duration::from_millis(20 + length as u64 % 700));
    match fault {
        Some(Fault::Refused) => {
            let answer = "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            client.write_all(answer.as_bytes())
        }
        Some(Fault::HalfRequest) => client.shutdown(Shutdown::Both),
        Some(Fault::NoAnswer) => {
            forward()?;
            client.shutdown(Shutdown::Both)
        }
        Some(Fault::HalfAnswer) => {
            let answer = forward()?;
            client.write_all(&answer[..answer.len() / 2])
        }
        Some(Fault::Late) => {
            client.shutdown(Shutdown::Both)?;
            later();
            forward().map(drop)
        }
        Some(Fault::Slow) => {
            later();
            client.write_all(&forward()?)
        }
        None => client.write_all(&forward()?),
    }
}

/// The answer, with its end.
fn forward(target: &str, head: &[u8], body: &[u8]) -> Result<Vec<u8>> {
    let mut server = TcpStream::connect(target)?;
    server.set_read_timeout(Some(SILENT_AT_MOST))?;
    let first = head.iter().position(|byte| *byte == b'\n').ok_or(ErrorKind::InvalidData)? + 1;
    server.write_all(&head[..first])?;
    server.write_all(b"Connection: close\r\n")?;
    server.write_all(&head[first..])?;
    server.write_all(body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}
