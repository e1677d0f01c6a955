//! How quick the pages are: a month of 1,000 GPUs in a real browser, and a heat map of 10,000.
//!
//! `cargo xtask bench` builds for release and runs this; each line is a figure, its limit and their ratio. It needs the
//! browser's driver that `cargo xtask test` installs.

use coulomb_tests::{Program, Server, binary, run, target_dir, workspace_root};
use std::fs;
use std::process::Command;
use std::time::Duration;

const HISTORY_AT_MOST: Duration = Duration::from_secs(1_800);
/// Of one more page, on a laptop.
const PAGE_MS: f64 = 300.0;

fn main() {
    println!("{:<44} {:>14} {:>14} {:>8}", "what", "measured", "limit", "ratio");
    println!("1,000 GPUs over 30 days");
    figures(&fleet("1000", "30d"));
    println!("10,000 GPUs over 6 hours");
    figures(&fleet("10000", "6h"));
}

fn fleet(gpus: &str, history: &str) -> Server {
    let server = Server::start();
    for (kind, file) in [("prices", "demo.csv"), ("ownership", "demo-owners.toml")] {
        let file = workspace_root().join("docs/prices").join(file);
        let stated = run(server.command(&["import", kind]).arg(file));
        assert!(stated.status.success(), "{}", String::from_utf8_lossy(&stated.stderr));
    }
    let mut fleet = Command::new(binary("coulomb-collector"));
    fleet.args(["simulate", "--gpus", gpus, "--backfill", history, "--server", &server.url]);
    fleet.arg("--token-file").arg(server.data.join("admin.token"));
    let mut fleet = Program::start(&mut fleet);
    fleet.wait_for_line("coulomb-collector: history sent", HISTORY_AT_MOST);
    // A visitor of a fleet does not come while a month of it arrives.
    println!("{:<44} {:>14.1}", "settled_after_seconds", server.settle(HISTORY_AT_MOST).as_secs_f64());
    server
}

fn figures(server: &Server) {
    let folder = target_dir().join("browser");
    let script = folder.join("speed.mjs");
    // Node looks for its packages beside the script.
    fs::copy(workspace_root().join("tests/browser/speed.mjs"), &script)
        .expect("`cargo xtask test` installs the driver");
    let link = run(&mut server.command(&["token", "link"]));
    let mut node = Command::new("node");
    node.arg(&script).arg(String::from_utf8_lossy(&link.stdout).trim()).current_dir(&folder);
    let output = run(&mut node);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for told in String::from_utf8_lossy(&output.stdout).lines() {
        let (what, value) = told.split_once(' ').expect("a name and a value");
        let measured: f64 = value.parse().expect("a number");
        match limit(what) {
            // Fewer frames than that are no motion.
            Some(limit) if what == "heat_frames_per_second" => line(what, measured, limit, limit / measured),
            Some(limit) => line(what, measured, limit, measured / limit),
            None => println!("{what:<44} {measured:>14.1}"),
        }
    }
}

fn line(what: &str, measured: f64, limit: f64, ratio: f64) {
    println!("{what:<44} {measured:>14.1} {limit:>14.1} {ratio:>8.2}");
}

fn limit(what: &str) -> Option<f64> {
    match what {
        "first_visit_bytes" => Some(500e3),
        "largest_paint_ms" => Some(1_000.0),
        "heat_frames_per_second" => Some(50.0),
        _ if what.starts_with("page_ms:") => Some(PAGE_MS),
        // Of a chart over the whole page.
        _ if what.starts_with("points:") => Some(1_440.0),
        _ => None,
    }
}
