//! What failures took: costs of attempts that failed, their checkpoints, GPUs that were down, and who held a GPU when
//! something happened to it.

use super::super::InsightError;
use super::super::facts::{CostHour, DAY, Event, Facts, SECOND, Text, Window};
use super::super::incidents::{Attempt, AttemptCost, DownHour, Losses, category_of_job};
use super::{read, telemetry};
use crate::cost::Micros;
use crate::query::Engine;
use std::collections::{HashMap, HashSet};

/// An outage that began longer ago is of no GPU that is waited for.
const OUTAGE_BEFORE: i64 = 35 * DAY;
/// An attempt that ran for longer is counted from here on.
const RUN_BEFORE: i64 = 90 * DAY;
const ROWS_MAX: usize = 400_000;
/// Clocks of nodes and schedulers are apart by so much.
const CLOCKS_APART: i64 = 5 * SECOND;
/// GPUs whose holders are asked for; their names stand in one statement.
const HOLDERS_MAX: usize = 4_000;
/// Jobs whose hours are asked for one by one: those that wrote checkpoints and failed.
const WITH_CHECKPOINTS_MAX: usize = 2_000;

pub(super) async fn ask(engine: &Engine, window: Window, facts: &mut Facts) -> Result<Losses, InsightError> {
    let failed: Vec<Attempt> = facts
        .jobs
        .iter()
        .filter(|job| category_of_job(job).is_some())
        .map(|job| (job.cluster.clone(), job.job_id.clone(), job.attempt))
        .collect();
    let started = facts.jobs.iter().filter(|job| category_of_job(job).is_some()).filter_map(|job| job.started).min();
    let run = Window {
        from_micros: started.unwrap_or(window.from_micros).clamp(window.from_micros - RUN_BEFORE, window.to_micros),
        to_micros: window.to_micros,
    };
    let (attempts, down, outages, holders) = futures::try_join!(
        attempts(engine, run, &failed),
        down(engine, window),
        outages(engine, window),
        holders(engine, window, &facts.events),
    )?;
    for event in facts.events.iter_mut().filter(|event| event.job_id.is_none()) {
        event.job_id = event.gpu_uuid.as_ref().and_then(|gpu| holder(holders.get(gpu)?, event.time));
    }
    let (checkpoints, hours) = checkpoints(engine, run, &failed).await?;
    Ok(Losses { attempts, hours, checkpoints, down, outages })
}

/// Names within a statement, quoted.
fn listed<'a>(names: impl Iterator<Item = &'a Text>) -> String {
    let mut names: Vec<String> = names.map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
    names.sort();
    names.dedup();
    names.join(", ")
}

async fn attempts(
    engine: &Engine,
    run: Window,
    failed: &[Attempt],
) -> Result<HashMap<Attempt, AttemptCost>, InsightError> {
    if failed.is_empty() {
        return Ok(HashMap::new());
    }
    let wanted: HashSet<&Attempt> = failed.iter().collect();
    // A semi-join with the jobs that failed; which exactly is looked at afterwards.
    let sql = "select cluster, job_id, attempt, coalesce(sum(quantity) filter (where unit = 'GPU-Hours'), 0.0), \
               sum(cost_micros) from ledger where time >= $1 and time < $2 and coalesce(state, '') != 'down' \
               and job_id in (select job_id from jobs where ended_at >= $1 and state is not null \
                 and upper(state) not like 'COMPLETED%' and upper(state) not like 'CANCELLED%') \
               group by 1, 2, 3";
    let rows = read(engine, sql, run, ("attempts of jobs", ROWS_MAX), |row| {
        let attempt = (row.text(0), row.text(1), row.int(2).unwrap_or_default());
        (attempt, AttemptCost { gpu_hours: row.float(3).unwrap_or_default(), cost: row.int(4).map(Micros) })
    });
    Ok(rows.await?.into_iter().filter(|(attempt, _)| wanted.contains(attempt)).collect())
}

async fn down(engine: &Engine, window: Window) -> Result<Vec<DownHour>, InsightError> {
    let sql = "select cluster, gpu_uuid, time, max(node), coalesce(sum(quantity) filter (where unit = 'GPU-Hours'), 0.0), \
               sum(cost_micros) from ledger where time >= $1 and time < $2 and state = 'down' and gpu_uuid is not null \
               group by cluster, gpu_uuid, time order by time";
    read(engine, sql, window, ("hours of GPUs that were down", ROWS_MAX), |row| DownHour {
        cluster: row.text(0),
        gpu_uuid: row.text(1),
        node: row.maybe(3),
        of: CostHour {
            hour: row.int(2).unwrap_or_default(),
            gpu_hours: row.float(4).unwrap_or_default(),
            cost: row.int(5).map(Micros),
        },
    })
    .await
}

async fn outages(engine: &Engine, window: Window) -> Result<Vec<Event>, InsightError> {
    let longer = Window { from_micros: window.from_micros - OUTAGE_BEFORE, ..window };
    telemetry::events_of(engine, longer, "kind in ('lost', 'reset')").await
}

/// Who held a GPU, from when to when.
type Held = Vec<(Window, Text)>;

/// Of GPUs to which something happened without a word of a job.
async fn holders(engine: &Engine, window: Window, events: &[Event]) -> Result<HashMap<Text, Held>, InsightError> {
    let unheld = events.iter().rev().filter(|event| event.job_id.is_none()).filter_map(|event| event.gpu_uuid.as_ref());
    let mut gpus: Vec<&Text> = unheld.collect();
    gpus.sort();
    gpus.dedup();
    gpus.truncate(HOLDERS_MAX);
    let gpus = listed(gpus.into_iter());
    if gpus.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "select gpu_uuid, started_at, ended_at, job_id from allocations where gpu_uuid in ({gpus}) \
         and started_at < $2 and (ended_at is null or ended_at >= $1)"
    );
    let rows = read(engine, &sql, window, ("allocations", ROWS_MAX), |row| {
        let held = Window { from_micros: row.int(1).unwrap_or_default(), to_micros: row.int(2).unwrap_or(i64::MAX) };
        (row.text(0), held, row.text(3))
    });
    let mut holders: HashMap<Text, Held> = HashMap::new();
    for (gpu, held, job) in rows.await? {
        holders.entry(gpu).or_default().push((held, job));
    }
    Ok(holders)
}

/// Who held it at a time, with clocks apart; whoever began last before it.
fn holder(held: &Held, time: i64) -> Option<Text> {
    let at = |(window, _): &&(Window, Text)| {
        window.from_micros <= time + CLOCKS_APART && time <= window.to_micros.saturating_add(CLOCKS_APART)
    };
    held.iter().filter(at).max_by_key(|(window, _)| window.from_micros.min(time)).map(|(_, job)| job.clone())
}

type Checkpoints = HashMap<(Text, Text), Vec<i64>>;
type Hours = HashMap<Attempt, Vec<CostHour>>;

/// When failed jobs had written checkpoints, by their spans, and the hours of these jobs.
async fn checkpoints(engine: &Engine, run: Window, failed: &[Attempt]) -> Result<(Checkpoints, Hours), InsightError> {
    let names: HashSet<&Text> = failed.iter().map(|(_, job, _)| job).collect();
    if names.is_empty() {
        return Ok(Default::default());
    }
    let sql = "select cluster, job_id, time, duration_seconds from spans where time >= $1 and time < $2 \
               and job_id is not null and name ilike '%checkpoint%' and not (name ilike '%load%' or name ilike '%restore%') \
               order by time desc";
    let rows = read(engine, sql, run, ("checkpoints", ROWS_MAX), |row| {
        let written = row.int(2).unwrap_or_default() + (row.float(3).unwrap_or_default() * 1e6) as i64;
        (row.maybe(0), row.text(1), written)
    });
    let mut known: HashMap<Text, Vec<(Option<Text>, i64)>> = HashMap::new();
    for (cluster, job, written) in rows.await?.into_iter().filter(|(_, job, _)| names.contains(job)) {
        known.entry(job).or_default().push((cluster, written));
    }
    let mut found = Checkpoints::new();
    for (cluster, job, _) in failed {
        // A span may not say its cluster.
        let of_job = known.get(job).into_iter().flatten();
        let mut times: Vec<i64> =
            of_job.filter(|(of, _)| of.as_ref().is_none_or(|of| of == cluster)).map(|(_, time)| *time).collect();
        if !times.is_empty() {
            times.sort_unstable();
            found.insert((cluster.clone(), job.clone()), times);
        }
    }
    if found.is_empty() {
        return Ok(Default::default());
    }
    let jobs = listed(found.keys().map(|(_, job)| job).take(WITH_CHECKPOINTS_MAX));
    let sql = format!(
        "select cluster, job_id, attempt, time, coalesce(sum(quantity) filter (where unit = 'GPU-Hours'), 0.0), \
         sum(cost_micros) from ledger where time >= $1 and time < $2 and coalesce(state, '') != 'down' \
         and job_id in ({jobs}) group by 1, 2, 3, 4 order by time"
    );
    let rows = read(engine, &sql, run, ("hours of jobs with checkpoints", ROWS_MAX), |row| {
        let attempt = (row.text(0), row.text(1), row.int(2).unwrap_or_default());
        let hour = row.int(3).unwrap_or_default();
        (attempt, CostHour { hour, gpu_hours: row.float(4).unwrap_or_default(), cost: row.int(5).map(Micros) })
    });
    let mut hours = Hours::new();
    for (attempt, hour) in rows.await? {
        hours.entry(attempt).or_default().push(hour);
    }
    Ok((found, hours))
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::MINUTE;
    use super::*;

    #[test]
    fn an_event_belongs_to_who_held_the_gpu_with_clocks_apart() {
        let held = |from: i64, to: i64, job: &str| {
            (Window { from_micros: from * MINUTE, to_micros: to * MINUTE }, Text::from(job))
        };
        let all = vec![held(0, 10, "a"), held(10, 20, "b")];
        let at = |micros: i64| holder(&all, micros).map(|job| job.to_string());
        assert_eq!(at(5 * MINUTE).as_deref(), Some("a"));
        assert_eq!(at(20 * MINUTE + 4 * SECOND).as_deref(), Some("b"));
        assert_eq!((at(21 * MINUTE), at(-MINUTE)), (None, None));
        assert_eq!(listed(["b'x".into(), "a".into(), "a".into()].iter()), "'a', 'b''x'");
    }
}
