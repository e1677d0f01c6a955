//! The README's tour is run, command by command, against a small fleet; what it promises to print, it prints.

use coulomb_tests::{Program, Server, binary, run, workspace_root};
use std::process::Command;
use std::time::Duration;

const HISTORY_AT_MOST: Duration = Duration::from_secs(180);
/// What a reader sees as the start of a fence that this test runs.
const FENCE: &str = "```console test";

/// The commands of all such fences, in order.
fn commands(readme: &str) -> Vec<&str> {
    let fences = readme.split(FENCE).skip(1).filter_map(|rest| rest.split("```").next());
    fences.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ ")).collect()
}

#[test]
fn every_command_of_the_tour_works() {
    let readme = std::fs::read_to_string(workspace_root().join("README.md")).expect("there is a README");
    let commands = commands(&readme);
    assert!(commands.len() >= 8, "the README shows {} commands", commands.len());

    let server = Server::start();
    let mut fleet = Command::new(binary("coulomb-collector"));
    fleet.args(["simulate", "--gpus", "16", "--backfill", "1d", "--server", &server.url]);
    fleet.arg("--token-file").arg(server.data.join("admin.token"));
    let mut fleet = Program::start(&mut fleet);
    fleet.wait_for_line("coulomb-collector: history sent", HISTORY_AT_MOST);

    let work = tempfile::tempdir().expect("a temporary folder can be made");
    let programs = binary("coulomb").parent().expect("a program lies in a folder").to_path_buf();
    for command in commands {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("PATH=\"$PROGRAMS:$PATH\"; {command}")).current_dir(work.path());
        shell.env("PROGRAMS", &programs).env("COULOMB_DATA", &server.data).env("COULOMB_SERVER", &server.url);
        // Nothing listens there: what asks this machine goes around a proxy.
        shell.env("HTTPS_PROXY", "http://127.0.0.1:9");
        let output = run(shell.env_remove("COULOMB_TOKEN").env_remove("COULOMB_TOKEN_FILE"));
        let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "README.md: {command}\n{said}{why}");
        let writes_file = command.contains(" > ");
        assert!(writes_file || !said.trim().is_empty(), "README.md: {command} prints nothing");
        if command.contains("coulomb query") {
            // A table has a line of names and one of rules, CSV only the former.
            let before_rows = if command.contains("--format csv") { 1 } else { 2 };
            assert!(said.lines().count() > before_rows, "README.md: {command} answers no row:\n{said}");
        }
    }
}
