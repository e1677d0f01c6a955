//! What the engine answers about one job's training. It adds up; only sums, groups and the worst few come out of it.
//!
//! **Invariant:** no answer has more rows than a page can show, however many ranks and steps a job has.

mod ends;
mod facts;
mod ranks;
mod spans;

pub(super) use ends::ending;
pub(super) use facts::{Attempt, Fleet, attempts, cluster_failure_gpu_seconds, costs, fleet, samples};
pub(super) use ranks::{slow_steps, stragglers, work_by_bucket};
pub(super) use spans::{Step, Totals, bucket_width, buckets, checkpoints, gaps, runs, steps, totals};

use crate::query::{Engine, Parameter, QueryError, Rows};

/// Clocks of nodes and schedulers differ by less than this.
const SLACK_MICROS: i64 = 60_000_000;

/// The job, and the time in which it can have left anything.
pub(super) struct Job<'a> {
    pub(super) engine: &'a Engine,
    pub(super) cluster: &'a str,
    pub(super) job_id: &'a str,
    pub(super) from_micros: i64,
    pub(super) to_micros: i64,
}

/// Spans of the job, with the parameters of [`Job::rows`]. A program need not know the name of its cluster.
const OF_JOB: &str = "job_id = $1 and (cluster = $2 or cluster is null) and time >= $3 and time < $4";
/// Spans that say what time was for, by the package or by their names.
const OURS: &str = "(scope_name = 'coulomb' or name in ('step', 'initialization', 'data_loading', 'checkpoint_save', \
    'checkpoint_restore', 'evaluation', 'communication'))";
/// Work beside other work, or within a phase that has the time already.
const COUNTS: &str = "attributes['coulomb.overlaps'] is null";
const END: &str = "cast(time as bigint) + duration_nanos / 1000";

impl Job<'_> {
    pub(super) fn widened(self) -> Self {
        let (from_micros, to_micros) = (self.from_micros - SLACK_MICROS, self.to_micros + SLACK_MICROS);
        Self { from_micros, to_micros, ..self }
    }

    /// `$1` and `$2` are the job, `$3` and `$4` its time.
    async fn rows<T>(&self, sql: &str, read: impl FnMut(&Row<'_>) -> T) -> Result<Vec<T>, QueryError> {
        self.rows_with(sql, Vec::new(), read).await
    }

    /// Likewise, with more parameters from `$5` on.
    async fn rows_with<T>(
        &self,
        sql: &str,
        more: Vec<Parameter>,
        read: impl FnMut(&Row<'_>) -> T,
    ) -> Result<Vec<T>, QueryError> {
        let (from, to) = (Parameter::Time(self.from_micros), Parameter::Time(self.to_micros));
        let own = [Parameter::Text(self.job_id.to_owned()), Parameter::Text(self.cluster.to_owned()), from, to];
        rows(self.engine, sql, own.into_iter().chain(more).collect(), read).await
    }
}

async fn rows<T>(
    engine: &Engine,
    sql: &str,
    with: Vec<Parameter>,
    mut read: impl FnMut(&Row<'_>) -> T,
) -> Result<Vec<T>, QueryError> {
    let batches = engine.sql(sql, with).await?.collect().await?;
    let mut all = Vec::new();
    for batch in &batches {
        let rows = Rows::new(batch);
        all.extend((0..batch.num_rows()).map(|at| read(&Row { rows: &rows, at })));
    }
    Ok(all)
}

/// One row, by the positions of its columns.
struct Row<'a> {
    rows: &'a Rows<'a>,
    at: usize,
}

impl Row<'_> {
    fn int(&self, column: usize) -> Option<i64> {
        self.rows.int(column, self.at)
    }

    fn count(&self, column: usize) -> u64 {
        self.int(column).unwrap_or_default().unsigned_abs()
    }

    fn float(&self, column: usize) -> Option<f64> {
        self.rows.float(column, self.at).filter(|value| value.is_finite())
    }

    fn owned(&self, column: usize) -> Option<String> {
        self.rows.text(column, self.at).map(str::to_owned)
    }

    fn truth(&self, column: usize) -> bool {
        self.rows.bool(column, self.at).unwrap_or_default()
    }

    fn texts(&self, column: usize) -> Vec<String> {
        self.rows.texts(column, self.at).into_iter().map(str::to_owned).collect()
    }
}
