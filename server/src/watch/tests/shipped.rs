//! The rules of the product, by the cases that stand beside them, and cases that are wrong.

use super::super::rehearse::{RehearsalError, play_file, rehearse};
use super::super::shelf;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alerts/tests");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn each_shipped_rule_has_a_case_and_does_what_it_says() {
    let (mut about, mut failures) = (BTreeSet::new(), Vec::new());
    for file in cases() {
        let verdicts = play_file(&file).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(!verdicts.is_empty(), "{file:?} has no case");
        for verdict in verdicts {
            failures.extend(verdict.failures.iter().map(|why| format!("{}: {why}", verdict.case)));
            about.extend(verdict.about);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let dir = tempfile::tempdir().unwrap();
    let shipped = shelf(dir.path()).all().unwrap();
    let rules = shipped.iter().flat_map(|shelved| &shelved.read.as_ref().unwrap().rules);
    let untested: Vec<_> = rules.filter(|rule| !about.contains(&*rule.name)).map(|rule| &rule.name).collect();
    assert!(untested.is_empty(), "no case of {untested:?}");
}

const RULES: &str = "[[rule]]\nname = \"Hot\"\nsql = \"select node, max(temperature_celsius) as value from gpu_samples \
    where time > $1 and time <= $2 group by 1\"\nabove = 90\nover = \"5m\"\nfor = \"2m\"\nseverity = \"info\"\n\
    needs = [\"gpu_samples\"]\nsummary = \"{node} is at {value:celsius}\"\n";
const RULE_FILE: &str = "groups:\n- name: a\n  rules:\n  - alert: Warm\n    \
    expr: max by (node) (coulomb_gpu_temperature_celsius) > 70\n    for: 1m\n    labels: { severity: info }\n    \
    annotations: { summary: '{{ $labels.node }} is warm' }\n";
const CASE: &str = r#"
rules = ["mine.toml", "rules.yml"]
[[case]]
name = "it gets hot"
[[case.load]]
table = "gpu_samples"
every = "1m"
row = { interval_seconds = 60.0, cluster = "c", node = "n1", gpu_uuid = "g", gpu_index = 0, gpu_model = "H100" }
series = { temperature_celsius = "60 75 95x8" }
[[case.eval]]
at = "0s"
alerts = []
[[case.eval]]
at = "4m"
alerts = [
  { rule = "Hot", labels = { node = "n1" }, value = 95, summary = "n1 is at 95 °C" },
  { rule = "Warm", summary = "n1 is warm" },
]
"#;

/// What `coulomb rules test` says of a case, and whether all was well.
fn played(case: &str) -> (Result<(), RehearsalError>, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("mine.toml", RULES), ("rules.yml", RULE_FILE), ("case.toml", case)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut out = Vec::new();
    let done = rehearse(&[folder.path().join("case.toml")], &mut out);
    (done, String::from_utf8(out).unwrap())
}

#[test]
fn cases_say_what_is_not_as_it_should_be() {
    let (done, told) = played(CASE);
    assert!(done.is_ok() && told.starts_with("ok   ") && told.contains("it gets hot"), "{done:?}\n{told}");
    for (from, to, said) in [
        ("value = 95", "value = 96", "there is no Hot firing node=\"n1\" value 96"),
        ("value = 95", "value = 96", "there is Hot firing"),
        ("is warm", "is cold", "there is no Warm firing, summary \"n1 is cold\""),
        ("at = \"4m\"", "at = \"3m\"", "there is Hot pending"),
        ("gpu_samples", "gpu_sampels", "there is no table \"gpu_sampels\""),
        ("node = \"n1\", gpu", "nodes = \"n1\", gpu", "does not fit the table gpu_samples"),
    ] {
        let (done, told) = played(&CASE.replace(from, to));
        assert!(matches!(done, Err(RehearsalError::Failed { failed: 1, cases: 1 })), "{to}: {done:?}");
        assert!(told.starts_with("FAIL ") && told.contains(said), "{to}: {told}");
    }
    for (from, to, said) in [
        ("rule = \"Warm\"", "rule = \"Worm\"", "there is no rule \"Worm\""),
        ("mine.toml", "other.toml", "other.toml"),
        ("name = \"it", "title = \"it", "case.toml line 4"),
    ] {
        let (done, _) = played(&CASE.replace(from, to));
        let told = done.unwrap_err().to_string();
        assert!(told.contains(said), "{told}");
    }
}
