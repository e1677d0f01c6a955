//! Two hours of the fleet, sent to Coulomb and to its peers.

use crate::{GPUS, INTERVAL_MICROS, bytes_below, line, receivers, wait_until_quiet};
use coulomb_tests::fleet::{self, Fleet, METRICS, Rows};
use coulomb_tests::{Server, cpu_seconds};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Two hours, a request a step, as a gateway of the fleet would send them.
const STEPS: usize = 720;
/// Requests under way at once; each client waits for its answers.
pub(crate) const CLIENTS: usize = 4;

/// What an ingest took.
pub(crate) struct Took {
    cpu_until_answered: f64,
    cpu_in_all: f64,
    client_share: f64,
    peak_bytes: f64,
    answers: Vec<Duration>,
}

/// The most memory that a process has held.
fn peak_bytes(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process has a status file");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("a live process has a VmHWM line");
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().expect("VmHWM is a number of kB") * 1024.0
}

/// Sends all bodies by some clients and waits until the server has nothing left to do.
pub(crate) fn drive(
    pid: u32,
    clients: usize,
    bodies: &[Vec<u8>],
    ask: &(dyn Fn(usize, usize, &[u8]) + Sync),
    settle: &dyn Fn(),
) -> Took {
    let (server_before, client_before, started) = (cpu_seconds(&pid.to_string()), cpu_seconds("self"), Instant::now());
    let mut answers: Vec<Duration> = std::thread::scope(|scope| {
        let client = |client: usize| {
            let own = bodies.iter().enumerate().skip(client).step_by(clients);
            let each = move |(step, body): (usize, &Vec<u8>)| {
                let started = Instant::now();
                ask(client, step, body);
                started.elapsed()
            };
            scope.spawn(move || own.map(each).collect::<Vec<_>>())
        };
        let clients: Vec<_> = (0..clients).map(client).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client does not panic")).collect()
    });
    answers.sort_unstable();
    let client_share = (cpu_seconds("self") - client_before) / started.elapsed().as_secs_f64();
    let cpu_until_answered = cpu_seconds(&pid.to_string()) - server_before;
    settle();
    wait_until_quiet(pid);
    let cpu_in_all = cpu_seconds(&pid.to_string()) - server_before;
    Took { cpu_until_answered, cpu_in_all, client_share, peak_bytes: peak_bytes(pid), answers }
}

/// Start of the two hours that ended last and that are no longer waited for, so that both are summed up, as those of a
/// fleet that goes on are.
fn two_hours_ago() -> i64 {
    const HOUR_MICROS: i64 = 3_600_000_000;
    const WAITED_MICROS: i64 = 11 * 60 * 1_000_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_micros() as i64;
    ((now - WAITED_MICROS).div_euclid(HOUR_MICROS) - 2) * HOUR_MICROS
}

pub(crate) fn ingest() {
    let samples = (STEPS * GPUS * METRICS.len()) as f64;
    let (mut fleet, mut ours, mut theirs) = (Fleet::new(GPUS), Vec::new(), Vec::new());
    let start = two_hours_ago();
    for step in 0..STEPS {
        fleet.advance();
        let time = start + step as i64 * INTERVAL_MICROS;
        let mut rows = Rows::new();
        rows.add(&fleet, time);
        ours.push(rows.into_stream());
        let request = fleet::remote_write(&fleet, time / 1000);
        theirs.push(snap::raw::Encoder::new().compress_vec(&request).expect("a request can be compressed"));
    }
    let server = Server::start_with(&["--flush-after-seconds", "60"]);
    let took = drive(
        server.program.pid(),
        CLIENTS,
        &ours,
        &|client, step, body| {
            let writer = format!("bench-{client}/7a1f2c52-0000-4000-8000-000000000000");
            server.ingest("gpu_samples", &writer, step as u64 + 1, body).expect_status(200);
        },
        &|| std::thread::sleep(Duration::from_secs(65)),
    );
    let tables = server.data.join("tables");
    let raw = bytes_below(&tables.join("gpu_samples"));
    let derived = bytes_below(&tables) - raw;
    drop(server);
    let p99 = took.answers[took.answers.len() * 99 / 100].as_secs_f64();
    println!("clients used {:.2} cores while the server used {:.2} CPU s", took.client_share, took.cpu_until_answered);
    line("ack p99, seconds, against the limit", p99, 0.05, "<= 1");
    line("peak resident bytes, against 512 MB", took.peak_bytes, 512e6, "<= 1");
    println!("{:.0} samples per CPU second in all", samples / took.cpu_in_all);
    let ours = Ours { took, raw: raw / samples, with_derived: (raw + derived) / samples };
    compare("VictoriaMetrics", receivers::victoria_metrics(&theirs), &ours, samples);
    compare("Prometheus", receivers::prometheus(&theirs), &ours, samples);
}

/// What we took, and our bytes a sample.
struct Ours {
    took: Took,
    raw: f64,
    with_derived: f64,
}

fn compare(name: &str, peer: Option<(Took, f64)>, ours: &Ours, samples: f64) {
    let Some((theirs, their_bytes)) = peer else {
        println!("{name} is not installed");
        return;
    };
    println!("beside {name}, whose clients used {:.2} cores", theirs.client_share);
    let rate = |cpu: f64| samples / cpu;
    let took = &ours.took;
    line("samples per CPU s, to the answer", rate(took.cpu_until_answered), rate(theirs.cpu_until_answered), "");
    line("samples per CPU s, with flush, merge and hours", rate(took.cpu_in_all), rate(theirs.cpu_in_all), ">= 8");
    line("bytes per sample", ours.raw, their_bytes / samples, "<= 0.8");
    line("bytes per sample, with derived tables", ours.with_derived, their_bytes / samples, "");
    line("peak resident bytes", took.peak_bytes, theirs.peak_bytes, "");
}
