//! Through the door: a listening server and plain HTTP.
#![allow(clippy::unwrap_used)]

mod access;
mod bills;
mod fixture;
mod formats;
mod openapi;
mod otlp;
mod planning;
mod prometheus;

use fixture::{Asked, Fixture};
use serde_json::json;

#[test]
fn health_needs_no_token_and_everything_else_of_the_table_needs_one() {
    let server = Fixture::start();
    for route in super::routes::ROUTES {
        let path = fixture::example_path(route.pattern);
        let asked = server.ask(route.method, &path).without_token().with("Content-Type", "application/json");
        let answer = asked.send();
        let open = route.needs == super::routes::Needs::Nothing;
        if !open {
            assert_eq!(answer.status, 401, "{} {path}", route.method);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert_eq!(answer.error_kind(), "unauthorized");
        } else {
            assert_ne!(answer.header("www-authenticate"), Some("Bearer"), "{} {path}", route.method);
        }
    }
    assert_eq!(server.ask("GET", "/health/live").without_token().send().status, 200);
    assert_eq!(server.ask("GET", "/health/ready").without_token().send().status, 200);
    assert_eq!(server.ask("HEAD", "/health/live").without_token().send().status, 200);
    let refused = server.ask("GET", "/health/live").without_token().with("Accept-Encoding", "identity;q=0").send();
    assert_eq!((refused.status, refused.header("x-frame-options")), (406, Some("DENY")));
}

#[test]
fn every_route_of_the_table_has_a_handler() {
    let server = Fixture::start();
    for route in super::routes::ROUTES {
        let path = fixture::example_path(route.pattern);
        let answer = server.ask(route.method, &path).send();
        assert!(![405, 500].contains(&answer.status), "{} {path} answered {}", route.method, answer.text());
        let unrouted = answer.status == 404 && answer.text().contains("see /api/openapi.json");
        assert!(!unrouted && !answer.text().contains("<!doctype"), "{} {path} has no handler", route.method);
    }
}

#[test]
fn errors_are_json_with_the_request_id_of_the_header() {
    let server = Fixture::start();
    let cases: &[(Asked, u16, &str)] = &[
        (server.ask("GET", "/api/v1/nothing"), 404, "not_found"),
        (server.ask("GET", "/v1/nothing"), 404, "not_found"),
        (server.ask("GET", "/api"), 404, "not_found"),
        (server.ask("PUT", "/api/v1/query"), 405, "invalid"),
        (server.ask("GET", "/v1/ingest/gpu_samples"), 405, "invalid"),
        (server.ask("POST", "/fleet"), 405, "invalid"),
        (server.ask("POST", "/api/v1/query").json(&json!({ "sql": "selec 1" })), 400, "invalid"),
        (server.ask("POST", "/api/v1/query").json(&json!({ "sql": "drop table gpu_samples" })), 400, "invalid"),
        (server.ask("POST", "/api/v1/query").json(&json!({ "query": "select 1" })), 400, "invalid"),
        (server.ask("POST", "/api/v1/query").body("{", "application/json"), 400, "invalid"),
        (server.ask("POST", "/api/v1/query").body("select 1", "text/plain"), 415, "invalid"),
        (server.ask("POST", "/api/v1/query").body(" ".repeat(2 << 20), "application/json"), 413, "limit"),
        (server.ask("GET", "/api/v1/overview?from=yesterday"), 400, "invalid"),
        (server.ask("GET", "/api/v1/overview?since=now"), 400, "invalid"),
        (server.ask("GET", "/api/v1/fleet?metric=beauty"), 400, "invalid"),
        (server.ask("GET", "/api/v1/reports/poem?month=2026-11"), 404, "not_found"),
        (server.ask("GET", "/api/v1/reports/chargeback"), 400, "invalid"),
        (server.ask("GET", "/api/v1/reports/chargeback?month=2026-11&from=2026-11-01"), 400, "invalid"),
        (server.ask("GET", "/api/v1/reports/chargeback?month=2026-11&format=doc"), 400, "invalid"),
        (server.ask("GET", "/api/v1/reports/chargeback?month=2026-11&with=beauty"), 400, "invalid"),
        (server.ask("GET", "/api/v1/reports/utilization?month=2026-11&with=energy"), 400, "invalid"),
        (server.ask("GET", "/api/v1/budgets?at=yesterday"), 400, "invalid"),
        (server.ask("GET", "/api/v1/budgets?at=now%2B1d"), 400, "invalid"),
        (server.ask("GET", "/api/v1/anomalies?by=colour"), 404, "not_found"),
        (server.ask("GET", "/api/v1/prices?when=now"), 400, "invalid"),
        (server.ask("POST", "/api/v1/catalogs").body("{", "application/json"), 400, "invalid"),
        (server.ask("POST", "/api/v1/ownership/moves").json(&json!({ "period": "May", "rules": "" })), 400, "invalid"),
        (server.ask("POST", "/api/v1/reports/showback").json(&json!({ "month": "November" })), 400, "invalid"),
        (server.ask("GET", "/api/v1/nodes/c/n"), 404, "not_found"),
        (server.ask("GET", "/api/v1/gpus/GPU-1"), 404, "not_found"),
        (server.ask("DELETE", "/api/v1/tokens/x"), 404, "not_found"),
        (server.ask("POST", "/v1/ingest/nothing").body("x", "application/octet-stream"), 404, "not_found"),
        (server.ask("GET", "/missing.js"), 404, "not_found"),
    ];
    for (asked, status, kind) in cases {
        let answer = asked.send();
        assert_eq!((answer.status, answer.error_kind().as_str()), (*status, *kind), "{asked:?}: {}", answer.text());
        assert_eq!(answer.json()["error"]["request_id"], answer.header("x-request-id").unwrap(), "{asked:?}");
        assert!(!answer.json()["error"]["message"].as_str().unwrap().is_empty(), "{asked:?}");
    }
    assert_eq!(server.ask("PUT", "/api/v1/session").send().header("allow"), Some("POST, GET, DELETE"));
}

#[test]
fn a_wrong_name_lists_the_known_ones() {
    let server = Fixture::start();
    let known = |asked: Asked| asked.send().json()["error"]["known"].as_array().cloned().unwrap_or_default();
    assert!(known(server.ask("GET", "/api/v1/fleet?metric=beauty")).contains(&json!("power_watts")));
    assert!(known(server.sql("select * from gpus")).contains(&json!("gpu_samples")));
    assert!(known(server.ask("POST", "/v1/ingest/gpus").body("x", "text/plain")).contains(&json!("gpu_samples")));
    let by = "/api/v1/reports/chargeback?month=2026-11&by=colour";
    assert!(known(server.ask("GET", by)).contains(&json!("cost_centre")));
    let role = json!({ "name": "x", "role": "root" });
    assert!(known(server.ask("POST", "/api/v1/tokens").json(&role)).contains(&json!("writer")));
}

#[test]
fn answers_carry_secure_headers_and_a_request_id_that_an_asker_may_choose() {
    let server = Fixture::start();
    for path in ["/", "/health/live", "/api/v1/session", "/api/v1/nothing"] {
        let answer = server.ask("GET", path).send();
        let policy = answer.header("content-security-policy").unwrap().to_owned();
        assert!(policy.contains("script-src 'self' 'wasm-unsafe-eval'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
    }
    let chosen = server.ask("GET", "/health/live").with("X-Request-Id", "abc-1").send();
    assert_eq!(chosen.header("x-request-id"), Some("abc-1"));
    let refused = server.ask("GET", "/health/live").with("X-Request-Id", "a b\"c").send();
    assert_eq!(refused.header("x-request-id").unwrap().len(), 36);
}

#[test]
fn a_loopback_listener_answers_to_loopback_names_only() {
    let server = Fixture::start();
    for (host, status) in [("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:6240", 200), ("evil.example:6240", 403)] {
        for path in ["/health/live", "/"] {
            assert_eq!(server.ask("GET", path).with("Host", host).send().status, status, "{host} {path}");
        }
    }
}

#[test]
fn ingest_refuses_what_is_too_large_with_and_without_a_length() {
    let server = Fixture::start();
    let body = vec![0_u8; crate::ingest::BODY_BYTES_MAX + 1];
    let answer = server.ingest("gpu_samples", 1, body.clone()).send();
    assert_eq!((answer.status, answer.error_kind().as_str()), (413, "limit"), "{}", answer.text());
    let answer = server.ingest("gpu_samples", 1, body).chunked().send();
    assert_eq!((answer.status, answer.error_kind().as_str()), (413, "limit"), "{}", answer.text());
}

#[test]
fn ingest_tells_garbage_from_a_wrong_schema_and_counts_what_it_keeps() {
    let server = Fixture::start();
    let garbage = server.ingest("device_events", 1, b"not arrow at all".to_vec()).send();
    assert_eq!(garbage.status, 400, "{}", garbage.text());
    let wrong = server.ingest("device_events", 1, fixture::stream_of("colour", 1)).send();
    assert_eq!(wrong.status, 422, "{}", wrong.text());
    assert!(wrong.json()["error"]["known"].to_string().contains("severity"), "{}", wrong.text());
    let encoded = server.ingest("device_events", 1, vec![0]).with("Content-Encoding", "gzip").send();
    assert_eq!(encoded.status, 415, "{}", encoded.text());

    let rows = fixture::device_events(3);
    let kept = server.ingest("device_events", 1, rows.clone()).send();
    assert_eq!(kept.json(), json!({ "accepted": 3, "duplicate": false, "rejected": [], "rejected_rows": 0 }));
    let again = server.ingest("device_events", 1, rows.clone()).send();
    assert_eq!(again.json(), json!({ "accepted": 0, "duplicate": true, "rejected": [], "rejected_rows": 0 }));
    let unnamed = server.ask("POST", "/v1/ingest/device_events").body(rows, contract::ARROW_STREAM_MIME).send();
    assert_eq!(unnamed.status, 400, "{}", unnamed.text());

    let count = server.sql("select count(*) from device_events").send();
    assert_eq!(count.json()["rows"], json!([[3]]));
    let metrics = server.ask("GET", "/metrics").send().text();
    for line in [
        "coulomb_ingest_rows_total{table=\"device_events\"} 3\n",
        "coulomb_ingest_duplicates_total{table=\"device_events\"} 1\n",
        "coulomb_store_rows{table=\"device_events\"} 3\n",
        "coulomb_store_log_damaged_ranges 0\n",
        "coulomb_queries_total{outcome=\"answered\"} 1\n",
        "coulomb_http_requests_total{route=\"/v1/ingest/{table}\",method=\"POST\",status=\"200\"} 2\n",
    ] {
        assert!(metrics.contains(line), "no {line:?} in\n{metrics}");
    }
}

#[test]
fn a_store_that_keeps_nothing_more_is_not_ready_and_says_why() {
    let server = Fixture::start();
    server.store.fail("the disk fails");
    let ready = server.ask("GET", "/health/ready").without_token().send();
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("the disk fails"), "{}", ready.text());
    assert_eq!(server.ask("GET", "/health/live").without_token().send().status, 200);
    let refused = server.ingest("device_events", 1, fixture::device_events(3)).send();
    assert_eq!((refused.status, refused.error_kind().as_str()), (503, "unavailable"));
    assert!(refused.header("retry-after").is_some());
}

#[test]
fn status_names_the_tables_and_the_latest_sample() {
    let server = Fixture::start();
    let status = server.ask("GET", "/api/v1/status").send().json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["now_unix_micros"], fixture::NOW);
    assert_eq!(status["data_time_unix_micros"], json!(null));
    assert_eq!(status["tables"].as_array().unwrap().len(), contract::TABLES.len());
}

#[test]
fn a_page_without_a_file_is_the_application_and_is_not_cached() {
    let server = Fixture::start();
    for path in ["/", "/fleet?from=now-7d", "/login?code=x", "/nodes/c/gpu-1.example"] {
        let answer = server.ask("GET", path).without_token().send();
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-cache")), "{path}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        let tag = answer.header("etag").unwrap().to_owned();
        let again = server.ask("GET", path).with("If-None-Match", &tag).send();
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
    assert_eq!(server.ask("HEAD", "/").without_token().send().status, 200);
}

#[test]
fn stopping_finishes_and_frees_the_port() {
    let server = Fixture::start();
    let address = server.address();
    server.stop();
    assert!(std::net::TcpListener::bind(address).is_ok());
}
