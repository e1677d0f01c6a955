//! Real public data in, reference answers out: imported by the real command, asked through SQL, compared to the
//! printed digits of answers that another engine computed.
//!
//! The data lies beside the repository in `../shared/data` (or `COULOMB_SHARED_DATA`) and is not part of it; where
//! it is absent the tests say so and pass.

use coulomb_tests::{Server, run, workspace_root};
use serde_json::Value;
use std::path::{Path, PathBuf};

mod reference {
    mod azure;
    mod bills;
    mod focus;
    mod genai;
    mod money;
    mod nvidia_smi;
    mod philly;
    mod supercloud;
}

/// One answer: its name, the columns of it that are compared (empty: all), and our question.
type Case = (&'static str, &'static str, &'static str);

#[allow(clippy::disallowed_methods)] // tests have no config.rs; this is where their data lies
fn data_dir() -> Option<PathBuf> {
    let dir = match std::env::var_os("COULOMB_SHARED_DATA") {
        Some(dir) => PathBuf::from(dir),
        None => workspace_root().parent()?.join("shared/data"),
    };
    if !dir.join("answers").is_dir() {
        eprintln!("skipped: the reference data is not in {dir:?}; name its folder in COULOMB_SHARED_DATA");
        return None;
    }
    Some(dir)
}

/// Runs `coulomb import …` and gives its status, its output and its error output.
fn import(server: &Server, arguments: &[&str], files: &[PathBuf]) -> (bool, String, String) {
    let mut all = vec!["import"];
    all.extend_from_slice(arguments);
    let files: Vec<String> = files.iter().map(|f| f.to_string_lossy().into_owned()).collect();
    all.extend(files.iter().map(String::as_str));
    let output = run(&mut server.command(&all));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// Imports, and imports again, which must add nothing.
fn import_twice(server: &Server, table: &str, arguments: &[&str], files: &[PathBuf]) {
    let (good, said, error) = import(server, arguments, files);
    assert!(good && said.contains("rows added") && !said.contains("rejected"), "{said}{error}");
    let count = || server.query_count(&format!("SELECT count(*) FROM {table}"));
    let rows = count();
    let (good, said, error) = import(server, arguments, files);
    assert!(good && said.contains("already imported, nothing added"), "{said}{error}");
    assert_eq!(count(), rows);
}

/// Asks every case and compares all rows in order.
fn compare(server: &Server, data: &Path, answers: &str, cases: &[Case]) {
    let path = data.join("answers").join(format!("{answers}.answers.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {path:?}: {e}"));
    let answers: Value = serde_json::from_str(&text).expect("the answers are JSON");
    for (name, columns, sql) in cases {
        let answer = &answers[name];
        let known: Vec<&str> =
            answer["columns"].as_array().expect("columns").iter().filter_map(Value::as_str).collect();
        let compared: Vec<&str> = if columns.is_empty() { known.clone() } else { columns.split(' ').collect() };
        let expected = answer["rows"].as_array().expect("rows");
        let found = server.query(sql);
        assert_eq!(found.len(), expected.len(), "rows of {name}: {found:?}");
        for (row, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert_eq!(found.len(), compared.len(), "columns of {name}: {found:?}");
            for (column, cell) in compared.iter().zip(found) {
                let at = known.iter().position(|k| k == column).unwrap_or_else(|| panic!("{name} has no {column}"));
                let good = is_same(cell, &expected[at]);
                assert!(good, "{name}, row {row}, {column}: found {cell}, expected {}", expected[at]);
            }
        }
    }
}

/// Texts are equal; numbers agree to the ten digits that the answers have.
fn is_same(found: &str, expected: &Value) -> bool {
    let Some(expected) = expected.as_f64() else { return expected.as_str() == Some(found) };
    let Ok(found) = found.parse::<f64>() else { return false };
    if found == expected {
        return true;
    }
    let digit = 10_f64.powi(expected.abs().log10().floor() as i32 - 9);
    // Half of the last printed digit, and a little for the order of summing.
    (found - expected).abs() <= 0.501 * digit
}

#[test]
fn printed_digits_are_compared() {
    assert!(is_same("29065.557840000085", &serde_json::json!(29065.55784)));
    assert!(!is_same("29065.557851", &serde_json::json!(29065.55784)));
    assert!(is_same("0.0", &serde_json::json!(0)) && is_same("a", &serde_json::json!("a")));
    assert!(!is_same("", &serde_json::json!(0)) && !is_same("b", &serde_json::json!("a")));
}

#[test]
fn our_own_parquet_answers_can_be_imported_from_a_pipe() {
    let server = Server::start();
    let work = tempfile::tempdir().expect("a temporary folder can be made");
    let jobs = work.path().join("jobs.csv");
    let rows = "job_id|nodes|labels|submitted_at|started_at|ended_at\n\
                1|n1;n2|{\"team\":\"vision\"}|2026-01-05T08:00:00Z|2026-01-05T08:05:00Z|2026-01-05T12:05:00Z\n";
    std::fs::write(&jobs, rows).expect("a file can be written");
    let map = work.path().join("map.toml");
    std::fs::write(&map, "delimiter = \"|\"\nquoted = false\n").expect("a file can be written");
    let map = map.to_string_lossy().into_owned();
    import_twice(&server, "job_events", &["jobs", "--cluster", "a", "--map", &map], &[jobs]);
    let sql = "SELECT *, 'b' AS cluster FROM (SELECT * EXCEPT (cluster) FROM job_events)";
    let body = serde_json::json!({ "sql": sql }).to_string();
    let headers = [("Content-Type", "application/json"), ("Accept", "application/vnd.apache.parquet")];
    let answer = server.request("POST", "/api/v1/query", &headers, body.as_bytes()).expect_status(200);
    let copy = work.path().join("copy.parquet");
    std::fs::write(&copy, &answer.body).expect("a file can be written");
    let mut command = server.command(&["import", "jobs", "-"]);
    let output = command.stdin(std::fs::File::open(&copy).expect("it was written")).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let of = |cluster: &str| {
        server.query(&format!(
            "SELECT job_id, array_to_string(nodes, ' '), map_extract(labels, 'team')[1], ended_at - started_at
             FROM jobs WHERE cluster = '{cluster}'"
        ))
    };
    assert_eq!(of("a")[0][..3], ["1", "n1 n2", "vision"]);
    assert_eq!(of("a"), of("b"));
}

fn written(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a file can be written");
    path
}

#[test]
fn options_that_mean_the_same_make_the_same_import() {
    let server = Server::start();
    let work = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |name, text: &str| written(&work, name, text);
    let jobs = [write("jobs.csv", "id,who,ended_at\n1,ada,2026-01-05 08:00:00\n")];
    let map = "[columns]\njob_id = { source = \"id\" }\nuser = { source = \"who\" }\n";
    let other = "# Ours.\ntimezone = 'UTC'\n\n[columns]\nuser = { source = 'who' }\njob_id = { source = 'id' }\n";
    let maps = [write("a.toml", map), write("b.toml", other)].map(|p| p.to_string_lossy().into_owned());
    let arguments = |map: usize| vec!["jobs", "--cluster", "c", "--map", &maps[map]];
    let (good, said, error) = import(&server, &arguments(0), &jobs);
    assert!(good && said.contains("1 rows added") && said.contains("read as UTC"), "{said}{error}");
    for more in [&[][..], &["--timezone", "UTC"], &["--timezone", "Europe/Berlin"]] {
        let (good, said, error) = import(&server, &[&arguments(1)[..], more].concat(), &jobs);
        let is_other = more.last() == Some(&"Europe/Berlin");
        assert!(good && said.contains("already imported") != is_other && !said.contains("note"), "{said}{error}");
    }
}

#[test]
fn a_file_that_fails_stops_no_other_and_fails_the_command() {
    let server = Server::start();
    let work = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |name, text: &str| written(&work, name, text);
    let header = "job_id,ended_at";
    let files =
        [write("a.csv", header), work.path().join("none.csv"), write("b.csv", &format!("{header}\n1,2026-01-05\n"))];
    let (good, said, error) = import(&server, &["jobs", "--cluster", "c"], &files);
    assert!(!good && said.contains("b.csv: 1 rows added"), "{said}{error}");
    assert!(error.contains("a.csv") && error.contains("none.csv"), "{error}");
    assert!(error.ends_with("2 of 3 files were not imported, or not whole\n"), "{error}");
}

#[test]
fn exporter_pages_are_read_as_they_were_captured() {
    let Some(data) = data_dir() else { return };
    let server = Server::start();
    let folder = data.join("formats/nvidia_gpu_exporter");
    let entries = std::fs::read_dir(&folder).expect("the captures are a folder");
    let mut pages: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    pages.retain(|p| p.extension().is_some_and(|e| e == "metrics"));
    pages.sort();
    let arguments =
        ["gpu-samples", "--preset", "prometheus-text", "--cluster", "lab", "--time", "2026-01-02T03:04:05Z"];
    import_twice(&server, "gpu_samples", &arguments, &pages);
    let found = server
        .query("SELECT node, power_watts, gpu_busy_ratio, memory_used_bytes, time FROM gpu_samples ORDER BY node");
    assert_eq!(found.len(), pages.len());
    for (page, row) in pages.iter().zip(found) {
        let text = std::fs::read_to_string(page).expect("a page is text");
        let value = |metric: &str| -> f64 {
            let line = text.lines().find(|l| l.starts_with(&format!("{metric}{{")));
            let word = line.and_then(|l| l.rsplit(' ').next());
            word.and_then(|w| w.parse().ok()).unwrap_or_else(|| panic!("{page:?} has no {metric}"))
        };
        assert_eq!(page.file_stem().map(|s| s.to_string_lossy().into_owned()), Some(row[0].clone()));
        for (cell, metric) in [
            (1, "nvidia_smi_power_draw_watts"),
            (2, "nvidia_smi_utilization_gpu_ratio"),
            (3, "nvidia_smi_memory_used_bytes"),
        ] {
            assert_eq!(row[cell].parse::<f64>().ok(), Some(value(metric)), "{metric} of {page:?}");
        }
        assert!(row[4].starts_with("2026-01-02T03:04:05"), "{row:?}");
    }
}

#[test]
fn files_of_another_format_are_refused_in_one_line() {
    let Some(data) = data_dir() else { return };
    let server = Server::start();
    let jobs = data.join("jobs_philly/philly.csv");
    let pages = data.join("telemetry_alibaba_genai2026/pod_gpu_duty_cycle_anon.parquet");
    for (arguments, file) in [
        (["jobs", "--preset", "mit-supercloud", "--cluster", "c"], &jobs),
        (["jobs", "--preset", "slurm-sacct", "--cluster", "c"], &jobs),
        (["jobs", "--preset", "philly", "--cluster", "c"], &pages),
        (["gpu-samples", "--preset", "nvidia-smi-csv", "--cluster", "c"], &jobs),
        (["gpu-samples", "--preset", "prometheus-text", "--cluster", "c"], &jobs),
        (["gpu-samples", "--preset", "alibaba-genai", "--cluster", "c"], &jobs),
    ] {
        let (good, said, error) = import(&server, &arguments, std::slice::from_ref(file));
        assert!(!good && said.is_empty() && error.lines().count() == 1, "{arguments:?}: {said}{error}");
        assert!(error.contains("is not of the format"), "{arguments:?}: {error}");
    }
    assert_eq!(server.query_count("SELECT count(*) FROM job_events"), 0);
}
