//! Days of raw samples of a fleet in a data folder: the newest are sent to a real server, the older ones are copies of
//! the first of those.

use crate::{DAY_MICROS, INTERVAL_MICROS, START_MICROS, copies, wait_until_quiet};
use coulomb_tests::Server;
use coulomb_tests::fleet::{Fleet, Rows};
use std::path::Path;
use std::time::{Duration, Instant};

/// Rows of one request where only the rows matter, about.
const ROWS_OF_A_BODY: usize = 30_720;
/// After the last row: a flush and what follows it.
const FLUSH_AND_MORE: Duration = Duration::from_secs(65);

/// A history that is being made.
pub(crate) struct History {
    data: tempfile::TempDir,
    pub(crate) gpus: usize,
    /// Days that were sent, from [`START_MICROS`] on.
    sent: i64,
    /// Days that were copied, up to [`START_MICROS`].
    copied: i64,
    fleet: Fleet,
}

impl History {
    pub(crate) fn new(gpus: usize) -> Self {
        let data = tempfile::Builder::new().prefix("coulomb-bench-").tempdir();
        let data = data.expect("a temporary folder can be made");
        Self { data, gpus, sent: 0, copied: 0, fleet: Fleet::new(gpus) }
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn days(&self) -> i64 {
        self.sent + self.copied
    }

    pub(crate) fn rows(&self) -> i64 {
        self.days() * DAY_MICROS / INTERVAL_MICROS * self.gpus as i64
    }

    /// Makes the history as long as that: two days are sent, so that the first is over and merged; its copies follow.
    pub(crate) fn grow_to(&mut self, days: i64) {
        let started = Instant::now();
        self.send(days.min(2));
        let more: Vec<i64> = (self.days()..days).map(|copy| copy - self.sent + 1).collect();
        copies::copy_day(&self.data.path().join("tables"), START_MICROS / DAY_MICROS, &more);
        self.copied += more.len() as i64;
        println!(
            "{} GPUs, {days} days: {} rows after {:.0} s",
            self.gpus,
            self.rows(),
            started.elapsed().as_secs_f64()
        );
    }

    fn send(&mut self, days: i64) {
        if self.sent >= days {
            return;
        }
        let server = Server::start_in(self.data.path(), &["--flush-after-seconds", "60"]);
        let steps_of_a_body = (ROWS_OF_A_BODY / self.gpus).max(1) as i64;
        let (mut step, end) = (self.sent * DAY_MICROS / INTERVAL_MICROS, days * DAY_MICROS / INTERVAL_MICROS);
        while step < end {
            let mut rows = Rows::new();
            let first = step;
            while step < end.min(first + steps_of_a_body) {
                self.fleet.advance();
                rows.add(&self.fleet, START_MICROS + step * INTERVAL_MICROS);
                step += 1;
            }
            let (stream, writer) = (rows.into_stream(), "bench/7a1f2c52-0000-4000-8000-000000000000");
            // It says no while too much waits for a flush.
            while server.ingest("gpu_samples", writer, step as u64, &stream).status != 200 {
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        self.sent = days;
        std::thread::sleep(FLUSH_AND_MORE);
        wait_until_quiet(server.program.pid());
    }

    /// Whether a server sees each day whole, in samples and in hours; panics where it does not.
    pub(crate) fn check(&self, server: &Server) {
        let of_each_day = |what: &str, table: &str, expected: i64| {
            let sql = format!("select date_trunc('day', time), {what} from {table} group by 1");
            let counted = server.query(&sql);
            assert_eq!(counted.len() as i64, self.days(), "days of {table}");
            for day in counted {
                assert_eq!(day[1], expected.to_string(), "{what} of {table} on {}", day[0]);
            }
        };
        let gpus = self.gpus as i64;
        of_each_day("count(*)", "gpu_samples", DAY_MICROS / INTERVAL_MICROS * gpus);
        of_each_day("count(distinct time)", "gpu_samples_1h", 24);
        of_each_day("count(distinct gpu_uuid)", "gpu_samples_1h", gpus);
    }
}

/// The folder of the samples.
pub(crate) fn samples(data: &Path) -> std::path::PathBuf {
    data.join("tables/gpu_samples")
}
