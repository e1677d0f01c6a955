//! A real training of four ranks with the Python package against a real server: what it finds agrees with the loop's
//! own clock within one percent, and has its money.

use coulomb_tests::{Server, run, target_dir, workspace_root};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

const CLUSTER: &str = "train";
const JOB: &str = "4711";
/// So that a second of a GPU is worth a cent, and seconds of a test are worth looking at.
const BOOK: &str = "valid_from,valid_to,cluster,pool,node,gpu_model,provider,region,kind,currency,price_per_gpu_hour\n\
                    ,,,,,,,,on_demand,USD,36.00\n";
const APART_AT_MOST: f64 = 0.01;

fn python() -> PathBuf {
    let python = target_dir().join("python/bin/python");
    assert!(python.is_file(), "{python:?} is missing: `cargo xtask test` installs it");
    python
}

/// With the package, and what the tests have installed.
fn with_package(python: &PathBuf, more: Option<&str>) -> Command {
    let package = workspace_root().join("python").display().to_string();
    let mut command = Command::new(python);
    command.env("PYTHONPATH", more.map_or(package.clone(), |more| format!("{package}:{more}")));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The system's Python where it has PyTorch and can use what the tests have installed; else the tests' own.
fn trainer() -> Command {
    let own = python();
    let says = run(Command::new(&own).args(["-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]));
    let installed = String::from_utf8_lossy(&says.stdout).trim().to_owned();
    let system = PathBuf::from("/usr/bin/python3");
    let usable = system.is_file() && {
        let mut tried = with_package(&system, Some(&installed));
        run(tried.args(["-c", "import torch, pyarrow, coulomb"])).status.success()
    };
    if usable { with_package(&system, Some(&installed)) } else { with_package(&own, None) }
}

fn number(of: &Value, name: &str) -> f64 {
    of[name].as_f64().unwrap_or_else(|| panic!("no number {name} in {of}"))
}

fn agree(what: &str, found: f64, expected: f64, apart: f64) {
    let off = (found - expected).abs() / expected.abs().max(f64::MIN_POSITIVE);
    assert!(off <= apart, "{what}: found {found}, the loop's own clock says {expected}, {:.2} % apart", off * 100.0);
}

fn part<'v>(training: &'v Value, category: &str) -> &'v Value {
    let parts = training["goodput"]["parts"].as_array().expect("there are parts");
    let found = parts.iter().find(|part| part["category"] == category);
    found.unwrap_or_else(|| panic!("no part {category} in {parts:?}"))
}

#[test]
fn the_package_holds_by_its_own_tests() {
    let tests = workspace_root().join("python/tests/test_package.py");
    let said = run(with_package(&python(), None).arg(tests));
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && text.contains("\nOK"), "{text}");
}

#[test]
fn a_training_with_a_slow_rank_a_crash_and_a_restart_is_found_and_priced() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let book = folder.path().join("book.csv");
    std::fs::write(&book, BOOK).expect("a file can be written");
    let stated = run(&mut server.command(&["import", "prices", &book.to_string_lossy()]));
    assert!(stated.status.success(), "{}", String::from_utf8_lossy(&stated.stderr));
    let mut training = trainer();
    training.arg(workspace_root().join("tests/python/training.py")).args([&server.url, &server.token, JOB]);
    let said = run(training.arg(folder.path().join("loop")));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said = String::from_utf8_lossy(&said.stdout);
    let expected: Value = serde_json::from_str(said.lines().last().unwrap_or_default()).expect("it says what to find");
    server.request("POST", "/api/v1/ledger/refresh", &[], b"").expect_status(204);

    let found = server.get(&format!("/api/v1/jobs/{CLUSTER}/{JOB}/training")).expect_status(200).json();
    assert_eq!(found["source"], "measured", "{found}");
    goodput_agrees(&found, &expected);
    steps_agree(&found, &expected);
    the_slow_rank_is_found(&found);
    the_crash_is_found(&found, &expected);
    money_sums_to_the_ledger(&server, &found);
    a_step_has_a_trace(&server);
    the_command_tells_it(&server);
}

fn goodput_agrees(found: &Value, expected: &Value) {
    let goodput = &found["goodput"];
    let held = number(expected, "held_gpu_seconds");
    agree("held", number(goodput, "gpu_seconds"), held, APART_AT_MOST);
    let productive = number(expected, "productive_gpu_seconds");
    agree("productive", number(part(found, "productive"), "gpu_seconds"), productive, APART_AT_MOST);
    agree("goodput", number(goodput, "ratio"), productive / held, APART_AT_MOST);
    let seconds = |category| number(part(found, category), "gpu_seconds");
    // Some tenths of a second, so that what lies between two clocks shows.
    agree("data loading", seconds("data_loading"), number(expected, "data_gpu_seconds"), 0.03);
    agree("saving", seconds("checkpoint_save"), number(expected, "save_gpu_seconds"), 0.03);
    assert!(seconds("initialization") > 0.0 && seconds("checkpoint_restore") > 0.0, "{goodput}");
    let parts = goodput["parts"].as_array().expect("parts").iter();
    agree("all parts", parts.map(|part| number(part, "gpu_seconds")).sum(), number(goodput, "gpu_seconds"), 1e-9);
    let mfu = &found["mfu"];
    agree("MFU", number(mfu, "ratio"), number(expected, "mfu"), APART_AT_MOST);
    agree("tokens", number(mfu, "tokens"), number(expected, "tokens"), 0.0);
    agree("tokens/s", number(mfu, "tokens_per_second"), number(expected, "tokens_per_second"), APART_AT_MOST);
    assert_eq!((&mfu["flops_by"], &mfu["dtype"]), (&"parameters".into(), &"bf16".into()));
    assert!((goodput["waiting_seconds"].as_f64().expect("a number") - 3.0).abs() < 1.0, "{goodput}");
}

fn steps_agree(found: &Value, expected: &Value) {
    let steps = &found["steps"];
    assert_eq!((&steps["count"], &steps["ranks"]), (&expected["steps"], &4.into()));
    agree("mean", number(steps, "mean_seconds"), number(expected, "mean_seconds"), APART_AT_MOST);
    agree("median", number(steps, "p50_seconds"), number(expected, "p50_seconds"), APART_AT_MOST);
    let buckets = steps["buckets"].as_array().expect("buckets");
    let counted: u64 = buckets.iter().filter_map(|bucket| bucket["count"].as_u64()).sum();
    let again: u64 = buckets.iter().filter_map(|bucket| bucket["lost"].as_u64()).sum();
    assert_eq!(Some(counted - again), expected["steps"].as_u64(), "each counts once beside those done again");
    let checkpoints = &found["checkpoints"];
    assert_eq!(checkpoints["saves"], expected["saves"]);
    agree("a save", number(checkpoints, "save_seconds"), number(expected, "save_seconds"), 0.05);
    let (save, failure) = (number(checkpoints, "save_seconds"), number(checkpoints, "failure_seconds"));
    agree("interval", number(checkpoints, "suggested_seconds"), (2.0 * save * failure).sqrt(), 1e-9);
    assert_eq!((&checkpoints["failures"], &checkpoints["failures_of"]), (&1.into(), &"job".into()));
}

fn the_slow_rank_is_found(found: &Value) {
    let stragglers = found["stragglers"].as_array().expect("a list");
    assert_eq!((&stragglers[0]["rank"], &stragglers[0]["node"]), (&2.into(), &"node1".into()), "{stragglers:?}");
    assert!(number(&stragglers[0], "work_ratio") > 1.3, "{stragglers:?}");
    // It is a tenth of a second slower in each of some hundred steps, and four GPUs are held for it.
    assert!(number(&stragglers[0], "lost_gpu_seconds") > 80.0 * 0.02 * 4.0, "{stragglers:?}");
    assert!(stragglers[0]["cost_micros"].as_i64().is_some_and(|cost| cost > 0), "{stragglers:?}");
}

fn the_crash_is_found(found: &Value, expected: &Value) {
    let goodput = &found["goodput"];
    let lost = number(part(found, "lost_work"), "gpu_seconds");
    assert!(lost >= number(expected, "lost_gpu_seconds_at_least") * 0.5, "{lost} of {expected}");
    assert!(part(found, "lost_work")["cost_micros"].as_i64().is_some_and(|cost| cost > 0), "{goodput}");
    assert_eq!(goodput["restarts"], 1);
    assert!(goodput["lost_steps"].as_u64().is_some_and(|steps| (1..=18).contains(&steps)), "{goodput}");
    let attempts = found["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 2);
    assert_eq!((&attempts[1]["first_step"], &attempts[1]["last_step"]), (&40.into(), &79.into()));
    let cause = &attempts[0]["cause"];
    assert_eq!(cause["kind"], "exception", "{cause}");
    assert!(cause["text"].as_str().is_some_and(|text| text.contains("Rank 1") && text.contains("injected fault")));
    assert_eq!(attempts[1]["cause"], Value::Null);
    let advice = found["advice"].as_array().expect("advice");
    assert!(advice.iter().any(|one| one["title"].as_str().is_some_and(|t| t.contains("rank 2"))), "{advice:?}");
}

/// To the micro, part by part and attempt by attempt.
fn money_sums_to_the_ledger(server: &Server, found: &Value) {
    let sql = format!("SELECT sum(cost_micros) FROM ledger WHERE cluster = '{CLUSTER}' AND job_id = '{JOB}'");
    let ledger = server.query_count(&sql) as i64;
    assert!(ledger > 0);
    let goodput = &found["goodput"];
    assert_eq!(goodput["cost_micros"].as_i64(), Some(ledger));
    let parts = goodput["parts"].as_array().expect("parts");
    assert_eq!(parts.iter().filter_map(|part| part["cost_micros"].as_i64()).sum::<i64>(), ledger);
    agree("a cent a second", ledger as f64 / 1e4, number(goodput, "gpu_seconds"), APART_AT_MOST);
}

fn a_step_has_a_trace(server: &Server) {
    let path = format!("/api/v1/jobs/{CLUSTER}/{JOB}/trace");
    let trace = server.get(&format!("{path}?step=45")).expect_status(200).json();
    assert_eq!((&trace["step"], &trace["previous_step"], &trace["next_step"]), (&45.into(), &44.into(), &46.into()));
    let spans = trace["spans"].as_array().expect("spans");
    // Of the later of its two executions alone, rank by rank: a step, its data and its exchange.
    assert_eq!(spans.len(), 4 * 3, "{spans:?}");
    assert!(spans.iter().all(|span| span["trace_id"] == spans[0]["trace_id"]), "ranks share a trace");
    let two = server.get(&format!("{path}?step=45&ranks=0,2")).expect_status(200).json();
    assert_eq!((&two["ranks"], two["spans"].as_array().map(Vec::len)), (&serde_json::json!([0, 2]), Some(6)));
    let last = server.get(&path).expect_status(200).json();
    assert_eq!((&last["step"], &last["next_step"]), (&79.into(), &Value::Null));
    server.get(&format!("{path}?ranks=x")).expect_status(400);
    server.get(&format!("/api/v1/jobs/{CLUSTER}/none/training")).expect_status(404);
}

fn the_command_tells_it(server: &Server) {
    let said = run(&mut server.command(&["job", "training", JOB]));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let text = String::from_utf8_lossy(&said.stdout);
    for told in ["productive", "lost_work", "restarts: 1", "MFU", "injected fault", "rank 2"] {
        assert!(text.contains(told), "no {told:?} in:\n{text}");
    }
    let none = run(&mut server.command(&["job", "training", "4712"]));
    assert!(!none.status.success() && String::from_utf8_lossy(&none.stderr).contains("no cluster has a job"));
}
