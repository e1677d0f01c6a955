//! Sums over the spans of a job: launches, time by phase, steps by number, gaps, checkpoints.

use super::{COUNTS, END, Job, OF_JOB, OURS, Row};
use crate::answers::TrainingBucket;
use crate::query::QueryError;

use super::super::launches::{Launch, Run, computed_again, position};

/// Names of launches that are told apart before they are merged.
const RUNS_MAX: usize = 1_000;
/// Points of a chart of a page's width.
const BUCKETS_MAX: i64 = 120;

/// Runs, and how many spans their senders had to drop. `attempt` is an SQL expression of the attempt by `time`.
pub(in super::super) async fn runs(job: &Job<'_>, attempt: &str) -> Result<(Vec<Run>, u64), QueryError> {
    let sql = format!(
        "select {attempt}, resource['coulomb.run'], min(cast(time as bigint)), max({END}), \
           min(step) filter (where name = 'step'), max(step) filter (where name = 'step'), count(distinct rank), \
           max(try_cast(resource['coulomb.model.parameters'] as double)), max(resource['coulomb.model.dtype']), \
           sum(try_cast(attributes['coulomb.dropped'] as bigint)) \
         from spans where {OF_JOB} and {OURS} group by 1, 2 order by 3 limit {RUNS_MAX}"
    );
    let read = |row: &Row<'_>| {
        let run = Run {
            attempt: row.int(0).unwrap_or_default(),
            from_micros: row.int(2).unwrap_or_default(),
            to_micros: row.int(3).unwrap_or_default(),
            first_step: row.int(4),
            last_step: row.int(5),
            ranks: row.count(6).max(1),
            parameters: row.float(7),
            dtype: row.owned(8),
        };
        (run, row.count(9))
    };
    let found = job.rows(&sql, read).await?;
    let dropped = found.iter().map(|(_, dropped)| dropped).sum();
    Ok((found.into_iter().map(|(run, _)| run).collect(), dropped))
}

/// Sums over the spans of one name in one launch.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Totals {
    pub(in super::super) launch: usize,
    pub(in super::super) name: String,
    /// In a step.
    pub(in super::super) within: bool,
    /// Of steps that were computed again or broke off.
    pub(in super::super) lost: bool,
    pub(in super::super) seconds: f64,
    pub(in super::super) spans: u64,
    pub(in super::super) tokens: Option<f64>,
    pub(in super::super) flops: Option<f64>,
}

pub(in super::super) async fn totals(job: &Job<'_>, launches: &[Launch]) -> Result<Vec<Totals>, QueryError> {
    let (position, again) = (position(launches), computed_again(launches));
    let sql = format!(
        "with s as (select {position} as launch, step, duration_seconds, status_code, attributes, \
           case when name in ('step', 'initialization', 'data_loading', 'checkpoint_save', 'checkpoint_restore', \
             'evaluation', 'communication') then name else 'other' end as name \
           from spans where {OF_JOB} and {OURS} and {COUNTS}) \
         select launch, name, step is not null, {again} or (name = 'step' and status_code = 'error'), \
           sum(duration_seconds), count(*), sum(try_cast(attributes['coulomb.tokens'] as double)), \
           sum(try_cast(attributes['coulomb.flops'] as double)) \
         from s group by 1, 2, 3, 4"
    );
    let read = |row: &Row<'_>| Totals {
        launch: row.int(0).unwrap_or_default() as usize,
        name: row.owned(1).unwrap_or_default(),
        within: row.truth(2),
        lost: row.truth(3),
        seconds: row.float(4).unwrap_or_default(),
        spans: row.count(5),
        tokens: row.float(6),
        flops: row.float(7),
    };
    job.rows(&sql, read).await
}

/// Steps by launch and number, the slowest rank of each, as a table `g`.
fn by_step(launches: &[Launch]) -> String {
    let position = position(launches);
    format!(
        "with g as (select launch, step, min(time) as time, max(duration_seconds) as seconds from \
           (select {position} as launch, step, time, duration_seconds from spans \
            where {OF_JOB} and name = 'step' and step is not null and status_code <> 'error') group by 1, 2)"
    )
}

/// How long steps took that counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Step {
    pub(in super::super) count: u64,
    pub(in super::super) mean: f64,
    pub(in super::super) p50: f64,
    pub(in super::super) p90: f64,
    pub(in super::super) p99: f64,
    pub(in super::super) first: i64,
    pub(in super::super) last: i64,
}

pub(in super::super) async fn steps(job: &Job<'_>, launches: &[Launch]) -> Result<Option<Step>, QueryError> {
    let (table, again) = (by_step(launches), computed_again(launches));
    let at = |share: f64| format!("percentile_cont({share}) within group (order by seconds)");
    let sql = format!(
        "{table} select count(*), avg(seconds), {}, {}, {}, min(step), max(step) from g where not {again}",
        at(0.5),
        at(0.9),
        at(0.99)
    );
    let read = |row: &Row<'_>| {
        let second = |column| row.float(column).unwrap_or_default();
        Step {
            count: row.count(0),
            mean: second(1),
            p50: second(2),
            p90: second(3),
            p99: second(4),
            first: row.int(5).unwrap_or_default(),
            last: row.int(6).unwrap_or_default(),
        }
    };
    Ok(job.rows(&sql, read).await?.into_iter().find(|step| step.count > 0))
}

/// Steps of one bucket.
pub(in super::super) fn bucket_width(step: &Step) -> i64 {
    (step.last.saturating_sub(step.first) / BUCKETS_MAX).saturating_add(1)
}

/// By number of step; those that were computed again are in it twice.
pub(in super::super) async fn buckets(
    job: &Job<'_>,
    launches: &[Launch],
    step: &Step,
) -> Result<Vec<TrainingBucket>, QueryError> {
    let (table, again, width) = (by_step(launches), computed_again(launches), bucket_width(step));
    let (first, last) = (step.first, step.last);
    let sql = format!(
        "{table} select min(step), max(step), min(time), count(*), percentile_cont(0.5) within group (order by seconds), \
           max(seconds), count(*) filter (where {again}) \
         from g where step >= {first} and step <= {last} group by (step - {first}) / {width} order by 1"
    );
    let read = |row: &Row<'_>| TrainingBucket {
        first_step: row.int(0).unwrap_or_default(),
        last_step: row.int(1).unwrap_or_default(),
        time_unix_micros: row.int(2).unwrap_or_default(),
        count: row.count(3),
        p50_seconds: row.float(4).unwrap_or_default(),
        max_seconds: row.float(5).unwrap_or_default(),
        work_seconds: None,
        lost: row.count(6),
    };
    job.rows(&sql, read).await
}

/// Sums of times between steps that are longer than `long_seconds`, by launch.
pub(in super::super) async fn gaps(
    job: &Job<'_>,
    launches: &[Launch],
    long_seconds: f64,
) -> Result<Vec<(usize, f64)>, QueryError> {
    let (position, long) = (position(launches), (long_seconds * 1e6) as i64);
    let sql = format!(
        "with g as (select launch, step, min(begins) as begins, max(ends) as ends from \
           (select {position} as launch, step, cast(time as bigint) as begins, {END} as ends from spans \
            where {OF_JOB} and name = 'step' and step is not null) group by 1, 2), \
         l as (select launch, begins - lag(ends) over (partition by launch order by begins) as gap from g) \
         select launch, sum(gap) filter (where gap > {long}) from l group by 1"
    );
    let read = |row: &Row<'_>| (row.int(0).unwrap_or_default() as usize, row.count(1) as f64 / 1e6);
    job.rows(&sql, read).await
}

/// Saves and reads of checkpoints in one launch.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Checkpoints {
    pub(in super::super) is_save: bool,
    /// Of the job, not of each rank.
    pub(in super::super) count: u64,
    pub(in super::super) seconds: f64,
    /// From the first to the last.
    pub(in super::super) span_seconds: f64,
}

pub(in super::super) async fn checkpoints(job: &Job<'_>, launches: &[Launch]) -> Result<Vec<Checkpoints>, QueryError> {
    let position = position(launches);
    let sql = format!(
        "select launch, name = 'checkpoint_save', count(*), count(distinct rank), avg(duration_seconds), \
           max(begins) - min(begins) from \
           (select {position} as launch, name, rank, duration_seconds, cast(time as bigint) as begins from spans \
            where {OF_JOB} and name in ('checkpoint_save', 'checkpoint_restore')) group by 1, 2"
    );
    let read = |row: &Row<'_>| Checkpoints {
        is_save: row.truth(1),
        count: row.count(2).div_ceil(row.count(3).max(1)),
        seconds: row.float(4).unwrap_or_default(),
        span_seconds: row.int(5).unwrap_or_default() as f64 / 1e6,
    };
    job.rows(&sql, read).await
}
