//! What is asked of `inference_requests`.

use super::error::InferenceError;
use super::figures::{Figures, Model, Quantiles, Source, Step};
use super::rows::{With, count, each};
use super::split::{HourUse, Tokens};
use super::steps::Steps;
use crate::query::{Engine, Rows};
use contract::answers::Range;
use std::collections::BTreeMap;

/// From the first token to the last, by the tokens after the first.
const PER_TOKEN: &str = "case when output_tokens > 1 and duration_seconds >= time_to_first_token_seconds \
    then (duration_seconds - time_to_first_token_seconds) / (output_tokens - 1) end";
/// Requests whose times go together.
const TIMED: &str = "time_to_first_token_seconds is not null and time_to_first_token_seconds <= duration_seconds \
    and coalesce(queue_seconds, 0.0) <= time_to_first_token_seconds";
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];
/// Columns before the quantiles of [`figures_sql`], and those of each.
const FIRST_QUANTILE: usize = 9;
const OF_EACH: usize = QUANTILES.len();
/// Hours and names of one question; more are not told apart in memory.
const GROUPS_MAX: usize = 200_000;
const MICROS: f64 = 1e6;

/// What requests are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Tenant,
    User,
    Model,
}

impl By {
    pub const ALL: [Self; 3] = [Self::Tenant, Self::User, Self::Model];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Model => "model",
        }
    }

    pub fn parse(text: &str) -> Result<Self, InferenceError> {
        let unknown = || InferenceError::UnknownGrouping { name: text.chars().take(100).collect() };
        Self::ALL.into_iter().find(|by| by.as_str() == text).ok_or_else(unknown)
    }

    fn column(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::User => "\"user\"",
            Self::Model => "model",
        }
    }
}

fn quantiles_sql(of: &str, shares: &[f64]) -> String {
    // A failed request is over soon, which is no merit.
    let one = |share: &f64| format!("percentile_cont({of}, {share}) filter (where status = 'ok')");
    shares.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn figures_sql() -> String {
    let measured = ["time_to_first_token_seconds", PER_TOKEN, "queue_seconds", "duration_seconds"];
    let measured = measured.map(|of| quantiles_sql(of, &QUANTILES)).join(", ");
    let length = |of: &str| {
        let one = |share: &f64| format!("percentile_cont(cast({of} as double), {share})");
        QUANTILES.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    format!(
        "count(*), count(*) filter (where status <> 'ok'), sum(input_tokens), sum(cached_tokens), sum(output_tokens), \
         min(time), max(time), {measured}, {}, {}",
        length("input_tokens"),
        length("output_tokens")
    )
}

fn quantiles(rows: &Rows<'_>, first: usize, row: usize) -> Quantiles {
    let at = |offset: usize| rows.float(first + offset, row);
    Quantiles { p50: at(0), p90: at(1), p95: at(2), p99: at(3) }
}

/// Of columns of [`figures_sql`] that begin at the third.
fn figures(rows: &Rows<'_>, row: usize) -> Figures {
    let (requests, output_tokens) = (count(rows, 2, row), count(rows, 6, row));
    let seconds = rows.int(8, row).zip(rows.int(7, row)).map(|(last, first)| (last - first) as f64 / MICROS);
    let per_second = |sum: u64| seconds.filter(|seconds| *seconds > 0.0).map(|seconds| sum as f64 / seconds);
    let of = |measure: usize| quantiles(rows, FIRST_QUANTILE + measure * OF_EACH, row);
    Figures {
        source: Source::Requests,
        requests,
        failed: count(rows, 3, row),
        requests_per_second: per_second(requests),
        input_tokens: count(rows, 4, row),
        cached_tokens: rows.int(5, row).map(|sum| sum.max(0).unsigned_abs()),
        output_tokens,
        tokens_per_second: per_second(output_tokens),
        first_token: of(0),
        per_token: of(1),
        queue: of(2),
        duration: of(3),
        input_length: of(4),
        output_length: of(5),
    }
}

/// Figures of each service and of its models, or of one service.
pub(super) async fn services(
    engine: &Engine,
    range: Range,
    only: Option<&str>,
) -> Result<BTreeMap<String, (Figures, Vec<Model>)>, InferenceError> {
    let mut with = With::range(range);
    let only = only.map(|service| format!("and service = {}", with.text(service))).unwrap_or_default();
    let sql = format!(
        "select service, model, {} from inference_requests where time >= $1 and time < $2 {only} \
         group by grouping sets ((service), (service, model))",
        figures_sql()
    );
    let mut found: BTreeMap<String, (Figures, Vec<Model>)> = BTreeMap::new();
    each(engine, &sql, with, |rows, row| {
        let Some(service) = rows.text(0, row) else { return };
        let of = found.entry(service.to_owned()).or_default();
        match rows.text(1, row) {
            None => of.0 = figures(rows, row),
            Some(model) => of.1.push(Model { model: model.to_owned(), figures: figures(rows, row) }),
        }
    })
    .await?;
    for (_, models) in found.values_mut() {
        models.sort_by(|a, b| (b.figures.requests, &a.model).cmp(&(a.figures.requests, &b.model)));
    }
    Ok(found)
}

/// What a service did over time, a step after the other.
pub(super) async fn over_time(
    engine: &Engine,
    range: Range,
    service: &str,
    steps: &Steps,
) -> Result<Vec<Step>, InferenceError> {
    let mut with = With::range(range);
    let service = with.text(service);
    let sql = format!(
        "select {} as step, count(*), count(*) filter (where status <> 'ok'), sum(input_tokens), sum(cached_tokens), \
         sum(output_tokens), {}, {}, {} from inference_requests \
         where time >= $1 and time < $2 and service = {service} group by 1",
        steps.sql(),
        quantiles_sql("time_to_first_token_seconds", &[0.5, 0.95]),
        quantiles_sql(PER_TOKEN, &[0.5, 0.95]),
        quantiles_sql("queue_seconds", &[0.95])
    );
    let mut all: Vec<Step> =
        (0..steps.count).map(|at| Step { time_micros: steps.start(at), ..Step::default() }).collect();
    each(engine, &sql, with, |rows, row| {
        let Some(step) = rows.int(0, row).and_then(|time| steps.at(time)).and_then(|at| all.get_mut(at)) else {
            return;
        };
        *step = Step {
            time_micros: step.time_micros,
            requests: count(rows, 1, row),
            failed: count(rows, 2, row),
            input_tokens: count(rows, 3, row),
            cached_tokens: count(rows, 4, row),
            output_tokens: count(rows, 5, row),
            first_token_p50: rows.float(6, row),
            first_token_p95: rows.float(7, row),
            per_token_p50: rows.float(8, row),
            per_token_p95: rows.float(9, row),
            queue_p95: rows.float(10, row),
        };
    })
    .await?;
    Ok(all)
}

/// What requests did in each hour, by service; told apart by one of their names, or by none.
pub(super) async fn uses(
    engine: &Engine,
    hours: Range,
    only: Option<&str>,
    by: Option<By>,
) -> Result<BTreeMap<String, Vec<HourUse>>, InferenceError> {
    let mut with = With::range(hours);
    let only = only.map(|service| format!("and service = {}", with.text(service))).unwrap_or_default();
    let name = by.map_or("cast(null as varchar)", By::column);
    let sql = format!(
        "select service, date_trunc('hour', time), {name}, count(*), count(*) filter (where status <> 'ok'), \
         sum(input_tokens), sum(least(coalesce(cached_tokens, 0), input_tokens)), sum(output_tokens), \
         count(*) filter (where {TIMED}), \
         sum(time_to_first_token_seconds - coalesce(queue_seconds, 0.0)) filter (where {TIMED}), \
         sum(duration_seconds - time_to_first_token_seconds) filter (where {TIMED}) \
         from inference_requests where time >= $1 and time < $2 {only} group by 1, 2, 3"
    );
    let mut found: BTreeMap<String, Vec<HourUse>> = BTreeMap::new();
    let mut groups = 0;
    each(engine, &sql, with, |rows, row| {
        groups += 1;
        let (Some(service), Some(hour_micros)) = (rows.text(0, row), rows.int(1, row)) else { return };
        let tokens = Tokens {
            requests: count(rows, 3, row),
            failed: count(rows, 4, row),
            input: count(rows, 5, row),
            cached: count(rows, 6, row),
            output: count(rows, 7, row),
        };
        found.entry(service.to_owned()).or_default().push(HourUse {
            hour_micros,
            who: rows.text(2, row).map(str::to_owned),
            tokens,
            timed: count(rows, 8, row),
            prefill_seconds: rows.float(9, row).unwrap_or_default(),
            decode_seconds: rows.float(10, row).unwrap_or_default(),
        });
    })
    .await?;
    if groups > GROUPS_MAX {
        let text = format!("there are more than {GROUPS_MAX} hours and names, ask for a shorter range");
        return Err(InferenceError::Limit(text));
    }
    Ok(found)
}

/// What one of those who ask did in the range.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct KeyFigures {
    pub(super) tokens: Tokens,
    pub(super) first_token_p95: Option<f64>,
}

/// What each of those who ask did; None is who does not say.
pub(super) async fn keys(
    engine: &Engine,
    range: Range,
    service: &str,
    by: By,
) -> Result<BTreeMap<Option<String>, KeyFigures>, InferenceError> {
    let mut with = With::range(range);
    let service = with.text(service);
    let sql = format!(
        "select {}, count(*), count(*) filter (where status <> 'ok'), sum(input_tokens), \
         sum(least(coalesce(cached_tokens, 0), input_tokens)), sum(output_tokens), {} \
         from inference_requests where time >= $1 and time < $2 and service = {service} group by 1",
        by.column(),
        quantiles_sql("time_to_first_token_seconds", &[0.95])
    );
    let mut found = BTreeMap::new();
    each(engine, &sql, with, |rows, row| {
        let tokens = Tokens {
            requests: count(rows, 1, row),
            failed: count(rows, 2, row),
            input: count(rows, 3, row),
            cached: count(rows, 4, row),
            output: count(rows, 5, row),
        };
        let of = KeyFigures { tokens, first_token_p95: rows.float(6, row) };
        found.insert(rows.text(0, row).map(str::to_owned), of);
    })
    .await?;
    Ok(found)
}
