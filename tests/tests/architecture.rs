//! Who may import whom, and which technology is named where: tables, held against the sources and cargo's tree.

use coulomb_tests::source::{Source, sources};
use coulomb_tests::workspace_root;
use std::collections::BTreeSet;
use std::process::Command;

/// A module of a crate and the modules of the same crate that it may name.
struct Room {
    name: &'static str,
    may: &'static [&'static str],
}

/// `main.rs` and `lib.rs` wire, so they may name every door.
const SERVER: [Room; 26] = [
    Room { name: "error", may: &[] },
    // What api and client say to each other.
    Room { name: "answers", may: &[] },
    Room { name: "store", may: &["error"] },
    Room { name: "ingest", may: &["store", "access", "error"] },
    Room { name: "query", may: &["store", "error"] },
    Room { name: "cost", may: &["error"] },
    // Requests and files for others; knows nothing of what is in them.
    Room { name: "deliver", may: &["error"] },
    // When documents are due; lends the store's and the delivery's reading of addresses.
    Room { name: "schedule", may: &["cost", "report", "deliver", "store", "error"] },
    // Gathers what cost computes from, and keeps what comes of it.
    Room { name: "ledger", may: &["store", "query", "cost", "schedule", "error"] },
    // Makes documents, also of what was found, and delivers them by schedule.
    Room {
        name: "dispatch",
        may: &["store", "query", "cost", "ledger", "insight", "report", "schedule", "deliver", "error"],
    },
    // Answers are found as they are told; the shelf lends the figures of GPUs.
    Room { name: "insight", may: &["answers", "query", "cost", "shelf", "error"] },
    // Rules and their states; lends the reading of documents, cron expressions and addresses.
    Room { name: "alert", may: &["cost", "schedule", "deliver", "error"] },
    // Asks what rules ask, and tells receivers.
    Room { name: "watch", may: &["store", "query", "cost", "alert", "shelf", "deliver", "error"] },
    // Texts in a folder; knows nothing of what they say.
    Room { name: "shelf", may: &["cost", "error"] },
    Room { name: "report", may: &["query", "cost", "error"] },
    Room { name: "access", may: &["error"] },
    // The format of backups; what is in them is the store's.
    Room { name: "archive", may: &["error"] },
    // Asks whether statements can be asked, and which tables have rows.
    Room { name: "dashboards", may: &["query", "cost", "shelf", "error"] },
    // The commands that ask a server; the store lends its reading of files to the importer.
    Room { name: "client", may: &["answers", "config", "store", "archive", "error"] },
    // Knows the settings that each room takes, and the flags of each command.
    Room { name: "config", may: &["store", "query", "deliver", "dispatch", "watch", "client", "error"] },
    Room {
        name: "api",
        may: &[
            "answers",
            "ingest",
            "otlp",
            "store",
            "query",
            "cost",
            "ledger",
            "insight",
            "alert",
            "watch",
            "report",
            "schedule",
            "dispatch",
            "access",
            "archive",
            "dashboards",
            "shelf",
            "error",
        ],
    },
    // What everything that speaks gRPC shares.
    Room { name: "grpc", may: &["error"] },
    // Ingest lends its reading of outside Arrow bytes to the parameters of a statement.
    Room { name: "flight", may: &["ingest", "query", "access", "grpc", "error"] },
    // KEDA's questions, at the port of Flight SQL.
    Room { name: "scaler", may: &["insight", "access", "grpc", "error"] },
    // Over HTTP `api` asks it, over gRPC it answers itself.
    Room { name: "otlp", may: &["ingest", "access", "grpc", "error"] },
    Room { name: "main", may: &[] },
];

/// A crate that only some modules of the server may name.
struct Technology {
    name: &'static str,
    rooms: &'static [&'static str],
}

const SERVER_TECHNOLOGIES: [Technology; 27] = [
    Technology { name: "actix_web", rooms: &["api"] },
    Technology { name: "arrow_flight", rooms: &["flight"] },
    Technology { name: "tonic", rooms: &["flight", "grpc", "otlp", "scaler"] },
    Technology { name: "coulomb_otlp", rooms: &["otlp", "api"] },
    Technology { name: "coulomb_exposition", rooms: &["client"] },
    Technology { name: "http_body", rooms: &["otlp"] },
    Technology { name: "coulomb_telemetry", rooms: &["api", "main"] },
    Technology { name: "datafusion", rooms: &["query"] },
    Technology { name: "promql_parser", rooms: &["query"] },
    Technology { name: "parquet", rooms: &["store"] },
    Technology { name: "deltalake_core", rooms: &["store"] },
    Technology { name: "object_store", rooms: &["store", "query"] },
    Technology {
        name: "arrow",
        rooms: &[
            "store",
            "ingest",
            "query",
            "ledger",
            "dispatch",
            "api",
            "flight",
            "client",
            "report",
            "dashboards",
            "watch",
            // Makes rows of what it finds, and of what it knows of services, for SQL to read.
            "insight",
        ],
    },
    Technology { name: "polars", rooms: &["report"] },
    Technology { name: "typst", rooms: &["report"] },
    Technology { name: "typst_layout", rooms: &["report"] },
    Technology { name: "typst_pdf", rooms: &["report"] },
    Technology { name: "rust_xlsxwriter", rooms: &["report"] },
    Technology { name: "rusqlite", rooms: &["store", "access"] },
    Technology { name: "clap", rooms: &["config", "client", "main"] },
    Technology { name: "ureq", rooms: &["client", "deliver"] },
    Technology { name: "croner", rooms: &["schedule"] },
    Technology { name: "hmac", rooms: &["deliver"] },
    Technology { name: "lettre", rooms: &["deliver"] },
    Technology { name: "serde_saphyr", rooms: &["alert"] },
    Technology { name: "base64", rooms: &["deliver", "dispatch"] },
    Technology {
        name: "tokio",
        rooms: &[
            "store", "ingest", "query", "ledger", "dispatch", "api", "flight", "grpc", "otlp", "scaler", "watch",
            "insight", "main",
        ],
    },
];

const COLLECTOR_TECHNOLOGIES: [Technology; 14] = [
    Technology { name: "nvml_wrapper", rooms: &["source"] },
    Technology { name: "nvml_wrapper_sys", rooms: &["source"] },
    Technology { name: "ureq", rooms: &["send", "input"] },
    Technology { name: "kube", rooms: &["input"] },
    Technology { name: "k8s_openapi", rooms: &["input"] },
    Technology { name: "tokio", rooms: &["input"] },
    Technology { name: "tonic", rooms: &["input"] },
    Technology { name: "tonic_prost", rooms: &["input"] },
    Technology { name: "rustls", rooms: &["input"] },
    Technology { name: "futures", rooms: &["input"] },
    Technology { name: "coulomb_otlp", rooms: &["input"] },
    Technology { name: "coulomb_exposition", rooms: &["input"] },
    Technology { name: "http_body", rooms: &["input"] },
    Technology { name: "coulomb_telemetry", rooms: &["main", "run", "replay", "metrics", "send"] },
];

/// A source never knows who will look at its rows or how they travel.
const COLLECTOR_SOURCE_NEVER_NAMES: [&str; 2] = ["send", "spool"];

/// Words that make a room impure.
const COST_NEVER_NAMES: [&str; 6] = ["async", "tokio", "SystemTime", "Instant", "File", "arrow"];
const CONTRACT_NEVER_NAMES: [&str; 7] = ["tokio", "async", "fs", "env", "net", "SystemTime", "Instant"];
/// A time of OTLP is an `Instant` of its own.
const OTLP_NEVER_NAMES: [&str; 6] = ["tokio", "async", "fs", "env", "net", "SystemTime"];

const EXPOSITION_NEVER_NAMES: [&str; 7] = ["tokio", "async", "fs", "env", "net", "SystemTime", "Instant"];

/// Which crates of the workspace a crate may depend on. Both programs take OTLP, read pages of metrics and tell of
/// themselves, and neither may import the other, so what both need are crates of their own.
const EDGES: [(&str, &[&str]); 9] = [
    ("coulomb-contract", &[]),
    ("coulomb-otlp", &["coulomb-contract"]),
    ("coulomb-exposition", &[]),
    ("coulomb-telemetry", &[]),
    ("coulomb-collector", &["coulomb-contract", "coulomb-otlp", "coulomb-exposition", "coulomb-telemetry"]),
    ("coulomb", &["coulomb-contract", "coulomb-otlp", "coulomb-exposition", "coulomb-telemetry"]),
    ("coulomb-web", &["coulomb-contract"]),
    (
        "coulomb-tests",
        &[
            "coulomb-contract",
            "coulomb-otlp",
            "coulomb-exposition",
            "coulomb-telemetry",
            "coulomb-collector",
            "coulomb",
            "coulomb-web",
        ],
    ),
    ("xtask", &[]),
];

/// Crates that must not be anywhere below.
const NEVER_BELOW: [(&str, &[&str]); 6] = [
    ("coulomb-web", &["arrow", "parquet", "datafusion", "tokio", "prost"]),
    ("coulomb-otlp", &["tokio", "tonic", "datafusion", "parquet", "hyper"]),
    ("coulomb-exposition", &["tokio", "arrow", "ureq", "hyper"]),
    ("coulomb-telemetry", &["tokio", "arrow", "hyper", "reqwest"]),
    ("coulomb-collector", &["datafusion", "actix-web", "deltalake-core"]),
    ("coulomb-contract", &["tokio", "datafusion", "parquet", "ureq"]),
];

/// The contract stays boring: what it names itself.
const CONTRACT_DEPENDENCIES_MAX: usize = 4;

/// The module of the crate that a file belongs to.
fn room(source: &Source) -> String {
    let mut parts = source.path.iter().map(|part| part.to_string_lossy());
    let first = parts.by_ref().skip_while(|part| part != "src").nth(1).unwrap_or_default();
    first.trim_end_matches(".rs").to_owned()
}

fn product_code(folder: &str) -> Vec<Source> {
    sources(folder).into_iter().filter(|source| !source.is_test).collect()
}

fn fail_with(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn rooms_of_the_server_name_only_the_rooms_they_may() {
    let known: Vec<&str> = SERVER.iter().map(|room| room.name).collect();
    let mut faults = Vec::new();
    for source in product_code("server/src") {
        let name = room(&source);
        if ["main", "lib"].contains(&name.as_str()) {
            continue;
        }
        let Some(room) = SERVER.iter().find(|room| room.name == name) else {
            faults.push(format!(
                "{}: {name:?} is a new room: put it into the table SERVER of tests/tests/architecture.rs, \
                 and say in ARCHITECTURE.md what it owns",
                source.path.display()
            ));
            continue;
        };
        for (at, named) in source.rooms_named() {
            if known.contains(&named.as_str()) && named != room.name && !room.may.contains(&named.as_str()) {
                faults.push(format!(
                    "{}: {} names {named}, it may name {:?}: take a value or a small trait as an argument, \
                     or move the code to the room that may",
                    source.place(at),
                    room.name,
                    room.may
                ));
            }
        }
    }
    fail_with(faults);
}

fn technologies_in_place(folder: &str, technologies: &[Technology], faults: &mut Vec<String>) {
    for source in product_code(folder) {
        let room = room(&source);
        for technology in technologies.iter().filter(|t| !t.rooms.contains(&room.as_str())) {
            if let Some(at) = source.crate_named(technology.name) {
                faults.push(format!(
                    "{}: {room} names {}, which only {:?} may: ask the door of that room instead",
                    source.place(at),
                    technology.name,
                    technology.rooms
                ));
            }
        }
    }
}

#[test]
fn a_technology_is_named_in_its_own_rooms_only() {
    let mut faults = Vec::new();
    technologies_in_place("server/src", &SERVER_TECHNOLOGIES, &mut faults);
    technologies_in_place("collector/src", &COLLECTOR_TECHNOLOGIES, &mut faults);
    fail_with(faults);
}

#[test]
fn sources_of_the_collector_do_not_know_where_rows_go() {
    let mut faults = Vec::new();
    for source in product_code("collector/src").iter().filter(|source| room(source) == "source") {
        for (at, named) in source.rooms_named() {
            if COLLECTOR_SOURCE_NEVER_NAMES.contains(&named.as_str()) {
                faults.push(format!("{}: a source names {named}: return rows instead", source.place(at)));
            }
        }
    }
    fail_with(faults);
}

#[test]
fn cost_contract_otlp_and_exposition_are_pure() {
    let contract = product_code("contract/src").into_iter().map(|source| (source, &CONTRACT_NEVER_NAMES[..]));
    let otlp = product_code("otlp/src").into_iter().map(|source| (source, &OTLP_NEVER_NAMES[..]));
    let pages = product_code("exposition/src").into_iter().map(|source| (source, &EXPOSITION_NEVER_NAMES[..]));
    let cost = product_code("server/src").into_iter().filter(|source| room(source) == "cost");
    let mut faults = Vec::new();
    for (source, never) in contract.chain(otlp).chain(pages).chain(cost.map(|source| (source, &COST_NEVER_NAMES[..]))) {
        for word in never {
            if let Some((at, _)) = source.words(word).next() {
                faults.push(format!("{}: {word} has no place here: take the value as an argument", source.place(at)));
            }
        }
    }
    fail_with(faults);
}

#[test]
fn only_one_file_of_the_pages_fetches() {
    let mut faults = Vec::new();
    for source in product_code("web/src").iter().filter(|source| !source.path.ends_with("api.rs")) {
        for word in ["fetch_with_str", "fetch_with_request", "fetch_with_str_and_init", "gloo_net", "XmlHttpRequest"] {
            if let Some((at, _)) = source.words(word).next() {
                faults.push(format!("{}: {word} outside of api.rs: add a function there", source.place(at)));
            }
        }
    }
    fail_with(faults);
}

/// Names of the packages in cargo's tree below a crate, without the crate itself.
fn below(package: &str, arguments: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--locked", "--prefix", "none", "--format", "{p}", "--package", package]);
    let output = cargo.args(arguments).current_dir(workspace_root()).output().expect("cargo runs, it built this");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("package names are ASCII");
    let names = text.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty());
    names.filter(|name| *name != package).map(str::to_owned).collect()
}

/// The names that a crate's own manifest depends on, of every kind and for every platform.
fn declared(package: &str) -> Vec<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--offline", "--no-deps", "--format-version", "1"]);
    let output = cargo.current_dir(workspace_root()).output().expect("cargo runs, it built this");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo answers in JSON");
    let packages = metadata["packages"].as_array().expect("a workspace has packages");
    let package = packages.iter().find(|p| p["name"] == package).unwrap_or_else(|| panic!("there is no {package}"));
    let dependencies = package["dependencies"].as_array().expect("a package lists its dependencies");
    dependencies.iter().filter_map(|d| d["name"].as_str()).map(str::to_owned).collect()
}

#[test]
fn crates_depend_on_the_contract_and_on_nothing_else_of_ours() {
    let ours: Vec<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    for (package, may) in EDGES {
        let declared = declared(package);
        assert!(!declared.is_empty() || may.is_empty(), "{package} declares nothing, it may depend on {may:?}");
        for name in declared.iter().filter(|name| ours.contains(&name.as_str())) {
            assert!(may.contains(&name.as_str()), "{package} depends on {name}, it may depend on {may:?}");
        }
    }
}

#[test]
fn heavy_crates_stay_out_of_pages_collector_and_contract() {
    for (package, never) in NEVER_BELOW {
        let target = if package == "coulomb-web" { "wasm32-unknown-unknown" } else { "x86_64-unknown-linux-gnu" };
        let all = below(package, &["--edges", "normal,build", "--target", target]);
        for name in never {
            assert!(
                !all.contains(*name),
                "{package} contains {name}: `cargo tree -p {package} -i {name}` shows through whom; \
                 choose a crate or features without it"
            );
        }
    }
}

#[test]
fn the_contract_has_few_dependencies() {
    let direct = below("coulomb-contract", &["--depth", "1", "--edges", "normal", "--all-features"]);
    assert!(
        direct.len() <= CONTRACT_DEPENDENCIES_MAX,
        "the contract names {direct:?}, at most {CONTRACT_DEPENDENCIES_MAX} are allowed: \
         what needs more belongs to the crate that uses it"
    );
}
