//! What watching costs: a thousand rules over a thousand GPUs, and how soon a receiver hears of a row.
//!
//! `cargo xtask bench` builds for release and runs this; each line is a figure, its limit and their ratio.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::ipc::writer::StreamWriter;
use coulomb_tests::{Program, Server, binary, cpu_seconds, run};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

const RULES: usize = 1_000;
const EVERY_SECONDS: f64 = 15.0;
const CORE_RATIO: f64 = 0.25;
const WATCHED: Duration = Duration::from_secs(90);
/// After a start, or after rules were read.
const SETTLED: Duration = Duration::from_secs(30);
const HISTORY_AT_MOST: Duration = Duration::from_secs(600);
/// Rows whose way to a receiver is timed.
const ROWS: usize = 50;
/// A rule that is looked at each second, and a second.
const HEARD_SECONDS: f64 = 2.0;

/// A tenth of it says whether the cost grows with the rules.
const SMALL_RULES: usize = 100;

fn main() {
    println!("{:<52} {:>12} {:>12} {:>8}", "what", "measured", "limit", "ratio");
    rules("100", SMALL_RULES, Statements::Shared);
    rules("1000", RULES, Statements::Shared);
    rules("1000", RULES, Statements::Own);
    heard();
}

/// Rules that ask the same are answered by one question, so both have to be measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Statements {
    /// Ten, each with a hundred limits.
    Shared,
    /// One a rule.
    Own,
}

fn line(what: &str, measured: f64, limit: f64) {
    println!("{what:<52} {measured:>12.3} {limit:>12.3} {:>8.2}", measured / limit);
}

/// As a text takes them: 256 KiB at most.
const RULES_A_TEXT: usize = 250;

fn text(rules: Range<usize>, statements: Statements) -> String {
    const COLUMNS: [&str; 10] = [
        "gpu_busy_ratio",
        "sm_active_ratio",
        "tensor_active_ratio",
        "dram_active_ratio",
        "power_watts",
        "temperature_celsius",
        "memory_temperature_celsius",
        "memory_used_bytes",
        "sm_clock_hertz",
        "sm_occupancy_ratio",
    ];
    let mut text = String::new();
    for rule in rules {
        let column = COLUMNS[rule % COLUMNS.len()];
        let limit = 1e15 + rule as f64;
        let own = if statements == Statements::Own { format!(" -- {rule}") } else { String::new() };
        let written = write!(
            text,
            "[[rule]]\nname = \"R{rule}\"\nsql = \"select node, gpu_uuid, max({column}) as value from gpu_samples where \
             time > $1 and time <= $2 group by 1, 2{own}\"\nabove = {limit:.1}\nover = \"5m\"\nevery = \"15s\"\nfor = \"1m\"\n\
             severity = \"info\"\nsummary = \"{{gpu_uuid}} is at {{value}}\"\n"
        );
        written.expect("a text takes all");
    }
    text
}

/// Seconds of a core that the server takes in a second.
fn load(server: &Server) -> f64 {
    std::thread::sleep(SETTLED);
    let pid = server.program.pid().to_string();
    let (before, begun) = (cpu_seconds(&pid), Instant::now());
    std::thread::sleep(WATCHED);
    (cpu_seconds(&pid) - before) / begun.elapsed().as_secs_f64()
}

/// Of a fleet of so many GPUs.
fn rules(gpus: &str, count: usize, statements: Statements) {
    let server = Server::start();
    let mut fleet = Command::new(binary("coulomb-collector"));
    fleet.args(["simulate", "--gpus", gpus, "--backfill", "1h", "--server", &server.url]);
    fleet.arg("--token-file").arg(server.data.join("admin.token"));
    let mut fleet = Program::start(&mut fleet);
    fleet.wait_for_line("coulomb-collector: history sent", HISTORY_AT_MOST);
    let without = load(&server);
    println!("{:<52} {without:>12.3}", format!("{gpus} GPUs arrive, cores"));
    for from in (0..count).step_by(RULES_A_TEXT) {
        let file = server.data.join(format!("bench{from}.toml"));
        fs::write(&file, text(from..count.min(from + RULES_A_TEXT), statements)).expect("a file can be written");
        let put = run(server.command(&["rules", "put"]).arg(&file));
        assert!(put.status.success(), "{}", String::from_utf8_lossy(&put.stderr));
    }
    let with = load(&server);
    let of = if statements == Statements::Own { "own statements" } else { "ten statements" };
    line(&format!("{count} rules, {of}, each 15 s, cores more"), with - without, CORE_RATIO);
    let now = server.query_count("select count(*) from gpu_samples");
    let rules = server.get("/api/v1/alerts").json();
    let rules = rules["rules"].as_array().expect("a list").clone();
    let own = rules.iter().filter(|rule| rule["text"].as_str().is_some_and(|text| text.starts_with("bench")));
    let looked: Vec<f64> = own.filter_map(|rule| rule["looked_unix_micros"].as_f64()).collect();
    let oldest = looked.iter().copied().fold(f64::INFINITY, f64::min);
    let newest = looked.iter().copied().fold(0.0, f64::max);
    println!("{:<52} {:>12}", "rows of samples", now);
    println!("{:<52} {:>12}", "rules that were looked at", looked.len());
    line("between the oldest and the newest look, s", (newest - oldest) / 1e6, EVERY_SECONDS);
}

/// Says when each request came.
fn receiver() -> (String, Receiver<Instant>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let url = format!("http://{}/", listener.local_addr().expect("it listens"));
    let (send, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            // The head and the little body come at once; what does not is not looked at.
            let mut taken = [0; 65_536];
            if stream.read(&mut taken).is_ok() && send.send(Instant::now()).is_err() {
                return;
            }
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    (url, heard)
}

fn heard() {
    let server = Server::start_with(&["--outgoing-allow", "127.0.0.1/32"]);
    let (url, heard) = receiver();
    let text = format!(
        "[[rule]]\nname = \"Ended\"\nsql = \"select job_id from job_events where kind = 'ended' and time > $1 and time <= $2\"\n\
         over = \"1d\"\nevery = \"1s\"\nseverity = \"info\"\nsummary = \"{{job_id}} ended\"\n\
         [[receiver]]\nname = \"r\"\nkind = \"webhook\"\nurl = \"{url}\"\n\
         [[route]]\nto = \"r\"\nby = \"job_id\"\nwait = \"0s\"\n"
    );
    let file = server.data.join("bench.toml");
    fs::write(&file, text).expect("a file can be written");
    let put = run(server.command(&["rules", "put"]).arg(&file));
    assert!(put.status.success(), "{}", String::from_utf8_lossy(&put.stderr));
    let mut seconds = Vec::new();
    for row in 0..ROWS {
        let writer = "bench/7a1f2c52-0000-4000-8000-000000000000";
        server.ingest("job_events", writer, row as u64 + 1, &ended(row)).expect_status(200);
        let begun = Instant::now();
        heard.recv_timeout(Duration::from_secs(30)).expect("it is told");
        seconds.push(begun.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    line("from a row that is kept to its webhook, p99, s", seconds[seconds.len() - 1], HEARD_SECONDS);
}

/// A job that has just ended.
fn ended(job: usize) -> Vec<u8> {
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let now = TimestampMicrosecondArray::from(vec![chrono::Utc::now().timestamp_micros()]).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(now)),
        ("cluster", text("bench")),
        ("job_id", text(&job.to_string())),
        ("attempt", Arc::new(Int64Array::from(vec![0]))),
        ("kind", text("ended")),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("all columns have one row");
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("the schema can be written");
    writer.write(&batch).expect("a batch can be written to memory");
    writer.into_inner().expect("a stream can be ended")
}
