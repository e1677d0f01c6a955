//! Logs: how quick they come in through a collector, and how quick words are found in a day of them, on one core.
//!
//! `cargo xtask bench` builds for release and runs this; each line is a figure, its limit and their ratio. The same
//! lines are searched by `grep` and by DuckDB over the server's own files, where the tests' Python is installed.
//! `COULOMB_LOG_BYTES` makes the day smaller, as for a build that is not optimised.

use coulomb_tests::{Program, Server, binary, run, target_dir};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const BYTES: u64 = 1 << 30;
const AT_MOST: Duration = Duration::from_secs(3600);
/// Of a search of a page over a day.
const SEARCH_MS: f64 = 300.0;
const LOOKS: usize = 20;
/// Of a line, about, so that the lines spread over the day.
const LINE_BYTES: u64 = 124;
/// 2026-01-02T00:00:00Z.
const DAY: i64 = 1_767_312_000;

fn main() {
    let bytes = bytes();
    println!("{:<52} {:>12} {:>12} {:>8}", "what", "measured", "limit", "ratio");
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let file = dir.path().join("day.log");
    let lines = write_day(&file, bytes);
    let data = dir.path().join("data");
    let server = Server::start_on_one_core(&data);
    let begun = Instant::now();
    let mut command = Command::new(binary("coulomb-collector"));
    command.args(["run", "--interval", "10s", "--server", &server.url, "--spool"]).arg(dir.path().join("spool"));
    command.arg("--token-file").arg(data.join("admin.token")).arg("--logs").arg(&file);
    let mut collector = Program::start(&mut command);
    while server.query_count("select count(*) from logs") < lines && begun.elapsed() < AT_MOST {
        std::thread::sleep(Duration::from_millis(500));
    }
    let seconds = begun.elapsed().as_secs_f64();
    collector.kill();
    println!(
        "{:<52} {:>12.1}",
        "MiB of lines a second, one core of the server",
        bytes as f64 / seconds / (1 << 20) as f64
    );
    let kept = server.query_count("select count(*) from logs");
    assert_eq!(kept, lines, "every line is kept once");
    // All of it lies in files.
    let server = server.stop_and_restart();
    drop(server);
    let server = Server::start_on_one_core(&data);
    println!("{:<52} {:>12.1}", "its files are merged after, s", server.settle(AT_MOST).as_secs_f64());
    let stored = size(&data.join("tables/logs"));
    println!("{:<52} {:>12.3}", "bytes on disk for a byte of lines", stored as f64 / bytes as f64);
    for (what, text, pattern) in SEARCHES {
        searched(&server, what, text);
        if let Some(pattern) = pattern {
            peers(&file, &data, what, pattern);
        }
    }
}

/// What is searched: in words, as we read it, and as grep and DuckDB do.
const SEARCHES: [(&str, &str, Option<&str>); 7] = [
    ("a word of one line", "needle5", Some("needle5")),
    ("a word that is nowhere", "haystackless", Some("haystackless")),
    ("a word of a hundredth of the lines", "timeout", Some("timeout")),
    ("a word of every line", "step", None),
    ("a phrase", "\"connection reset by peer\"", Some("connection reset by peer")),
    ("a regular expression of few lines", "/needle[0-9]+/", None),
    ("a beginning of a word of few lines", "needle*", None),
];

#[allow(clippy::disallowed_methods, reason = "tests have no config.rs")]
fn bytes() -> u64 {
    std::env::var("COULOMB_LOG_BYTES").ok().and_then(|text| text.parse().ok()).unwrap_or(BYTES)
}

/// Lines of trainers over a day; returns how many.
fn write_day(path: &Path, bytes: u64) -> u64 {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let about = bytes / LINE_BYTES;
    let (mut text, mut written, mut lines) = (String::new(), 0, 0_u64);
    let mut file = fs::File::create(path).expect("a file can be made");
    while written < bytes {
        let second = DAY + (lines as i64 * 86_000 / about as i64).min(86_399);
        let time =
            chrono::DateTime::from_timestamp(second, 0).expect("a time of this century").format("%Y-%m-%dT%H:%M:%SZ");
        let (rank, step) = (next(64), lines / 64);
        let said = match next(10_000) {
            0 => format!("WARN needle{} was seen", next(1000)),
            1..100 => format!(
                "ERROR rank {rank} timeout after {} ms, connection reset by peer 10.0.{}.{}",
                next(9000),
                next(256),
                next(256)
            ),
            _ => format!(
                "INFO loss {:.4} lr 3e-4 tokens {} grad_norm {:.3}",
                next(50_000) as f64 / 1e4,
                next(1 << 22),
                next(9000) as f64 / 1e3
            ),
        };
        writeln!(text, "{time} trainer[{rank}] step {step} request {:016x} {said}", next(u64::MAX))
            .expect("a text takes all");
        lines += 1;
        if text.len() > 1 << 20 {
            written += text.len() as u64;
            std::io::Write::write_all(&mut file, text.as_bytes()).expect("a file can be written");
            text.clear();
        }
    }
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("a file can be written");
    lines
}

fn searched(server: &Server, what: &str, text: &str) {
    let text: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
    let path = format!("/api/v1/logs?from=2026-01-02&to=2026-01-03&limit=100&text={text}");
    let mut millis = Vec::new();
    let mut found = 0;
    for _ in 0..LOOKS {
        let begun = Instant::now();
        let answer = server.get(&path).expect_status(200).json();
        millis.push(begun.elapsed().as_secs_f64() * 1e3);
        found = answer["records"].as_array().map_or(0, Vec::len);
    }
    millis.sort_by(f64::total_cmp);
    let (p50, p95) = (millis[millis.len() / 2], millis[millis.len() * 95 / 100]);
    println!("{:<52} {p95:>12.1} {SEARCH_MS:>12.1} {:>8.2}", format!("{what}: p95, ms"), p95 / SEARCH_MS);
    println!("{:<52} {p50:>12.1} {:>12}", "  p50, ms; records of the page", found);
}

fn peers(file: &Path, data: &Path, what: &str, pattern: &str) {
    let begun = Instant::now();
    let grep = run(Command::new("taskset").args(["-c", "0", "grep", "-i", "-c", "-F", pattern]).arg(file));
    println!("{:<52} {:>12.1}", format!("  grep -i, {what}, ms"), begun.elapsed().as_secs_f64() * 1e3);
    println!("{:<52} {:>12}", "  lines that grep counts", String::from_utf8_lossy(&grep.stdout).trim());
    let python = target_dir().join("python/bin/python");
    if !python.is_file() {
        return println!("  DuckDB is not asked: {python:?} is not there");
    }
    let script = format!(
        "import duckdb, time\n\
         d = duckdb.connect()\n\
         d.execute('set threads to 1; set enable_progress_bar = false')\n\
         q = \"select time, body from read_parquet('{}/tables/logs/day=*/*.parquet') where body ilike '%{pattern}%' order by time desc limit 100\"\n\
         d.execute(q).fetchall()\n\
         t = time.time()\n\
         d.execute(q).fetchall()\n\
         print(round((time.time() - t) * 1000, 1))\n",
        data.display()
    );
    let duckdb = run(Command::new("taskset").args(["-c", "0"]).arg(python).args(["-c", &script]));
    let said = String::from_utf8_lossy(&duckdb.stdout).trim().to_owned();
    let why = String::from_utf8_lossy(&duckdb.stderr);
    println!(
        "{:<52} {:>12}",
        "  DuckDB, the newest 100, ms",
        if duckdb.status.success() { said } else { why.into_owned() }
    );
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder of the server").flatten();
    entries.map(|e| if e.path().is_dir() { size(&e.path()) } else { e.metadata().map_or(0, |m| m.len()) }).sum()
}
