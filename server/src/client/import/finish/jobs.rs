//! A record of a job: its time, the kind of event that it makes, its attempt.

use super::super::convert::{Reject, Values, place};
use super::super::map::{Map, Value};
use super::{Defaults, fill, micros, missing, text};
use contract::checked_id;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

const KINDS: [&str; 5] = ["submitted", "started", "requeued", "ended", "updated"];

pub(in super::super) struct Jobs {
    defaults: Defaults,
    time: usize,
    cluster: usize,
    job_id: usize,
    attempt: usize,
    kind: usize,
    started_at: usize,
    ended_at: usize,
    /// `ended_at`, `started_at`, `submitted_at` with the kind of event that each makes.
    ends: [(usize, &'static str); 3],
    /// The latest record of each job by a digest of its id: 48 bytes a job, however long its name.
    seen: HashMap<[u8; 16], Seen>,
}

struct Seen {
    next_attempt: i64,
    started_at: Option<i64>,
    file: usize,
}

impl Jobs {
    pub(super) fn new(map: &Map, defaults: Defaults) -> Self {
        let at = |name| place(map, name);
        Self {
            defaults,
            time: at("time"),
            cluster: at("cluster"),
            job_id: at("job_id"),
            attempt: at("attempt"),
            kind: at("kind"),
            started_at: at("started_at"),
            ended_at: at("ended_at"),
            ends: [(at("ended_at"), "ended"), (at("started_at"), "started"), (at("submitted_at"), "submitted")],
            seen: HashMap::new(),
        }
    }

    pub(super) fn finish(&mut self, mut values: Values, file: usize) -> Result<Values, Reject> {
        fill(&mut values, self.cluster, self.defaults.cluster.as_deref());
        if values[self.job_id].is_none() {
            return Err(missing("job_id"));
        }
        let (cluster, job_id) = (text(&values, self.cluster), text(&values, self.job_id));
        checked_id("cluster", cluster)
            .and_then(|_| checked_id("job_id", job_id))
            .map_err(|e| Reject::new("job_id or cluster is not usable", e.to_string()))?;
        if let (Some(start), Some(end)) = (micros(&values, self.started_at), micros(&values, self.ended_at))
            && end < start
        {
            let seconds = (start - end) / 1_000_000;
            return Err(Reject::new("ended_at: before started_at", format!("{job_id}: by {seconds} s")));
        }
        let latest = self.ends.iter().find_map(|(at, kind)| Some((values[*at].clone()?, *kind)));
        if values[self.time].is_none() {
            values[self.time] = latest.as_ref().map(|(time, _)| time.clone());
        }
        if values[self.time].is_none() {
            return Err(Reject::new("time: none of ended_at, started_at, submitted_at is known", ""));
        }
        let kind = text(&values, self.kind);
        if !kind.is_empty() && !KINDS.contains(&kind) {
            return Err(Reject::new(format!("kind: none of {}", KINDS.join(", ")), kind));
        }
        // An event with a kind of its own is a log of events, where one attempt has several.
        if values[self.kind].is_none() {
            let kind = latest.map_or("updated", |(_, kind)| kind);
            let attempt = self.attempt(&values, file);
            values[self.kind] = Some(Value::Text(kind.to_owned()));
            values[self.attempt] = Some(Value::Int(attempt));
        }
        if values[self.attempt].is_none() {
            values[self.attempt] = Some(Value::Int(0));
        }
        Ok(values)
    }

    /// The record's own number of restarts, or the next one when that was there before. A record of another file
    /// with the same start, or of an attempt that had not started there, is a later state of that attempt.
    fn attempt(&mut self, values: &Values, file: usize) -> i64 {
        let mut digest = Sha256::new();
        digest.update(text(values, self.cluster));
        digest.update([0]);
        digest.update(text(values, self.job_id));
        let digest: [u8; 32] = digest.finalize().into();
        let key: [u8; 16] = digest[..16].try_into().expect("the first half of 32 bytes");
        let started_at = micros(values, self.started_at);
        let seen = self.seen.entry(key).or_insert(Seen { next_attempt: 0, started_at: None, file });
        let is_later_state = seen.file != file && (seen.started_at.is_none() || seen.started_at == started_at);
        let next = if is_later_state { seen.next_attempt - 1 } else { seen.next_attempt };
        let attempt = match values[self.attempt] {
            Some(Value::Int(stated)) => stated.max(next),
            _ => next,
        };
        *seen = Seen { next_attempt: attempt.saturating_add(1), started_at, file };
        attempt
    }
}
