//! The public FOCUS validator, in a Python environment of its own. The only model that it brings along, and so the only
//! one that can be checked without a network, is that of FOCUS 1.2.
//!
//! The validator needs Python 3.12 or newer and packages of its own; where they cannot be had this says so.

use crate::{run, target_dir, workspace_root};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One of the two fails whatever a file has: a charge is tied to an invoice or it is not, and the model asks for both.
const KNOWN_DEFECTS: [&str; 2] = ["InvoiceId-C-004-C", "InvoiceId-C-005-C"];

const NEWEST_FIRST: [&str; 3] = ["3.14", "3.13", "3.12"];

/// What the validator said of each rule.
pub struct Outcome {
    pub passed: usize,
    pub skipped: usize,
    /// Outside of the known defects, with what was said.
    pub failed: Vec<String>,
}

impl Outcome {
    /// A run that checks less than this has lost its rules.
    const PASSED_MIN: usize = 270;

    /// Panics where a rule failed, or too few were asked for.
    pub fn check(&self) {
        println!("{} rules passed, {} were skipped", self.passed, self.skipped);
        assert!(self.failed.is_empty(), "failed rules:\n{}", self.failed.join("\n"));
        assert!(self.passed >= Self::PASSED_MIN, "only {} rules passed", self.passed);
    }
}

/// A Python that the validator runs on: by its name on the path, or among pyenv's versions, the newest first.
#[allow(clippy::disallowed_methods)] // tests have no config.rs; pyenv says by these where its versions are
fn python() -> Option<PathBuf> {
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let root = root.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let versions = root.and_then(|root| fs::read_dir(root.join("versions")).ok());
    let versions: Vec<PathBuf> = versions.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let mut candidates = Vec::new();
    for version in NEWEST_FIRST {
        candidates.push(PathBuf::from(format!("python{version}")));
        let same = |path: &&PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name == version || name.starts_with(&format!("{version}."))
        };
        candidates.extend(versions.iter().filter(same).map(|path| path.join("bin/python3")));
    }
    // A shim of pyenv exists for versions that are not chosen, and then fails.
    let works = |path: &PathBuf| Command::new(path).arg("--version").output().is_ok_and(|ran| ran.status.success());
    candidates.into_iter().find(works)
}

/// The Python of the validator's own environment below the target folder, made once; none where it cannot be made.
pub fn environment() -> Option<PathBuf> {
    let folder = target_dir().join("focus-validator");
    let wanted = workspace_root().join("tests/python/focus-requirements.txt");
    let text = fs::read_to_string(&wanted).unwrap_or_else(|e| panic!("cannot read {wanted:?}: {e}"));
    let (python_inside, stamp) = (folder.join("bin/python"), folder.join("installed.txt"));
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == text) {
        return Some(python_inside);
    }
    let Some(python) = python() else {
        eprintln!("skipped: the FOCUS validator needs Python 3.12 or newer");
        return None;
    };
    let made = Command::new(&python).args(["-m", "venv", "--clear"]).arg(&folder).output();
    if !made.is_ok_and(|made| made.status.success()) {
        eprintln!("skipped: {python:?} makes no virtual environment");
        return None;
    }
    let mut pip = Command::new(&python_inside);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&wanted);
    let installed = run(&mut pip);
    if !installed.status.success() {
        eprintln!("skipped: the validator was not installed: {}", String::from_utf8_lossy(&installed.stderr));
        return None;
    }
    fs::write(&stamp, text).expect("the target folder can be written");
    Some(python_inside)
}

/// Runs the validator over any CSV file of FOCUS 1.2.
pub fn validate(python: &Path, file: &Path) -> Outcome {
    let mut command = Command::new(python);
    let ran = run(command.arg(workspace_root().join("tests/python/focus.py")).arg(file));
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let said: Value = serde_json::from_slice(&ran.stdout).expect("one JSON object");
    let count = |key: &str| said[key].as_array().expect("names of rules").len();
    let failed = said["failed"].as_object().expect("failures by rule");
    let is_known = |rule: &str| KNOWN_DEFECTS.iter().any(|known| rule.contains(known));
    let failed = failed.iter().filter(|(rule, _)| !is_known(rule)).map(|(rule, why)| format!("{rule}: {why}"));
    Outcome { passed: count("passed"), skipped: count("skipped"), failed: failed.collect() }
}
