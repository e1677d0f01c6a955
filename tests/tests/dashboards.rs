//! Every dashboard is well-formed, and a real server plans every panel of it.

use coulomb_tests::{Server, workspace_root};

const KINDS: [&str; 3] = ["timeseries", "table", "stat"];

fn text<'a>(table: &'a toml::Table, key: &str, place: &str) -> &'a str {
    let value = table.get(key).and_then(toml::Value::as_str);
    value.filter(|v| !v.is_empty()).unwrap_or_else(|| panic!("{place} has no {key}"))
}

#[test]
fn every_panel_is_answered() {
    let server = Server::start();
    let folder = std::fs::read_dir(workspace_root().join("dashboards")).expect("dashboards/ is there");
    let mut panels = 0;
    for file in folder.map(|entry| entry.expect("dashboards/ can be listed").path()) {
        let place = file.display().to_string();
        let source = std::fs::read_to_string(&file).expect("a dashboard can be read");
        let dashboard: toml::Table = source.parse().unwrap_or_else(|e| panic!("{place}: {e}"));
        text(&dashboard, "title", &place);
        text(&dashboard, "description", &place);
        for panel in dashboard["panel"].as_array().unwrap_or_else(|| panic!("{place} has no panels")) {
            let panel = panel.as_table().unwrap_or_else(|| panic!("{place}: a panel is not a table"));
            let place = format!("{place}, panel {:?}", text(panel, "title", &place));
            assert!(KINDS.contains(&text(panel, "kind", &place)), "{place} has another kind than {KINDS:?}");
            text(panel, "unit", &place);
            let parameters = ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"];
            let body = serde_json::json!({ "sql": text(panel, "sql", &place), "parameters": parameters }).to_string();
            let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
            let answer = server.request("POST", "/api/v1/query", &headers, body.as_bytes());
            assert_eq!(answer.status, 200, "{place}: {}", answer.text());
            panels += 1;
        }
    }
    assert!(panels > 0, "dashboards/ has no panels");
}
