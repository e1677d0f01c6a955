//! What a person should look at, worst first.
//!
//! **Invariant:** each entry says what, where, since when and, where that can be said, how many GPU-hours
//! it took within the range. Nothing is listed that has no rows behind it.

use super::QueryError;
use super::ask::{Asking, each_row, instant};
use super::gpu_fold::{GpuFold, HOT_CELSIUS};
use super::job_names::JobNames;
use super::samples::{FLEET_MEMORY_MICROS, Scope};
use super::timeline::{Piece, fresh_until};
use contract::GpuState;
use contract::answers::{Attention, Range, Severity};
use std::collections::{BTreeMap, HashMap};

/// Entries of the list: nobody reads further, and the worst stand first.
const ATTENTION_MAX: usize = 50;
/// A GPU may be held without work for this long: loading, compiling, an interactive pause.
const IDLE_MICROS_MAX: i64 = 3_600_000_000;
const MICROS_PER_HOUR: f64 = 3.6e9;

/// What the overview knows already; `pieces` and `now` are in the order of `gpus`. The pieces begin before the range,
/// so that what began there says since when.
pub(super) struct Told<'a> {
    pub(super) gpus: &'a [GpuFold],
    pub(super) pieces: &'a [Vec<Piece>],
    pub(super) now: &'a [GpuState],
    pub(super) names: &'a JobNames,
    pub(super) range: Range,
}

pub(super) async fn list(asking: &Asking, scope: &Scope, told: &Told<'_>) -> Result<Vec<Attention>, QueryError> {
    let mut all = down(told);
    all.extend(silent_nodes(asking, scope, told).await?);
    all.extend(idle(told));
    all.extend(hot_or_slow(told));
    all.extend(xids(asking, scope, told.range).await?);
    all.extend(dropped(asking, scope, told.range).await?);
    let hours = |entry: &Attention| entry.gpu_hours.unwrap_or(0.0);
    all.sort_by(|a, b| {
        let worse = a.severity.cmp(&b.severity).then(hours(b).total_cmp(&hours(a)));
        worse.then(a.since_unix_micros.cmp(&b.since_unix_micros)).then(a.title.cmp(&b.title))
    });
    all.truncate(ATTENTION_MAX);
    Ok(all)
}

fn of_gpu(gpu: &GpuFold, severity: Severity, title: String, detail: String, since: i64) -> Attention {
    Attention {
        severity,
        title,
        detail,
        since_unix_micros: since,
        cluster: gpu.identity.cluster.clone(),
        node: Some(gpu.identity.node.clone()),
        gpu_uuid: Some(gpu.uuid.clone()),
        job_id: None,
        gpu_hours: None,
    }
}

fn down(told: &Told<'_>) -> Vec<Attention> {
    let mut all = Vec::new();
    for ((gpu, pieces), now) in told.gpus.iter().zip(told.pieces).zip(told.now) {
        let within = |piece: &Piece| piece.micros_within(told.range);
        let down = || pieces.iter().filter(|p| p.state == GpuState::Down && within(p) > 0);
        let Some(last) = down().next_back() else { continue };
        let hours = down().map(within).sum::<i64>() as f64 / MICROS_PER_HOUR;
        let name = format!("GPU {} on {}", gpu.identity.gpu_index, gpu.identity.node);
        let entry = if *now == GpuState::Down {
            let detail = format!("{} left the bus and has not come back", gpu.identity.gpu_model);
            of_gpu(gpu, Severity::Critical, format!("{name} is down"), detail, last.from)
        } else {
            let detail = format!("{} left the bus and came back", gpu.identity.gpu_model);
            of_gpu(gpu, Severity::Warning, format!("{name} was down"), detail, last.from)
        };
        all.push(Attention { gpu_hours: Some(hours), ..entry });
    }
    all
}

/// Nodes whose latest row of any kind is no longer news at the end of the range.
async fn silent_nodes(asking: &Asking, scope: &Scope, told: &Told<'_>) -> Result<Vec<Attention>, QueryError> {
    let mut latest: BTreeMap<(String, String), (i64, i64)> = BTreeMap::new();
    let mut note = |cluster: &str, node: &str, time: i64, until: i64| {
        let known = latest.entry((cluster.to_owned(), node.to_owned())).or_insert((time, until));
        *known = (*known).max((time, until));
    };
    for gpu in told.gpus {
        note(&gpu.identity.cluster, &gpu.identity.node, gpu.latest.time, gpu.latest.until);
    }
    let (conditions, values) = scope.conditions(3);
    let sql = format!(
        "select cluster, node, max(time), max(interval_seconds) from host_samples \
         where time >= $1 and time < $2{conditions} group by 1, 2"
    );
    let to = told.range.to_unix_micros;
    let mut with = vec![instant(told.range.from_unix_micros - FLEET_MEMORY_MICROS), instant(to)];
    with.extend(values);
    for row in each_row(&asking.rows(&sql, with).await?) {
        if let (Some(cluster), Some(node), Some(time)) = (row.text(0), row.text(1), row.time(2)) {
            let interval = row.float(3).unwrap_or(0.0).clamp(0.0, 86_400.0) * 1e6;
            note(cluster, node, time, time + interval as i64);
        }
    }
    let silent = latest.into_iter().filter(|(_, (time, until))| to > fresh_until(*time, until - time));
    let entry = |((cluster, node), (_, until)): ((String, String), (i64, i64))| {
        let lost =
            told.gpus.iter().zip(told.pieces).filter(|(g, _)| g.identity.node == node && g.identity.cluster == cluster);
        let unknown = lost.flat_map(|(_, pieces)| pieces).filter(|p| p.state == GpuState::Unknown && p.from >= until);
        let micros: i64 = unknown.map(|p| p.micros_within(told.range)).sum();
        Attention {
            severity: Severity::Critical,
            title: format!("No telemetry from {node}"),
            detail: "the node is off, or its collector cannot reach the server".to_owned(),
            since_unix_micros: until,
            cluster,
            node: Some(node),
            gpu_uuid: None,
            job_id: None,
            gpu_hours: (micros > 0).then(|| micros as f64 / MICROS_PER_HOUR),
        }
    };
    Ok(silent.map(entry).collect())
}

/// Long waits of one holder, over all of its GPUs.
#[derive(Default)]
struct Waste {
    micros: i64,
    empty_micros: i64,
    since: i64,
    gpus: usize,
    ongoing: bool,
    node: Option<String>,
}

/// GPUs held without work for more than an hour at a stretch, by the job that holds them, or by the node
/// where no job does.
fn idle(told: &Told<'_>) -> Vec<Attention> {
    let mut holders: HashMap<(&str, Option<&str>, &str), Waste> = HashMap::new();
    for (gpu, pieces) in told.gpus.iter().zip(told.pieces) {
        let mut counted: Option<(&str, Option<&str>, &str)> = None;
        for stretch in pieces.chunk_by(|a, b| held(a) && held(b) && a.job == b.job) {
            let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { continue };
            let inside: i64 = stretch.iter().map(|p| p.micros_within(told.range)).sum();
            if !held(first) || last.to - first.from <= IDLE_MICROS_MAX || inside == 0 {
                continue;
            }
            let job = first.job.as_deref();
            let node = if job.is_some() { "" } else { gpu.identity.node.as_str() };
            let holder = (gpu.identity.cluster.as_str(), job, node);
            let waste = holders.entry(holder).or_insert_with(|| Waste { since: i64::MAX, ..Waste::default() });
            waste.micros += inside;
            let empty = stretch.iter().filter(|p| p.state == GpuState::HeldEmpty);
            waste.empty_micros += empty.map(|p| p.micros_within(told.range)).sum::<i64>();
            waste.since = waste.since.min(first.from);
            waste.ongoing |= last.to == told.range.to_unix_micros;
            let same_node = waste.gpus == 0 || waste.node.as_ref() == Some(&gpu.identity.node);
            waste.node = same_node.then(|| gpu.identity.node.clone());
            waste.gpus += usize::from(counted != Some(holder));
            counted = Some(holder);
        }
    }
    holders.into_iter().map(|((cluster, job, _), waste)| wasted(cluster, job, waste, told.names)).collect()
}

fn held(piece: &Piece) -> bool {
    matches!(piece.state, GpuState::HeldIdle | GpuState::HeldEmpty)
}

fn wasted(cluster: &str, job: Option<&str>, waste: Waste, names: &JobNames) -> Attention {
    let (name, user) = job.map(|job| names.get(cluster, job)).unwrap_or_default();
    let verb = if waste.ongoing { "holds" } else { "held" };
    let gpus = if waste.gpus == 1 { "1 GPU".to_owned() } else { format!("{} GPUs", waste.gpus) };
    let title = match job {
        Some(job) => format!("Job {job} {verb} {gpus} without work"),
        None => {
            format!("Processes without a job hold {gpus} without work on {}", waste.node.as_deref().unwrap_or("a node"))
        }
    };
    let mut detail = match waste.empty_micros * 2 > waste.micros {
        true => "allocated, no process on the GPU for most of that time".to_owned(),
        false => "a process is on the GPU and does nothing".to_owned(),
    };
    if let Some(name) = name {
        detail.push_str(&format!("; job name {name}"));
    }
    if let Some(user) = user {
        detail.push_str(&format!("; user {user}"));
    }
    Attention {
        severity: if waste.ongoing { Severity::Warning } else { Severity::Notice },
        title,
        detail,
        since_unix_micros: waste.since,
        cluster: cluster.to_owned(),
        node: waste.node,
        gpu_uuid: None,
        job_id: job.map(str::to_owned),
        gpu_hours: Some(waste.micros as f64 / MICROS_PER_HOUR),
    }
}

fn hot_or_slow(told: &Told<'_>) -> Vec<Attention> {
    let mut all = Vec::new();
    for (gpu, now) in told.gpus.iter().zip(told.now) {
        let there = !matches!(now, GpuState::Down | GpuState::Unknown);
        let severity = |ongoing| if ongoing && there { Severity::Warning } else { Severity::Notice };
        let name = format!("GPU {} on {}", gpu.identity.gpu_index, gpu.identity.node);
        if let Some(hot) = gpu.hot {
            let ongoing = gpu.latest.temperature.is_some_and(|celsius| celsius >= HOT_CELSIUS);
            let title = format!("{name} reached {:.0} °C", hot.peak);
            let detail = format!("at or above {HOT_CELSIUS:.0} °C for {:.1} h; check airflow", hours(hot.micros));
            all.push(of_gpu(gpu, severity(ongoing), title, detail, hot.since));
        }
        if let Some(slow) = gpu.throttled {
            let title = format!("{name} is slowed down by its hardware");
            let detail = "hardware slowdown, thermal slowdown or power brake; check cooling and power".to_owned();
            let entry = of_gpu(gpu, severity(gpu.latest.throttled), title, detail, slow.since);
            all.push(Attention { gpu_hours: Some(hours(slow.micros)), ..entry });
        }
    }
    all
}

fn hours(micros: i64) -> f64 {
    micros as f64 / MICROS_PER_HOUR
}

async fn xids(asking: &Asking, scope: &Scope, range: Range) -> Result<Vec<Attention>, QueryError> {
    let (conditions, values) = scope.conditions(3);
    let sql = format!(
        "select cluster, node, gpu_uuid, code, count(*), min(time), last_value(message order by time), \
           last_value(job_id order by time), max(time) from device_events \
         where kind = 'xid' and time >= $1 and time < $2{conditions} group by 1, 2, 3, 4 order by 9 desc limit 1000"
    );
    let mut with = vec![instant(range.from_unix_micros), instant(range.to_unix_micros)];
    with.extend(values);
    let rows = asking.rows(&sql, with).await?;
    let meanings = asking.engine().meanings();
    let entry = |row: super::ask::Row<'_>| {
        let code = row.int(3);
        let node = row.owned(1).unwrap_or_default();
        let severity = meanings.of("xid", code).map_or(Severity::Warning, |meaning| meaning.severity);
        let times = row.int(4).unwrap_or(1);
        let times = if times > 1 { format!(", {times} times") } else { String::new() };
        Attention {
            severity,
            title: format!("Xid {} on {node}{times}", code.map_or("of unknown number".to_owned(), |c| c.to_string())),
            detail: row.owned(6).unwrap_or_default(),
            since_unix_micros: row.time(5).unwrap_or_default(),
            cluster: row.owned(0).unwrap_or_default(),
            node: Some(node),
            gpu_uuid: row.owned(2),
            job_id: row.owned(7),
            gpu_hours: None,
        }
    };
    Ok(each_row(&rows).map(entry).collect())
}

async fn dropped(asking: &Asking, scope: &Scope, range: Range) -> Result<Vec<Attention>, QueryError> {
    let (conditions, values) = scope.conditions(3);
    let sql = format!(
        "select cluster, node, sum(code), min(time) from device_events \
         where kind = 'dropped' and time >= $1 and time < $2{conditions} group by 1, 2"
    );
    let mut with = vec![instant(range.from_unix_micros), instant(range.to_unix_micros)];
    with.extend(values);
    let rows = asking.rows(&sql, with).await?;
    let entry = |row: super::ask::Row<'_>| {
        let node = row.owned(1).unwrap_or_default();
        Attention {
            severity: Severity::Warning,
            title: format!("The collector on {node} dropped {} rows", row.int(2).unwrap_or_default()),
            detail: "its spool was full while the server could not be reached; these rows are lost".to_owned(),
            since_unix_micros: row.time(3).unwrap_or_default(),
            cluster: row.owned(0).unwrap_or_default(),
            node: Some(node),
            gpu_uuid: None,
            job_id: None,
            gpu_hours: None,
        }
    };
    Ok(each_row(&rows).map(entry).collect())
}
