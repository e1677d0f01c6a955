//! Rules as files: those of Prometheus in both directions, held against promtool, and cases that need no server.

use coulomb_tests::{Server, binary, run, workspace_root};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const SEEN_AT_MOST: Duration = Duration::from_secs(120);
const RULE_FILE: &str = r#"groups:
- name: gpus
  interval: 1s
  rules:
  - alert: Always
    expr: vector(42) > 40
    labels: { severity: page, team: infra }
    annotations:
      summary: 'the answer is {{ $value }} of {{ printf "%.0f" $value }}'
      runbook_url: https://runbooks.example.org/always
  - alert: HighClock
    expr: max by (node) (coulomb_gpu_sm_clock_hertz) > 1e12
    for: 5m
    keep_firing_for: 10m
    labels: { severity: warning }
    annotations: { summary: '{{ $labels.node }}: {{ $value | humanizePercentage }}' }
"#;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_rule_file_of_prometheus_is_taken_over_fires_and_is_given_back() {
    let server = Server::start();
    let told = |words: &[&str]| {
        let output = run(&mut server.command(words));
        (output.status.success(), said(&output))
    };
    let file = server.data.join("My_Rules.yml");
    let path = file.to_str().expect("a path is text");
    fs::write(&file, RULE_FILE.replace("expr: vector(42) > 40", "record: a:b")).expect("a file can be written");
    let (good, why) = told(&["rules", "import", path]);
    assert!(!good && why.contains("my-rules.yml line 6") && why.contains("recording rules"), "{why}");
    fs::write(&file, RULE_FILE.replace("vector(42) >", "vector(42 >")).expect("a file can be written");
    let (good, why) = told(&["rules", "import", path]);
    assert!(!good && why.contains("my-rules.yml line 5") && why.contains("\"Always\""), "{why}");
    fs::write(&file, RULE_FILE).expect("a file can be written");
    let (good, shown) = told(&["rules", "import", path, "--dry-run"]);
    assert!(good && shown.contains("# line 7: severity \"page\"") && shown.contains("name = \"Always\""), "{shown}");
    assert!(!told(&["rules", "texts"]).1.contains("my-rules"));
    let (good, kept) = told(&["rules", "import", path]);
    assert!(good && kept.contains("my-rules is kept: 2 rules"), "{kept}");
    let end = Instant::now() + SEEN_AT_MOST;
    while !told(&["alerts"]).1.contains("the answer is 42 of 42") {
        assert!(Instant::now() < end, "{}", told(&["alerts"]).1);
        std::thread::sleep(Duration::from_millis(200));
    }
    let (good, exported) = told(&["rules", "export", "--format", "prometheus"]);
    assert!(good && exported.contains("GpuLost (hardware.toml line"), "{exported}");
    let back = server.data.join("back.yml");
    fs::write(&back, &exported).expect("a file can be written");
    let (good, again) =
        told(&["rules", "import", back.to_str().expect("a path is text"), "--name", "again", "--dry-run"]);
    assert!(good && again.contains("{value:percent}") && again.contains("keep_firing_for = \"10m\""), "{again}");
    match Command::new("promtool").arg("check").arg("rules").arg(&back).output() {
        Ok(output) => {
            let text = said(&output);
            assert!(output.status.success() && text.contains("2 rules found"), "{text}\n{exported}");
        }
        Err(_) => eprintln!("skipped: promtool is not installed"),
    }
    let preview = json!({ "rule": "Always", "from_unix_micros": 1_772_323_200_000_000_i64, "to_unix_micros": 1_772_326_800_000_000_i64 });
    let headers =
        [("Authorization", format!("Bearer {}", server.token)), ("Content-Type", "application/json".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = server.request("POST", "/api/v1/rules/preview", &headers, preview.to_string().as_bytes()).json();
    assert_eq!((&answer["count"], &answer["complete"]), (&json!(1), &json!(true)), "{answer}");
    let values = answer["values"].as_array().expect("a list");
    assert!(values.len() > 700 && values.iter().all(|value| *value == json!(42.0)), "{answer}");
}

#[test]
fn cases_are_played_without_a_server() {
    let rules = |files: &[&str]| {
        let mut command = Command::new(binary("coulomb"));
        command.current_dir(workspace_root()).args(["rules", "test"]).args(files);
        let output = run(&mut command);
        (output.status.success(), said(&output))
    };
    let (good, told) = rules(&["alerts/tests/collection.toml", "alerts/tests/fleet.toml"]);
    assert!(
        good && told.lines().all(|line| line.starts_with("ok   ")) && told.contains("a node that is silent"),
        "{told}"
    );
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("case.toml");
    fs::write(folder.path().join("rules.yml"), RULE_FILE).expect("a file can be written");
    let case = "rules = [\"rules.yml\"]\n[[case]]\nname = \"a\"\n[[case.eval]]\nat = \"2s\"\nalerts = []\n";
    fs::write(&file, case).expect("a file can be written");
    let (good, told) = rules(&[file.to_str().expect("a path is text")]);
    assert!(!good && told.contains("FAIL ") && told.contains("there is Always firing"), "{told}");
    assert!(told.contains("1 of 1 cases failed"), "{told}");
}

#[test]
fn a_bomb_of_aliases_is_refused_at_once() {
    let server = Server::start();
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..20 {
        let before = vec![format!("*a{}", level - 1); 10].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    let bearer = format!("Bearer {}", server.token);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "text/plain")];
    let begun = Instant::now();
    let answer = server.request("PUT", "/api/v1/alerts/texts/bomb?format=prometheus", &headers, bomb.as_bytes());
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(begun.elapsed() < Duration::from_secs(10));
    let told: Value = answer.json();
    assert!(told["error"]["message"].as_str().expect("a text").contains("cannot be read as YAML"), "{told}");
}
