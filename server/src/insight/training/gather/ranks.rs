//! Ranks against each other and against themselves, in steps that are few enough to compare one by one.

use super::super::launches::{Launch, is_first, position};
use super::{COUNTS, Job, OF_JOB, Row};
use crate::answers::{TrainingSlowStep, TrainingStraggler};
use crate::query::QueryError;

/// Slower than the others by a tenth is no chance any more.
const SLOW: f64 = 1.1;
/// In half of the steps and at least this many: a rank that is slow now and then is none of its own.
const SLOW_STEPS_MIN: u64 = 5;
const STRAGGLERS_MAX: usize = 20;
/// A step that takes a rank twice as long as it usually does.
const UNUSUAL: f64 = 2.0;
const SLOW_STEPS_MAX: usize = 20;

/// Tables: `w`, the work of each rank in each step, without what it waited for others; `m`, the work of the middle and
/// of the slowest rank. Of two ranks the quicker one is the measure.
fn work(launches: &[Launch], every: u64) -> String {
    let position = position(launches);
    format!(
        "with s as (select {position} as launch, step, rank, node, time, \
             case when name = 'step' then duration_seconds else -duration_seconds end as seconds, name from spans \
           where {OF_JOB} and name in ('step', 'communication') and step is not null and rank is not null \
             and step % {every} = 0 and status_code <> 'error' and {COUNTS}), \
         w as (select launch, step, rank, min(node) as node, min(time) as time, sum(seconds) as seconds from s \
           group by 1, 2, 3 having count(*) filter (where name = 'step') = 1), \
         m as (select launch, step, max(seconds) as slowest, count(*) as ranks, case when count(*) = 2 then min(seconds) \
             else percentile_cont(0.5) within group (order by seconds) end as middle from w group by 1, 2)"
    )
}

/// Ranks that are slower than the others most of the time. What they cost is GPU-seconds of one GPU; times all of them.
pub(in super::super) async fn stragglers(
    job: &Job<'_>,
    launches: &[Launch],
    every: u64,
) -> Result<Vec<TrainingStraggler>, QueryError> {
    let tables = work(launches, every);
    let sql = format!(
        "{tables} select rank, min(node), count(*), slow, avg(ratio), lost from (select *, \
             count(*) filter (where ratio > {SLOW}) over (partition by rank) as slow, \
             sum(waited) over (partition by rank) as lost from (select w.rank, w.node, \
               w.seconds / nullif(m.middle, 0) as ratio, case when w.seconds > {SLOW} * m.middle \
                 and w.seconds >= m.slowest then w.seconds - m.middle else 0.0 end as waited \
             from w join m on w.launch = m.launch and w.step = m.step where m.ranks > 1)) \
         where slow >= {SLOW_STEPS_MIN} group by rank, slow, lost having slow * 2 >= count(*) \
         order by lost desc, 1 limit {STRAGGLERS_MAX}"
    );
    let read = |row: &Row<'_>| TrainingStraggler {
        rank: row.int(0).unwrap_or_default(),
        node: row.owned(1),
        steps: row.count(2),
        slow_steps: row.count(3),
        work_ratio: row.float(4).unwrap_or_default(),
        lost_gpu_seconds: row.float(5).unwrap_or_default() * every as f64,
        cost_micros: None,
    };
    job.rows(&sql, read).await
}

/// Steps in which the slowest rank took far longer than it usually does, but for the first of a launch.
pub(in super::super) async fn slow_steps(
    job: &Job<'_>,
    launches: &[Launch],
    every: u64,
) -> Result<Vec<TrainingSlowStep>, QueryError> {
    let (tables, first) = (work(launches, every), is_first(launches));
    let sql = format!(
        "{tables}, r as (select rank, percentile_cont(0.5) within group (order by seconds) as usual, count(*) as steps \
             from w group by 1), \
         u as (select w.launch as launch, w.step as step, w.rank as rank, w.node as node, w.time as time, \
             w.seconds as seconds, r.usual as usual, r.steps as steps from w join r on w.rank = r.rank \
             join m on w.launch = m.launch and w.step = m.step where w.seconds >= m.slowest) \
         select step, time, rank, node, seconds, usual from u where seconds > {UNUSUAL} * usual and steps >= {SLOW_STEPS_MIN} \
           and not {first} order by seconds - usual desc, step limit {SLOW_STEPS_MAX}"
    );
    let read = |row: &Row<'_>| {
        let (work, usual) = (row.float(4).unwrap_or_default(), row.float(5).unwrap_or_default());
        TrainingSlowStep {
            step: row.int(0).unwrap_or_default(),
            time_unix_micros: row.int(1).unwrap_or_default(),
            rank: row.int(2).unwrap_or_default(),
            node: row.owned(3),
            work_seconds: work,
            usual_seconds: usual,
            lost_gpu_seconds: work - usual,
            cost_micros: None,
        }
    };
    job.rows(&sql, read).await
}

/// Mean of the middle rank's work, by bucket of `width` steps from `first` on.
pub(in super::super) async fn work_by_bucket(
    job: &Job<'_>,
    launches: &[Launch],
    (every, first, width): (u64, i64, i64),
) -> Result<Vec<(i64, f64)>, QueryError> {
    let tables = work(launches, every);
    let sql =
        format!("{tables} select (step - {first}) / {width}, avg(middle) from m where step >= {first} group by 1");
    job.rows(&sql, |row| (row.int(0).unwrap_or_default(), row.float(1).unwrap_or_default())).await
}
