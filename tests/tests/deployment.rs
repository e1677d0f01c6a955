//! Deployment data is checked against the programs: files exist, and the flags that it uses are known.

#[path = "deployment/kubernetes.rs"]
mod kubernetes;

use coulomb_tests::{binary, run, workspace_root};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

fn read(path: &str) -> String {
    fs::read_to_string(workspace_root().join(path)).unwrap_or_else(|e| panic!("cannot read {path}: {e}"))
}

/// The flags of a command, from its own help.
fn flags(program: &str, command: &str) -> BTreeSet<String> {
    let output = run(Command::new(binary(program)).args([command, "--help"]));
    assert!(output.status.success(), "{program} {command} --help failed");
    flags_in(&String::from_utf8_lossy(&output.stdout))
}

fn flags_in(text: &str) -> BTreeSet<String> {
    let is_flag = |c: char| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit();
    let words = text.split(|c: char| !is_flag(c));
    words.filter(|word| word.starts_with("--") && word.len() > 2).map(str::to_owned).collect()
}

#[test]
fn compose_is_valid_and_names_files_and_flags_that_exist() {
    let python = coulomb_tests::target_dir().join("python/bin/python");
    assert!(python.is_file(), "{python:?} is missing: `cargo xtask test` installs it");
    let to_json = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let output = run(Command::new(python).args(["-c", to_json]).arg(workspace_root().join("docker-compose.yml")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let compose: serde_json::Value = serde_json::from_slice(&output.stdout).expect("Python wrote JSON");

    let services = compose["services"].as_object().expect("there are services");
    assert_eq!(services.keys().collect::<Vec<_>>(), ["collector", "server"]);
    let volumes = compose["volumes"].as_object().expect("there are volumes");
    for (name, service) in services {
        let file = service["build"]["dockerfile"].as_str().expect("each is built here");
        assert!(read(file).contains("ENTRYPOINT"), "{file} starts nothing");
        let program = if name == "server" { "coulomb" } else { "coulomb-collector" };
        let words = service["command"].as_array().expect("the command is a list").iter().filter_map(|w| w.as_str());
        let words: Vec<&str> = words.collect();
        let known = flags(program, words[0]);
        for word in words.iter().filter(|word| word.starts_with("--")) {
            assert!(known.contains(*word), "docker-compose.yml: {program} {} has no {word}", words[0]);
        }
        for mount in service["volumes"].as_array().expect("each keeps something").iter().filter_map(|v| v.as_str()) {
            let volume = mount.split(':').next().unwrap_or_default();
            assert!(volumes.contains_key(volume), "docker-compose.yml: {name} mounts {volume:?}, which is no volume");
        }
    }
    let ports = compose["services"]["server"]["ports"].to_string();
    for port in ["127.0.0.1:6240:6240", "127.0.0.1:6241:6241", "127.0.0.1:4317:4317"] {
        assert!(ports.contains(port), "the server must not be published beyond this machine: {ports}");
    }
}

#[test]
fn systemd_units_use_flags_that_exist() {
    for (unit, program, command) in
        [("coulomb.service", "coulomb", "serve"), ("coulomb-collector.service", "coulomb-collector", "run")]
    {
        let text = read(&format!("deploy/systemd/{unit}"));
        let start = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a unit starts something");
        assert!(start.starts_with(&format!("/usr/local/bin/{program} {command} ")), "{unit}: {start}");
        let known = flags(program, command);
        for flag in flags_in(start) {
            assert!(known.contains(&flag), "{unit}: {program} {command} has no {flag}");
        }
    }
}
