//! The statements of a document about capacity.

use super::super::ask::{Dimension, Period, Request};
use super::super::sql::{arose, grouped, in_time, instant, owners, text, usage_of};
use contract::GpuState;

/// `gpus, the hours in six states, free hours beside jobs`, as [`super::lines::Line`] reads them.
fn hours() -> String {
    let states = GpuState::ALL.map(|s| format!("sum(l.{}_seconds) / 3600.0", s.as_str())).join(", ");
    // A GPU has one row an hour with free time, of which the node as a whole had the least of its GPUs' at most.
    let beside =
        "sum(case when l.unallocated_seconds > n.free_seconds then l.unallocated_seconds - n.free_seconds end)";
    format!("count(distinct l.gpu_uuid) as gpus, {states}, coalesce({beside}, 0.0) / 3600.0")
}

/// Hours of use with the time that all GPUs of a node were free in each.
fn from(period: Period) -> String {
    let of_gpu = format!(
        "select u.time, u.cluster, u.node, u.gpu_uuid, sum(u.unallocated_seconds) as free_seconds from usage_hourly u \
         where {} group by 1, 2, 3, 4",
        in_time("u.time", period)
    );
    format!(
        "usage_hourly l left join (select g.time, g.cluster, g.node, min(g.free_seconds) as free_seconds from ({of_gpu}) g \
         group by 1, 2, 3) n on n.time = l.time and n.cluster = l.cluster and n.node = l.node"
    )
}

/// `d0…` and then [`hours`] of each group.
pub(super) fn groups(request: &Request, bound: usize) -> String {
    let (columns, places) = grouped(request.by.iter().map(usage_of));
    let owners = if request.by.iter().any(Dimension::is_of_owner) { owners(request) } else { String::new() };
    format!(
        "select {columns}{} from {}{owners} where {} group by {places} limit {}",
        hours(),
        from(request.period),
        arose(request.period),
        bound + 1
    )
}

/// One row: [`hours`] of all.
pub(super) fn whole(request: &Request) -> String {
    format!("select {} from {} where {}", hours(), from(request.period), arose(request.period))
}

/// `bucket` and then [`hours`].
pub(super) fn by_time(request: &Request, bucket: &str) -> String {
    format!(
        "select to_char(l.time, {}) as bucket, {} from {} where {} group by 1 order by 1",
        text(bucket),
        hours(),
        from(request.period),
        arose(request.period)
    )
}

/// Of a job that started; none where nobody knows.
fn of_job(dimension: &Dimension) -> Option<&'static str> {
    match dimension.name().as_str() {
        "day" => Some("to_char(j.started_at, '%Y-%m-%d')"),
        "hour" => Some("to_char(j.started_at, '%Y-%m-%d %H:00')"),
        "cluster" => Some("j.cluster"),
        "queue" => Some("j.queue"),
        _ => None,
    }
}

fn started_in(period: Period) -> String {
    format!("{} and j.gpus_requested > 0", in_time("j.started_at", period))
}

/// `d0…, jobs, median wait, p95` of jobs that started; none where their groups are not known.
pub(super) fn waits(request: &Request, by: &[Dimension], bound: usize) -> Option<String> {
    let names = by.iter().map(of_job).collect::<Option<Vec<_>>>()?;
    let (columns, places) = grouped(names.into_iter().map(str::to_owned));
    let groups = if places.is_empty() { String::new() } else { format!(" group by {places}") };
    let at = |share: f64| format!("percentile_cont({share}) within group (order by j.queue_seconds)");
    Some(format!(
        "select {columns}count(*), {}, {} from jobs j where {}{groups} limit {}",
        at(0.5),
        at(0.95),
        started_in(request.period),
        bound + 1
    ))
}

/// The rows behind the waits.
pub(super) fn started(request: &Request) -> String {
    format!("select * from jobs j where {} order by started_at", started_in(request.period))
}

/// `jobs, gpus` that waited at the end of the period.
pub(super) fn waiting(request: &Request) -> String {
    let (_, to) = request.period.bounds().unwrap_or_default();
    let end = instant(to);
    format!(
        "select count(*), coalesce(sum(j.gpus_requested), 0) from jobs j where j.submitted_at < {end} \
         and (j.started_at is null or j.started_at >= {end}) and (j.ended_at is null or j.ended_at >= {end}) \
         and j.gpus_requested > 0"
    )
}
