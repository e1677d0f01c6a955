//! Spans a second through the server and through a collector, each on one core, and what memory that takes.
//!
//! `cargo xtask bench` builds for release and runs this; each line is a figure, its limit and their ratio.

use coulomb_tests::collector::{Collector, until};
use coulomb_tests::{Program, Server, cpu_seconds, send};
use std::process::Command;
use std::time::{Duration, Instant};

/// What SDKs send at once.
const SPANS: u64 = 512;
/// Connections of their own, each of which waits for its answers.
const SENDERS: u64 = 4;
const SENT_FOR: Duration = Duration::from_secs(20);
/// A node's share of a busy service, and far more than any trainer has.
const SPANS_PER_SECOND: f64 = 10_000.0;
/// Bounded, whatever is sent: beside the program its requests on their way.
const SERVER_BYTES: f64 = 1e9;
const COLLECTOR_BYTES: f64 = 200e6;

fn main() {
    println!("{:<44} {:>14} {:>14} {:>8}", "what", "measured", "limit", "ratio");
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let server = Server::start_on_one_core(data.path());
    let bearer = format!("Bearer {}", server.token);
    let sent = measure("server", &server.url, Some(&bearer), &server.program, SERVER_BYTES);
    assert_eq!(server.query_count("SELECT count(*) FROM spans"), sent);

    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let (spool, token) = (dir.path().join("spool"), server.data.join("admin.token"));
    let flags = ["--otlp-listen", "127.0.0.1:0", "--spool-bytes-max", "4GiB"];
    let plain = Collector::command(&spool, &server.url, &token, &flags);
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", "1"]).arg(plain.get_program()).args(plain.get_args());
    let collector = Collector::start_command(&mut pinned, &spool);
    let through = measure("collector", &collector.otlp_http(), None, &collector.program, COLLECTOR_BYTES);
    let started = Instant::now();
    until("the server has all spans", || server.query_count("SELECT count(*) FROM spans") == sent + through);
    println!("the last span reached the server {:.1} s after its answer", started.elapsed().as_secs_f64());
}

fn line(what: &str, measured: f64, limit: f64) {
    println!("{what:<44} {measured:>14.3} {limit:>14.3} {:>8.2}", measured / limit);
}

/// Sends for a while; gives the number of spans that were answered.
fn measure(what: &str, address: &str, bearer: Option<&str>, program: &Program, bytes_max: f64) -> u64 {
    let url = format!("{address}/v1/traces");
    let mut headers = vec![("Content-Type", "application/x-protobuf")];
    headers.extend(bearer.map(|bearer| ("Authorization", bearer)));
    let pid = program.pid().to_string();
    let (started, cpu) = (Instant::now(), cpu_seconds(&pid));
    let mut resident = 0;
    let sent: u64 = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (url, headers) = (&url, &headers);
                scope.spawn(move || {
                    let mut requests = 0;
                    while started.elapsed() < SENT_FOR {
                        let body = request(sender << 40 | requests * SPANS);
                        let answer = send("POST", url, headers, &body).expect("it answers");
                        answer.expect_status(200);
                        requests += 1;
                    }
                    requests * SPANS
                })
            })
            .collect();
        while started.elapsed() < SENT_FOR {
            resident = resident.max(program.resident_bytes());
            std::thread::sleep(Duration::from_millis(200));
        }
        senders.into_iter().map(|sender| sender.join().expect("no sender panics")).sum()
    });
    let seconds = started.elapsed().as_secs_f64();
    let busy = (cpu_seconds(&pid) - cpu) / seconds;
    line(&format!("{what}, spans answered per second"), sent as f64 / seconds, SPANS_PER_SECOND);
    line(&format!("{what}, resident bytes"), resident as f64, bytes_max);
    line(&format!("{what}, spans per second of its CPU"), sent as f64 / seconds / busy, SPANS_PER_SECOND);
    sent
}

/// A field of bytes.
fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

fn text(key: &str, value: &str) -> Vec<u8> {
    let (mut pair, mut any) = (Vec::new(), Vec::new());
    field(1, value.as_bytes(), &mut any);
    field(1, key.as_bytes(), &mut pair);
    field(2, &any, &mut pair);
    pair
}

fn integer(key: &str, value: u8) -> Vec<u8> {
    let mut pair = Vec::new();
    field(1, key.as_bytes(), &mut pair);
    field(2, &[0x18, value & 0x7f], &mut pair);
    pair
}

/// Spans of requests to a model, numbered from `first`, now.
fn request(first: u64) -> Vec<u8> {
    let now = chrono::Utc::now().timestamp_nanos_opt().expect("no clock is at 2262") as u64;
    let mut scope = Vec::new();
    for number in first..first + SPANS {
        let mut span = Vec::new();
        field(1, &[0x11; 16], &mut span);
        field(2, &(number + 1).to_be_bytes(), &mut span);
        field(5, b"chat llama", &mut span);
        span.extend([6 << 3, 3]); // kind: client
        for (tag, time) in [(7, now - 2_000_000_000), (8, now)] {
            span.push(tag << 3 | 1);
            span.extend(time.to_le_bytes());
        }
        for pair in [
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.request.model", "meta-llama/Llama-3.1-8B-Instruct"),
            text("coulomb.tenant", "acme"),
            integer("gen_ai.usage.input_tokens", number as u8),
            integer("gen_ai.usage.output_tokens", 7),
        ] {
            field(9, &pair, &mut span);
        }
        field(2, &span, &mut scope);
    }
    let mut resource = Vec::new();
    for pair in [text("service.name", "gateway"), text("host.name", "n1"), text("coulomb.cluster", "blue")] {
        field(1, &pair, &mut resource);
    }
    let (mut group, mut body) = (Vec::new(), Vec::new());
    field(1, &resource, &mut group);
    field(2, &scope, &mut group);
    field(1, &group, &mut body);
    body
}
