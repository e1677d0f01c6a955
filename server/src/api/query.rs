//! `POST /api/v1/query`: SQL in, rows out in the form that `Accept` names.

use super::error::Refusal;
use super::rows::{self, Form};
use super::serve::State;
use crate::query::Parameter;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::Value;
use std::time::Instant;

/// More placeholders than any statement that fits the body's limit needs.
const PARAMETERS_MAX: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryRequest {
    sql: String,
    /// The values of `$1`, `$2` and so on.
    #[serde(default)]
    parameters: Vec<Value>,
}

pub(super) async fn query(
    request: HttpRequest,
    body: web::Json<QueryRequest>,
    state: web::Data<State>,
) -> Result<HttpResponse, Refusal> {
    let started = Instant::now();
    let form = wanted_form(request.headers())?;
    let QueryRequest { sql, parameters } = body.into_inner();
    if parameters.len() > PARAMETERS_MAX {
        return Err(Refusal::invalid(format!("there are {} parameters, at most {PARAMETERS_MAX}", parameters.len())));
    }
    let parameters = parameters.into_iter().enumerate().map(|(i, value)| parameter(i + 1, value));
    let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
    let running = state.metrics.start_query();
    let rows = match state.engine.sql(&sql, parameters).await {
        Ok(answer) => rows::respond(answer, form, running).await,
        Err(error) => Err(error.into()),
    };
    state.metrics.count_query(started.elapsed().as_secs_f64(), rows.is_ok());
    rows
}

fn parameter(position: usize, value: Value) -> Result<Parameter, Refusal> {
    match value {
        Value::Null => Ok(Parameter::Null),
        Value::Bool(value) => Ok(Parameter::Bool(value)),
        Value::String(value) => Ok(Parameter::Text(value)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Ok(Parameter::Int(value)),
            (None, Some(value)) if number.is_f64() => Ok(Parameter::Float(value)),
            // As a float it would be another number.
            _ => Err(Refusal::invalid(format!("parameter {position} is a number out of range"))),
        },
        Value::Array(_) | Value::Object(_) => Err(Refusal::invalid(format!(
            "parameter {position} is not a single value, give text, a number, true or null"
        ))),
    }
}

/// The best form that the asker accepts; JSON when it does not say.
fn wanted_form(headers: &HeaderMap) -> Result<Form, Refusal> {
    let mut best: Option<(f32, Form)> = None;
    let mut said = false;
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or("").split(',').filter(|r| !r.trim().is_empty()) {
            said = true;
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or("").to_ascii_lowercase();
            let quality = parts.find_map(|p| p.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
            let Some(form) = Form::of_media_type(&media_type) else { continue };
            if quality > 0.0 && best.is_none_or(|(q, _)| quality > q) {
                best = Some((quality, form));
            }
        }
    }
    match best {
        Some((_, form)) => Ok(form),
        None if !said => Ok(Form::Json),
        None => {
            let known: Vec<String> = Form::ALL.iter().map(|form| form.media_type().to_owned()).collect();
            let message = format!("none of what Accept names is possible, use {}", known.join(", "));
            Err(Refusal { known, ..Refusal::not_acceptable(message) })
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn the_form_follows_accept() {
        let form = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
            wanted_form(&headers).ok()
        };
        assert_eq!(wanted_form(&HeaderMap::new()).ok(), Some(Form::Json));
        for (accept, expected) in [
            ("*/*", Some(Form::Json)),
            ("application/json", Some(Form::Json)),
            ("text/csv", Some(Form::Csv)),
            ("TEXT/CSV; charset=utf-8", Some(Form::Csv)),
            ("application/vnd.apache.arrow.stream", Some(Form::Arrow)),
            ("application/vnd.apache.parquet", Some(Form::Parquet)),
            ("text/html, text/csv;q=0.5, */*;q=0.1", Some(Form::Csv)),
            ("application/json;q=0.2, text/csv;q=0.9", Some(Form::Csv)),
            ("text/html", None),
            ("text/csv;q=0", None),
        ] {
            assert_eq!(form(accept), expected, "{accept}");
        }
    }

    #[test]
    fn parameters_are_single_values() {
        let parsed = |text: &str| parameter(1, serde_json::from_str(text).unwrap()).ok();
        assert_eq!(parsed("5"), Some(Parameter::Int(5)));
        assert_eq!(parsed("5.0"), Some(Parameter::Float(5.0)));
        assert_eq!(parsed("18446744073709551615"), None);
        assert_eq!(parsed("null"), Some(Parameter::Null));
        assert_eq!(parsed("\"5\""), Some(Parameter::Text("5".into())));
        assert_eq!(parsed("[1]"), None);
    }
}
