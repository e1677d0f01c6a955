//! Roles, sessions, links and tokens over HTTP.

use super::fixture::{Fixture, Got, example_path};
use crate::access::Role;
use crate::api::routes::{Needs, ROUTES};
use serde_json::json;

#[test]
fn each_route_lets_in_the_roles_of_the_table_and_no_other() {
    let server = Fixture::start();
    for role in [Role::Writer, Role::Viewer] {
        let (secret, _) = server.token(role.as_str());
        for route in ROUTES {
            let asked = server.ask(route.method, &example_path(route.pattern)).with_token(&secret);
            let answer = asked.with("Content-Type", "application/json").send();
            let forbidden = matches!(route.needs, Needs::May(action) if !role.may(action));
            assert_eq!(answer.status == 403, forbidden, "{role:?} {} {}", route.method, route.pattern);
            if forbidden {
                assert_eq!(answer.error_kind(), "forbidden");
            }
        }
    }
}

#[test]
fn a_revoked_token_is_refused_at_once() {
    let server = Fixture::start();
    let (secret, id) = server.token("viewer");
    assert_eq!(server.ask("GET", "/api/v1/session").with_token(&secret).send().status, 200);
    assert_eq!(server.ask("DELETE", &format!("/api/v1/tokens/{id}")).send().status, 204);
    assert_eq!(server.ask("GET", "/api/v1/session").with_token(&secret).send().status, 401);
    let listed = server.ask("GET", "/api/v1/tokens").send();
    assert!(!listed.text().contains(&id) && !listed.text().contains("secret"), "{}", listed.text());
}

fn cookie_of(answer: &Got) -> String {
    let cookie = answer.header("set-cookie").unwrap();
    for part in ["coulomb_session=clms_", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(part), "{cookie} lacks {part}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn behind_a_proxy_with_tls_the_cookie_stays_with_tls() {
    let server = Fixture::start();
    let (secret, _) = server.token("viewer");
    let log_in = server.ask("POST", "/api/v1/session").without_token().json(&json!({ "token": secret }));
    let answer = log_in.with("X-Forwarded-Proto", "https").send();
    assert!(answer.header("set-cookie").unwrap().contains("; Secure"), "{:?}", answer.header("set-cookie"));
}

#[test]
fn a_link_logs_a_browser_in_once() {
    let server = Fixture::start();
    let link = server.ask("POST", "/api/v1/login-links").send();
    assert_eq!(link.status, 201);
    let path = link.json()["path"].as_str().unwrap().to_owned();
    assert_eq!(server.ask("GET", &path).without_token().send().status, 200);
    let code = path.strip_prefix("/login?code=").unwrap();
    let log_in = || server.ask("POST", "/api/v1/session").without_token().json(&json!({ "code": code })).send();
    let answer = log_in();
    assert_eq!(answer.json(), json!({ "name": "admin.token", "role": "admin" }));
    let cookie = cookie_of(&answer);
    assert!(!answer.header("set-cookie").unwrap().contains("Secure"), "without TLS the browser would not send it");
    let second = log_in();
    assert_eq!((second.status, second.error_kind().as_str()), (401, "unauthorized"));

    let browser = |method: &str| server.ask(method, "/api/v1/session").without_token().with("Cookie", &cookie);
    assert_eq!(browser("GET").send().json()["role"], "admin");
    assert_eq!(browser("DELETE").send().status, 204);
    assert_eq!(browser("GET").send().status, 401);
}

#[test]
fn a_session_is_not_for_pages_of_another_origin() {
    let server = Fixture::start();
    let (secret, _) = server.token("viewer");
    let answer = server.ask("POST", "/api/v1/session").without_token().json(&json!({ "token": secret })).send();
    let cookie = cookie_of(&answer);
    let sql = |origin: &str| {
        server.sql("select 1").without_token().with("Cookie", &cookie).with("Origin", origin).send().status
    };
    assert_eq!(sql(&format!("http://{}", server.address())), 200);
    assert_eq!(sql("http://evil.example"), 403);
    assert_eq!(sql("null"), 403);
}

#[test]
fn logging_in_needs_a_token_or_a_code_that_is_good() {
    let server = Fixture::start();
    let log_in = |body| server.ask("POST", "/api/v1/session").without_token().json(&body).send().status;
    assert_eq!(log_in(json!({ "token": "clmb_0" })), 401);
    assert_eq!(log_in(json!({ "code": "" })), 401);
    assert_eq!(log_in(json!({})), 400);
    assert_eq!(log_in(json!({ "token": "a", "code": "b" })), 400);
    let wrong = server.ask("GET", "/api/v1/session").without_token().with("Authorization", "Basic abc").send();
    assert_eq!(wrong.status, 401);
}
