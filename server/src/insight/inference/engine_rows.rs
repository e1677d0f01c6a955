//! What engines report of themselves, from the table `metrics`.

use super::engines::{self, Known, Role};
use super::error::InferenceError;
use super::figures::{Figures, Quantiles, Source};
use super::growth::{Growth, HistogramGrowth, cumulative, numbers};
use super::rows::{With, each};
use super::steps::Steps;
use crate::query::Engine;
use crate::query::promql::histogram_quantile;
use contract::answers::Range;
use std::collections::{BTreeMap, BTreeSet};

/// What tells the processes of a service apart.
const SERIES: &str = "coalesce(node, '') || '|' || coalesce(job_id, '') || '|' || \
    coalesce(array_to_string(map_values(attributes), '|'), '')";

/// A service, and the jobs that serve it: engines may say only one of the two.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of<'s> {
    pub(super) service: &'s str,
    pub(super) jobs: &'s BTreeSet<String>,
}

impl Of<'_> {
    fn condition(&self, with: &mut With) -> String {
        let service = with.text(self.service);
        let jobs = with.texts(self.jobs.iter().map(String::as_str));
        format!("(service = {service} or job_id in ({jobs}))")
    }
}

/// Means over a step of time; none where nothing was reported.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EngineStep {
    pub time_micros: i64,
    pub running: Option<f64>,
    pub waiting: Option<f64>,
    pub kv_cache_used_ratio: Option<f64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct EngineFigures {
    /// Whose metrics there are.
    pub engines: Vec<String>,
    /// Means over the range.
    pub running: Option<f64>,
    pub waiting: Option<f64>,
    pub kv_cache_used_ratio: Option<f64>,
    /// Tokens of prompts that the prefix cache had, by those that it was asked for.
    pub prefix_hit_ratio: Option<f64>,
    pub over_time: Vec<EngineStep>,
}

/// Values of one role in one step: of each process once.
type Cell = BTreeMap<Role, Vec<f64>>;

fn sum(cell: &Cell, role: Role) -> Option<f64> {
    cell.get(&role).map(|values| values.iter().sum())
}

fn mean(cell: &Cell, role: Role) -> Option<f64> {
    let values = cell.get(&role)?;
    Some(values.iter().sum::<f64>() / values.len() as f64)
}

/// What the engines of a service reported over time.
pub(super) async fn gauges(
    engine: &Engine,
    range: Range,
    of: Of<'_>,
    steps: &Steps,
) -> Result<EngineFigures, InferenceError> {
    let mut with = With::range(range);
    let condition = of.condition(&mut with);
    let names = engines::sql_names(Role::is_gauge);
    let sql = format!(
        "select {} as step, name, {SERIES} as series, avg(value) from metrics \
         where time >= $1 and time < $2 and name in ({names}) and value is not null and {condition} group by 1, 2, 3",
        steps.sql()
    );
    let mut cells: Vec<Cell> = vec![Cell::new(); steps.count];
    let mut engines: BTreeSet<&'static str> = BTreeSet::new();
    each(engine, &sql, with, |rows, row| {
        let known = rows.text(1, row).and_then(engines::find);
        let at = rows.int(0, row).and_then(|time| steps.at(time));
        let (Some(known), Some(cell), Some(value)) = (known, at.and_then(|at| cells.get_mut(at)), rows.float(3, row))
        else {
            return;
        };
        engines.insert(known.engine);
        cell.entry(known.role).or_default().push(value * known.scale);
    })
    .await?;
    let step = |(at, cell): (usize, &Cell)| {
        let tokens = sum(cell, Role::KvTokensMax).filter(|max| *max > 0.0);
        let by_tokens = || Some(sum(cell, Role::KvTokens)? / tokens?);
        EngineStep {
            time_micros: steps.start(at),
            running: sum(cell, Role::Running),
            waiting: sum(cell, Role::Waiting),
            kv_cache_used_ratio: mean(cell, Role::KvUsed).or_else(by_tokens),
        }
    };
    let over_time: Vec<EngineStep> = cells.iter().enumerate().map(step).collect();
    let over = |of: fn(&EngineStep) -> Option<f64>| {
        let values: Vec<f64> = over_time.iter().filter_map(of).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let hits: Vec<f64> = cells.iter().filter_map(|cell| mean(cell, Role::PrefixHitRatio)).collect();
    Ok(EngineFigures {
        engines: engines.into_iter().map(str::to_owned).collect(),
        running: over(|step| step.running),
        waiting: over(|step| step.waiting),
        kv_cache_used_ratio: over(|step| step.kv_cache_used_ratio),
        prefix_hit_ratio: (!hits.is_empty()).then(|| hits.iter().sum::<f64>() / hits.len() as f64),
        over_time,
    })
}

/// Growth of the counters of a service, by what they count, and whose they are.
pub(super) async fn counters(
    engine: &Engine,
    range: Range,
    of: Of<'_>,
    steps: &Steps,
) -> Result<(BTreeMap<Role, f64>, BTreeSet<&'static str>), InferenceError> {
    let mut with = With::range(range);
    let condition = of.condition(&mut with);
    let names = engines::sql_names(Role::is_counter);
    let sql = format!(
        "select name, {SERIES} as series, {} as step, first_value(value order by time), last_value(value order by time) \
         from metrics where time >= $1 and time < $2 and name in ({names}) and value is not null and kind <> 'delta' \
         and {condition} group by 1, 2, 3 order by 1, 2, 3",
        steps.sql()
    );
    let mut all: BTreeMap<(String, String), (&'static Known, Growth)> = BTreeMap::new();
    each(engine, &sql, with, |rows, row| {
        let (Some(name), Some(series)) = (rows.text(0, row), rows.text(1, row)) else { return };
        let Some(known) = engines::find(name) else { return };
        let (_, growth) = all.entry((name.to_owned(), series.to_owned())).or_insert((known, Growth::default()));
        // Where a counter begins again within a step, what it had in between is not seen.
        [3, 4].into_iter().filter_map(|at| rows.float(at, row)).for_each(|value| growth.see(value * known.scale));
    })
    .await?;
    let (mut sums, mut engines) = (BTreeMap::new(), BTreeSet::new());
    for (known, growth) in all.into_values() {
        *sums.entry(known.role).or_insert(0.0) += growth.grown;
        engines.insert(known.engine);
    }
    Ok((sums, engines))
}

/// Growth of the histograms of a service, by what they measure: the metric that is listed first counts.
async fn histograms(
    engine: &Engine,
    range: Range,
    of: Of<'_>,
    steps: &Steps,
) -> Result<BTreeMap<Role, Quantiles>, InferenceError> {
    let mut with = With::range(range);
    let condition = of.condition(&mut with);
    let names = engines::sql_names(Role::is_histogram);
    let sql = format!(
        "select name, {SERIES} as series, {} as step, \
         array_to_string(first_value(histogram_bounds order by time), ','), \
         array_to_string(first_value(histogram_counts order by time), ','), \
         array_to_string(last_value(histogram_bounds order by time), ','), \
         array_to_string(last_value(histogram_counts order by time), ',') \
         from metrics where time >= $1 and time < $2 and name in ({names}) and kind = 'histogram' and {condition} \
         group by 1, 2, 3 order by 1, 2, 3",
        steps.sql()
    );
    let mut all: BTreeMap<String, BTreeMap<String, HistogramGrowth>> = BTreeMap::new();
    each(engine, &sql, with, |rows, row| {
        let (Some(name), Some(series)) = (rows.text(0, row), rows.text(1, row)) else { return };
        let growth = all.entry(name.to_owned()).or_default().entry(series.to_owned()).or_default();
        for at in [3, 5] {
            let read = |at: usize| rows.text(at, row).and_then(numbers);
            if let (Some(bounds), Some(counts)) = (read(at), read(at + 1)) {
                growth.see(&bounds, &counts);
            }
        }
    })
    .await?;
    let mut found = BTreeMap::new();
    for known in engines::METRICS.iter().filter(|known| known.role.is_histogram()) {
        let spelled = engines::spellings(known.name);
        let Some((_, series)) = all.iter().find(|(name, _)| spelled.contains(name)) else { continue };
        let buckets = cumulative(series.values(), known.scale);
        let at = |q: f64| histogram_quantile(q, &buckets);
        let quantiles = Quantiles { p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99) };
        if quantiles.p50.is_some() {
            found.entry(known.role).or_insert(quantiles);
        }
    }
    Ok(found)
}

/// What engines alone can tell of a service, where no request is known.
pub(super) async fn figures(
    engine: &Engine,
    range: Range,
    of: Of<'_>,
    steps: &Steps,
    counted: &BTreeMap<Role, f64>,
) -> Result<Figures, InferenceError> {
    let measured = histograms(engine, range, of, steps).await?;
    if measured.is_empty() && counted.values().all(|grown| *grown == 0.0) {
        return Ok(Figures::default());
    }
    let grown = |role: Role| counted.get(&role).map_or(0, |grown| grown.round() as u64);
    let seconds = (range.to_unix_micros - range.from_unix_micros) as f64 / 1e6;
    let per_second = |sum: u64| (sum > 0 && seconds > 0.0).then(|| sum as f64 / seconds);
    let of = |role: Role| measured.get(&role).copied().unwrap_or_default();
    Ok(Figures {
        source: Source::Engine,
        requests: grown(Role::Requests),
        requests_per_second: per_second(grown(Role::Requests)),
        input_tokens: grown(Role::PromptTokens),
        output_tokens: grown(Role::OutputTokens),
        tokens_per_second: per_second(grown(Role::OutputTokens)),
        first_token: of(Role::FirstToken),
        per_token: of(Role::PerToken),
        queue: of(Role::Queue),
        duration: of(Role::Duration),
        ..Figures::default()
    })
}

/// Services whose engines report.
pub(super) async fn services(engine: &Engine, range: Range) -> Result<BTreeSet<String>, InferenceError> {
    let names = engines::sql_names(|_| true);
    let sql = format!(
        "select distinct service from metrics where time >= $1 and time < $2 and name in ({names}) \
         and service is not null"
    );
    let mut found = BTreeSet::new();
    each(engine, &sql, With::range(range), |rows, row| found.extend(rows.text(0, row).map(str::to_owned))).await?;
    Ok(found)
}

/// Requests that wait, and processes that report, of each service: the mean of a short range.
pub(super) async fn waiting(
    engine: &Engine,
    range: Range,
) -> Result<BTreeMap<String, (Option<f64>, u64)>, InferenceError> {
    let names = engines::sql_names(|role| matches!(role, Role::Waiting | Role::Running));
    let sql = format!(
        "select service, name, {SERIES} as series, avg(value) from metrics \
         where time >= $1 and time < $2 and name in ({names}) and value is not null and service is not null group by 1, 2, 3"
    );
    let mut found: BTreeMap<String, (Option<f64>, BTreeSet<String>)> = BTreeMap::new();
    each(engine, &sql, With::range(range), |rows, row| {
        let (Some(service), Some(known)) = (rows.text(0, row), rows.text(1, row).and_then(engines::find)) else {
            return;
        };
        let of = found.entry(service.to_owned()).or_default();
        of.1.extend(rows.text(2, row).map(str::to_owned));
        if let Some(value) = rows.float(3, row).filter(|_| known.role == Role::Waiting) {
            of.0 = Some(of.0.unwrap_or(0.0) + value);
        }
    })
    .await?;
    Ok(found.into_iter().map(|(service, (waiting, series))| (service, (waiting, series.len() as u64))).collect())
}
