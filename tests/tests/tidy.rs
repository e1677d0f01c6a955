//! Sizes, names and places that STYLE fixes. A list of exceptions may get shorter, never longer.

use coulomb_tests::source::{Source, sources};
use coulomb_tests::workspace_root;
use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 8] =
    ["contract/src", "otlp/src", "exposition/src", "collector/src", "server/src", "web/src", "tests/src", "xtask/src"];

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 400;
const DOOR_LINES_MAX: usize = 12;
const CONTRACT_CODE_LINES_MAX: usize = 800;
const XTASK_CODE_LINES_MAX: usize = 600;

/// Functions over the limit, as `(file, function, lines)`.
const LONG_FUNCTIONS: [(&str, &str, usize); 0] = [];
/// Files over the limit, as `(file, lines)`.
const LONG_FILES: [(&str, usize); 0] = [];

/// Names that hide the idea.
const BANNED_NAMES: [&str; 14] = [
    "util",
    "utils",
    "helper",
    "helpers",
    "manager",
    "managers",
    "common",
    "core",
    "misc",
    "data",
    "info",
    "stuff",
    "shared",
    "lib_utils",
];

/// Global state that anyone may change.
const GLOBAL_STATE: [&str; 6] = ["static mut", "OnceLock<", "LazyLock<", "OnceCell<", "lazy_static", "thread_local"];

/// Files that name a registry or a machine's paths are of no use elsewhere. Written in two parts, so that this
/// list does not find itself.
const FOREIGN: [&str; 8] = [
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("files.", "pythonhosted.org"),
    concat!("pypi.", "org/simple"),
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
];

const TEXT_ENDINGS: [&str; 20] = [
    "rs", "toml", "lock", "md", "json", "js", "mjs", "ts", "css", "html", "py", "txt", "yml", "yaml", "sh", "service",
    "c", "h", "slt", "tf",
];

fn all_sources() -> Vec<Source> {
    CRATES.iter().flat_map(|folder| sources(folder)).collect()
}

fn product_code() -> Vec<Source> {
    all_sources().into_iter().filter(|source| !source.is_test).collect()
}

fn file_name(source: &Source) -> String {
    source.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn fail_with(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn functions_are_short() {
    let mut faults = Vec::new();
    for source in product_code() {
        let path = source.path.display().to_string();
        for function in source.functions() {
            let exception = LONG_FUNCTIONS.iter().find(|(file, name, _)| *file == path && *name == function.name);
            if function.lines > exception.map_or(FUNCTION_LINES_MAX, |(_, _, lines)| *lines) {
                let (name, lines) = (&function.name, function.lines);
                faults.push(format!(
                    "{path}:{}: {name} has {lines} lines, {FUNCTION_LINES_MAX} are allowed: \
                     keep the decisions and move straight work into functions that it calls",
                    function.line
                ));
            }
        }
    }
    fail_with(faults);
}

#[test]
fn files_are_short() {
    let mut faults = Vec::new();
    for source in product_code() {
        let path = source.path.display().to_string();
        let exception = LONG_FILES.iter().find(|(file, _)| *file == path);
        let lines = source.lines();
        if lines > exception.map_or(FILE_LINES_MAX, |(_, lines)| *lines) {
            faults.push(format!(
                "{path}: {lines} lines, {FILE_LINES_MAX} are allowed: split it by verb into files beside it"
            ));
        }
    }
    fail_with(faults);
}

#[test]
fn exceptions_are_still_needed() {
    let sources = product_code();
    for (file, name, lines) in LONG_FUNCTIONS {
        let source = sources.iter().find(|s| s.path == Path::new(file)).unwrap_or_else(|| panic!("{file} is gone"));
        let long = source.functions().into_iter().any(|f| f.name == name && f.lines > FUNCTION_LINES_MAX);
        assert!(long, "{name} in {file} is short now: take ({file:?}, {name:?}, {lines}) out of LONG_FUNCTIONS");
    }
    for (file, _) in LONG_FILES {
        let source = sources.iter().find(|s| s.path == Path::new(file)).unwrap_or_else(|| panic!("{file} is gone"));
        assert!(source.lines() > FILE_LINES_MAX, "{file} is short now: take it out of LONG_FILES");
    }
}

#[test]
fn modules_have_names_that_say_something() {
    let mut faults = Vec::new();
    for source in all_sources() {
        let words = source.path.iter().map(|part| part.to_string_lossy().trim_end_matches(".rs").to_owned());
        if let Some(word) = words.into_iter().find(|word| BANNED_NAMES.contains(&word.as_str())) {
            faults.push(format!("{}: {word:?} says nothing: name what it owns", source.path.display()));
        }
        for (at, _) in source.words("mod") {
            let name: String = source.code[at + 3..].trim_start().chars().take_while(|c| c.is_alphanumeric()).collect();
            if BANNED_NAMES.contains(&name.as_str()) {
                faults.push(format!("{}: mod {name} says nothing: name what it owns", source.place(at)));
            }
        }
    }
    fail_with(faults);
}

#[test]
fn every_file_says_what_it_owns() {
    let mut faults = Vec::new();
    for source in all_sources().iter().filter(|source| file_name(source) != "tests.rs" && !source.is_test) {
        let head = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        let path = source.path.display();
        if head == 0 {
            faults.push(format!("{path}:1: starts without `//!`: say what it owns and what it must not know"));
        }
        if head > DOOR_LINES_MAX {
            faults.push(format!(
                "{path}:1: a head of {head} lines, {DOOR_LINES_MAX} are allowed: move it to where it is true"
            ));
        }
    }
    fail_with(faults);
}

#[test]
fn the_environment_is_read_in_config_only() {
    let mut faults = Vec::new();
    for source in product_code() {
        let in_tests_crate = source.path.starts_with("tests");
        if file_name(&source) == "config.rs" || in_tests_crate {
            continue;
        }
        for (at, _) in source.words("env") {
            let rest = &source.code[at + 3..];
            if rest.starts_with("::") && !source.code[..at].ends_with("Cargo") {
                faults.push(format!("{}: std::env outside of config.rs: make it a setting there", source.place(at)));
            }
        }
    }
    fail_with(faults);
}

#[test]
fn nothing_is_global_nothing_prints_and_nothing_sleeps_where_it_must_not() {
    let mut faults = Vec::new();
    for source in product_code() {
        let tool = source.path.starts_with("xtask") || source.path.starts_with("tests");
        for word in GLOBAL_STATE {
            if let Some(at) = source.code.find(word) {
                faults.push(format!("{}: {word}: no global state, pass the value", source.place(at)));
            }
        }
        if !tool && file_name(&source) != "main.rs" {
            for word in ["println", "eprintln", "print", "eprint"] {
                let prints = |at: &usize| source.code[at + word.len()..].starts_with('!');
                if let Some(at) = source.words(word).map(|(at, _)| at).find(prints) {
                    faults.push(format!("{}: {word}!: log it, or write to the output passed in", source.place(at)));
                }
            }
        }
        let serves = source.path.starts_with("server/src") && !source.path.starts_with("server/src/client");
        if let Some(at) = source.code.find("thread::sleep").filter(|_| serves) {
            faults.push(format!("{}: thread::sleep blocks the server: use tokio::time::sleep", source.place(at)));
        }
    }
    fail_with(faults);
}

#[test]
fn an_allowed_lint_has_a_reason() {
    let mut faults = Vec::new();
    for source in product_code() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, code) in source.code.lines().enumerate() {
            if !code.contains("[allow(") {
                continue;
            }
            let before = number.checked_sub(1).map_or("", |n| lines[n]);
            let said = lines[number].contains("reason =") || lines[number].contains("//");
            if !said && !before.trim_start().starts_with("//") {
                let path = source.path.display();
                faults.push(format!("{path}:{}: allow without a reason: say why in `reason = …`", number + 1));
            }
        }
    }
    fail_with(faults);
}

#[test]
fn the_contract_and_xtask_stay_small() {
    let lines = |folder| product_code().iter().filter(|s| s.path.starts_with(folder)).map(Source::code_lines).sum();
    let (contract, xtask): (usize, usize) = (lines("contract"), lines("xtask"));
    assert!(contract < CONTRACT_CODE_LINES_MAX, "the contract has {contract} lines of code: move what is not shared");
    assert!(xtask < XTASK_CODE_LINES_MAX, "xtask has {xtask} lines of code: it builds and runs, nothing else");
}

#[test]
fn no_file_names_a_registry_or_a_path_of_one_machine() {
    let mut files = Vec::new();
    collect(&workspace_root(), &mut files);
    assert!(files.len() > 50, "the repository has more files than {}", files.len());
    let mut faults = Vec::new();
    for path in files {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = FOREIGN.iter().find(|word| names(line, word)) {
                faults.push(format!("{}:{}: names {word:?}: it holds on one machine only", path.display(), number + 1));
            }
        }
        if path.ends_with("package-lock.json") && text.contains("\"resolved\"") {
            faults.push(format!(
                "{}: holds addresses: write it with `npm install --package-lock-only --omit-lockfile-registry-resolved`",
                path.display()
            ));
        }
    }
    fail_with(faults);
}

/// A path counts at the start of a word: one in the middle of another path is none of this machine.
fn names(line: &str, word: &str) -> bool {
    let starts_word = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.}/".contains(c));
    line.match_indices(word).any(|(at, _)| !word.starts_with('/') || starts_word(at))
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("cannot read {folder:?}: {e}"));
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            if ![".git", "target", "node_modules", "coulomb-data"].contains(&name.as_str()) {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|e| TEXT_ENDINGS.iter().any(|t| e == *t)) || name == "Dockerfile" {
            found.push(path);
        }
    }
}
