//! What the tests of alerts share: a rule that fires as it is told, and waiting for what it does.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const SEEN_AT_MOST: Duration = Duration::from_secs(120);
/// Looks come each second and files are read each two.
pub const SURELY_SEEN: Duration = Duration::from_secs(8);
/// Receivers of tests are on this machine.
pub const THIS_MACHINE: [&str; 2] = ["--outgoing-allow", "127.0.0.1/32"];

/// Waits until it is so, and fails after two minutes.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + SEEN_AT_MOST;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within {SEEN_AT_MOST:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A rule that fires for these nodes, as long as they stand in it.
pub fn rule(nodes: &[&str]) -> String {
    let rows = nodes.iter().map(|node| format!("select '{node}' as node, 1.5 as value"));
    let rows = if nodes.is_empty() {
        "select 'none' as node, 1.5 as value where false".to_owned()
    } else {
        rows.collect::<Vec<_>>().join(" union all ")
    };
    format!(
        "[[rule]]\nname = \"Broken\"\nsql = \"{rows}\"\nevery = \"1s\"\nseverity = \"critical\"\n\
         summary = \"{{node}} is broken by {{value}}\"\n"
    )
}

/// Writes a text of rules or receivers into a server's folder, which it reads again by itself.
pub fn put(data: &Path, name: &str, text: &str) {
    fs::create_dir_all(data.join("alerts")).expect("a folder can be made");
    fs::write(data.join("alerts").join(name), text).expect("a file can be written");
}
