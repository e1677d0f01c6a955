//! Against peers on the same machine, in one run: VictoriaMetrics for ingest and disk, DuckDB and chDB for queries.
//!
//! `cargo xtask bench DAYS` gives the days of raw samples that the queries run over (default 2, with 0 there are no queries); a part whose peer is
//! not installed (Debian's `victoria-metrics`; the Python packages `duckdb` and `chdb`) says so and is left out.

use coulomb_tests::fleet::{self, Fleet, METRICS, Rows};
use coulomb_tests::{Program, Server, cpu_seconds, run, send, target_dir, workspace_root};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const GPUS: usize = 512;
const INTERVAL_MICROS: i64 = 10_000_000;
const DAY_MICROS: i64 = 86_400_000_000;
/// 2026-06-01.
const START_MICROS: i64 = 1_780_272_000_000_000;
/// Two hours of the fleet, a request a step, as a gateway of the fleet would send them.
const STEPS: usize = 720;
/// Requests under way at once; each client waits for its answers.
const CLIENTS: usize = 4;
/// Steps of one request where only the rows matter.
const STEPS_OF_A_BODY: usize = 60;
/// So long must a server have used next to nothing before it counts as done.
const QUIET: Duration = Duration::from_secs(12);

fn main() {
    let days = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(2_i64);
    println!("{:<52} {:>12} {:>12} {:>8} {:>8}", "what", "Coulomb", "peer", "ratio", "aim");
    ingest();
    if days > 0 {
        queries(days);
    }
}

/// `aim` is the ratio that was promised.
fn line(what: &str, ours: f64, peer: f64, aim: &str) {
    println!("{what:<52} {ours:>12.4} {peer:>12.4} {:>8.3} {aim:>8}", ours / peer);
}

/// The most memory that a process has held.
fn peak_bytes(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process has a status file");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("a live process has a VmHWM line");
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().expect("VmHWM is a number of kB") * 1024.0
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

/// What an ingest took.
struct Took {
    cpu_until_answered: f64,
    cpu_in_all: f64,
    client_share: f64,
    peak_bytes: f64,
    answers: Vec<Duration>,
}

/// Sends all bodies by some clients and waits until the server has nothing left to do.
fn drive(pid: u32, bodies: &[Vec<u8>], ask: &(dyn Fn(usize, usize, &[u8]) + Sync), settle: &dyn Fn()) -> Took {
    let (server_before, client_before, started) = (cpu_seconds(&pid.to_string()), cpu_seconds("self"), Instant::now());
    let mut answers: Vec<Duration> = std::thread::scope(|scope| {
        let client = |client: usize| {
            let own = bodies.iter().enumerate().skip(client).step_by(CLIENTS);
            let each = move |(step, body): (usize, &Vec<u8>)| {
                let started = Instant::now();
                ask(client, step, body);
                started.elapsed()
            };
            scope.spawn(move || own.map(each).collect::<Vec<_>>())
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
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

fn ingest() {
    let samples = (STEPS * GPUS * METRICS.len()) as f64;
    let (mut fleet, mut ours, mut theirs) = (Fleet::new(GPUS), Vec::new(), Vec::new());
    for step in 0..STEPS {
        fleet.advance();
        let time = START_MICROS + step as i64 * INTERVAL_MICROS;
        let mut rows = Rows::new();
        rows.add(&fleet, time);
        ours.push(rows.into_stream());
        let request = fleet::remote_write(&fleet, time / 1000);
        theirs.push(snap::raw::Encoder::new().compress_vec(&request).expect("a request can be compressed"));
    }
    let server = Server::start_with(&["--flush-after-seconds", "60"]);
    let took = drive(
        server.program.pid(),
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
    let p99 = took.answers[took.answers.len() * 99 / 100].as_secs_f64();
    println!("clients used {:.2} cores while the server used {:.2} CPU s", took.client_share, took.cpu_until_answered);
    line("ack p99, seconds, against the limit", p99, 0.05, "<= 1");
    line("peak resident bytes, against 512 MB", took.peak_bytes, 512e6, "<= 1");
    let Some(peer) = victoria_metrics(&theirs) else {
        println!("{:.0} samples per CPU second in all; victoria-metrics is not installed", samples / took.cpu_in_all);
        return;
    };
    let (theirs, their_bytes) = peer;
    println!("clients used {:.2} cores against VictoriaMetrics", theirs.client_share);
    let rate = |cpu: f64| samples / cpu;
    line("samples per CPU s, to the answer", rate(took.cpu_until_answered), rate(theirs.cpu_until_answered), "");
    line("samples per CPU s, with flush, merge and hours", rate(took.cpu_in_all), rate(theirs.cpu_in_all), ">= 8");
    line("bytes per sample", raw / samples, their_bytes / samples, "<= 0.8");
    line("bytes per sample, with derived tables", (raw + derived) / samples, their_bytes / samples, "");
    line("peak resident bytes", took.peak_bytes, theirs.peak_bytes, "");
}

/// What VictoriaMetrics took for the same samples, and its bytes on disk.
fn victoria_metrics(bodies: &[Vec<u8>]) -> Option<(Took, f64)> {
    let found = Command::new("victoria-metrics").arg("--version").output();
    found.ok()?;
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port is free");
    let mut command = Command::new("victoria-metrics");
    command.arg(format!("-httpListenAddr={free}")).arg(format!("-storageDataPath={}", data.path().display()));
    let program = Program::start(command.args(["-retentionPeriod=100y", "-loggerLevel=ERROR"]));
    let url = |path: &str| format!("http://{free}{path}");
    let end = Instant::now() + Duration::from_secs(20);
    while send("GET", &url("/health"), &[], b"").is_err() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
    let write = |_: usize, _: usize, body: &[u8]| {
        let answer = send("POST", &url("/api/v1/write"), &headers, body).expect("VictoriaMetrics answers");
        assert!(answer.status < 300, "{}", answer.text());
    };
    let settle = || {
        for path in ["/internal/force_flush", "/internal/force_merge"] {
            send("GET", &url(path), &[], b"").expect("VictoriaMetrics answers").expect_status(200);
        }
    };
    let took = drive(program.pid(), bodies, &write, &settle);
    settle();
    wait_until_quiet(program.pid());
    Some((took, bytes_below(&data.path().join("data")) + bytes_below(&data.path().join("indexdb"))))
}

/// A question: its name, our SQL on samples, our SQL on derived tables, DuckDB's and chDB's.
struct Question {
    name: &'static str,
    ours: &'static str,
    derived: Option<&'static str>,
    duckdb: &'static str,
    chdb: &'static str,
}

const QUESTIONS: [Question; 6] = [
    Question {
        name: "utilization of the fleet by hour",
        ours: "select date_trunc('hour', time) h, avg(gpu_busy_ratio) from gpu_samples group by 1 order by 1",
        derived: Some(
            "select time, sum(gpu_busy_ratio_sum) / sum(gpu_busy_ratio_count) from gpu_samples_1h group by 1 order by 1",
        ),
        duckdb: "select date_trunc('hour', time) h, avg(gpu_busy_ratio) from FILES group by 1 order by 1",
        chdb: "select toStartOfHour(time) h, avg(gpu_busy_ratio) from FILES group by 1 order by 1",
    },
    Question {
        name: "utilization by node",
        ours: "select node, avg(gpu_busy_ratio) from gpu_samples group by 1 order by 1",
        derived: Some(
            "select node, sum(gpu_busy_ratio_sum) / sum(gpu_busy_ratio_count) from gpu_samples_1h group by 1 order by 1",
        ),
        duckdb: "select node, avg(gpu_busy_ratio) from FILES group by 1 order by 1",
        chdb: "select node, avg(gpu_busy_ratio) from FILES group by 1 order by 1",
    },
    Question {
        name: "energy by job",
        ours: "select job_id, sum(power_watts * interval_seconds) from gpu_samples group by 1 order by 2 desc limit 20",
        derived: Some(
            "select job_id, sum(power_watts_integral) from gpu_samples_1h group by 1 order by 2 desc limit 20",
        ),
        duckdb: "select job_id, sum(power_watts * interval_seconds) from FILES group by 1 order by 2 desc limit 20",
        chdb: "select job_id, sum(power_watts * interval_seconds) from FILES group by 1 order by 2 desc limit 20",
    },
    Question {
        name: "last value of every GPU",
        ours: "select gpu_uuid, last_value(power_watts order by time) from gpu_samples group by 1 order by 1",
        derived: None,
        duckdb: "select gpu_uuid, arg_max(power_watts, time) from FILES group by 1 order by 1",
        chdb: "select gpu_uuid, argMax(power_watts, time) from FILES group by 1 order by 1",
    },
    Question {
        name: "one GPU raw for a day",
        ours: "select time, power_watts, gpu_busy_ratio from gpu_samples where gpu_uuid = 'UUID' and time >= 'FROM' and time < 'TO' order by time",
        derived: None,
        duckdb: "select time, power_watts, gpu_busy_ratio from FILES where gpu_uuid = 'UUID' and time >= 'FROM' and time < 'TO' order by time",
        chdb: "select time, power_watts, gpu_busy_ratio from FILES where gpu_uuid = 'UUID' and time >= parseDateTimeBestEffort('FROM') and time < parseDateTimeBestEffort('TO') order by time",
    },
    Question {
        name: "top 10 idle GPUs",
        ours: "select gpu_uuid, sum(interval_seconds) from gpu_samples where gpu_busy_ratio < 0.01 group by 1 order by 2 desc, 1 limit 10",
        derived: Some(
            "select gpu_uuid, sum(held_idle_seconds) from usage_hourly group by 1 order by 2 desc, 1 limit 10",
        ),
        duckdb: "select gpu_uuid, sum(interval_seconds) from FILES where gpu_busy_ratio < 0.01 group by 1 order by 2 desc, 1 limit 10",
        chdb: "select gpu_uuid, sum(interval_seconds) from FILES where gpu_busy_ratio < 0.01 group by 1 order by 2 desc, 1 limit 10",
    },
];

fn queries(days: i64) {
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let server = Server::start_in(data.path(), &["--flush-after-seconds", "60"]);
    let mut fleet = Fleet::new(GPUS);
    let steps = usize::try_from(days * DAY_MICROS / INTERVAL_MICROS).expect("days are positive");
    let started = Instant::now();
    for body in 0..steps / STEPS_OF_A_BODY {
        let mut rows = Rows::new();
        for step in body * STEPS_OF_A_BODY..(body + 1) * STEPS_OF_A_BODY {
            fleet.advance();
            rows.add(&fleet, START_MICROS + step as i64 * INTERVAL_MICROS);
        }
        let stream = rows.into_stream();
        let writer = "bench/7a1f2c52-0000-4000-8000-000000000000";
        while server.ingest("gpu_samples", writer, body as u64 + 1, &stream).status != 200 {
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    println!("{} rows over {days} days in {:.0} s", steps * GPUS, started.elapsed().as_secs_f64());
    std::thread::sleep(Duration::from_secs(65));
    wait_until_quiet(server.program.pid());
    println!("merged and summed up after {:.0} s", started.elapsed().as_secs_f64());
    drop(server);
    answers(data.path());
}

/// Each question on one core: the quickest of a few tries, with what was read before still in the system's cache.
fn answers(data: &Path) {
    let Some(peers) = peers(data) else { return };
    let server = Server::start_on_one_core(data);
    let quickest = |sql: &str| {
        let tries = (0..3).map(|_| {
            let started = Instant::now();
            let rows = server.query(sql).len();
            assert!(rows > 0, "{sql} answered nothing");
            started.elapsed().as_secs_f64()
        });
        tries.fold(f64::INFINITY, f64::min)
    };
    for (question, peer) in QUESTIONS.iter().zip(peers) {
        line(question.name, quickest(&filled(question.ours)), peer, "<= 1");
        if let Some(derived) = question.derived {
            line(&format!("{}, from hours", question.name), quickest(derived), peer, "<= 0.05");
        }
    }
}

/// For one GPU on the first day.
fn filled(sql: &str) -> String {
    let first_day = ("2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z");
    sql.replace("UUID", &fleet::uuid(77)).replace("FROM", first_day.0).replace("TO", first_day.1)
}

/// Seconds of the quicker of DuckDB and chDB for each question, one thread each, on the same files.
fn peers(data: &Path) -> Option<Vec<f64>> {
    let python = target_dir().join("python/bin/python");
    let questions: Vec<_> =
        QUESTIONS.iter().map(|q| serde_json::json!({"duckdb": filled(q.duckdb), "chdb": filled(q.chdb)})).collect();
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(python).arg(workspace_root().join("tests/python/peers.py"));
    command.arg(data.join("tables/gpu_samples")).arg(serde_json::Value::from(questions).to_string());
    let output = run(&mut command);
    if !output.status.success() {
        println!("DuckDB and chDB did not run: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the script prints JSON");
    let mut quickest = Vec::new();
    for (question, took) in QUESTIONS.iter().zip(answer.as_array().expect("one answer a question")) {
        let of = |peer: &str| took[peer].as_f64().unwrap_or(f64::INFINITY);
        println!("{}: DuckDB {:.3} s, chDB {:.3} s", question.name, of("duckdb"), of("chdb"));
        quickest.push(of("duckdb").min(of("chdb")));
    }
    Some(quickest)
}
