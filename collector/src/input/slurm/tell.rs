//! What is seen of an attempt, less what was told of it, is rows of `job_events`. Pure.
//!
//! **Invariants:** a change has the time that Slurm gives it, so that it is the same row whenever and however often it
//! is told; accounting's word on an end is the last one.

use super::job::{Facts, Phase, Seen};
use super::told::{Attempt, Key, Source, Told};
use crate::source::JobEventRow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An attempt that the queue does not show and of which accounting has no end: its record was lost, or there is no
/// accounting. The latter is asked for it until then.
const GONE_AFTER_MICROS: i64 = 3600 * 1_000_000;

/// Of a job that ended at once accounting first has a record without its partition, and the whole one after the start
/// was recorded, too. What is still so after this time stays so.
const INCOMPLETE_FOR_MICROS: i64 = 600 * 1_000_000;

/// Adds the rows of what is new.
pub(super) fn tell(told: &mut Told, seen: &Seen, number: i64, by: Source, now: i64, rows: &mut Vec<JobEventRow>) {
    let is_fresh = seen.ended.is_some_and(|ended| now - ended < INCOMPLETE_FOR_MICROS);
    if seen.phase == Phase::Changing || by == Source::Accounting && seen.facts.queue.is_none() && is_fresh {
        return;
    }
    let digest = seen.facts.digest();
    let row = |kind: &'static str, time: i64, state: &str| JobEventRow {
        time_unix_micros: time,
        cluster: Arc::clone(&told.cluster),
        job_id: Arc::clone(&seen.job_id),
        attempt: number,
        kind,
        state: Some(state.into()),
        submitted_unix_micros: Some(seen.submitted),
        ..seen.facts.row()
    };
    let holding = |row: JobEventRow| JobEventRow {
        nodes: seen.facts.nodes.clone(),
        gpu_uuids: seen.facts.gpu_uuids.clone(),
        started_unix_micros: seen.started,
        ..row
    };
    let mut known = told.get(&seen.job_id, number).cloned().unwrap_or_else(|| {
        rows.push(row(if number == 0 { "submitted" } else { "requeued" }, seen.submitted, "PENDING"));
        waiting(seen, by, digest)
    });
    if let Some(started) = seen.started.filter(|started| known.ended.is_none() && known.started != Some(*started)) {
        rows.push(holding(row("started", started, "RUNNING")));
        known = Attempt { started: Some(started), state: "RUNNING".into(), digest, ..known };
    }
    if let Some(at) = resumed(&known, seen) {
        // It was resumed and ended between two looks.
        rows.push(holding(row("updated", at, "RUNNING")));
    }
    match (seen.phase, seen.ended) {
        (Phase::Ended, Some(ended)) => {
            let corrects = by == Source::Accounting && known.by != by || known.by == Source::Nobody;
            let differs = known.ended != Some(ended) || known.state != seen.state;
            if known.ended.is_none() || corrects && differs {
                let (ended_unix_micros, exit_code) = (Some(ended), seen.exit_code);
                rows.push(JobEventRow { ended_unix_micros, exit_code, ..holding(row("ended", ended, &seen.state)) });
                known = Attempt { ended: Some(ended), by, ..known };
            } else if corrects {
                known.by = by;
            }
            known.state = Arc::clone(&seen.state);
        }
        _ if known.ended.is_some() => {}
        // The two know different things of a job that goes on: only the queue's word on them counts.
        _ if known.state != seen.state || by == Source::Queue && known.digest != digest => {
            let turned = known.state != seen.state && (is_suspended(&known.state) || is_suspended(&seen.state));
            let since = seen.started.unwrap_or(seen.submitted);
            let time = seen.changed.filter(|changed| turned && (since..=now).contains(changed)).unwrap_or(now);
            rows.push(holding(row("updated", time, &seen.state)));
            known = Attempt { state: Arc::clone(&seen.state), digest, ..suspension(known, &seen.state, time) };
        }
        _ => {}
    }
    told.set(&seen.job_id, number, Attempt { gone_since: None, ..known });
}

/// An attempt of which only its submission is told.
fn waiting(seen: &Seen, by: Source, digest: u32) -> Attempt {
    Attempt {
        submitted: seen.submitted,
        started: None,
        ended: None,
        by,
        state: "PENDING".into(),
        digest,
        suspended_at: None,
        suspended_for: 0,
        gone_since: None,
    }
}

/// When an attempt that was suspended and has ended went on in between: as the queue says, or after as long as
/// accounting has it.
fn resumed(known: &Attempt, seen: &Seen) -> Option<i64> {
    let ended = seen.ended.filter(|_| known.ended.is_none() && is_suspended(&known.state))?;
    let since = known.suspended_at.unwrap_or(known.submitted);
    let by_length = || Some(known.suspended_at? + seen.suspended?.checked_sub(known.suspended_for)?);
    let at = seen.changed.filter(|at| *at > since).or_else(by_length)?;
    (since..=ended).contains(&at).then_some(at)
}

/// What is known of its suspensions once it is in a state since `time`.
fn suspension(known: Attempt, state: &str, time: i64) -> Attempt {
    match (known.suspended_at, is_suspended(state)) {
        (None, true) => Attempt { suspended_at: Some(time), ..known },
        (Some(since), false) => {
            Attempt { suspended_at: None, suspended_for: known.suspended_for + (time - since).max(0), ..known }
        }
        _ => known,
    }
}

fn is_suspended(state: &str) -> bool {
    state == "SUSPENDED"
}

/// Ends those that nobody knows of any more, at the time at which they were found gone.
pub(super) fn give_up(told: &mut Told, gone: &[(Key, i64)], now: i64, rows: &mut Vec<JobEventRow>) {
    for ((job, number), since) in gone.iter().filter(|(_, since)| now - since >= GONE_AFTER_MICROS) {
        // Accounting may have said it in the meantime.
        let Some(known) = told.get(job, *number).filter(|attempt| attempt.ended.is_none()).cloned() else { continue };
        rows.push(JobEventRow {
            time_unix_micros: *since,
            cluster: Arc::clone(&told.cluster),
            job_id: Arc::clone(job),
            attempt: *number,
            kind: "ended",
            ended_unix_micros: Some(*since),
            labels: vec![("end".into(), "not recorded".into())],
            ..Facts::default().row()
        });
        told.set(job, *number, Attempt { ended: Some(*since), by: Source::Nobody, ..known });
    }
}

/// The number of each record's attempt, where accounting does not count restarts: its place among all records of its
/// job, moved by what is known of one of them, because the first ones may have been purged.
pub(super) fn number_records(told: &Told, mut history: Vec<Seen>) -> BTreeMap<(Arc<str>, u64), i64> {
    history.sort_by(|a, b| (&a.job_id, a.record).cmp(&(&b.job_id, b.record)));
    let mut numbers = BTreeMap::new();
    for records in history.chunk_by(|a, b| a.job_id == b.job_id) {
        let moved = records.iter().zip(0_i64..).find_map(|(seen, place)| {
            Some(told.submitted_then(&seen.job_id, seen.submitted)? - place).filter(|by| *by >= 0)
        });
        for (seen, place) in records.iter().zip(moved.unwrap_or(0)..) {
            numbers.insert((Arc::clone(&seen.job_id), seen.record), place);
        }
    }
    numbers
}

#[cfg(test)]
mod tests;
