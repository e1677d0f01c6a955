//! Flight SQL by its real clients: the Python packages of ADBC and pyarrow drive a real server.

use coulomb_tests::{Server, binary, run, target_dir, workspace_root};
use std::process::Command;

/// Makes a token; answers its id and its secret.
fn token(server: &Server, name: &str, role: &str) -> (String, String) {
    let body = serde_json::json!({ "name": name, "role": role }).to_string();
    let headers = [("Content-Type", "application/json")];
    let made = server.request("POST", "/api/v1/tokens", &headers, body.as_bytes()).expect_status(201).json();
    let text = |key: &str| made[key].as_str().unwrap_or_else(|| panic!("no {key} in {made}")).to_owned();
    (text("id"), text("secret"))
}

#[test]
fn adbc_and_pyarrow_agree_with_the_server() {
    let python = target_dir().join("python/bin/python");
    assert!(python.is_file(), "{python:?} is missing: `cargo xtask test` installs it");
    let server = Server::start();
    let mut fleet = Command::new(binary("coulomb-collector"));
    fleet.args(["simulate", "--gpus", "16", "--backfill", "6h", "--no-live", "--cluster", "a"]);
    fleet.args(["--until", "2026-09-01T00:00:00Z", "--server", &server.url]);
    let sent = run(fleet.arg("--token-file").arg(server.data.join("admin.token")));
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let (_, writer) = token(&server, "node", "writer");
    let (id, revoked) = token(&server, "gone", "viewer");
    server.request("DELETE", &format!("/api/v1/tokens/{id}"), &[], b"").expect_status(204);

    let mut clients = Command::new(python);
    clients.arg(workspace_root().join("tests/python/flight.py")).args([&server.url, &server.flight_url]);
    clients.args([&server.token, &writer, &revoked, &server.program.pid().to_string()]);
    let said = run(&mut clients);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    the_example_of_the_readme_works(&server);
}

fn the_example_of_the_readme_works(server: &Server) {
    let readme = std::fs::read_to_string(workspace_root().join("README.md")).expect("there is a README");
    let example = readme.split("```python\n").nth(1).and_then(|rest| rest.split("```").next());
    let example = example.expect("the README shows Python");
    let (token, address) = ("target/demo-data/admin.token", "grpc://127.0.0.1:6241");
    assert!(example.contains(token) && example.contains(address), "{example}");
    let token_file = server.data.join("admin.token").display().to_string();
    let here = example.replace(token, &token_file).replace(address, &server.flight_url);
    let said = run(Command::new(target_dir().join("python/bin/python")).args(["-c", &here]));
    assert!(said.status.success(), "{here}\n{}", String::from_utf8_lossy(&said.stderr));
    assert!(
        String::from_utf8_lossy(&said.stdout).contains("watts: double"),
        "{}",
        String::from_utf8_lossy(&said.stdout)
    );
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let server = Server::start();
    let address = server.flight_url.trim_start_matches("grpc://");
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let mut second = Command::new(binary("coulomb"));
    second.args(["serve", "--log", "error", "--listen", "127.0.0.1:0", "--flight-listen", address]);
    let ended = run(second.arg("--data").arg(data.path()));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "{said}");
    let expected = format!("coulomb: cannot listen on {address} for Flight SQL: ");
    assert!(said.starts_with(&expected) && said.trim_end().lines().count() == 1, "{said}");
    assert!(ended.stdout.is_empty(), "{}", String::from_utf8_lossy(&ended.stdout));
}
