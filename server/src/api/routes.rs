//! Every route and what it needs. What is not here is a page, or not found.

use super::{
    alerts, anomalies, backup, bills, budgets, costs, dashboards, findings, inference, ingest, jobs, ledger_rows, logs,
    metrics, money, openapi, otlp, ownership, prices, prometheus, query, questions, reports, rules, schedules,
    sessions, training,
};
use crate::access::Action;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};

/// What a request must bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// Any token or session that is valid.
    Identity,
    /// One whose role may do this.
    May(Action),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    pub(super) method: &'static str,
    /// As in OpenAPI, and as the router matches it.
    pub(super) pattern: &'static str,
    pub(super) needs: Needs,
}

const fn route(method: &'static str, pattern: &'static str, needs: Needs) -> Route {
    Route { method, pattern, needs }
}

const INGEST: Needs = Needs::May(Action::Ingest);
const READ: Needs = Needs::May(Action::Read);
const KEEP_BOOKS: Needs = Needs::May(Action::KeepBooks);
const EDIT_DASHBOARDS: Needs = Needs::May(Action::EditDashboards);
const KEEP_WATCH: Needs = Needs::May(Action::KeepWatch);
const ADMINISTER: Needs = Needs::May(Action::Administer);

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/health/live", Needs::Nothing),
    route("GET", "/health/ready", Needs::Nothing),
    route("GET", "/metrics", READ),
    route("GET", "/api/openapi.json", Needs::Identity),
    route("POST", "/v1/ingest/{table}", INGEST),
    route("POST", "/v1/traces", INGEST),
    route("POST", "/v1/logs", INGEST),
    route("POST", "/v1/metrics", INGEST),
    route("POST", "/api/v1/query", READ),
    route("GET", "/api/v1/reports/{kind}", READ),
    route("POST", "/api/v1/reports/{kind}", READ),
    route("GET", "/api/v1/status", READ),
    route("GET", "/api/v1/overview", READ),
    route("GET", "/api/v1/fleet", READ),
    route("GET", "/api/v1/nodes/{cluster}/{node}", READ),
    route("GET", "/api/v1/gpus/{gpu_uuid}", READ),
    route("GET", "/api/v1/jobs", READ),
    route("GET", "/api/v1/jobs/{cluster}/{job_id}", READ),
    route("GET", "/api/v1/logs", READ),
    route("GET", "/api/v1/logs/tail", READ),
    route("GET", "/api/v1/jobs/{cluster}/{job_id}/training", READ),
    route("GET", "/api/v1/jobs/{cluster}/{job_id}/trace", READ),
    route("POST", "/api/v1/session", Needs::Nothing),
    route("GET", "/api/v1/session", Needs::Identity),
    route("DELETE", "/api/v1/session", Needs::Identity),
    route("POST", "/api/v1/login-links", READ),
    route("POST", "/api/v1/tokens", ADMINISTER),
    route("GET", "/api/v1/tokens", ADMINISTER),
    route("DELETE", "/api/v1/tokens/{id}", ADMINISTER),
    route("GET", "/prometheus/api/v1/query", READ),
    route("POST", "/prometheus/api/v1/query", READ),
    route("GET", "/prometheus/api/v1/query_range", READ),
    route("POST", "/prometheus/api/v1/query_range", READ),
    route("GET", "/prometheus/api/v1/series", READ),
    route("POST", "/prometheus/api/v1/series", READ),
    route("GET", "/prometheus/api/v1/labels", READ),
    route("POST", "/prometheus/api/v1/labels", READ),
    route("GET", "/prometheus/api/v1/label/{name}/values", READ),
    route("GET", "/prometheus/api/v1/metadata", READ),
    route("GET", "/prometheus/api/v1/status/buildinfo", READ),
    route("GET", "/prometheus/api/v1/rules", READ),
    route("GET", "/prometheus/api/v1/alerts", READ),
    route("GET", "/prometheus/api/v1/query_exemplars", READ),
    route("POST", "/prometheus/api/v1/query_exemplars", READ),
    route("GET", "/api/v1/documents", READ),
    route("GET", "/api/v1/documents/{kind}/{name}", READ),
    route("PUT", "/api/v1/documents/{kind}/{name}", KEEP_BOOKS),
    route("DELETE", "/api/v1/documents/{kind}/{name}", KEEP_BOOKS),
    route("GET", "/api/v1/costs", READ),
    route("GET", "/api/v1/costs/pivot", READ),
    route("GET", "/api/v1/waterfall", READ),
    route("GET", "/api/v1/waterfall/losses", READ),
    route("POST", "/api/v1/policies/compare", READ),
    route("GET", "/api/v1/budgets", READ),
    route("GET", "/api/v1/anomalies", READ),
    route("GET", "/api/v1/prices", READ),
    route("POST", "/api/v1/catalogs", KEEP_BOOKS),
    route("POST", "/api/v1/ownership/moves", READ),
    route("POST", "/api/v1/ledger/close", KEEP_BOOKS),
    route("POST", "/api/v1/ledger/reopen", KEEP_BOOKS),
    route("POST", "/api/v1/ledger/refresh", READ),
    route("GET", "/api/v1/ledger", READ),
    route("GET", "/api/v1/ledger/months", READ),
    route("GET", "/api/v1/bills", READ),
    route("PUT", "/api/v1/bills/{name}", KEEP_BOOKS),
    route("DELETE", "/api/v1/bills/{name}", KEEP_BOOKS),
    route("GET", "/api/v1/reconciliation", READ),
    route("GET", "/api/v1/schedules", READ),
    route("POST", "/api/v1/schedules/{name}/run", KEEP_BOOKS),
    route("GET", "/api/v1/dashboards", READ),
    route("GET", "/api/v1/dashboards/{name}", READ),
    route("PUT", "/api/v1/dashboards/{name}", EDIT_DASHBOARDS),
    route("DELETE", "/api/v1/dashboards/{name}", EDIT_DASHBOARDS),
    route("GET", "/api/v1/dashboards/{name}/panels/{index}.svg", READ),
    route("GET", "/api/v1/alerts", READ),
    route("POST", "/api/v1/alerts/{fingerprint}/acknowledge", KEEP_WATCH),
    route("GET", "/api/v1/alerts/texts", READ),
    route("PUT", "/api/v1/alerts/texts/{name}", KEEP_WATCH),
    route("DELETE", "/api/v1/alerts/texts/{name}", KEEP_WATCH),
    route("GET", "/api/v1/alerts/dead-letters", READ),
    route("POST", "/api/v1/alerts/dead-letters/{id}/replay", KEEP_WATCH),
    route("POST", "/api/v1/rules/preview", READ),
    route("GET", "/api/v1/rules/prometheus", READ),
    route("POST", "/api/v1/silences", KEEP_WATCH),
    route("DELETE", "/api/v1/silences/{id}", KEEP_WATCH),
    route("POST", "/api/v1/receivers/{name}/test", KEEP_WATCH),
    route("GET", "/api/v1/inference", READ),
    route("GET", "/api/v1/inference/scaling", READ),
    route("GET", "/api/v1/inference/{service}", READ),
    route("GET", "/api/v1/findings", READ),
    route("GET", "/api/v1/incidents", READ),
    route("GET", "/api/v1/event-meanings", READ),
    route("POST", "/api/v1/backup", ADMINISTER),
    route("POST", "/api/v1/verify", ADMINISTER),
];

/// Paths that are never pages.
const NOT_PAGES: &[&str] = &["/api", "/v1", "/health", "/metrics", "/prometheus"];

/// What a path is to the table above.
pub(super) enum Found {
    Route(&'static Route),
    /// The path exists, with other methods.
    OtherMethods(Vec<&'static str>),
    Page,
    Nothing,
}

fn is_health(route: &Route) -> bool {
    route.pattern.starts_with("/health/")
}

/// Looks a request up; `pattern` is the router's match of its path.
pub(super) fn find(method: &Method, pattern: Option<&str>, path: &str) -> Found {
    let here = || ROUTES.iter().filter(|r| Some(r.pattern) == pattern);
    // Probes of load balancers ask for the head only.
    let asked = |r: &&Route| r.method == method.as_str() || (*method == Method::HEAD && is_health(r));
    if let Some(route) = here().find(asked) {
        return Found::Route(route);
    }
    let others: Vec<&'static str> = here().map(|r| r.method).collect();
    if !others.is_empty() {
        return Found::OtherMethods(others);
    }
    let under = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if NOT_PAGES.iter().any(|root| under(root)) {
        return Found::Nothing;
    }
    match *method {
        Method::GET | Method::HEAD => Found::Page,
        _ => Found::OtherMethods(vec!["GET", "HEAD"]),
    }
}

/// Gives each route of the table its handler.
pub(super) fn configure(app: &mut ServiceConfig) {
    app.route("/health/live", web::get().to(questions::live))
        .route("/health/ready", web::get().to(questions::ready))
        .route("/health/live", web::head().to(questions::live))
        .route("/health/ready", web::head().to(questions::ready))
        .route("/metrics", web::get().to(metrics::metrics))
        .route("/api/openapi.json", web::get().to(openapi::openapi))
        .route("/v1/ingest/{table}", web::post().to(ingest::ingest))
        .route("/v1/traces", web::post().to(otlp::traces))
        .route("/v1/logs", web::post().to(otlp::logs))
        .route("/v1/metrics", web::post().to(otlp::metrics))
        .route("/api/v1/query", web::post().to(query::query))
        .route("/api/v1/status", web::get().to(questions::status))
        .route("/api/v1/overview", web::get().to(questions::overview))
        .route("/api/v1/fleet", web::get().to(questions::fleet))
        .route("/api/v1/nodes/{cluster}/{node}", web::get().to(questions::node))
        .route("/api/v1/gpus/{gpu_uuid}", web::get().to(questions::gpu))
        .route("/api/v1/jobs", web::get().to(jobs::jobs))
        .route("/api/v1/jobs/{cluster}/{job_id}", web::get().to(jobs::job))
        .route("/api/v1/logs", web::get().to(logs::logs))
        .route("/api/v1/logs/tail", web::get().to(logs::tail))
        .route("/api/v1/jobs/{cluster}/{job_id}/training", web::get().to(training::training))
        .route("/api/v1/jobs/{cluster}/{job_id}/trace", web::get().to(training::trace))
        .route("/api/v1/login-links", web::post().to(sessions::create_link))
        .route("/api/v1/backup", web::post().to(backup::backup))
        .route("/api/v1/verify", web::post().to(backup::verify))
        .route("/api/v1/tokens/{id}", web::delete().to(sessions::revoke_token))
        .service(
            web::resource("/api/v1/reports/{kind}")
                .route(web::get().to(reports::asked))
                .route(web::post().to(reports::sent)),
        )
        .service(
            web::resource("/api/v1/session")
                .route(web::post().to(sessions::log_in))
                .route(web::get().to(sessions::who))
                .route(web::delete().to(sessions::log_out)),
        )
        .service(
            web::resource("/api/v1/tokens")
                .route(web::post().to(sessions::create_token))
                .route(web::get().to(sessions::tokens)),
        )
        .configure(configure_prometheus)
        .configure(configure_money)
        .configure(configure_bills)
        .configure(configure_dashboards)
        .configure(configure_alerts)
        .configure(configure_inference)
        .configure(configure_insight);
}

fn configure_inference(app: &mut ServiceConfig) {
    app.route("/api/v1/inference", web::get().to(inference::services))
        .route("/api/v1/inference/scaling", web::get().to(inference::scaling))
        .route("/api/v1/inference/{service}", web::get().to(inference::one));
}

fn configure_insight(app: &mut ServiceConfig) {
    app.route("/api/v1/findings", web::get().to(findings::findings))
        .route("/api/v1/incidents", web::get().to(findings::incidents))
        .route("/api/v1/event-meanings", web::get().to(findings::meanings));
}

fn configure_alerts(app: &mut ServiceConfig) {
    app.route("/api/v1/alerts", web::get().to(alerts::alerts))
        .route("/api/v1/alerts/texts", web::get().to(rules::texts))
        .service(
            web::resource("/api/v1/alerts/texts/{name}")
                .route(web::put().to(rules::put_text))
                .route(web::delete().to(rules::remove_text)),
        )
        .route("/api/v1/alerts/{fingerprint}/acknowledge", web::post().to(alerts::acknowledge))
        .route("/api/v1/alerts/dead-letters", web::get().to(alerts::dead_letters))
        .route("/api/v1/alerts/dead-letters/{id}/replay", web::post().to(alerts::replay))
        .route("/api/v1/rules/preview", web::post().to(rules::preview))
        .route("/api/v1/rules/prometheus", web::get().to(rules::rule_file))
        .route("/api/v1/silences", web::post().to(alerts::state_silence))
        .route("/api/v1/silences/{id}", web::delete().to(alerts::end_silence))
        .route("/api/v1/receivers/{name}/test", web::post().to(alerts::test_receiver));
}

fn configure_dashboards(app: &mut ServiceConfig) {
    app.route("/api/v1/dashboards", web::get().to(dashboards::all))
        .service(
            web::resource("/api/v1/dashboards/{name}")
                .route(web::get().to(dashboards::one))
                .route(web::put().to(dashboards::put))
                .route(web::delete().to(dashboards::remove)),
        )
        .route("/api/v1/dashboards/{name}/panels/{index}.svg", web::get().to(dashboards::svg));
}

fn configure_bills(app: &mut ServiceConfig) {
    app.route("/api/v1/ledger", web::get().to(ledger_rows::rows))
        .route("/api/v1/bills", web::get().to(bills::bills))
        .service(
            web::resource("/api/v1/bills/{name}")
                .route(web::put().to(bills::import))
                .route(web::delete().to(bills::take_back)),
        )
        .route("/api/v1/reconciliation", web::get().to(bills::reconciliation))
        .route("/api/v1/schedules", web::get().to(schedules::schedules))
        .route("/api/v1/schedules/{name}/run", web::post().to(schedules::run));
}

fn configure_money(app: &mut ServiceConfig) {
    app.route("/api/v1/documents", web::get().to(money::documents))
        .service(
            web::resource("/api/v1/documents/{kind}/{name}")
                .route(web::get().to(money::document))
                .route(web::put().to(money::state_document))
                .route(web::delete().to(money::take_back_document)),
        )
        .route("/api/v1/costs", web::get().to(costs::costs))
        .route("/api/v1/costs/pivot", web::get().to(costs::pivot))
        .route("/api/v1/waterfall", web::get().to(costs::waterfall))
        .route("/api/v1/waterfall/losses", web::get().to(costs::losses))
        .route("/api/v1/policies/compare", web::post().to(money::compare))
        .route("/api/v1/budgets", web::get().to(budgets::budgets))
        .route("/api/v1/anomalies", web::get().to(anomalies::anomalies))
        .route("/api/v1/prices", web::get().to(prices::prices))
        .route("/api/v1/catalogs", web::post().to(prices::catalog))
        .route("/api/v1/ownership/moves", web::post().to(ownership::moves))
        .route("/api/v1/ledger/months", web::get().to(money::months))
        .route("/api/v1/ledger/close", web::post().to(money::close))
        .route("/api/v1/ledger/reopen", web::post().to(money::reopen))
        .route("/api/v1/ledger/refresh", web::post().to(money::refresh));
}

fn configure_prometheus(app: &mut ServiceConfig) {
    macro_rules! asked_or_sent {
        ($pattern:literal, $handler:expr) => {
            web::resource($pattern).route(web::get().to($handler)).route(web::post().to($handler))
        };
    }
    app.service(asked_or_sent!("/prometheus/api/v1/query", prometheus::query))
        .service(asked_or_sent!("/prometheus/api/v1/query_range", prometheus::query_range))
        .service(asked_or_sent!("/prometheus/api/v1/series", prometheus::series))
        .service(asked_or_sent!("/prometheus/api/v1/labels", prometheus::labels))
        .service(asked_or_sent!("/prometheus/api/v1/query_exemplars", prometheus::exemplars))
        .route("/prometheus/api/v1/label/{name}/values", web::get().to(prometheus::label_values))
        .route("/prometheus/api/v1/metadata", web::get().to(prometheus::metadata))
        .route("/prometheus/api/v1/status/buildinfo", web::get().to(prometheus::build_info))
        .route("/prometheus/api/v1/rules", web::get().to(prometheus::rules))
        .route("/prometheus/api/v1/alerts", web::get().to(prometheus::alerts));
}
