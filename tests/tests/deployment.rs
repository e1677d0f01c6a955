//! Deployment data is checked against the programs: files exist, and the flags that it uses are known.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "deployment/kubernetes.rs"]
mod kubernetes;

use coulomb_tests::{binary, run, workspace_root};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
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

/// Runs a script of `deploy/slurm` as slurmd does, with a node's `nvidia-smi` before the others.
fn slurm_script(name: &str, folder: &Path, environment: &[(&str, &str)]) {
    let programs = format!("{}:/usr/bin:/bin", folder.join("bin").display());
    let mut command = Command::new("sh");
    command.arg(workspace_root().join("deploy/slurm").join(name)).env_clear().env("PATH", programs);
    command.env("COULOMB_GPU_JOBS", folder.join("gpustat")).envs(environment.iter().copied());
    let output = run(&mut command);
    assert!(output.status.success(), "{name} drains its node: {}", String::from_utf8_lossy(&output.stderr));
}

/// Name and text of each note.
fn notes(folder: &Path) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(folder.join("gpustat")) else { return Vec::new() };
    let mut notes: Vec<(String, String)> = entries
        .flatten()
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    notes.sort();
    notes
}

#[test]
fn slurms_prolog_notes_whose_a_gpu_is_and_the_epilog_takes_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let note = |name: &str, text: &str| (name.to_owned(), format!("{text}\n"));
    let job = |id: &'static str, gpus: &'static str| {
        vec![("SLURM_JOB_ID", id), ("SLURM_JOB_UID", "1000"), ("SLURM_JOB_GPUS", gpus)]
    };
    // Without nvidia-smi a GPU is known by its index.
    slurm_script("coulomb-prolog.sh", folder.path(), &job("7", "0,3"));
    assert_eq!(notes(folder.path()), [note("0", "7 1000 7"), note("3", "7 1000 7")]);
    slurm_script("coulomb-epilog.sh", folder.path(), &job("7", "0,3"));
    assert_eq!(notes(folder.path()), []);

    fs::create_dir(folder.path().join("bin")).unwrap();
    let smi = folder.path().join("bin/nvidia-smi");
    fs::write(&smi, "#!/bin/sh\nprintf '0, GPU-aa-0\\n1, GPU-aa-1\\n10, GPU-aa-10\\n'\n").unwrap();
    assert!(run(Command::new("chmod").arg("755").arg(&smi)).status.success());
    let mut task = job("12", "1");
    task.extend([("SLURM_ARRAY_JOB_ID", "9"), ("SLURM_ARRAY_TASK_ID", "4")]);
    slurm_script("coulomb-prolog.sh", folder.path(), &task);
    slurm_script("coulomb-prolog.sh", folder.path(), &job("123", "0,10,x;y"));
    let both = [note("GPU-aa-0", "123 1000 123"), note("GPU-aa-1", "9_4 1000 12"), note("GPU-aa-10", "123 1000 123")];
    assert_eq!(notes(folder.path()), both);
    slurm_script("coulomb-prolog.sh", folder.path(), &[("SLURM_JOB_ID", "8")]);
    slurm_script("coulomb-epilog.sh", folder.path(), &[("SLURM_JOB_ID", "1")]);
    slurm_script("coulomb-epilog.sh", folder.path(), &[]);
    assert_eq!(notes(folder.path()), both, "jobs without GPUs and other jobs change nothing");
    slurm_script("coulomb-epilog.sh", folder.path(), &[("SLURM_JOB_ID", "12")]);
    assert_eq!(notes(folder.path()).len(), 2);

    // A folder that cannot be made must not drain the node.
    fs::write(folder.path().join("file"), "").unwrap();
    let bad = folder.path().join("file/gpustat");
    let mut stuck = job("13", "0");
    stuck.push(("COULOMB_GPU_JOBS", bad.to_str().unwrap()));
    slurm_script("coulomb-prolog.sh", folder.path(), &stuck);
}

#[test]
fn scripts_for_slurm_are_plain_sh() {
    let scripts =
        ["coulomb-prolog.sh", "coulomb-epilog.sh"].map(|name| workspace_root().join("deploy/slurm").join(name));
    for script in &scripts {
        assert!(run(Command::new("sh").arg("-n").arg(script)).status.success(), "{script:?} is no sh");
    }
    if Command::new("shellcheck").arg("--version").output().is_err() {
        return println!("skipped: shellcheck is not installed");
    }
    let output = run(Command::new("shellcheck").args(&scripts));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
