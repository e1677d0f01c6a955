//! How fast rows go in and answers come out, and what a collector costs, against the limits that were promised.
//!
//! `cargo xtask bench` builds for release and runs this; each line is a figure, its limit and their ratio.

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::ipc::writer::StreamWriter;
use coulomb_tests::{Program, Server, binary, cpu_seconds, workspace_root};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const GPUS: usize = 2_000;
/// A month of one-minute rows of these GPUs would be 86 million; a hundredth shows the rate.
const REQUESTS: usize = 400;
const STEP_MICROS: i64 = 60_000_000;
/// 2026-01-01.
const START_MICROS: i64 = 1_767_225_600_000_000;

/// 10,000 GPUs at a row a second, the largest fleet of the design.
const INGEST_ROWS_PER_SECOND: f64 = 10_000.0;
/// A page answers while its user still looks at it.
const QUERY_SECONDS: f64 = 1.0;
/// What a collector may take from a node at 1 Hz.
const COLLECTOR_CORE_RATIO: f64 = 0.005;
const COLLECTOR_RESIDENT_BYTES: f64 = 25e6;
const COLLECTOR_WATCHED: Duration = Duration::from_secs(60);

fn main() {
    println!("{:<44} {:>14} {:>14} {:>8}", "what", "measured", "limit", "ratio");
    let server = Server::start();
    ingest(&server);
    queries(&server);
    collector(&server);
}

fn line(what: &str, measured: f64, limit: f64) {
    println!("{what:<44} {measured:>14.3} {limit:>14.3} {:>8.2}", measured / limit);
}

/// One row a GPU, as a large collector batch; all are encoded before the clock starts.
fn batch(step: usize) -> Vec<u8> {
    let text =
        |of: &dyn Fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..GPUS).map(of))) };
    let numbers =
        |of: &dyn Fn(usize) -> f64| -> ArrayRef { Arc::new(Float64Array::from_iter_values((0..GPUS).map(of))) };
    let time = START_MICROS + STEP_MICROS * i64::try_from(step).expect("there are few steps");
    let time = TimestampMicrosecondArray::from_value(time, GPUS).with_timezone("UTC");
    let index = Int64Array::from_iter_values((0..GPUS).map(|gpu| (gpu % 8) as i64));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(time)),
        ("interval_seconds", numbers(&|_| 60.0)),
        ("cluster", text(&|_| "bench".to_owned())),
        ("node", text(&|gpu| format!("node-{:04}", gpu / 8))),
        ("gpu_uuid", text(&|gpu| format!("GPU-{gpu:08}"))),
        ("gpu_index", Arc::new(index)),
        ("gpu_model", text(&|_| "H200".to_owned())),
        ("gpu_busy_ratio", numbers(&|gpu| ((gpu * 7 + step * 13) % 101) as f64 / 100.0)),
        ("power_watts", numbers(&|gpu| 80.0 + ((gpu * 31 + step * 17) % 620) as f64)),
        ("energy_joules_total", numbers(&|gpu| (step * 24_000 + gpu) as f64)),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("all columns have one row a GPU");
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("the schema can be written");
    writer.write(&batch).expect("a batch can be written to memory");
    writer.into_inner().expect("a stream can be ended")
}

fn ingest(server: &Server) {
    let bodies: Vec<Vec<u8>> = (0..REQUESTS).map(batch).collect();
    let started = Instant::now();
    // Four writers at once, as the group commit expects them; each waits for its answer.
    std::thread::scope(|scope| {
        for (writer, bodies) in bodies.chunks(REQUESTS / 4).enumerate() {
            scope.spawn(move || {
                let writer = format!("bench-{writer}/7a1f2c52-0000-4000-8000-000000000000");
                for (sequence, body) in bodies.iter().enumerate() {
                    server.ingest("gpu_samples", &writer, sequence as u64 + 1, body).expect_status(200);
                }
            });
        }
    });
    let rate = (REQUESTS * GPUS) as f64 / started.elapsed().as_secs_f64();
    line("ingest, rows acknowledged per second", rate, INGEST_ROWS_PER_SECOND);
}

fn queries(server: &Server) {
    let questions = [
        ("count of all rows, seconds", "SELECT count(*) FROM gpu_samples"),
        ("mean by node, seconds", "SELECT node, avg(gpu_busy_ratio) FROM gpu_samples GROUP BY node"),
        (
            "power by hour, seconds",
            "SELECT date_trunc('hour', time), sum(power_watts) FROM gpu_samples GROUP BY 1 ORDER BY 1",
        ),
        ("one GPU, seconds", "SELECT time, power_watts FROM gpu_samples WHERE gpu_uuid = 'GPU-00000042'"),
    ];
    for (what, sql) in questions {
        server.query(sql);
        let started = Instant::now();
        server.query(sql);
        line(what, started.elapsed().as_secs_f64(), QUERY_SECONDS);
    }
}

/// The scripted NVML library with eight busy GPUs; `None`, and the host alone is measured, without a C compiler.
fn eight_gpus(dir: &Path) -> Option<(PathBuf, PathBuf)> {
    let (library, script) = (dir.join("libnvidia-ml-stub.so"), dir.join("script"));
    let source = workspace_root().join("tests/nvml-stub/stub.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
    if !built.is_ok_and(|status| status.success()) {
        println!("no C compiler: the collector is measured without GPUs");
        return None;
    }
    let facts = "gpu_busy 97,memory_busy 40,memory_used 1073741824,memory_total 85899345920,power 300500,\
                 power_limit 700000,energy 123456789,temperature 55,sm_clock 1980,memory_clock 2619,throttle 4,\
                 ecc_corrected 3,ecc_uncorrected 0,field_82 61,field_197 1000,field_198 2000,field_138 10,\
                 field_139 20,field32_142 1,field32_143 2,mig 0,gpm 1,gpm_2 50.5,gpm_3 25,gpm_5 12.5,gpm_10 75,\
                 process 1 1000,process_busy 1 50,link_0 1,link_1 1";
    let mut text = String::from("system count 8\n");
    for gpu in 0..8 {
        text.push_str(&format!("{gpu} uuid GPU-{gpu}\n{gpu} name NVIDIA H100 80GB HBM3\n"));
        facts.split(',').for_each(|fact| text.push_str(&format!("{gpu} {}\n", fact.trim())));
    }
    std::fs::write(&script, text).expect("a temporary file can be written");
    Some((library, script))
}

fn collector(server: &Server) {
    let spool = tempfile::tempdir().expect("a temporary folder can be made");
    let mut command = Command::new(binary("coulomb-collector"));
    command.args(["run", "--interval", "1s", "--server", &server.url]);
    command.arg("--token-file").arg(server.data.join("admin.token")).arg("--spool").arg(spool.path().join("spool"));
    if let Some((library, script)) = eight_gpus(spool.path()) {
        command.arg("--nvml-library").arg(library).env("NVML_STUB", script);
    }
    let program = Program::start(&mut command);
    std::thread::sleep(Duration::from_secs(2));
    let before = cpu_seconds(&program.pid().to_string());
    std::thread::sleep(COLLECTOR_WATCHED);
    let ratio = (cpu_seconds(&program.pid().to_string()) - before) / COLLECTOR_WATCHED.as_secs_f64();
    line("collector, 8 GPUs at 1 Hz, part of a core", ratio, COLLECTOR_CORE_RATIO);
    line("collector, resident bytes", program.resident_bytes() as f64, COLLECTOR_RESIDENT_BYTES);
}
