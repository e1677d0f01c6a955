//! Scrapes by the real collector: real captures of exporters, pages as model servers write them, and a real exporter.

use coulomb_exposition::{Lift, Lifted, Scale, is_lifted, lifted};
use coulomb_tests::collector::{Collector, until};
use coulomb_tests::exporter::{Exporter, Page};
use coulomb_tests::{Program, Server, send, workspace_root};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of the reference data beside the repository, where it is.
#[allow(clippy::disallowed_methods)] // tests have no config.rs; this is where their data lies
fn captures(folder: &str) -> Option<PathBuf> {
    let dir = match std::env::var_os("COULOMB_SHARED_DATA") {
        Some(dir) => PathBuf::from(dir),
        None => workspace_root().parent()?.join("shared/data"),
    };
    let dir = dir.join("formats").join(folder);
    if !dir.is_dir() {
        eprintln!("skipped: the captures are not in {dir:?}; name the folder above in COULOMB_SHARED_DATA");
        return None;
    }
    Some(dir)
}

/// The value of the first sample of a metric, by its line.
fn said(page: &str, metric: &str) -> Option<f64> {
    let line = page.lines().find(|line| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' '])))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

fn number(cell: &str) -> Option<f64> {
    (!cell.is_empty()).then(|| cell.parse().unwrap_or_else(|_| panic!("{cell:?} is no number")))
}

const COLUMNS: &str = "gpu_busy_ratio, memory_busy_ratio, memory_used_bytes, memory_total_bytes, power_watts, \
                       power_limit_watts, temperature_celsius, sm_clock_hertz, memory_clock_hertz, throttle_reasons, \
                       ecc_corrected_total, ecc_uncorrected_total, energy_joules_total";
/// What nvidia_gpu_exporter calls them.
const METRICS: [&str; 13] = [
    "nvidia_smi_utilization_gpu_ratio",
    "nvidia_smi_utilization_memory_ratio",
    "nvidia_smi_memory_used_bytes",
    "nvidia_smi_memory_total_bytes",
    "nvidia_smi_power_draw_watts",
    "nvidia_smi_enforced_power_limit_watts",
    "nvidia_smi_temperature_gpu",
    "nvidia_smi_clocks_current_sm_clock_hz",
    "nvidia_smi_clocks_current_memory_clock_hz",
    "nvidia_smi_clocks_event_reasons_active",
    "nvidia_smi_ecc_errors_corrected_volatile_total",
    "nvidia_smi_ecc_errors_uncorrected_volatile_total",
    "no such metric",
];

#[test]
fn rows_of_gpus_are_what_captures_of_real_ones_say() {
    let Some(dir) = captures("nvidia_gpu_exporter") else { return };
    let server = Server::start();
    let files = ["h200__590.48.01__idle", "h200__590.48.01__load", "l40s__595.80__load"];
    let running: Vec<_> = files
        .iter()
        .map(|file| {
            let path = dir.join(format!("linux-x86_64__nvidia-{file}.metrics"));
            let page = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {path:?}: {e}"));
            let exporter = Exporter::start(Page::text(&page));
            let target = format!("smi={}", exporter.url);
            (file, page, Collector::start(&server, &["--cluster", file, "--scrape", &target]), exporter)
        })
        .collect();
    for (file, page, _collector, _exporter) in &running {
        let wanted = format!("SELECT count(*) FROM gpu_samples WHERE cluster = '{file}'");
        until(file, || server.query_count(&wanted) > 0);
        let sql =
            format!("SELECT node, gpu_index, gpu_model, gpu_uuid, {COLUMNS} FROM gpu_samples WHERE cluster = '{file}'");
        for row in server.query(&sql) {
            let model = if file.starts_with("h200") { "NVIDIA H200" } else { "NVIDIA L40S" };
            assert_eq!(row[..3], ["here", "0", model], "{file}");
            assert_eq!(row[3], "GPU-00000000-0000-0000-0000-000000000000");
            for (cell, metric) in row[4..].iter().zip(METRICS) {
                assert_eq!(number(cell), said(page, metric), "{file}: {metric}");
            }
        }
        assert!(
            said(page, METRICS[3]).is_some_and(|bytes| bytes > 4e10),
            "the capture has the metrics that are compared"
        );
        // Everything that is no column is a metric, under its own name.
        let names = page.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let names: BTreeSet<_> =
            names.filter_map(|line| line.split(['{', ' ']).next()).filter(|n| !is_lifted(n)).collect();
        let sql =
            format!("SELECT DISTINCT name FROM metrics WHERE cluster = '{file}' AND service = 'smi' ORDER BY name");
        let rows = server.query(&sql);
        let mut kept: BTreeSet<_> = rows.iter().map(|row| row[0].as_str()).collect();
        for own in ["up", "scrape_duration_seconds", "scrape_samples_scraped"] {
            assert!(kept.remove(own), "{own}");
        }
        assert_eq!(kept, names, "{file}");
    }
}

fn dcgm(xid: u32) -> String {
    let gpu = "gpu=\"3\",UUID=\"GPU-a\",device=\"nvidia3\",modelName=\"NVIDIA H100 80GB HBM3\",Hostname=\"gpu-7\",hpc_job=\"4711\"";
    let part = format!("{gpu},GPU_I_PROFILE=\"1g.10gb\",GPU_I_ID=\"5\"");
    format!(
        "# HELP DCGM_FI_DEV_SM_CLOCK SM clock frequency (in MHz).\n# TYPE DCGM_FI_DEV_SM_CLOCK gauge\n\
         DCGM_FI_DEV_SM_CLOCK{{{gpu}}} 1980\nDCGM_FI_DEV_GPU_UTIL{{{gpu}}} 97\nDCGM_FI_DEV_POWER_USAGE{{{gpu}}} 612.5\n\
         # TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter\nDCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{gpu}}} 1234567\n\
         DCGM_FI_DEV_FB_USED{{{gpu}}} 1024\nDCGM_FI_DEV_FB_FREE{{{gpu}}} 2048\nDCGM_FI_DEV_FB_RESERVED{{{gpu}}} 1\n\
         DCGM_FI_DEV_MEMORY_TEMP{{{gpu}}} 9223372036854775794\nDCGM_FI_DEV_XID_ERRORS{{{gpu}}} {xid}\n\
         # TYPE DCGM_FI_DEV_PCIE_REPLAY_COUNTER counter\nDCGM_FI_DEV_PCIE_REPLAY_COUNTER{{{gpu}}} 2\n\
         DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{{{part}}} 0.25\nDCGM_FI_PROF_SM_ACTIVE{{{part}}} 140737488355328\n"
    )
}

const VLLM: &str = r#"# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="meta/llama"} 3.0
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="meta/llama"} 4.5e+06
# TYPE vllm:generation_tokens_created gauge
vllm:generation_tokens_created{engine="0",model_name="meta/llama"} 1.7e+09
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.001",model_name="meta/llama"} 0.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.25",model_name="meta/llama"} 2.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="1.0",model_name="meta/llama"} 9.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="meta/llama"} 10.0
vllm:time_to_first_token_seconds_count{engine="0",model_name="meta/llama"} 10.0
vllm:time_to_first_token_seconds_sum{engine="0",model_name="meta/llama"} 6.5
"#;

#[test]
fn gpus_events_and_model_servers_are_rows_and_a_target_that_is_down_has_none() {
    let server = Server::start();
    let (gpus, models) = (Exporter::start(Page::text(&dcgm(0))), Exporter::start(Page::text(VLLM)));
    let secret = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(secret.path(), "of-the-models\n").expect("a temporary file can be written");
    let (dcgm_target, vllm_target) = (format!("dcgm={}", gpus.url), format!("vllm={}", models.url));
    let token = format!("vllm={}", secret.path().display());
    let flags = ["--cluster", "c", "--scrape", &dcgm_target, "--scrape", &vllm_target, "--scrape-token-file", &token];
    let collector = Collector::start(&server, &flags);
    until("rows of GPUs", || server.query_count("SELECT count(*) FROM gpu_samples") >= 4);
    let columns = "gpu_uuid, parent_gpu_uuid, mig_profile, cluster, node, gpu_index, gpu_model, job_id, gpu_busy_ratio, \
                   power_watts, energy_joules_total, memory_used_bytes, memory_total_bytes, sm_clock_hertz, \
                   tensor_active_ratio, sm_active_ratio, memory_temperature_celsius";
    let rows = server.query(&format!("SELECT DISTINCT {columns} FROM gpu_samples ORDER BY gpu_uuid"));
    let common = "c,gpu-7,3,NVIDIA H100 80GB HBM3,4711";
    let whole = format!("GPU-a,,,{common},0.97,612.5,1234.567,1073741824,3222274048,1980000000,,,");
    let part = format!("GPU-a/gi5,GPU-a,1g.10gb,{common},,,,,,,0.25,,");
    assert_eq!(rows.iter().map(|row| row.join(",")).collect::<Vec<_>>(), [whole, part]);
    let seconds = server.query("SELECT min(interval_seconds), max(interval_seconds) FROM gpu_samples");
    assert!(number(&seconds[0][0]).is_some_and(|s| s > 0.5), "{seconds:?}");
    // Two scrapes are never one row each of the same second.
    assert_eq!(
        server.query_count("SELECT count(*) - count(DISTINCT time) FROM gpu_samples WHERE gpu_uuid = 'GPU-a'"),
        0
    );

    let sql = "SELECT DISTINCT name, kind, value, histogram_count, histogram_sum, array_to_string(histogram_bounds, ' '), \
               array_to_string(histogram_counts, ' '), node, map_extract(attributes, 'model_name')[1], \
               CAST(started_at AS BIGINT) FROM metrics WHERE service = 'vllm' AND name LIKE 'vllm%' ORDER BY name";
    until("metrics of the models", || server.query(sql).len() == 3);
    let rows = server.query(sql);
    let start = "1700000000000000";
    assert_eq!(
        rows[0],
        ["vllm:generation_tokens_total", "sum", "4500000.0", "", "", "", "", "here", "meta/llama", start]
    );
    assert_eq!(rows[1][..3], ["vllm:num_requests_running", "gauge", "3.0"]);
    assert_eq!(rows[2][..5], ["vllm:time_to_first_token_seconds", "histogram", "", "10", "6.5"]);
    let bounds: Vec<_> = rows[2][5].split(' ').filter_map(number).collect();
    assert_eq!((bounds, rows[2][6].as_str()), (vec![0.001, 0.25, 1.0], "0 2 7 1"));
    assert!(models.asked().iter().all(|asked| asked.to_lowercase().contains("authorization: bearer of-the-models")));
    assert!(gpus.asked().iter().all(|asked| !asked.to_lowercase().contains("authorization")));

    // An Xid is told once, when the gauge changes.
    assert_eq!(server.query_count("SELECT count(*) FROM device_events WHERE kind = 'xid'"), 0);
    gpus.put(Page::text(&dcgm(79)));
    let xids = "SELECT node, gpu_uuid, code, job_id, severity FROM device_events WHERE kind = 'xid'";
    until("an Xid", || !server.query(xids).is_empty());

    gpus.put(Page { status: 500, headers: Vec::new(), body: "no".to_owned() });
    let down = "SELECT count(*) FROM metrics WHERE name = 'up' AND service = 'dcgm' AND value = 0";
    until("the target is down", || server.query_count(down) >= 3);
    let late =
        "SELECT count(*) FROM gpu_samples WHERE time > (SELECT min(time) FROM metrics WHERE name = 'up' AND value = 0)";
    assert_eq!(server.query_count(late), 0);
    assert_eq!(server.query(xids), [["gpu-7", "GPU-a", "79", "4711", "critical"]]);
    let own = send("GET", &collector.metrics(), &[], b"").expect("the collector answers").text();
    let failed = said(&own, "coulomb_collector_scrapes_failed_total");
    assert!(failed.is_some_and(|failed| failed >= 3.0), "{own}");
    assert_eq!(collector.program.log().matches("the target gives no rows").count(), 1);

    // Back again: the first scrape knows nothing of what went before.
    let before = server.query_count("SELECT count(*) FROM gpu_samples");
    gpus.put(Page::text(&dcgm(79)));
    until("rows again", || server.query_count("SELECT count(*) FROM gpu_samples") > before + 2);
    let longest = server.query("SELECT max(interval_seconds) FROM gpu_samples");
    assert!(number(&longest[0][0]).is_some_and(|s| s < 30.0), "{longest:?}");
    assert_eq!(server.query(xids).len(), 1);
}

#[test]
fn what_is_no_page_is_told_and_redirects_are_not_followed() {
    let server = Server::start();
    let elsewhere = Exporter::start(Page::text("a 1\n"));
    let page = |status, header: String, body: &str| Page { status, headers: vec![header], body: body.to_owned() };
    let metrics = "Content-Type: application/openmetrics-text; version=1.0.0".to_owned();
    let cases = [
        ("moved", page(302, format!("Location: {}", elsewhere.url), "")),
        ("html", page(200, "Content-Type: text/html".to_owned(), "<html></html>")),
        ("cut", page(200, metrics.clone(), "# TYPE a gauge\na 1\n")),
        ("packed", page(200, "Content-Encoding: gzip".to_owned(), "not packed")),
        ("nonsense", page(200, "Content-Type: text/plain".to_owned(), "what is\nthis page\n")),
        ("large", page(200, "Content-Type: text/plain".to_owned(), &"a 1\n".repeat(100_001))),
        ("good", page(200, metrics, "# TYPE a gauge\na 1\nb{x=\"\\xff\"} 1\nwhat\n# EOF\n")),
    ];
    let exporters: Vec<_> = cases.iter().map(|(name, page)| (*name, Exporter::start(page.clone()))).collect();
    let mut flags = vec!["--cluster".to_owned(), "c".to_owned()];
    for (name, exporter) in &exporters {
        flags.extend(["--scrape".to_owned(), format!("{name}={}", exporter.url)]);
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let _collector = Collector::start(&server, &flags);
    let sql = "SELECT service, max(value) FROM metrics WHERE name = 'up' GROUP BY service ORDER BY service";
    until("all were asked", || server.query(sql).len() == exporters.len());
    let up: BTreeMap<_, _> = server.query(sql).into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    for (name, _) in &exporters {
        assert_eq!(up[*name], if *name == "good" { "1.0" } else { "0.0" }, "{name}");
    }
    assert_eq!(server.query_count("SELECT count(DISTINCT service) FROM metrics WHERE name = 'a'"), 1);
    assert!(elsewhere.asked().is_empty());
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("a listener has an address").port()
}

#[test]
fn a_real_node_exporter_is_kept_whole() {
    let program = Path::new("/usr/bin/prometheus-node-exporter");
    if !program.is_file() {
        eprintln!("skipped: {program:?} is not installed");
        return;
    }
    let address = format!("127.0.0.1:{}", free_port());
    let exporter = Program::start(Command::new(program).arg(format!("--web.listen-address={address}")));
    let url = format!("http://{address}/metrics");
    until("the exporter answers", || send("GET", &url, &[], b"").is_ok());
    let server = Server::start();
    let _collector = Collector::start(&server, &["--cluster", "c", "--scrape", &format!("node={url}")]);
    let up = "SELECT count(*) FROM metrics WHERE name = 'up' AND service = 'node' AND value = 1";
    until("two scrapes", || server.query_count(up) >= 2);
    let page = send("GET", &url, &[], b"").expect("it answers").text();
    // By their types, as the page says them; parts of summaries are not names of their own.
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let types: BTreeMap<_, _> = types.filter_map(|line| line.rsplit_once(' ')).collect();
    let sql = "SELECT name, min(kind), max(kind) FROM metrics WHERE service = 'node' GROUP BY name";
    let kinds: BTreeMap<_, _> = server.query(sql).into_iter().map(|row| (row[0].clone(), row[1..].to_vec())).collect();
    for (name, kind) in &types {
        let expected = match *kind {
            "counter" => "sum",
            "gauge" | "untyped" => "gauge",
            other => other,
        };
        assert_eq!(kinds.get(*name), Some(&vec![expected.to_owned(), expected.to_owned()]), "{name}");
    }
    assert!(types.len() > 50, "{page}");
    let lines = page.lines().filter(|line| !line.starts_with('#')).count() as f64;
    let scraped = server.query("SELECT min(value) FROM metrics WHERE name = 'scrape_samples_scraped'");
    assert!(
        number(&scraped[0][0]).is_some_and(|samples| (samples - lines).abs() < lines / 10.0),
        "{scraped:?} of {lines}"
    );
    // The same value as the page has: memory does not change.
    let total = server.query("SELECT DISTINCT value FROM metrics WHERE name = 'node_memory_MemTotal_bytes'");
    assert_eq!(number(&total[0][0]), said(&page, "node_memory_MemTotal_bytes"));
    drop(exporter);
}

#[test]
fn a_gpu_that_is_measured_here_does_not_count_twice() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let (library, script) = (dir.path().join("libnvidia-ml-stub.so"), dir.path().join("script"));
    let source = workspace_root().join("tests/nvml-stub/stub.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("skipped: the NVML stub needs a C compiler named cc");
        return;
    }
    let facts = "system count 1\n0 uuid GPU-a\n0 name measured\n0 gpu_busy 10\n0 power 100000\n0 power_limit 700000\n";
    std::fs::write(&script, facts).expect("a temporary file can be written");
    let server = Server::start();
    let far = dcgm(0).replace("GPU-a", "GPU-far");
    let exporter = Exporter::start(Page::text(&(dcgm(0) + &far)));
    let spool = dir.path().join("spool");
    let library = library.to_string_lossy().into_owned();
    let flags = ["--cluster", "c", "--nvml-library", &library, "--scrape", &format!("dcgm={}", exporter.url)];
    let mut command = Collector::command(&spool, &server.url, &server.data.join("admin.token"), &flags);
    let collector = Collector::start_command(command.env("NVML_STUB", script), &spool);
    let of = |what: &str| server.query_count(&format!("SELECT count(*) FROM gpu_samples WHERE {what}"));
    until("both kinds of rows", || of("gpu_uuid = 'GPU-a'") >= 3 && of("gpu_uuid = 'GPU-far'") >= 3);
    assert_eq!(of("gpu_uuid = 'GPU-a' AND gpu_model <> 'measured'"), 0);
    assert_eq!(of("gpu_uuid LIKE 'GPU-a/%'"), 0);
    assert_eq!(collector.program.log().matches("they would count twice").count(), 1);
}

/// The preset of the importer and the scrape say the same of each column.
#[test]
fn a_file_and_a_scrape_lift_the_same_metrics() {
    let path = workspace_root().join("server/src/client/import/presets/prometheus-text.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {path:?}: {e}"));
    let preset: toml::Table = text.parse().expect("the preset is TOML");
    let columns = preset["columns"].as_table().expect("a preset has columns");
    let identity = ["time", "gpu_uuid", "parent_gpu_uuid", "mig_profile", "node", "gpu_index", "gpu_model", "job_id"];
    let by_preset = columns.iter().filter(|(name, _)| !identity.contains(&name.as_str()));
    let by_preset: BTreeMap<_, _> = by_preset.map(|(name, rule)| (name.as_str(), rules(rule))).collect();
    let rule = |lift: &Lift| match lift {
        Lift::First(names, scale) => ("first", names.to_vec(), *scale),
        Lift::Sum(names, scale) => ("sum", names.to_vec(), *scale),
    };
    let by_scrape = lifted().iter().map(|Lifted { column, from }| (*column, from.iter().map(rule).collect::<Vec<_>>()));
    assert_eq!(by_scrape.collect::<BTreeMap<_, _>>(), by_preset);
}

/// How, of which metrics, in which unit.
type Rule<'a> = (&'static str, Vec<&'a str>, Scale);

fn rules(column: &toml::Value) -> Vec<Rule<'_>> {
    if let Some(several) = column.get("first_of") {
        return several.as_array().expect("a list").iter().flat_map(rules).collect();
    }
    let scale = match column.get("unit").and_then(toml::Value::as_str) {
        None => Scale::One,
        Some("percent") => Scale::Percent,
        Some("mJ") => Scale::Milli,
        Some("MHz") => Scale::Mega,
        Some("MiB") => Scale::Mebi,
        Some(other) => panic!("the scrape does not know {other:?}"),
    };
    let list = |name: &str| {
        let names = column.get(name)?.as_array().expect("a list");
        Some(names.iter().map(|name| name.as_str().expect("a name")).collect())
    };
    let one = || column.get("source").map(|name| vec![name.as_str().expect("a name")]);
    match list("sum_of") {
        Some(names) => vec![("sum", names, scale)],
        None => vec![("first", list("sources").or_else(one).expect("a source"), scale)],
    }
}
