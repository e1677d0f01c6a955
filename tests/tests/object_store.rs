//! Tables in a bucket: the rows of a folder, also with requests that fail, kills, and two servers at once.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::ipc::writer::StreamWriter;
use coulomb_tests::{Bucket, Server, binary, run, target_dir, workspace_root};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SECRET: &str = "xyzzy-this-key-is-secret";
/// Of a change that a test waits for; a failed flush waits up to a minute before its next try.
const SEEN_AT_MOST: Duration = Duration::from_secs(150);
const TOO_MANY: &str = "too many of ";
const DAY_MICROS: i64 = 86_400_000_000;

fn command(data: &Path, endpoint: &str, tables: &str, flags: &[&str]) -> Command {
    let mut command = Server::serve_command(data, flags);
    command.args(["--tables", tables]).env("AWS_ENDPOINT_URL", endpoint).env("AWS_ALLOW_HTTP", "true");
    command.env("AWS_ACCESS_KEY_ID", "any").env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_REGION", "us-east-1");
    command
}

fn start(data: &Path, bucket: &Bucket, prefix: &str) -> Server {
    let mut command = command(data, &bucket.endpoint, &bucket.url(prefix), &["--flush-after-seconds", "1"]);
    Server::start_command(&mut command, data)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// Stops in good order; nothing that was said names the secret.
fn stop(mut server: Server) {
    assert!(server.program.stop(Duration::from_secs(60)), "the server did not stop well");
    assert!(!server.program.log().contains(SECRET), "the log holds a secret");
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + SEEN_AT_MOST;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within {SEEN_AT_MOST:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The value of a line of `/metrics`.
fn metric(server: &Server, name: &str) -> f64 {
    let text = server.get("/metrics").expect_status(200).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    line.unwrap_or_else(|| panic!("{name} is not in /metrics:\n{text}"))
}

/// Device events of one node whose codes are `rows`, over three days that are long over.
fn events(node: &str, rows: Range<i64>, message: &str) -> Vec<u8> {
    events_of(node, rows, |_| message.to_owned())
}

/// Text of so many bytes that does not compress.
fn scattered(seed: i64, bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = seed.unsigned_abs();
    let letters = (0..bytes).map(|_| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(LETTERS[(random >> 58) as usize])
    });
    letters.collect()
}

fn events_of(node: &str, rows: Range<i64>, message: impl Fn(i64) -> String) -> Vec<u8> {
    let messages = Arc::new(StringArray::from_iter_values(rows.clone().map(message))) as ArrayRef;
    let n = usize::try_from(rows.end - rows.start).expect("a range is not negative");
    let text = |value: &str| Arc::new(StringArray::from(vec![value; n])) as ArrayRef;
    let time = rows.clone().map(|row| 1_700_000_000_000_000 + row % 3 * DAY_MICROS + row % 1000);
    let batch = RecordBatch::try_from_iter([
        ("time", Arc::new(TimestampMicrosecondArray::from_iter_values(time).with_timezone("UTC")) as ArrayRef),
        ("cluster", text("c")),
        ("node", text(node)),
        ("kind", text("xid")),
        ("code", Arc::new(Int64Array::from_iter_values(rows))),
        ("severity", text("info")),
        ("message", messages),
    ]);
    let batch = batch.expect("the columns have one length");
    let mut out = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("memory takes bytes");
    out.write(&batch).and_then(|()| out.finish()).expect("memory takes bytes");
    out.into_inner().expect("memory takes bytes")
}

/// Sends the rows 0, 1, 2 … of one node; a batch is sent again until it is answered.
struct Node {
    name: String,
    sequence: u64,
    /// Acknowledged rows.
    rows: i64,
    unsure: i64,
}

impl Node {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), sequence: 0, rows: 0, unsure: 0 }
    }

    /// Until `stop` or until the server is gone.
    fn send_until(&mut self, server: (&str, &str), stop: &AtomicBool) {
        let (url, bearer) = server;
        let (path, writer) = (format!("{url}/v1/ingest/device_events"), format!("{}/boot", self.name));
        while !stop.load(Ordering::Relaxed) {
            let size = 1 + i64::try_from(self.sequence * 7 % 40).expect("it is below forty");
            self.unsure = size;
            let number = (self.sequence + 1).to_string();
            let headers = [("Authorization", bearer), ("Coulomb-Writer", &writer), ("Coulomb-Sequence", &number)];
            let body = events(&self.name, self.rows..self.rows + size, "a row of the test");
            let Ok(answer) = coulomb_tests::send("POST", &path, &headers, &body) else { return };
            if answer.status == 200 {
                (self.sequence, self.rows, self.unsure) = (self.sequence + 1, self.rows + size, 0);
            }
            std::thread::sleep(Duration::from_millis(15));
        }
    }
}

/// Lets each node send to its server for a while, then calls `end`.
fn load(pairs: Vec<(&Server, &mut [Node])>, time: Duration, end: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    let pairs: Vec<_> =
        pairs.into_iter().map(|(s, nodes)| (s.url.clone(), format!("Bearer {}", s.token), nodes)).collect();
    std::thread::scope(|scope| {
        for (url, bearer, nodes) in pairs {
            for node in nodes {
                let (url, bearer, stop) = (url.clone(), bearer.clone(), &stop);
                scope.spawn(move || node.send_until((&url, &bearer), stop));
            }
        }
        std::thread::sleep(time);
        end();
        stop.store(true, Ordering::Relaxed);
    });
}

/// What is wrong with the rows that the server shows, if anything: each node's are 0, 1, 2 …, each once.
fn faults_of<'a>(server: &Server, nodes: impl IntoIterator<Item = &'a Node>) -> Vec<String> {
    let sql = "select node, count(*), count(distinct code), coalesce(max(code), -1) from device_events group by node";
    let number = |cell: &String| cell.parse::<i64>().expect("a count is a number");
    let rows = server.query(sql).into_iter();
    let found: BTreeMap<String, Vec<i64>> =
        rows.map(|row| (row[0].clone(), row[1..].iter().map(number).collect())).collect();
    let mut faults = Vec::new();
    for node in nodes {
        let [count, distinct, max] = found.get(&node.name).map_or([0, 0, -1], |row| [row[0], row[1], row[2]]);
        // A batch that was kept but not answered may be there as well, whole.
        let expected = [node.rows, node.rows + node.unsure];
        if count != distinct || count != max + 1 || !expected.contains(&count) {
            faults.push(format!(
                "{}: {count} rows, {distinct} distinct, up to {max}; one of {expected:?} sent",
                node.name
            ));
        }
    }
    faults
}

fn kill(server: &Server) {
    let killed = run(Command::new("kill").args(["-KILL", &server.program.pid().to_string()]));
    assert!(killed.status.success(), "the server was gone before it was killed");
}

fn simulate(server: &Server, cluster: &str) {
    simulate_for(server, cluster, "2d");
}

fn simulate_for(server: &Server, cluster: &str, time: &str) {
    let mut fleet = Command::new(binary("coulomb-collector"));
    fleet.args(["simulate", "--gpus", "16", "--backfill", time, "--no-live", "--cluster", cluster]);
    fleet.args(["--until", "2026-09-01T00:00:00Z", "--server", &server.url]);
    let sent = run(fleet.arg("--token-file").arg(server.data.join("admin.token")));
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
}

#[test]
fn a_bucket_holds_the_rows_of_a_folder_and_others_read_it() {
    let bucket = Bucket::start();
    let (data, local) = (folder(), Server::start());
    let mut server = start(data.path(), &bucket, "fleet/tables");
    // Two histories of the same days, so that each day has more than one file.
    for cluster in ["a", "b"] {
        for server in [&server, &local] {
            simulate(server, cluster);
        }
        // Texts that do not compress, so that files go in parts.
        let large = events_of("n", 0..9, |row| scattered(row, 4 << 20));
        let sequence = if cluster == "a" { 1 } else { 2 };
        for server in [&server, &local] {
            server.ingest("device_events", "n/boot", sequence, &large).expect_status(200);
        }
        stop(server);
        server = start(data.path(), &bucket, "fleet/tables");
    }
    assert!(!data.path().join("tables").exists(), "tables lie in the data directory");
    wait_until("a merge", || metric(&server, "coulomb_store_merges_total") > 0.0);
    for table in ["gpu_samples", "host_samples", "job_events", "device_events", "process_samples"] {
        let sql = format!("select cluster, count(*), min(time), max(time) from {table} group by 1 order by 1");
        let rows = server.query(&format!("select count(*) from {table}"));
        assert_ne!(rows[0][0], "0", "there are no {table}");
        assert_eq!(server.query(&sql), local.query(&sql), "{table}");
    }
    let sql =
        "select gpu_uuid, sum(memory_used_bytes), max(energy_joules_total) from gpu_samples group by 1 order by 1";
    assert_eq!(server.query(sql), local.query(sql));
    let mut readers = Command::new(target_dir().join("python/bin/python"));
    readers.arg(workspace_root().join("tests/python/readers.py")).arg(&server.url).arg(&server.token);
    let read = run(readers.arg(bucket.url("fleet/tables")).arg(&bucket.direct));
    let said = String::from_utf8_lossy(&read.stderr).into_owned();
    assert!(read.status.success() && said.ends_with("OK\n"), "{said}");
    stop(server);
}

#[test]
fn kills_and_requests_that_fail_lose_no_row_and_double_none() {
    let bucket = Bucket::start();
    let data = folder();
    let mut nodes = [Node::new("n0"), Node::new("n1")];
    let mut random = 7_u64;
    for round in 0..10 {
        // A start gives up when a request fails too often, so it gets a bucket that does not.
        bucket.set_faults(0);
        let server = start(data.path(), &bucket, "t");
        if round % 3 == 0 {
            assert_eq!(faults_of(&server, &nodes), Vec::<String>::new(), "round {round}; {:?}", bucket.faults());
        }
        bucket.set_faults(150);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let time = Duration::from_millis(400 + (random >> 33) % 2_400);
        load(vec![(&server, &mut nodes)], time, || kill(&server));
    }
    bucket.set_faults(0);
    let server = start(data.path(), &bucket, "t");
    load(vec![(&server, &mut nodes)], Duration::from_secs(1), || ());
    assert_eq!(faults_of(&server, &nodes), Vec::<String>::new());
    stop(server);
    let server = start(data.path(), &bucket, "t");
    assert_eq!(faults_of(&server, &nodes), Vec::<String>::new());
    println!("{} rows; faults: {:?}", nodes.iter().map(|n| n.rows).sum::<i64>(), bucket.faults());
    assert!(bucket.faults().iter().all(|(_, made)| *made > 0), "not every fault was made: {:?}", bucket.faults());
    stop(server);
}

#[test]
fn two_servers_share_tables_and_both_show_every_row_once() {
    let bucket = Bucket::start();
    let (dir_a, dir_b) = (folder(), folder());
    let (mut a_nodes, mut b_nodes) = ([Node::new("a0"), Node::new("a1")], [Node::new("b0"), Node::new("b1")]);
    let (mut a, mut b) = (start(dir_a.path(), &bucket, "t"), start(dir_b.path(), &bucket, "t"));
    bucket.set_faults(40);
    let mut merges = [0.0; 2];
    for round in 0..2 {
        load(vec![(&a, &mut a_nodes), (&b, &mut b_nodes)], Duration::from_secs(8), || ());
        merges[0] += metric(&a, "coulomb_store_merges_total");
        merges[1] += metric(&b, "coulomb_store_merges_total");
        if round == 0 {
            b.program.kill();
            bucket.set_faults(0);
            b = start(dir_b.path(), &bucket, "t");
            bucket.set_faults(40);
        }
    }
    bucket.set_faults(0);
    for server in [&a, &b] {
        let nodes = || a_nodes.iter().chain(&b_nodes);
        let mut faults = Vec::new();
        let end = Instant::now() + SEEN_AT_MOST;
        while Instant::now() < end {
            faults = faults_of(server, nodes());
            // More than was sent is never right.
            let more = faults.iter().any(|fault| fault.starts_with(TOO_MANY));
            if faults.is_empty() || more {
                break;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        assert!(faults.is_empty(), "{faults:?}; the server said:\n{}", server.program.log());
    }
    println!("merges: {merges:?}; faults: {:?}", bucket.faults());
    assert!(merges.iter().sum::<f64>() > 0.0, "nothing was merged");
    stop(a);
    stop(b);
    // Also as the tables say, whoever reads them.
    let dir_c = folder();
    a = start(dir_a.path(), &bucket, "t");
    b = start(dir_c.path(), &bucket, "t");
    for server in [&a, &b] {
        assert_eq!(faults_of(server, a_nodes.iter().chain(&b_nodes)), Vec::<String>::new());
    }
    stop(a);
    stop(b);
}

/// What derived tables say, in numbers that do not depend on the order of adding.
fn derived_answers(server: &Server) -> Vec<Vec<Vec<String>>> {
    let whole = |columns: &[&str]| -> String {
        columns.iter().map(|column| format!(", sum(cast(round({column}) as bigint))")).collect()
    };
    let states = ["active", "held_idle", "held_empty", "unallocated", "down", "unknown"];
    let states: Vec<String> = states.iter().map(|state| format!("{state}_seconds * 1000")).collect();
    let states: Vec<&str> = states.iter().map(String::as_str).collect();
    let hours = whole(&["gpu_busy_ratio_sum * 1000", "energy_joules_increase", "power_watts_max"]);
    let questions = [
        format!("select cluster, count(*), sum(sample_count){hours} from gpu_samples_1h group by 1 order by 1"),
        "select cluster, count(*), sum(sample_count) from host_samples_1h group by 1 order by 1".to_owned(),
        format!("select cluster, count(*){} from usage_hourly group by 1 order by 1", whole(&states)),
        "select cluster, count(*), sum(cost_micros) from ledger group by 1 order by 1".to_owned(),
    ];
    questions.iter().map(|sql| server.query(sql)).collect()
}

#[test]
fn two_servers_derive_what_one_derives_on_a_disk() {
    let bucket = Bucket::start();
    let (dir_a, dir_b, local) = (folder(), folder(), Server::start_with(&["--flush-after-seconds", "1"]));
    let (mut a, mut b) = (start(dir_a.path(), &bucket, "t"), start(dir_b.path(), &bucket, "t"));
    let prices = dir_a.path().join("prices.csv");
    let header = "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour";
    std::fs::write(&prices, format!("{header}\n2026-01-01,,,,,,,,on_demand,USD,2.50\n"))
        .expect("a file can be written");
    let state_prices = |server: &Server| {
        let stated = run(server.command(&["import", "prices"]).arg(&prices));
        assert!(stated.status.success(), "{}", String::from_utf8_lossy(&stated.stderr));
    };
    bucket.set_faults(20);
    for (cluster, server) in [("a", &a), ("b", &b)] {
        simulate_for(server, cluster, "4h");
        simulate_for(&local, cluster, "4h");
    }
    // One server hears it from the other.
    state_prices(&a);
    state_prices(&local);
    std::thread::sleep(Duration::from_secs(8));
    kill(&b);
    drop(b);
    bucket.set_faults(0);
    b = start(dir_b.path(), &bucket, "t");
    let agree = |servers: [&Server; 2], rows_of_hours: u64| {
        let mut found = Vec::new();
        let hours = || local.query_count("select coalesce(sum(sample_count), 0) from gpu_samples_1h");
        wait_until("the hours of a disk", || hours() == rows_of_hours);
        let end = Instant::now() + SEEN_AT_MOST;
        loop {
            let expected = derived_answers(&local);
            if expected[3].iter().all(|row| row[2] != "0")
                && servers.iter().all(|s| {
                    found = derived_answers(s);
                    found == expected
                })
            {
                return;
            }
            let said = || servers.map(|server| server.program.log());
            assert!(Instant::now() < end, "{found:?} is not {expected:?}; the servers said {:?}", said());
            std::thread::sleep(Duration::from_millis(500));
        }
    };
    let sent = |server: &Server| server.query_count("select count(*) from gpu_samples");
    agree([&a, &b], sent(&local));
    // Late rows of days that both have derived.
    simulate_for(&b, "c", "3h");
    simulate_for(&local, "c", "3h");
    agree([&a, &b], sent(&local));
    stop(a);
    let dir_c = folder();
    a = start(dir_c.path(), &bucket, "t");
    assert_eq!(derived_answers(&a), derived_answers(&local), "a third server sees what was derived");
    stop(a);
    stop(b);
    stop(local);
}

#[test]
fn an_outage_is_waited_out_without_a_restart() {
    let bucket = Bucket::start();
    let data = folder();
    let server = start(data.path(), &bucket, "t");
    bucket.set_down(true);
    let message = "x".repeat(1 << 20);
    // Until memory is full.
    let mut kept = 0;
    loop {
        let rows = kept * 40..kept * 40 + 40;
        let answer = server.ingest("device_events", "n/boot", kept as u64 + 1, &events("n", rows, &message));
        if answer.status == 429 {
            assert!(answer.header("Retry-After").is_some(), "{answer:?}");
            break;
        }
        answer.expect_status(200);
        kept += 1;
        assert!(kept < 30, "memory has no bound");
    }
    assert!(kept > 5, "memory took {kept} bodies only");
    wait_until("a failed flush", || metric(&server, "coulomb_store_flush_failures_total") > 0.0);
    server.get("/health/ready").expect_status(200);
    let rows = |server: &Server| server.query_count("select count(distinct code) from device_events");
    assert_eq!(rows(&server), kept as u64 * 40, "what is in memory is shown");
    bucket.set_down(false);
    wait_until("a flush", || metric(&server, "coulomb_store_flushes_total") > 0.0);
    let more = events("n", kept * 40..kept * 40 + 40, "y");
    server.ingest("device_events", "n/boot", kept as u64 + 1, &more).expect_status(200);
    assert_eq!(rows(&server), kept as u64 * 40 + 40);
    // A query of rows that are in files only says which it cannot read.
    wait_until("the last flush", || metric(&server, "coulomb_store_hot_rows{table=\"device_events\"}") == 0.0);
    bucket.set_down(true);
    let sql = serde_json::json!({ "sql": "select max(message) from device_events where node = 'n'" }).to_string();
    let answer = server.request("POST", "/api/v1/query", &[("Content-Type", "application/json")], sql.as_bytes());
    let said = answer.expect_status(503).text();
    // As its path, or as the address that was asked for.
    let said = said.replace("%3D", "=");
    assert!(said.contains("device_events/day=2023-11-"), "{said}");
    bucket.set_down(false);
    // Who asked while it came back may have been told to ask again.
    let asks = || server.request("POST", "/api/v1/query", &[("Content-Type", "application/json")], sql.as_bytes());
    wait_until("an answer out of the bucket", || asks().status == 200);
    assert_eq!(rows(&server), kept as u64 * 40 + 40);
    stop(server);
}

#[test]
fn a_start_that_cannot_work_says_why_in_a_line() {
    let bucket = Bucket::start();
    let data = folder();
    let fails = |endpoint: &str, tables: &str, part: &str| {
        let begin = Instant::now();
        let output = run(&mut command(data.path(), endpoint, tables, &[]));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "it started with {tables} at {endpoint}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.starts_with("coulomb: ") && last.contains(part) && last.contains(tables), "{part}: {said}");
        assert!(!said.contains(SECRET) && last.len() < 900, "{said}");
        assert!(begin.elapsed() < Duration::from_secs(50), "it took {:?}", begin.elapsed());
    };
    fails(&bucket.endpoint, "s3://no-such-bucket/t", "NoSuchBucket");
    fails("http://127.0.0.1:9", &bucket.url("t"), "refused");
    fails(&bucket.endpoint, "s4://bucket", "s3://");
    bucket.set_down(true);
    fails(&bucket.endpoint, &bucket.url("t"), "use the tables");
    bucket.set_down(false);
    // Rows in the log belong to the tables that they came for.
    let server = Server::start_in(data.path(), &["--flush-after-seconds", "3600"]);
    server.ingest("device_events", "n/boot", 1, &events("n", 0..10, "z")).expect_status(200);
    kill(&server);
    drop(server);
    fails(&bucket.endpoint, &bucket.url("t"), "start once with the tables at the data directory");
    stop(Server::start_in(data.path(), &[]));
    let server = start(data.path(), &bucket, "t");
    assert_eq!(server.query_count("select count(*) from device_events"), 0);
    // This writer's rows are not taken twice, wherever they are.
    let again = server.ingest("device_events", "n/boot", 1, &events("n", 0..10, "z")).expect_status(200).json();
    assert_eq!(again["duplicate"], true);
    stop(server);
}
