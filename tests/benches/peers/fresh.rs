//! Whether rows that were acknowledged are in the answer of the very next query.

use crate::{INTERVAL_MICROS, START_MICROS, line};
use coulomb_tests::Server;
use coulomb_tests::fleet::{Fleet, Rows};
use std::time::{Duration, Instant};

const GPUS: usize = 64;
const TRIES: usize = 100;

pub(crate) fn fresh() {
    // Flushes run in between, as rows that move into files must not be missed either.
    let server = Server::start_with(&["--flush-after-seconds", "1"]);
    let mut fleet = Fleet::new(GPUS);
    let (mut missed, mut took) = (0, Vec::new());
    for step in 0..TRIES {
        fleet.advance();
        let mut rows = Rows::new();
        rows.add(&fleet, START_MICROS + step as i64 * INTERVAL_MICROS);
        let (body, writer) = (rows.into_stream(), "bench/7a1f2c52-0000-4000-8000-000000000000");
        let started = Instant::now();
        server.ingest("gpu_samples", writer, step as u64 + 1, &body).expect_status(200);
        let counted = server.query("select count(*) from gpu_samples where time >= '2026-06-01T00:00:00Z'");
        took.push(started.elapsed());
        missed += usize::from(counted[0][0] != ((step + 1) * GPUS).to_string());
        std::thread::sleep(Duration::from_millis(30));
    }
    took.sort_unstable();
    println!("{missed} of {TRIES} queries right after an answered append missed rows of it");
    line("append and query that counts it, p99, seconds", took[TRIES * 99 / 100].as_secs_f64(), 1.0, "<= 1");
}
