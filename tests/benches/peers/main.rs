//! Against peers on the same machine, in one run: VictoriaMetrics and Prometheus for ingest and disk, DuckDB and chDB
//! for queries.
//!
//! `cargo xtask bench DAYS` gives the days of raw samples that the queries run over (default 2, with 0 there are no
//! queries); `cargo xtask bench growth` asks the same of fleets and histories of several sizes instead (`growth 512x90`:
//! of 512 GPUs over 90 days), `cargo xtask bench disk` looks at the bytes of a day that is over, and `cargo xtask bench
//! ledger` computes and asks the ledger of a month. A part whose peer is not installed (Debian's `victoria-metrics` and
//! `prometheus`; the Python packages `duckdb` and `chdb`) says so and is left out.

mod copies;
mod disk;
mod fresh;
mod growth;
mod history;
mod ingest;
mod ledger;
mod questions;
mod receivers;

use coulomb_tests::cpu_seconds;
use std::path::Path;
use std::time::Duration;

const GPUS: usize = 512;
const INTERVAL_MICROS: i64 = 10_000_000;
const DAY_MICROS: i64 = 86_400_000_000;
/// 2026-06-01.
const START_MICROS: i64 = 1_780_272_000_000_000;
/// So long must a server have used next to nothing before it counts as done.
const QUIET: Duration = Duration::from_secs(12);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    println!("{:<52} {:>12} {:>12} {:>8} {:>8}", "what", "Coulomb", "peer", "ratio", "aim");
    if words.iter().any(|word| word == "growth") {
        return growth::growth(&words);
    }
    if words.iter().any(|word| word == "disk") {
        let mut history = history::History::new(GPUS);
        history.grow_to(2);
        return disk::disk(&history);
    }
    if words.iter().any(|word| word == "ledger") {
        return ledger::ledger();
    }
    let days = words.iter().find_map(|word| word.parse().ok()).unwrap_or(2_i64);
    ingest::ingest();
    fresh::fresh();
    if days > 0 {
        questions::questions(days);
    }
}

/// `aim` is the ratio that was promised.
fn line(what: &str, ours: f64, peer: f64, aim: &str) {
    println!("{what:<52} {ours:>12.4} {peer:>12.4} {:>8.3} {aim:>8}", ours / peer);
}

fn wait_until_quiet(pid: u32) {
    let pid = pid.to_string();
    loop {
        let before = cpu_seconds(&pid);
        std::thread::sleep(QUIET);
        if cpu_seconds(&pid) - before < QUIET.as_secs_f64() * 0.02 {
            return;
        }
    }
}

fn bytes_below(dir: &Path) -> f64 {
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len() as f64,
        Err(_) => 0.0,
    };
    std::fs::read_dir(dir).map_or(0.0, |entries| entries.flatten().map(of).sum())
}
