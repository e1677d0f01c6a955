//! The question `jobs`: those that waited or ran within a range, filtered, sorted and by pages.

use super::ask::{Asking, Row, bounded, each_row, instant, text};
use super::job_names::FAILED;
use super::{Engine, QueryError};
use contract::answers::{JobList, JobPhase, JobRow, Range};
use datafusion::common::ScalarValue;

/// Rows of a page unless it is told, and at most.
pub const JOBS_OF_A_PAGE: u64 = 100;
pub const JOBS_OF_A_PAGE_MAX: u64 = 1_000;
/// Words that must match; more are no filter that a person writes.
const WORDS_MAX: usize = 8;

/// What can be sorted by, and the SQL of it.
const SORTS: [(&str, &str); 12] = [
    ("time", "coalesce(j.started_at, j.submitted_at, j.time)"),
    ("job", "j.job_id"),
    ("name", "j.name"),
    ("user", "j.\"user\""),
    ("queue", "j.queue"),
    ("state", "j.phase"),
    ("gpus", "j.gpus_requested"),
    ("wait", "j.queue_seconds"),
    ("length", "j.ended_at - j.started_at"),
    ("gpu_hours", "j.gpu_seconds"),
    ("cost", "c.cost"),
    ("active", "u.active"),
];

/// Which jobs are asked for.
#[derive(Debug, Clone, Default)]
pub struct JobsAsked {
    pub cluster: Option<String>,
    /// Words of which each must be in a job's id, name, user, account, project, queue, state or nodes.
    pub filter: String,
    pub phase: Option<JobPhase>,
    /// A name of `SORTS`, with a leading `-` for downwards; empty is the latest first.
    pub sort: String,
    pub offset: u64,
    pub limit: u64,
}

impl Engine {
    pub async fn jobs(&self, range: Range, asked: JobsAsked) -> Result<JobList, QueryError> {
        if range.to_unix_micros <= range.from_unix_micros {
            return Err(QueryError::Invalid("the range is empty; `to` must be later than `from`".to_owned()));
        }
        let order = order(&asked.sort)?;
        let asking = Asking::new(self)?;
        bounded(self, async move { list(&asking, range, &asked, order).await }).await
    }
}

fn order(sort: &str) -> Result<(&'static str, &'static str), QueryError> {
    let (name, downwards) = match sort.strip_prefix('-') {
        Some(name) => (name, "desc"),
        None => (sort, "asc"),
    };
    if name.is_empty() {
        return Ok((SORTS[0].1, "desc"));
    }
    let found = SORTS.iter().find(|(known, _)| *known == name).map(|(_, sql)| (*sql, downwards));
    found.ok_or_else(|| QueryError::UnknownName {
        what: "order",
        name: name.chars().take(100).collect(),
        known: SORTS.map(|(known, _)| known.to_owned()).into(),
    })
}

/// The jobs of a question as a table `j`, with its parameters.
fn base(range: Range, asked: &JobsAsked) -> (String, Vec<ScalarValue>) {
    let mut with = vec![instant(range.from_unix_micros), instant(range.to_unix_micros)];
    let mut conditions = String::new();
    let mut add = |value: &str, condition: &dyn Fn(usize) -> String| {
        with.push(text(value));
        conditions.push_str(&condition(with.len()));
    };
    if let Some(cluster) = &asked.cluster {
        add(cluster, &|at| format!(" and cluster = ${at}"));
    }
    for word in asked.filter.split_whitespace().take(WORDS_MAX) {
        add(&word.to_lowercase(), &|at| format!(" and strpos(words, ${at}) > 0"));
    }
    let phase = phase();
    let sql = format!(
        "with j as (select * from (select cluster, job_id, attempt, name, \"user\", account, project, queue, state, \
           gpus_requested, nodes, submitted_at, started_at, ended_at, queue_seconds, gpu_seconds, time, \
           {phase} as phase, lower(concat_ws(' ', job_id, name, \"user\", account, project, queue, state, \
           array_to_string(nodes, ' '))) as words from jobs) \
         where coalesce(submitted_at, started_at, time) < $2 and (ended_at is null or ended_at >= $1){conditions})"
    );
    (sql, with)
}

/// The phase of that name.
pub fn job_phase(name: &str) -> Option<JobPhase> {
    JobPhase::ALL.into_iter().find(|phase| phase.as_str() == name)
}

/// Where a job is in its life, as [`JobPhase::as_str`] names it.
fn phase() -> String {
    format!(
        "case when ended_at is not null and upper(coalesce(state, '')) ~ '{FAILED}' then 'failed' \
         when ended_at is not null then 'ended' when started_at is not null then 'running' else 'waiting' end"
    )
}

/// Columns of a [`JobRow`], in the order in which [`row`] reads them.
const COLUMNS: &str = "j.cluster, j.job_id, j.attempt, j.phase, j.state, j.name, j.\"user\", j.account, j.project, \
    j.queue, j.gpus_requested, j.nodes, j.submitted_at, j.started_at, j.ended_at, j.gpu_seconds, \
    c.cost, u.active";

/// Costs and activity of some jobs since a time, as tables `c` and `u`.
fn measures(jobs: &str) -> String {
    format!(
        "c as (select cluster, job_id, attempt, sum(cost_micros) as cost from ledger where time >= $SINCE and {jobs} \
           group by 1, 2, 3), \
         u as (select cluster, job_id, sum(active_seconds) / \
           nullif(sum(active_seconds + held_idle_seconds + held_empty_seconds), 0) as active from usage_hourly \
           where time >= $SINCE and {jobs} group by 1, 2)"
    )
}

const JOINS: &str = "left join c on c.cluster = j.cluster and c.job_id = j.job_id and c.attempt = j.attempt \
    left join u on u.cluster = j.cluster and u.job_id = j.job_id";

async fn list(
    asking: &Asking,
    range: Range,
    asked: &JobsAsked,
    (by, direction): (&str, &str),
) -> Result<JobList, QueryError> {
    let (base, with) = base(range, asked);
    let mut list = JobList { range, ..JobList::default() };
    let sql = format!("{base} select phase, count(*), min(coalesce(started_at, ended_at)) from j group by 1");
    let mut since = range.to_unix_micros;
    for row in each_row(&asking.rows(&sql, with.clone()).await?) {
        let phase = row.text(0).and_then(job_phase).unwrap_or_default();
        list.counts[phase as usize] = row.int(1).unwrap_or_default().unsigned_abs();
        since = since.min(row.time(2).unwrap_or(since));
    }
    list.total = asked.phase.map_or(list.counts.iter().sum(), |phase| list.counts[phase as usize]);
    // By the hour in which the earliest began.
    let since = since.div_euclid(HOUR) * HOUR;
    let of_phase = asked.phase.map(|phase| format!(" where phase = '{}'", phase.as_str())).unwrap_or_default();
    let page = format!("limit {} offset {}", asked.limit.min(JOBS_OF_A_PAGE_MAX), asked.offset);
    let ordered = format!("order by {by} {direction} nulls last, j.cluster, j.job_id, j.attempt");
    let is_measured = by.starts_with("c.") || by.starts_with("u.");
    let (page_of_jobs, jobs) = if is_measured {
        (format!("p as (select * from j{of_phase})"), "job_id is not null")
    } else {
        let page = format!("p as (select * from j{of_phase} {ordered} {page})");
        (page, "job_id in (select job_id from p)")
    };
    let mut with = with;
    with.push(instant(since));
    let measures = measures(jobs).replace("$SINCE", &format!("${}", with.len()));
    let sql = format!(
        "{base}, {page_of_jobs}, {measures} select {COLUMNS} from p j {JOINS} {ordered} {page_again}",
        page_again = if is_measured { page.as_str() } else { "" }
    );
    list.jobs = each_row(&asking.rows(&sql, with).await?).map(|found| row(&found)).collect();
    Ok(list)
}

const HOUR: i64 = 3_600_000_000;

fn row(row: &Row<'_>) -> JobRow {
    JobRow {
        cluster: row.owned(0).unwrap_or_default(),
        job_id: row.owned(1).unwrap_or_default(),
        attempt: row.int(2).unwrap_or_default(),
        phase: row.text(3).and_then(job_phase).unwrap_or_default(),
        state: row.owned(4),
        name: row.owned(5),
        user: row.owned(6),
        account: row.owned(7),
        project: row.owned(8),
        queue: row.owned(9),
        gpus: row.int(10),
        nodes: row.texts(11),
        submitted_unix_micros: row.time(12),
        started_unix_micros: row.time(13),
        ended_unix_micros: row.time(14),
        gpu_seconds: row.float(15),
        cost_micros: row.int(16),
        active_ratio: row.float(17),
    }
}

/// All attempts of one job, in their order.
pub(super) async fn attempts(asking: &Asking, cluster: &str, job_id: &str) -> Result<Vec<JobRow>, QueryError> {
    let all = Range { from_unix_micros: 0, to_unix_micros: i64::MAX / 4 };
    let (base, mut with) = base(all, &JobsAsked { cluster: Some(cluster.to_owned()), ..JobsAsked::default() });
    with.push(text(job_id));
    let job = format!("job_id = ${}", with.len());
    let sql = format!("{base} select min(coalesce(started_at, ended_at)) from j where {job}");
    let rows = asking.rows(&sql, with.clone()).await?;
    let since = each_row(&rows).next().and_then(|row| row.time(0)).unwrap_or_default();
    with.push(instant(since.div_euclid(HOUR) * HOUR));
    let measures = measures(&job).replace("$SINCE", &format!("${}", with.len()));
    let sql = format!("{base}, {measures} select {COLUMNS} from j {JOINS} where j.{job} order by j.attempt");
    Ok(each_row(&asking.rows(&sql, with).await?).map(|found| row(&found)).collect())
}
