//! The ledger of a month of 1,000 GPUs and 50,000 jobs: how long it takes to compute from the hours of use, and to ask
//! by each dimension, DuckDB asking the same rows.

use crate::questions::{ToPeers, cpu_of_threads, peers};
use crate::{DAY_MICROS, START_MICROS, line, wait_until_quiet};
use arrow::array::{
    ArrayRef, Float64Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::ipc::writer::StreamWriter;
use coulomb_tests::{Server, cpu_seconds};
use std::sync::Arc;
use std::time::Duration;

const NODES: usize = 125;
const GPUS_OF_A_NODE: usize = 8;
const DAYS: i64 = 30;
/// Of a GPU whose jobs take one GPU each, and of a node whose jobs take all.
const JOBS_OF_A_GPU: i64 = 60;
const JOBS_OF_A_NODE: i64 = 80;
/// Nodes whose jobs take all GPUs; with those of the others there are 50,000 jobs.
const WHOLE_NODES: usize = 25;
/// The ledger knows hours of use: samples are sparse, and each states how long it stands for.
const STEP_MICROS: i64 = 300_000_000;
const STEPS_OF_A_BODY: i64 = 36;
/// Months are computed from their hours of use on one core within so many seconds.
const COMPUTED_SECONDS: f64 = 10.0;
const ASKED_SECONDS: f64 = 0.1;
/// Tries of each question; the least counts.
const TRIES: usize = 7;
/// After the last row: a flush, and what follows it.
const FLUSH_AND_MORE: Duration = Duration::from_secs(40);
const STOP_AT_MOST: Duration = Duration::from_secs(60);
const BOOK: &str = "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour\n\
                    ,2026-06-11,,,,,,,on_demand,USD,2.493\n2026-06-11,,,,,,,,on_demand,USD,2.381\n";
const DIMENSIONS: [&str; 8] = ["team", "queue", "\"user\"", "account", "node", "state", "category", "job_id"];

/// A job on GPUs `[first, first + gpus)` of the fleet.
struct Job {
    id: String,
    first: usize,
    gpus: usize,
    started_micros: i64,
    ended_micros: i64,
}

/// Every GPU is given one job after the other, with pauses of a tenth; none starts on the hour.
fn jobs() -> Vec<Job> {
    let (mut jobs, month) = (Vec::new(), DAYS * DAY_MICROS);
    let mut fill = |first: usize, gpus: usize, count: i64| {
        for i in 0..count {
            let turn = month / count;
            let started_micros = START_MICROS + i * turn + (first as i64 * 7_919 % 3_000) * 1_000_000;
            let ended_micros = (started_micros + turn * 9 / 10).min(START_MICROS + month - 1);
            jobs.push(Job { id: format!("{}", 1_000_000 + jobs.len()), first, gpus, started_micros, ended_micros });
        }
    };
    (0..WHOLE_NODES).for_each(|node| fill(node * GPUS_OF_A_NODE, GPUS_OF_A_NODE, JOBS_OF_A_NODE));
    (WHOLE_NODES * GPUS_OF_A_NODE..NODES * GPUS_OF_A_NODE).for_each(|gpu| fill(gpu, 1, JOBS_OF_A_GPU));
    jobs
}

fn node(gpu: usize) -> String {
    format!("node-{:03}", gpu / GPUS_OF_A_NODE)
}

fn uuid(gpu: usize) -> String {
    format!("GPU-00000000-0000-4000-8000-{gpu:012}")
}

fn stream(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).expect("all columns have the same length");
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("the schema can be written");
    writer.write(&batch).expect("a batch can be written to memory");
    writer.into_inner().expect("a stream can be ended")
}

fn texts<T: AsRef<str>>(values: impl Iterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}

fn ended(jobs: &[Job]) -> Vec<u8> {
    let counts = |of: &dyn Fn(&Job) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(jobs.iter().map(of))) };
    let lists = |of: &dyn Fn(usize) -> String| -> ArrayRef {
        let list = |job: &Job| {
            let mut names: Vec<Option<String>> = (job.first..job.first + job.gpus).map(|gpu| Some(of(gpu))).collect();
            names.dedup();
            Some(names)
        };
        let mut made = ListBuilder::new(StringBuilder::new());
        for names in jobs.iter().map(list) {
            made.append_option(names);
        }
        Arc::new(made.finish())
    };
    stream(vec![
        ("time", times(jobs.iter().map(|job| job.ended_micros))),
        ("cluster", texts(jobs.iter().map(|_| "bench"))),
        ("job_id", texts(jobs.iter().map(|job| &job.id))),
        ("attempt", counts(&|_| 0)),
        ("kind", texts(jobs.iter().map(|_| "ended"))),
        ("state", texts(jobs.iter().map(|_| "COMPLETED"))),
        ("name", texts(jobs.iter().map(|job| format!("train-{}", job.first % 40)))),
        ("user", texts(jobs.iter().map(|job| format!("user-{:03}", job.first % 211)))),
        ("account", texts(jobs.iter().map(|job| format!("account-{:02}", job.first % 24)))),
        ("queue", texts(jobs.iter().map(|job| if job.gpus > 1 { "large" } else { "small" }))),
        ("gpus_requested", counts(&|job| job.gpus as i64)),
        ("started_at", times(jobs.iter().map(|job| job.started_micros))),
        ("ended_at", times(jobs.iter().map(|job| job.ended_micros))),
        ("nodes", lists(&node)),
        ("gpu_uuids", lists(&uuid)),
    ])
}

/// Rows of all GPUs at some steps. A job's first tenth is idle.
fn samples(on_gpu: &[Vec<&Job>], steps: std::ops::Range<i64>) -> Vec<u8> {
    let of_step = |step: i64| {
        let time = START_MICROS + (step + 1) * STEP_MICROS;
        on_gpu.iter().enumerate().map(move |(gpu, jobs)| {
            let after = jobs.partition_point(|job| job.started_micros < time);
            let job = after.checked_sub(1).map(|at| jobs[at]).filter(|job| time <= job.ended_micros);
            (time, gpu, job)
        })
    };
    let rows: Vec<(i64, usize, Option<&Job>)> = steps.flat_map(of_step).collect();
    let busy = |(time, gpu, job): &(i64, usize, Option<&Job>)| match job {
        Some(job) if time - job.started_micros < (job.ended_micros - job.started_micros) / 10 => 0.0,
        Some(_) => 0.2 + ((*gpu as i64 * 31 + time / STEP_MICROS * 17) % 80) as f64 / 100.0,
        None => 0.0,
    };
    let numbers = |of: &dyn Fn(&(i64, usize, Option<&Job>)) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(of)))
    };
    let counts = |of: &dyn Fn(&(i64, usize, Option<&Job>)) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
    };
    let job_ids: StringArray = rows.iter().map(|(_, _, job)| job.map(|job| job.id.as_str())).collect();
    stream(vec![
        ("time", times(rows.iter().map(|(time, _, _)| *time))),
        ("interval_seconds", numbers(&|_| STEP_MICROS as f64 / 1e6)),
        ("cluster", texts(rows.iter().map(|_| "bench"))),
        ("node", texts(rows.iter().map(|(_, gpu, _)| node(*gpu)))),
        ("gpu_uuid", texts(rows.iter().map(|(_, gpu, _)| uuid(*gpu)))),
        ("gpu_index", counts(&|(_, gpu, _)| (gpu % GPUS_OF_A_NODE) as i64)),
        ("gpu_model", texts(rows.iter().map(|_| "NVIDIA H100 80GB HBM3"))),
        ("process_count", counts(&|(_, _, job)| i64::from(job.is_some()))),
        ("gpu_busy_ratio", numbers(&busy)),
        ("sm_active_ratio", numbers(&|row| busy(row) * 0.7)),
        ("tensor_active_ratio", numbers(&|row| busy(row) * 0.4)),
        ("power_watts", numbers(&|row| 90.0 + 600.0 * busy(row))),
        ("job_id", Arc::new(job_ids)),
    ])
}

/// Sends the month, and waits until its hours of use are there.
fn send(server: &Server, jobs: &[Job]) {
    let mut on_gpu: Vec<Vec<&Job>> = vec![Vec::new(); NODES * GPUS_OF_A_NODE];
    for job in jobs {
        (job.first..job.first + job.gpus).for_each(|gpu| on_gpu[gpu].push(job));
    }
    let steps = DAYS * DAY_MICROS / STEP_MICROS;
    let mut sequence = 0;
    let mut put = |table: &str, body: Vec<u8>| {
        sequence += 1;
        let writer = "bench/7a1f2c52-0000-4000-8000-000000000001";
        // It says no while too much waits for a flush.
        while server.ingest(table, writer, sequence, &body).status != 200 {
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    jobs.chunks(10_000).for_each(|jobs| put("job_events", ended(jobs)));
    for first in (0..steps).step_by(STEPS_OF_A_BODY as usize) {
        put("gpu_samples", samples(&on_gpu, first..steps.min(first + STEPS_OF_A_BODY)));
    }
    std::thread::sleep(FLUSH_AND_MORE);
    wait_until_quiet(server.program.pid());
    // A GPU counts for a week after its last row.
    let hours = server.query_count("select count(distinct time) from usage_hourly");
    assert_eq!(hours as i64, DAYS * 24 + 7 * 24 + 1, "all hours of use are there");
}

pub(crate) fn ledger() {
    let jobs = jobs();
    let data = tempfile::Builder::new().prefix("coulomb-bench-").tempdir().expect("a temporary folder can be made");
    let mut server = Server::start_in(data.path(), &["--flush-after-seconds", "30"]);
    send(&server, &jobs);
    assert!(server.program.stop(STOP_AT_MOST), "the server did not stop well");
    let server = Server::start_on_one_core(data.path());
    wait_until_quiet(server.program.pid());
    let pid = server.program.pid().to_string();
    let before = cpu_seconds(&pid);
    server.request("PUT", "/api/v1/documents/prices/bench.csv", &[], BOOK.as_bytes()).expect_status(200);
    server.request("POST", "/api/v1/ledger/refresh", &[], b"").expect_status(204);
    let took = cpu_seconds(&pid) - before;
    let rows = server.query_count("select count(*) from ledger");
    let cost =
        server.query_count("select sum(cost_micros) from ledger where period = '2026-06' and time < '2026-07-01'");
    let hours = (NODES * GPUS_OF_A_NODE) as u64 * 24;
    assert_eq!(cost, hours * (10 * 2_493_000 + 20 * 2_381_000), "the ledger sums to the price");
    println!("{} jobs, {rows} rows of the ledger", jobs.len());
    line("ledger of a month, CPU seconds", took, COMPUTED_SECONDS, "<= 1");
    ask(&server);
}

fn ask(server: &Server) {
    let sql = |dimension: &str| {
        format!("select {dimension}, sum(cost_micros), sum(quantity) from ledger group by 1 order by 2 desc limit 100")
    };
    let to_peers = DIMENSIONS.map(|by| {
        let sql = sql(by).replace("ledger", "FILES");
        ToPeers { name: by, duckdb: sql.clone(), chdb: sql }
    });
    let peers = peers(&server.data.join("tables/ledger_open"), &to_peers);
    for (i, dimension) in DIMENSIONS.iter().enumerate() {
        let tries = (0..TRIES).map(|_| {
            let before = cpu_of_threads(server.program.pid());
            assert!(!server.query(&sql(dimension)).is_empty());
            cpu_of_threads(server.program.pid()) - before
        });
        let took = tries.fold(f64::INFINITY, f64::min);
        line(&format!("cost of a month by {dimension}, seconds"), took, ASKED_SECONDS, "<= 1");
        if let Some(peers) = &peers {
            line(&format!("cost of a month by {dimension}, DuckDB"), took, peers[i], "");
        }
    }
}
