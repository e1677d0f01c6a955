//! An evaluation as Prometheus' JSON. Written series by series while it is sent, because it can be large.

use super::super::metrics::RunningQuery;
use crate::query::promql::{Evaluated, Labels, Line, Outcome, Raw, Steps, number_text};
use actix_web::web::Bytes;
use actix_web::{Error, HttpResponse};
use futures::stream;
use serde_json::{Value, json};
use std::fmt::Write;

pub(super) const TRUNCATED: &str = "results truncated due to limit";

pub(super) fn instant(evaluated: Evaluated, time: i64, limit: Option<usize>, running: RunningQuery) -> HttpResponse {
    let mut evaluated = evaluated;
    match std::mem::replace(&mut evaluated.outcome, Outcome::Vector(Vec::new())) {
        Outcome::Scalar(values) => {
            let value = values.first().copied().unwrap_or(f64::NAN);
            plain("scalar", &format!("[{},\"{}\"]", seconds(time), number_text(value)))
        }
        Outcome::Text(text) => plain("string", &format!("[{},{}]", seconds(time), json!(text))),
        Outcome::Vector(lines) => streamed("vector", lines, limit, (evaluated, running), move |line| {
            let value = line.values.first().copied().flatten()?;
            Some(format!("{{\"metric\":{},\"value\":{}}}", metric(&line.labels), point(time, value)))
        }),
        Outcome::Matrix(series) => {
            streamed("matrix", series, limit, (evaluated, running), |Raw { labels, samples }| {
                matrix_entry(&labels, samples.iter().map(|sample| (sample.time, sample.value)))
            })
        }
    }
}

pub(super) fn range(evaluated: Evaluated, steps: Steps, limit: Option<usize>, running: RunningQuery) -> HttpResponse {
    let mut evaluated = evaluated;
    let mut lines = match std::mem::replace(&mut evaluated.outcome, Outcome::Vector(Vec::new())) {
        Outcome::Scalar(values) => {
            vec![Line { labels: Labels::default(), values: values.into_iter().map(Some).collect() }]
        }
        Outcome::Vector(lines) => lines,
        // Refused before it was evaluated.
        Outcome::Text(_) | Outcome::Matrix(_) => Vec::new(),
    };
    lines.sort_by(|a, b| a.labels.cmp(&b.labels));
    streamed("matrix", lines, limit, (evaluated, running), move |Line { labels, values }| {
        matrix_entry(&labels, steps.times().zip(values).filter_map(|(time, value)| Some((time, value?))))
    })
}

fn plain(kind: &str, result: &str) -> HttpResponse {
    let body = format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":{result}}}}}");
    HttpResponse::Ok().content_type("application/json").body(body)
}

/// `held` lives until the last series was written. An entry that is none is left out.
fn streamed<T: 'static>(
    kind: &str,
    mut series: Vec<T>,
    limit: Option<usize>,
    held: impl Sized + 'static,
    entry: impl Fn(T) -> Option<String> + 'static,
) -> HttpResponse {
    let whole = series.len();
    series.truncate(limit.unwrap_or(whole));
    let warnings = if series.len() < whole { format!(",\"warnings\":[\"{TRUNCATED}\"]") } else { String::new() };
    let head = format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":[");
    let mut first = true;
    let entries = series.into_iter().filter_map(entry).map(move |entry| {
        let comma = if std::mem::take(&mut first) { "" } else { "," };
        format!("{comma}{entry}")
    });
    let tail = format!("]}}{warnings}}}");
    let parts = std::iter::once(head).chain(entries).chain(std::iter::once(tail)).map(move |part| {
        // Moved in here, so that it goes with the stream.
        let _held = &held;
        Ok::<_, Error>(Bytes::from(part))
    });
    HttpResponse::Ok().content_type("application/json").streaming(stream::iter(parts))
}

fn matrix_entry(labels: &Labels, points: impl Iterator<Item = (i64, f64)>) -> Option<String> {
    let mut entry = format!("{{\"metric\":{},\"values\":[", metric(labels));
    let before = entry.len();
    for (time, value) in points {
        if entry.len() > before {
            entry.push(',');
        }
        entry.push_str(&point(time, value));
    }
    let has_points = entry.len() > before;
    entry.push_str("]}");
    has_points.then_some(entry)
}

fn metric(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect())
}

fn point(time: i64, value: f64) -> String {
    format!("[{},\"{}\"]", seconds(time), number_text(value))
}

/// Milliseconds as seconds, without a fraction that is 0.
fn seconds(millis: i64) -> String {
    let mut text = String::from(if millis < 0 { "-" } else { "" });
    let (whole, fraction) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
    let wrote = match fraction {
        0 => write!(text, "{whole}"),
        fraction => write!(text, "{whole}.{fraction:03}"),
    };
    wrote.expect("a string takes all text");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_three_places_or_none() {
        for (millis, text) in [(0, "0"), (1_000, "1"), (1_005, "1.005"), (-1_500, "-1.500"), (-5, "-0.005")] {
            assert_eq!(seconds(millis), text);
        }
    }
}
