//! What pictures of a service show over time: its curves, their bands and their rows. Pure.

use super::InferenceDetail;
use crate::format::Unit;
use crate::sheet::{Sheet, measured, number, text, time};

/// One curve or band of a picture over time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Curve {
    pub(crate) label: &'static str,
    /// Of the file, with its unit.
    pub(crate) key: &'static str,
    pub(crate) colour: &'static str,
    pub(crate) unit: Unit,
    pub(crate) values: Vec<Option<f64>>,
}

/// Label, key, colour.
type Look = (&'static str, &'static str, &'static str);

fn curve<B>((label, key, colour): Look, unit: Unit, buckets: &[B], of: impl Fn(&B) -> Option<f64>) -> Curve {
    Curve { label, key, colour, unit, values: buckets.iter().map(of).collect() }
}

pub(crate) fn first_token(found: &InferenceDetail) -> Vec<Curve> {
    let all = &found.over_time;
    let median = ("first token, median", "time_to_first_token_p50_seconds", "series-0");
    let p95 = ("first token, p95", "time_to_first_token_p95_seconds", "series-4");
    vec![
        curve(median, Unit::Seconds, all, |b| b.time_to_first_token_p50_seconds),
        curve(p95, Unit::Seconds, all, |b| b.time_to_first_token_p95_seconds),
        curve(("queue, p95", "queue_p95_seconds", "series-1"), Unit::Seconds, all, |b| b.queue_p95_seconds),
    ]
}

pub(crate) fn per_token(found: &InferenceDetail) -> Vec<Curve> {
    let all = &found.over_time;
    let median = ("per token, median", "time_per_output_token_p50_seconds", "series-0");
    let p95 = ("per token, p95", "time_per_output_token_p95_seconds", "series-4");
    vec![
        curve(median, Unit::Seconds, all, |b| b.time_per_output_token_p50_seconds),
        curve(p95, Unit::Seconds, all, |b| b.time_per_output_token_p95_seconds),
    ]
}

/// Tokens a second, from the bottom up.
pub(crate) fn tokens(found: &InferenceDetail) -> Vec<Curve> {
    let (all, seconds) = (&found.over_time, found.bucket_seconds.max(1) as f64);
    let rate = move |tokens: u64| Some(tokens as f64 / seconds);
    let cached = ("prompt, from cache", "cached_tokens_per_second", "series-5");
    let computed = ("prompt, computed", "computed_tokens_per_second", "series-0");
    vec![
        curve(("generated", "output_tokens_per_second", "series-2"), Unit::PerSecond, all, |b| rate(b.output_tokens)),
        curve(cached, Unit::PerSecond, all, |b| rate(b.cached_tokens)),
        curve(computed, Unit::PerSecond, all, |b| rate(b.input_tokens.saturating_sub(b.cached_tokens))),
    ]
}

pub(crate) fn kv_cache(found: &InferenceDetail) -> Vec<Curve> {
    let look = ("KV cache in use", "kv_cache_used_ratio", "series-6");
    vec![curve(look, Unit::Ratio, &found.engine.over_time, |b| b.kv_cache_used_ratio)]
}

pub(crate) fn queue(found: &InferenceDetail) -> Vec<Curve> {
    let all = &found.engine.over_time;
    vec![
        curve(("requests running", "requests_running", "series-0"), Unit::Count, all, |b| b.requests_running),
        curve(("requests waiting", "requests_waiting", "series-1"), Unit::Count, all, |b| b.requests_waiting),
    ]
}

pub(crate) fn has_values(curves: &[Curve]) -> bool {
    curves.iter().any(|curve| curve.values.iter().any(Option::is_some))
}

/// Upper edges of bands that lie on each other, from the bottom up.
pub(crate) fn stacked(curves: &[Curve]) -> Vec<Vec<Option<f64>>> {
    let mut edge: Vec<f64> = Vec::new();
    let mut edges = Vec::new();
    for curve in curves {
        edge.resize(curve.values.len(), 0.0);
        edge.iter_mut().zip(&curve.values).for_each(|(edge, value)| *edge += value.unwrap_or(0.0));
        edges.push(edge.iter().map(|edge| Some(*edge)).collect());
    }
    edges
}

/// A row a bucket, a column a curve.
pub(crate) fn curves_sheet(name: &str, times: &[i64], curves: &[Curve]) -> Sheet {
    let mut heads = vec![text("Time, UTC", "time")];
    heads.extend(curves.iter().map(|curve| number(curve.label, curve.key)));
    let row = |(at, start): (usize, &i64)| {
        let value = |curve: &Curve| measured(curve.unit, curve.values.get(at).copied().flatten());
        std::iter::once(time(*start)).chain(curves.iter().map(value)).collect()
    };
    Sheet { name: name.to_owned(), heads, rows: times.iter().enumerate().map(row).collect() }
}
