//! Services of inference from spans to money and replicas: bills that are told apart to the micro, the reference's
//! trace, and KEDA's client.

use coulomb_tests::{Server, run, target_dir, workspace_root};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Spans of one body.
const SPANS: usize = 2_000;
const MICROS: i64 = 1_000_000;
const HOUR: i64 = 3_600 * MICROS;
/// Services are looked at twice a minute, and hours derived soon after they are in files.
const SEEN_AT_MOST: Duration = Duration::from_secs(180);

/// A request, as a span tells of it.
struct Request {
    service: &'static str,
    micros: i64,
    tenant: Option<String>,
    input: u64,
    cached: Option<u64>,
    output: u64,
    queue: Option<f64>,
    first: Option<f64>,
    duration: f64,
    error: Option<&'static str>,
}

impl Request {
    fn span(&self, number: usize) -> Value {
        let attribute = |key: &str, value: Value| json!({ "key": key, "value": value });
        let mut attributes = vec![
            attribute("gen_ai.operation.name", json!({ "stringValue": "chat" })),
            attribute("gen_ai.request.model", json!({ "stringValue": format!("{}-model", self.service) })),
            attribute("gen_ai.usage.input_tokens", json!({ "intValue": self.input })),
            attribute("gen_ai.usage.output_tokens", json!({ "intValue": self.output })),
        ];
        let tenant = self.tenant.iter().map(|name| attribute("coulomb.tenant", json!({ "stringValue": name })));
        let cached = self.cached.map(|n| attribute("gen_ai.usage.cache_read.input_tokens", json!({ "intValue": n })));
        let queue = self.queue.map(|s| attribute("coulomb.queue_seconds", json!({ "doubleValue": s })));
        let first = self.first.map(|s| attribute("gen_ai.response.time_to_first_chunk", json!({ "doubleValue": s })));
        let error = self.error.map(|kind| attribute("error.type", json!({ "stringValue": kind })));
        attributes.extend(tenant.chain(cached).chain(queue).chain(first).chain(error));
        let start = self.micros * 1000;
        json!({
            "traceId": format!("{:032x}", number + 1), "spanId": format!("{:016x}", number + 1), "name": "chat", "kind": 2,
            "startTimeUnixNano": start.to_string(),
            "endTimeUnixNano": (start + (self.duration * 1e9).round() as i64).to_string(),
            "attributes": attributes,
        })
    }
}

fn send(server: &Server, requests: &[Request]) {
    let mut by_service: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (number, request) in requests.iter().enumerate() {
        by_service.entry(request.service).or_default().push(request.span(number));
    }
    for (service, spans) in by_service {
        for part in spans.chunks(SPANS) {
            let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": service } }] });
            let body = json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": part }] }] });
            let headers = [("Content-Type", "application/json")];
            let sent = server.request("POST", "/v1/traces", &headers, body.to_string().as_bytes());
            assert_eq!(sent.expect_status(200).text(), "{}");
        }
    }
}

fn rfc3339(micros: i64) -> String {
    let time = chrono::DateTime::from_timestamp_micros(micros).expect("a time of this century");
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

fn import(server: &Server, kind: &str, name: &str, text: &str, more: &[&str]) {
    let file = server.data.join(name);
    std::fs::write(&file, text).expect("a file can be written");
    let done = run(server.command(&[&["import", kind], more].concat()).arg(&file));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A GPU of a service in some hours: worked but for the first ten minutes of each, when it is held and idle.
struct Serving {
    job: &'static str,
    name: &'static str,
    labels: &'static str,
    gpu: &'static str,
}

const BOOK: &str = "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour\n\
                    2020-01-01,,,,,,,,on_demand,USD,3.017453\n";

/// Jobs that serve from one hour to another, what their GPUs did, and their price.
fn serve(server: &Server, from: i64, to: i64, all: &[Serving]) {
    let mut jobs = "job_id|name|labels|gpus_requested|started_at|ended_at\n".to_owned();
    let mut samples =
        "time,interval_seconds,node,gpu_uuid,gpu_index,gpu_model,job_id,process_count,gpu_busy_ratio\n".to_owned();
    for (index, one) in all.iter().enumerate() {
        let Serving { job, name, labels, gpu } = one;
        jobs.push_str(&format!("{job}|{name}|{labels}|1|{}|{}\n", rfc3339(from), rfc3339(to)));
        let mut time = from;
        while time < to {
            let busy = if (time - from) % HOUR < 600 * MICROS { 0.0 } else { 0.8 };
            samples.push_str(&format!("{},60,n1,{gpu},{index},H100,{job},1,{busy}\n", rfc3339(time)));
            time += 60 * MICROS;
        }
    }
    let map = server.data.join("jobs.toml");
    std::fs::write(&map, "delimiter = \"|\"\nquoted = false\n").expect("a file can be written");
    import(server, "prices", "book.csv", BOOK, &[]);
    import(server, "jobs", "jobs.csv", &jobs, &["--cluster", "lab", "--map", &map.to_string_lossy()]);
    import(server, "gpu-samples", "samples.csv", &samples, &["--preset", "csv", "--cluster", "lab"]);
}

/// Until the ledger has so many hours in which GPUs worked for a job.
fn wait_for_hours(server: &Server, hours: u64) {
    let end = Instant::now() + SEEN_AT_MOST;
    loop {
        server.request("POST", "/api/v1/ledger/refresh", &[], b"").expect_status(204);
        let sql = "select count(*) from (select distinct time, gpu_uuid from ledger where job_id is not null and state = 'active')";
        if server.query_count(sql) >= hours {
            return;
        }
        assert!(Instant::now() < end, "the ledger has not {hours} hours of GPUs within {SEEN_AT_MOST:?}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn detail(server: &Server, service: &str, query: &str) -> Value {
    server.get(&format!("/api/v1/inference/{service}?{query}")).expect_status(200).json()
}

fn sum(lines: &Value, column: &str) -> i64 {
    lines.as_array().expect("lines").iter().map(|line| line[column].as_i64().expect("a number")).sum()
}

/// What the ledger has for a job, by the state of its GPUs.
fn booked(server: &Server, job: &str, active: &str) -> i64 {
    let sql =
        format!("select coalesce(sum(cost_micros), 0) from ledger where job_id = '{job}' and state {active} 'active'");
    server.query(&sql)[0][0].parse().expect("micros")
}

/// The bill and its lines, on both bases and by each grouping, against the ledger's own rows.
fn check_bill(server: &Server, service: &str, job: &str, window: &str) -> Value {
    let (used, idle) = (booked(server, job, "="), booked(server, job, "<>"));
    assert!(used > 0 && idle > 0, "{job}: {used} and {idle}");
    let mut last = Value::Null;
    for by in ["model", "user", "tenant"] {
        let found = detail(server, service, &format!("{window}&by={by}"));
        let bill = &found["bill"];
        assert_eq!(bill["bill_micros"].as_i64(), Some(used + idle), "{service} by {by}");
        assert_eq!((bill["used_micros"].as_i64(), bill["idle_micros"].as_i64()), (Some(used), Some(idle)));
        for basis in ["allocated_micros", "used_micros"] {
            assert_eq!(sum(&found["lines"], basis), used + idle, "{service} by {by}: {basis}");
        }
        let requests = found["figures"]["requests"].as_i64();
        assert_eq!(Some(sum(&found["lines"], "requests")), requests, "{service} by {by}");
        for column in ["input_tokens", "output_tokens"] {
            assert_eq!(Some(sum(&found["lines"], column)), found["figures"][column].as_i64(), "{service} by {by}");
        }
        last = found;
    }
    last
}

#[test]
fn tenants_pay_for_what_they_asked_and_the_lines_sum_to_the_ledger() {
    let server = Server::start();
    // Three hours of a day in the past; nobody asks in the third.
    let from = 1_790_000_000 * MICROS / HOUR * HOUR;
    let labels = "{\"app\":\"chat\"}";
    serve(&server, from, from + 3 * HOUR, &[Serving { job: "41", name: "vllm", labels, gpu: "GPU-a" }]);
    let asked = |at: i64, tenant: Option<&str>, input, output| Request {
        service: "chat",
        micros: from + at * MICROS,
        tenant: tenant.map(str::to_owned),
        input,
        cached: None,
        output,
        queue: Some(0.1),
        first: Some(0.6),
        duration: 4.6,
        error: None,
    };
    let failed = Request { error: Some("timeout"), first: None, queue: None, ..asked(4_000, Some("beta"), 10, 0) };
    let requests = [
        asked(60, Some("acme"), 1_000, 81),
        asked(120, Some("beta"), 3_000, 41),
        asked(180, None, 500, 1),
        asked(3_700, Some("acme"), 2_000, 100),
        failed,
    ];
    send(&server, &requests);
    let server = server.stop_and_restart();
    wait_for_hours(&server, 3);
    let window = format!("from={}&to={}", rfc3339(from), rfc3339(from + 3 * HOUR));
    let found = check_bill(&server, "chat", "41", &window);

    // Of a first hour by hand: 0.5 s until the first token and 4 s after it, of all three alike.
    let hour = |active: &str| {
        let sql = format!(
            "select sum(cost_micros) from ledger where job_id = '41' and state {active} 'active' \
             and extract(epoch from time) = {}",
            from / MICROS
        );
        server.query(&sql)[0][0].parse::<f64>().expect("micros")
    };
    let one = detail(&server, "chat", &format!("from={}&to={}", rfc3339(from), rfc3339(from + HOUR)));
    let named = |found: &Value, name: &str, column: &str| {
        let line = found["lines"].as_array().expect("lines").iter().find(|line| line["name"] == name).cloned();
        line.unwrap_or_else(|| panic!("no {name} in {found}"))[column].as_f64().expect("a number")
    };
    let share = 0.5 / 4.5 * (1_000.0 / 4_500.0) + 4.0 / 4.5 * (81.0 / 123.0);
    assert!((named(&one, "acme", "used_micros") - hour("=") * share).abs() < 3.0, "{one}");
    assert!((named(&one, "acme", "allocated_micros") - (hour("=") + hour("<>")) * share).abs() < 3.0, "{one}");
    assert_eq!(one["bill"]["hours_by_time"], 1);

    let line = |kind: &str| found["lines"].as_array().expect("lines").iter().find(|line| line["kind"] == kind).cloned();
    assert_eq!(line("unnamed").expect("who does not say")["requests"], 1);
    let (idle, nobody) = (line("idle").expect("idle time"), line("unattributed").expect("an hour without requests"));
    assert!(idle["used_micros"].as_i64() > idle["allocated_micros"].as_i64(), "{idle}");
    assert_eq!(nobody["used_micros"], found["bill"]["unattributed_micros"]);
    // What a million tokens cost is what all of them cost.
    let figures = &found["figures"];
    let at = |basis: &str, column: &str| found["bill"][basis][column].as_f64().expect("a number");
    let (input, output) = (figures["input_tokens"].as_f64().expect("n"), figures["output_tokens"].as_f64().expect("n"));
    for (basis, paid) in [
        ("on_allocation", found["bill"]["bill_micros"].as_f64()),
        ("on_use", Some(at("on_use", "micros_per_million_tokens") * (input + output) / 1e6)),
    ] {
        let sum = at(basis, "input_micros_per_million_tokens") * input / 1e6
            + at(basis, "output_micros_per_million_tokens") * output / 1e6;
        assert!((sum - paid.expect("a number")).abs() < 3.0, "{basis}: {sum} is not {paid:?}");
    }
    assert!(at("on_use", "output_micros_per_million_tokens") < at("on_allocation", "output_micros_per_million_tokens"));
    assert_eq!((figures["requests"].as_u64(), figures["failed"].as_u64()), (Some(5), Some(1)));
    assert_eq!(figures["duration_seconds"]["p50"].as_f64(), Some(4.6), "the failed one does not count");
    assert_eq!(found["jobs"], json!(["lab/41"]));

    check_command(&server, &window);
    let unknown = server.get("/api/v1/inference/nobody");
    assert_eq!(unknown.status, 404, "{}", unknown.text());
    assert_eq!(server.get("/api/v1/inference/chat?by=colour").status, 400);
}

/// The command says the same.
fn check_command(server: &Server, window: &str) {
    let times: Vec<&str> = window.split(['&', '=']).collect();
    let flags = ["--from", times[1], "--to", times[3]];
    let said = |arguments: &[&str]| {
        let output = run(&mut server.command(&[arguments, &flags].concat()));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a command says text")
    };
    let list = said(&["inference"]);
    assert!(list.contains("chat") && list.lines().count() == 3, "{list}");
    let lines = said(&["inference", "chat", "--by", "tenant", "--format", "csv"]);
    let cost: i64 = lines
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(6).expect("a cost").replace('.', "").parse::<i64>().expect("micros"))
        .sum();
    assert_eq!(cost, booked(server, "41", "=") + booked(server, "41", "<>"), "{lines}");
    let shown = said(&["inference", "chat"]);
    assert!(shown.contains("per million") && shown.contains("(not said)") && shown.contains("(idle)"), "{shown}");
    let answer: Value = serde_json::from_str(&said(&["inference", "chat", "--format", "json"])).expect("JSON");
    assert_eq!(answer["service"], "chat");
}

#[allow(clippy::disallowed_methods)] // tests have no config.rs; this is where their data lies
fn data_dir() -> Option<PathBuf> {
    let dir = match std::env::var_os("COULOMB_SHARED_DATA") {
        Some(dir) => PathBuf::from(dir),
        None => workspace_root().parent()?.join("shared/data"),
    };
    if !dir.join("inference_azure2023").is_dir() {
        eprintln!("skipped: the reference data is not in {dir:?}; name its folder in COULOMB_SHARED_DATA");
        return None;
    }
    Some(dir)
}

/// The trace has times and lengths; tenants, waits and durations are ours, and follow from the line.
fn replayed(data: &Path, service: &'static str) -> Vec<Request> {
    let file = data.join(format!("inference_azure2023/AzureLLMInferenceTrace_{service}.csv"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("cannot read {file:?}: {e}"));
    let read = |(number, line): (usize, &str)| {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        // Seven digits of a second; the last one is always 0.
        let time = chrono::NaiveDateTime::parse_from_str(cells[0], "%Y-%m-%d %H:%M:%S%.f").expect("a time");
        let (input, output): (u64, u64) = (cells[1].parse().expect("tokens"), cells[2].parse().expect("tokens"));
        let first = 0.05 + input as f64 * 1e-4;
        Request {
            service,
            micros: time.and_utc().timestamp_micros(),
            tenant: (number % 7 != 0).then(|| format!("tenant-{}", number % 5)),
            input,
            cached: (number % 3 == 0).then_some(input / 2),
            output,
            queue: Some(0.01),
            first: Some(first),
            duration: first + output as f64 * 0.02,
            error: None,
        }
    };
    text.lines().skip(1).filter(|line| !line.is_empty()).enumerate().map(read).collect()
}

/// Linear between neighbours, as the answers' `quantile_cont`.
fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = share * (values.len() - 1) as f64;
    let (below, part) = (values[place.floor() as usize], place - place.floor());
    let above = values[(place.floor() as usize + 1).min(values.len() - 1)];
    below + (above - below) * part
}

/// To the ten digits that the answers have.
fn is_close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= expected.abs().max(1.0) * 1e-9
}

#[test]
fn the_reference_trace_gives_its_tokens_its_quantiles_and_a_bill_to_the_micro() {
    let Some(data) = data_dir() else { return };
    let server = Server::start();
    let all: Vec<Request> = ["code", "conv"].into_iter().flat_map(|service| replayed(&data, service)).collect();
    let from = all.iter().map(|request| request.micros).min().expect("there are requests") / HOUR * HOUR;
    let serving = [
        Serving { job: "7", name: "conv", labels: "{}", gpu: "GPU-conv" },
        Serving { job: "8", name: "engine", labels: "{\"app.kubernetes.io/name\":\"code\"}", gpu: "GPU-code" },
    ];
    serve(&server, from, from + 2 * HOUR, &serving);
    send(&server, &all);
    let server = server.stop_and_restart();
    wait_for_hours(&server, 4);
    let text = std::fs::read_to_string(data.join("answers/inference_azure2023.answers.json")).expect("answers");
    let answers: Value = serde_json::from_str(&text).expect("the answers are JSON");
    let row = |name: &str, service: &str| {
        let rows = answers[name]["rows"].as_array().expect("rows");
        rows.iter().find(|row| row[0] == service).cloned().unwrap_or_else(|| panic!("{name} has no {service}"))
    };
    let window = format!("from={}&to={}", rfc3339(from), rfc3339(from + 2 * HOUR));
    for (service, job) in [("conv", "7"), ("code", "8")] {
        let found = check_bill(&server, service, job, &window);
        let figures = &found["figures"];
        let totals = row("totals", service);
        for (column, at) in [("requests", 1), ("input_tokens", 4), ("output_tokens", 5)] {
            assert_eq!(figures[column], totals[at], "{service}: {column}");
        }
        let lengths = row("length_percentiles", service);
        for (column, quantile, at) in [
            ("input_length_tokens", "p50", 1),
            ("input_length_tokens", "p90", 2),
            ("input_length_tokens", "p99", 3),
            ("output_length_tokens", "p50", 5),
            ("output_length_tokens", "p90", 6),
            ("output_length_tokens", "p99", 7),
        ] {
            let (ours, theirs) = (figures[column][quantile].as_f64(), lengths[at].as_f64());
            assert!(is_close(ours.expect("ours"), theirs.expect("theirs")), "{service}: {column} {quantile}: {ours:?}");
        }
        let rate = figures["requests_per_second"].as_f64().expect("a rate");
        assert!(is_close(rate, row("rps_mean", service)[1].as_f64().expect("a rate")), "{service}: {rate}");
        let own = || all.iter().filter(|request| request.service == service);
        for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
            let expected = quantile(own().filter_map(|r| r.first).collect(), share);
            let ours = figures["time_to_first_token_seconds"][name].as_f64().expect("a number");
            assert!(is_close(ours, expected), "{service}: first token {name}: {ours} is not {expected}");
            // Whole nanoseconds are kept of a duration.
            let per_token = own().filter(|r| r.output > 1);
            let per_token = per_token.map(|r| r.output as f64 * 0.02 / (r.output - 1) as f64).collect();
            let (ours, expected) = (
                figures["time_per_output_token_seconds"][name].as_f64().expect("a number"),
                quantile(per_token, share),
            );
            assert!((ours - expected).abs() < 1e-8, "{service}: per token {name}: {ours} is not {expected}");
        }
        let buckets = found["over_time"].as_array().expect("buckets");
        assert!(buckets.len() <= 160, "{}", buckets.len());
        assert_eq!(Some(sum(&found["over_time"], "requests")), figures["requests"].as_i64());
        let tenants = found["lines"].as_array().expect("lines").iter().filter(|line| line["kind"] == "named").count();
        assert_eq!(tenants, 5);
    }
    let list = server.get(&format!("/api/v1/inference?{window}")).expect_status(200).json();
    let services: Vec<&str> =
        list["services"].as_array().expect("services").iter().filter_map(|one| one["service"].as_str()).collect();
    assert_eq!(services, ["conv", "code"], "most requests first");
}

#[allow(clippy::disallowed_methods)] // what is recent is recent by the machine's clock
fn now_micros() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    since.as_micros() as i64
}

#[test]
fn replicas_are_counted_and_told_to_whoever_scales() {
    let python = target_dir().join("python/bin/python");
    assert!(python.is_file(), "{python:?} is missing: `cargo xtask test` installs it");
    let server = Server::start();
    let now = now_micros();
    let job = format!("job_id,name,gpus_requested,started_at\n9,chat,1,{}\n", rfc3339(now - 24 * HOUR));
    import(&server, "jobs", "jobs.csv", &job, &["--cluster", "lab"]);
    // A replica does what 24 requests in ten minutes ask of it, and misses its objective at 30.
    let period = 600 * MICROS;
    let first = (now - 4 * HOUR) / period * period;
    let mut requests = Vec::new();
    let mut ask = |micros: i64, wait: f64| {
        requests.push(Request {
            service: "chat",
            micros,
            tenant: None,
            input: 4_000,
            cached: None,
            output: 1_000,
            queue: None,
            first: Some(wait),
            duration: wait + 10.0,
            error: None,
        });
    };
    for (at, count) in [12, 15, 18, 24, 30, 20, 12, 12].into_iter().enumerate() {
        let wait = if count > 24 { 5.0 } else { 0.3 };
        (0..count).for_each(|n| ask(first + at as i64 * period + n * 15 * MICROS, wait));
    }
    (0..14).for_each(|n| ask(now - 240 * MICROS + n * 17 * MICROS, 0.3));
    send(&server, &requests);
    let end = Instant::now() + SEEN_AT_MOST;
    let scaling = loop {
        let answer = server.get("/api/v1/inference/scaling?service=chat");
        // A look in the middle of what was sent knows too little, and is repeated a minute later.
        if answer.status == 200 && answer.json()["services"][0]["confidence"].is_string() {
            break answer.json()["services"][0].clone();
        }
        assert!(Instant::now() < end, "nobody has looked at the service: {}", answer.text());
        std::thread::sleep(Duration::from_millis(500));
    };
    let number = |name: &str| scaling[name].as_f64().unwrap_or_else(|| panic!("no {name} in {scaling}"));
    assert_eq!((scaling["replicas"].as_u64(), scaling["is_saturated"].as_bool()), (Some(1), Some(true)), "{scaling}");
    // A prompt of 4,000 tokens counts as 1,000 generated ones.
    let work = number("requests_per_second") * 2_000.0;
    assert!((number("work_tokens_per_second") - work).abs() < 1e-6 && work > 80.0, "{scaling}");
    // The fullest period that was good did 80 tokens a second, the one that was missed 100.
    let capacity = number("capacity_tokens_per_second");
    assert!((80.0..=100.0).contains(&capacity), "{scaling}");
    let wanted = (work / (capacity * 0.8)).ceil();
    assert_eq!((number("replicas_wanted"), scaling["confidence"].as_str()), (wanted, Some("medium")), "{scaling}");
    assert!(wanted >= 2.0, "{scaling}");

    let table = server.query("select service, replicas, replicas_wanted from inference_scaling");
    assert_eq!(table, [[String::from("chat"), "1".to_owned(), format!("{wanted}")]]);
    let metrics = server.get("/metrics").expect_status(200).text();
    assert!(
        metrics.contains(&format!("coulomb_inference_replicas_wanted{{service=\"chat\"}} {wanted}\n")),
        "{metrics}"
    );
    let strict = server.get("/api/v1/inference/scaling?service=chat&time_to_first_token_seconds=0.1");
    assert_eq!(strict.expect_status(200).json()["services"][0]["confidence"], "low", "every period missed that");
    assert_eq!(server.get("/api/v1/inference/scaling?utilisation_ratio=7").status, 400);

    check_rule(&server);
    let token = |role: &str| {
        let body = json!({ "name": role, "role": role }).to_string();
        let headers = [("Content-Type", "application/json")];
        let made = server.request("POST", "/api/v1/tokens", &headers, body.as_bytes()).expect_status(201).json();
        made["secret"].as_str().expect("a secret").to_owned()
    };
    let mut client = Command::new(python);
    client.arg(workspace_root().join("tests/python/scaler.py")).args([&server.flight_url, &format!("{wanted}")]);
    let said = run(client.args([token("viewer"), token("writer")]));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// The rule of the documentation is one that the server takes.
fn check_rule(server: &Server) {
    let path = workspace_root().join("docs/inference.md");
    let document = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {path:?}: {e}"));
    let rule = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a rule");
    let file = server.data.join("scaling.toml");
    std::fs::write(&file, rule).expect("a file can be written");
    let checked = run(server.command(&["rules", "check"]).arg(&file));
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn engines_alone_tell_how_a_service_does() {
    let server = Server::start();
    let from = 1_790_000_000 * MICROS / HOUR * HOUR;
    let at = |seconds: i64| ((from + seconds * MICROS) * 1000).to_string();
    let model = json!([{ "key": "model_name", "value": { "stringValue": "m" } }]);
    let gauge = |name: &str, seconds: i64, value: f64| {
        let point = json!({ "timeUnixNano": at(seconds), "asDouble": value, "attributes": model });
        json!({ "name": name, "gauge": { "dataPoints": [point] } })
    };
    let counter = |name: &str, seconds: i64, value: f64| {
        let point =
            json!({ "timeUnixNano": at(seconds), "startTimeUnixNano": at(0), "asDouble": value, "attributes": model });
        json!({ "name": name, "sum": { "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [point] } })
    };
    let histogram = |seconds: i64, counts: [u64; 3]| {
        let point = json!({
            "timeUnixNano": at(seconds), "startTimeUnixNano": at(0), "count": counts.iter().sum::<u64>().to_string(),
            "sum": 1.0, "bucketCounts": counts.map(|n| n.to_string()), "explicitBounds": [0.1, 1.0], "attributes": model,
        });
        let name = "vllm:time_to_first_token_seconds";
        json!({ "name": name, "histogram": { "aggregationTemporality": 2, "dataPoints": [point] } })
    };
    // The engine begins again between the second and the third look.
    let metrics = json!([
        gauge("vllm:num_requests_running", 60, 6.0),
        gauge("vllm_num_requests_waiting", 60, 2.0),
        gauge("vllm:gpu_cache_usage_perc", 60, 0.75),
        counter("vllm:prefix_cache_queries_total", 60, 100.0),
        counter("vllm:prefix_cache_queries_total", 120, 500.0),
        counter("vllm:prefix_cache_hits", 60, 10.0),
        counter("vllm:prefix_cache_hits", 120, 110.0),
        counter("vllm:generation_tokens_total", 60, 1_000.0),
        counter("vllm:generation_tokens_total", 120, 4_000.0),
        counter("vllm:generation_tokens_total", 180, 500.0),
        histogram(60, [10, 10, 0]),
        histogram(120, [10, 20, 0]),
        histogram(180, [5, 5, 0]),
    ]);
    let service = json!({ "key": "service.name", "value": { "stringValue": "embed" } });
    let body = json!({ "resourceMetrics": [{ "resource": { "attributes": [service] }, "scopeMetrics": [{ "metrics": metrics }] }] });
    let sent =
        server.request("POST", "/v1/metrics", &[("Content-Type", "application/json")], body.to_string().as_bytes());
    assert_eq!(sent.expect_status(200).text(), "{}");
    let window = format!("from={}&to={}", rfc3339(from), rfc3339(from + HOUR));
    let found = detail(&server, "embed", &window);
    let (figures, engine) = (&found["figures"], &found["engine"]);
    assert_eq!((figures["source"].as_str(), figures["requests"].as_u64()), (Some("engine"), Some(0)));
    assert_eq!(figures["output_tokens"].as_u64(), Some(3_500), "a restart is no loss");
    // Of 20 observations 5 are below 0.1 s; the tenth lies a third into the next bucket.
    let median = figures["time_to_first_token_seconds"]["p50"].as_f64().expect("a median");
    assert!((median - (0.1 + 0.9 * 5.0 / 15.0)).abs() < 1e-9, "{median}");
    assert_eq!(engine["engines"], json!(["vLLM"]));
    let number = |name: &str| engine[name].as_f64();
    assert_eq!((number("requests_running"), number("requests_waiting")), (Some(6.0), Some(2.0)));
    assert_eq!((number("kv_cache_used_ratio"), number("prefix_hit_ratio")), (Some(0.75), Some(0.25)));
    assert_eq!(found["bill"]["bill_micros"], Value::Null, "without jobs there is no bill");
    let list = server.get(&format!("/api/v1/inference?{window}")).expect_status(200).json();
    assert_eq!(list["services"][0]["figures"], *figures);
}
