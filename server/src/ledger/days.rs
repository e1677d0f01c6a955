//! Which days of the ledger are not as their inputs have them: a digest of everything that a day is computed from.

use super::allocations::Allocations;
use super::inputs::{Job, Jobs, Seen};
use super::statements::Statements;
use crate::cost::Period;
use crate::store::DataFile;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

pub(super) const DAY: i64 = 24 * 3_600_000_000;
/// Raised when the same inputs give other rows.
const COMPUTATION: u32 = 2;
/// Days of one job that are looked at: ten years.
pub(super) const JOB_DAYS_MAX: i64 = 3_660;

/// Days since the epoch, and the digest of the inputs of each.
pub(super) type Inputs = BTreeMap<i64, String>;

/// Everything that days depend on.
pub(super) struct All<'a> {
    pub(super) statements: &'a Statements,
    /// Of GPUs and of the processes on them.
    pub(super) usage: &'a [DataFile],
    pub(super) jobs: &'a Jobs,
    pub(super) held: &'a Allocations,
    pub(super) seen: &'a Seen,
    /// End of the last hour that is over, Unix microseconds.
    pub(super) known_to: i64,
}

/// The digest of each day that has any input.
pub(super) fn inputs(all: &All<'_>) -> Inputs {
    let mut by_day: BTreeMap<i64, (u64, Vec<&str>)> = BTreeMap::new();
    for file in all.usage {
        // The latest time of a file may be rounded up, over midnight at most; a derived file is of one day.
        by_day.entry(file.time_min_micros.div_euclid(DAY)).or_default().1.push(file.path.as_ref());
    }
    let used: BTreeSet<i64> = by_day.keys().copied().collect();
    for job in &all.jobs.all {
        of_job(all, job, &used, &mut by_day);
    }
    all.held.each_day(all.known_to, &used, |day, part| {
        let jobs = &mut by_day.entry(day).or_default().0;
        *jobs = jobs.wrapping_add(part);
    });
    for day in charge_days(all).chain(overhead_days(all, &by_day)) {
        by_day.entry(day).or_default();
    }
    by_day.into_iter().map(|(day, (jobs, files))| (day, digest(all, day, jobs, files))).collect()
}

/// Adds a job to the days in which it ran, as far as it concerns each.
fn of_job(all: &All<'_>, job: &Job, used: &BTreeSet<i64>, by_day: &mut BTreeMap<i64, (u64, Vec<&str>)>) {
    let Some(start) = job.run.started_micros else { return };
    let end = all.jobs.end(&job.run).min(all.known_to);
    let measured = all.seen.measures(job);
    let mut whole = DefaultHasher::new();
    let told = crate::cost::JobRun { started_micros: None, ended_micros: None, ..(*job.run).clone() };
    (measured, &told, job.run.ended_micros.is_some()).hash(&mut whole);
    let whole = whole.finish();
    // One that ends before it starts is told of on the day of its start.
    let days = start.div_euclid(DAY)..=(end - 1).max(start).div_euclid(DAY);
    for day in days.take(JOB_DAYS_MAX as usize) {
        if measured && !used.contains(&day) {
            continue;
        }
        let mut part = DefaultHasher::new();
        (whole, start.max(day * DAY), end.min((day + 1) * DAY)).hash(&mut part);
        // A sum, because jobs have no order.
        let jobs = &mut by_day.entry(day).or_default().0;
        *jobs = jobs.wrapping_add(part.finish());
    }
}

/// Days on which any charge costs something, each once.
fn charge_days<'a>(all: &All<'a>) -> impl Iterator<Item = i64> + use<'a> {
    let charges = all.statements.charges.iter();
    let mut times: Vec<(i64, i64)> = charges.map(|c| (c.from_micros, c.to_micros.min(all.known_to))).collect();
    times.sort_unstable();
    let mut next = i64::MIN;
    times.into_iter().filter(|(from, to)| from < to).flat_map(move |(from, to)| {
        let days = from.div_euclid(DAY).max(next)..(to - 1).div_euclid(DAY) + 1;
        next = next.max(days.end);
        days
    })
}

/// Overheads cost something every day, from the first day of any use on.
fn overhead_days(all: &All<'_>, by_day: &BTreeMap<i64, (u64, Vec<&str>)>) -> std::ops::Range<i64> {
    let first = by_day.keys().next().copied();
    match first.filter(|_| !all.statements.policy.overheads.is_empty()) {
        Some(first) => first..(all.known_to - 1).div_euclid(DAY) + 1,
        None => 0..0,
    }
}

fn digest(all: &All<'_>, day: i64, jobs: u64, mut files: Vec<&str>) -> String {
    let mut digest = Sha256::new();
    digest.update(COMPUTATION.to_le_bytes());
    digest.update(all.statements.digest);
    digest.update(jobs.to_le_bytes());
    // The last day goes on by the hour.
    digest.update(all.known_to.min((day + 1) * DAY).to_le_bytes());
    files.sort_unstable();
    for file in files {
        digest.update(file.as_bytes());
        digest.update([0]);
    }
    if let Some(period) = Period::of(day * DAY).map(|period| period.to_string())
        && all.statements.is_closed(&period)
    {
        // What is posted depends on what was closed since.
        for (month, closing) in all.statements.closings.range(period..) {
            digest.update(month.as_bytes());
            digest.update(closing.as_bytes());
        }
    }
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
