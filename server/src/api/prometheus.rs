//! `/prometheus/api/v1/…`: the HTTP API of Prometheus, for Grafana and promtool.
//!
//! Owns parameters, envelope, error types and status codes as Prometheus documents them. **Invariant:** every answer
//! under `/prometheus` has its envelope, a refusal too. **Not here:** what a query means; `query::promql` knows.

mod answer;
mod parameters;
mod rules;

use super::error::Refusal;
use super::serve::State;
use crate::query::QueryError;
use crate::query::promql::{Between, POINTS_MAX, Steps};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use parameters::Parameters;
pub(super) use rules::{alerts, rules};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

type Answer = Result<HttpResponse, Refusal>;

/// What a data source in Grafana is pointed at.
pub(super) const BASE: &str = "/prometheus";
/// The release whose behaviour and functions are followed: clients ask for it to know what they may use.
const FOLLOWED_VERSION: &str = "2.42.0";

/// `query`: at one time.
pub(super) async fn query(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> Answer {
    let parameters = Parameters::of(&request, &body);
    let time = parameters.time("time")?.unwrap_or_else(|| now(&state));
    evaluate(&parameters, Steps::instant(time), &state, Form::Instant).await
}

/// `query_range`: at each step from `start` to `end`.
pub(super) async fn query_range(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> Answer {
    let parameters = Parameters::of(&request, &body);
    let (start, end) = (parameters.required_time("start")?, parameters.required_time("end")?);
    if end < start {
        return Err(parameters::bad("end", "end timestamp must not be before start time"));
    }
    let step = parameters.duration("step")?.ok_or_else(|| parameters::missing("step"))?;
    if step <= 0 {
        let message = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(parameters::bad("step", message));
    }
    if (end - start) / step > POINTS_MAX as i64 {
        return Err(bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    evaluate(&parameters, Steps { start, end, step }, &state, Form::Range).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Instant,
    Range,
}

async fn evaluate(parameters: &Parameters, steps: Steps, state: &web::Data<State>, form: Form) -> Answer {
    let started = Instant::now();
    let text = parameters.get("query").unwrap_or_default();
    let limit = parameters.limit()?;
    let timeout = parameters.duration("timeout")?.map(|millis| std::time::Duration::from_millis(millis.unsigned_abs()));
    let running = state.metrics.start_query();
    let evaluated = match form {
        Form::Instant => state.engine.promql(text, steps.start, timeout).await,
        Form::Range => state.engine.promql_range(text, steps, timeout).await,
    };
    state.metrics.count_query(started.elapsed().as_secs_f64(), evaluated.is_ok());
    let evaluated = evaluated.map_err(|error| match error {
        QueryError::Invalid(reason) => parameters::bad("query", reason),
        error => refused(error),
    })?;
    Ok(match form {
        Form::Instant => answer::instant(evaluated, steps.start, limit, running),
        Form::Range => answer::range(evaluated, steps, limit, running),
    })
}

/// `series`: the label sets that match any `match[]`.
pub(super) async fn series(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> Answer {
    let parameters = Parameters::of(&request, &body);
    let selectors = parameters.selectors()?;
    if selectors.is_empty() {
        return Err(bad_data("no match[] parameter provided"));
    }
    let times = between(&parameters)?;
    let found = state.engine.promql_series(&selectors, times, None).await.map_err(of_match)?;
    let labels = found
        .iter()
        .map(|labels| Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()));
    list(labels.collect(), &parameters)
}

/// `labels`: the names of labels.
pub(super) async fn labels(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> Answer {
    let parameters = Parameters::of(&request, &body);
    let (times, selectors) = (between(&parameters)?, parameters.selectors()?);
    let names: BTreeSet<String> = match selectors.is_empty() {
        true => state.engine.promql_label_names(times).await.map_err(refused)?,
        false => {
            let found = state.engine.promql_series(&selectors, times, None).await.map_err(of_match)?;
            found.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned())).collect()
        }
    };
    list(names.into_iter().map(Value::from).collect(), &parameters)
}

/// `label/{name}/values`.
pub(super) async fn label_values(path: web::Path<String>, request: HttpRequest, state: web::Data<State>) -> Answer {
    let parameters = Parameters::of(&request, b"");
    let (times, selectors) = (between(&parameters)?, parameters.selectors()?);
    // `U__` announces a name whose other characters are escaped; ours have none, and an underscore is written twice.
    let asked = path.into_inner();
    let label = asked.strip_prefix("U__").map_or_else(|| asked.clone(), |rest| rest.replace("__", "_"));
    let values: BTreeSet<String> = match selectors.is_empty() {
        true => state.engine.promql_label_values(&label, times).await.map_err(refused)?,
        false => {
            let found = state.engine.promql_series(&selectors, times, Some(&label)).await.map_err(of_match)?;
            let value = |(name, value): (&str, &str)| (name == label).then(|| value.to_owned());
            found.iter().filter_map(|labels| labels.iter().find_map(value)).collect()
        }
    };
    list(values.into_iter().map(Value::from).collect(), &parameters)
}

/// `metadata`: type, help and unit of the metrics.
pub(super) async fn metadata(request: HttpRequest, state: web::Data<State>) -> Answer {
    let parameters = Parameters::of(&request, b"");
    let wanted = parameters.get("metric").filter(|name| !name.is_empty());
    let limit = parameters.limit()?.unwrap_or(usize::MAX);
    let all = state.engine.promql_metadata().into_iter().filter(|m| wanted.is_none_or(|name| name == m.name));
    let all: BTreeMap<String, Value> =
        all.take(limit).map(|m| (m.name, json!([{ "type": m.kind, "help": m.help, "unit": m.unit }]))).collect();
    Ok(success(json!(all)))
}

/// `status/buildinfo`: what a client may expect.
pub(super) async fn build_info() -> HttpResponse {
    success(json!({
        "version": FOLLOWED_VERSION,
        "revision": concat!("coulomb-", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

/// `query_exemplars`: samples have none.
pub(super) async fn exemplars() -> HttpResponse {
    success(json!([]))
}

fn success(data: Value) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "success", "data": data }))
}

/// A list cut at `limit`.
fn list(mut all: Vec<Value>, parameters: &Parameters) -> Answer {
    let limit = parameters.limit()?.unwrap_or(usize::MAX);
    if all.len() <= limit {
        return Ok(success(Value::Array(all)));
    }
    all.truncate(limit);
    Ok(HttpResponse::Ok().json(json!({ "status": "success", "data": all, "warnings": [answer::TRUNCATED] })))
}

fn between(parameters: &Parameters) -> Result<Between, Refusal> {
    let from = parameters.time("start")?.unwrap_or(parameters::TIME_MIN);
    let to = parameters.time("end")?.unwrap_or(parameters::TIME_MAX);
    Ok(Between { from, to })
}

fn now(state: &State) -> i64 {
    (state.clock)().div_euclid(1000)
}

pub(super) fn bad_data(message: impl Into<String>) -> Refusal {
    Refusal { kind: "bad_data", ..Refusal::invalid(message) }
}

fn of_match(error: QueryError) -> Refusal {
    match error {
        QueryError::Invalid(reason) => parameters::bad("match[]", reason),
        error => refused(error),
    }
}

/// The status codes that Prometheus documents.
fn refused(error: QueryError) -> Refusal {
    let (status, kind) = match &error {
        QueryError::Timeout { .. } => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
        QueryError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        QueryError::Evaluation(_) | QueryError::Resources(_) | QueryError::TooManyRows { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "execution")
        }
        _ => return Refusal::from(error),
    };
    Refusal { status, kind, ..Refusal::from(error) }
}

/// Whether a path is answered with Prometheus' envelope.
pub(super) fn is_here(path: &str) -> bool {
    path.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The envelope of a refusal, whichever room it comes from.
pub(super) fn error_body(refusal: &Refusal) -> Value {
    let kind = match refusal.kind {
        "invalid" => "bad_data",
        "limit" => "execution",
        "corrupt" => "internal",
        kind => kind,
    };
    json!({ "status": "error", "errorType": kind, "error": refusal.message })
}
