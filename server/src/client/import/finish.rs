//! What a single row cannot say: a job's attempt and kind, a sample's interval, and who it is where no column says it.
//!
//! **Invariant:** the rows and their order follow from the file and the flags alone, so that a second import
//! makes the same chunks.

use super::convert::{Reject, Values, place};
use super::map::{Interval, Map, Value};
use contract::{GpuUuid, JobKey};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// What the flags and the file's name say where the columns are silent.
#[derive(Debug, Clone, Default)]
pub(super) struct Defaults {
    pub(super) cluster: Option<String>,
    pub(super) node: Option<String>,
    pub(super) gpu_uuid: Option<String>,
    pub(super) gpu_model: Option<String>,
    /// Of the file, without its extensions.
    pub(super) stem: String,
}

/// The driver's name of the GPU is required, and a log without it does not know it.
const MODEL_UNKNOWN: &str = "unknown";

pub(super) enum Finish {
    Jobs(Jobs),
    Samples(Samples),
}

impl Finish {
    pub(super) fn new(map: &Map, defaults: Defaults) -> Self {
        match map.table.name {
            "job_events" => Self::Jobs(Jobs::new(map, defaults)),
            _ => Self::Samples(Samples::new(map, defaults)),
        }
    }

    /// Takes a row and hands out those that are complete.
    pub(super) fn push(&mut self, values: Values, out: &mut Vec<Values>) -> Result<(), Reject> {
        match self {
            Self::Jobs(jobs) => out.push(jobs.finish(values)?),
            Self::Samples(samples) => samples.push(values, out)?,
        }
        Ok(())
    }

    /// Hands out the rows that waited for a next one.
    pub(super) fn end(&mut self, out: &mut Vec<Values>) {
        if let Self::Samples(samples) = self {
            samples.end(out);
        }
    }
}

fn fill(values: &mut Values, at: usize, default: Option<&str>) {
    if values[at].is_none() {
        values[at] = default.map(|d| Value::Text(d.to_owned()));
    }
}

fn text(values: &Values, at: usize) -> &str {
    match &values[at] {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

fn missing(column: &str) -> Reject {
    Reject::new(format!("{column}: missing"), "")
}

pub(super) struct Jobs {
    defaults: Defaults,
    time: usize,
    cluster: usize,
    job_id: usize,
    attempt: usize,
    kind: usize,
    /// `ended_at`, `started_at`, `submitted_at` with the kind of event that each makes.
    ends: [(usize, &'static str); 3],
    /// The next attempt of each job by a digest of its id: 24 bytes a job, however long its name.
    next_attempt: HashMap<[u8; 16], i64>,
}

impl Jobs {
    fn new(map: &Map, defaults: Defaults) -> Self {
        let at = |name| place(map, name);
        Self {
            defaults,
            time: at("time"),
            cluster: at("cluster"),
            job_id: at("job_id"),
            attempt: at("attempt"),
            kind: at("kind"),
            ends: [(at("ended_at"), "ended"), (at("started_at"), "started"), (at("submitted_at"), "submitted")],
            next_attempt: HashMap::new(),
        }
    }

    fn finish(&mut self, mut values: Values) -> Result<Values, Reject> {
        fill(&mut values, self.cluster, self.defaults.cluster.as_deref());
        if values[self.job_id].is_none() {
            return Err(missing("job_id"));
        }
        let (cluster, job_id) = (text(&values, self.cluster), text(&values, self.job_id));
        JobKey::parse(cluster, job_id).map_err(|e| Reject::new("job_id or cluster is not usable", e.to_string()))?;
        let latest = self.ends.iter().find_map(|(at, kind)| Some((values[*at].clone()?, *kind)));
        if values[self.time].is_none() {
            values[self.time] = latest.as_ref().map(|(time, _)| time.clone());
        }
        if values[self.time].is_none() {
            return Err(Reject::new("time: none of ended_at, started_at, submitted_at is known", ""));
        }
        // An event with a kind of its own is a log of events, where one attempt has several.
        if values[self.kind].is_none() {
            let kind = latest.map_or("updated", |(_, kind)| kind);
            let attempt = self.attempt(&values);
            values[self.kind] = Some(Value::Text(kind.to_owned()));
            values[self.attempt] = Some(Value::Int(attempt));
        }
        if values[self.attempt].is_none() {
            values[self.attempt] = Some(Value::Int(0));
        }
        Ok(values)
    }

    /// The record's own number of restarts, or the next one when that was there before.
    fn attempt(&mut self, values: &Values) -> i64 {
        let mut digest = Sha256::new();
        digest.update(text(values, self.cluster));
        digest.update([0]);
        digest.update(text(values, self.job_id));
        let digest: [u8; 32] = digest.finalize().into();
        let key: [u8; 16] = digest[..16].try_into().expect("the first half of 32 bytes");
        let next = self.next_attempt.entry(key).or_insert(0);
        let attempt = match values[self.attempt] {
            Some(Value::Int(stated)) => stated.max(*next),
            _ => *next,
        };
        *next = attempt.saturating_add(1);
        attempt
    }
}

pub(super) struct Samples {
    defaults: Defaults,
    interval: Interval,
    time: usize,
    cluster: usize,
    node: usize,
    gpu_uuid: usize,
    gpu_index: usize,
    gpu_model: usize,
    interval_seconds: usize,
    /// The latest row of each GPU and its number, until the next one tells its interval. One row a GPU.
    waiting: HashMap<String, (u64, Values)>,
    rows: u64,
}

impl Samples {
    fn new(map: &Map, defaults: Defaults) -> Self {
        let at = |name| place(map, name);
        Self {
            defaults,
            interval: map.interval,
            time: at("time"),
            cluster: at("cluster"),
            node: at("node"),
            gpu_uuid: at("gpu_uuid"),
            gpu_index: at("gpu_index"),
            gpu_model: at("gpu_model"),
            interval_seconds: at("interval_seconds"),
            waiting: HashMap::new(),
            rows: 0,
        }
    }

    fn push(&mut self, mut values: Values, out: &mut Vec<Values>) -> Result<(), Reject> {
        if values[self.time].is_none() {
            return Err(missing("time"));
        }
        self.name(&mut values);
        GpuUuid::parse(text(&values, self.gpu_uuid))
            .map_err(|e| Reject::new("gpu_uuid is not usable", e.to_string()))?;
        self.rows += 1;
        if values[self.interval_seconds].is_some() {
            out.push(values);
            return Ok(());
        }
        match self.interval {
            Interval::Seconds(seconds) => {
                values[self.interval_seconds] = Some(Value::Float(seconds));
                out.push(values);
            }
            Interval::Next => {
                let key = text(&values, self.gpu_uuid).to_owned();
                let next = self.micros(&values);
                if let Some((_, mut before)) = self.waiting.insert(key, (self.rows, values)) {
                    // A clock that was set back does not take energy back.
                    let micros = next.saturating_sub(self.micros(&before)).max(0);
                    before[self.interval_seconds] = Some(Value::Float(micros as f64 / 1e6));
                    out.push(before);
                }
            }
        }
        Ok(())
    }

    fn name(&self, values: &mut Values) {
        let defaults = &self.defaults;
        fill(values, self.cluster, defaults.cluster.as_deref());
        fill(values, self.node, Some(defaults.node.as_deref().unwrap_or(&defaults.stem)));
        fill(values, self.gpu_model, Some(defaults.gpu_model.as_deref().unwrap_or(MODEL_UNKNOWN)));
        if values[self.gpu_uuid].is_none() {
            let of_file = format!("file:{}", defaults.stem);
            let uuid = match (&defaults.gpu_uuid, &values[self.gpu_index]) {
                (Some(uuid), _) => uuid.clone(),
                (None, Some(Value::Int(index))) => format!("{of_file}/{index}"),
                _ => of_file,
            };
            values[self.gpu_uuid] = Some(Value::Text(uuid));
        }
        if values[self.gpu_index].is_none() {
            values[self.gpu_index] = Some(Value::Int(0));
        }
    }

    fn micros(&self, values: &Values) -> i64 {
        match values[self.time] {
            Some(Value::Time(micros)) => micros,
            _ => 0,
        }
    }

    fn end(&mut self, out: &mut Vec<Values>) {
        let mut last: Vec<_> = self.waiting.drain().map(|(_, row)| row).collect();
        last.sort_by_key(|(number, _)| *number);
        out.extend(last.into_iter().map(|(_, mut values)| {
            values[self.interval_seconds] = Some(Value::Float(0.0));
            values
        }));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::presets;
    use super::*;

    fn map(table: &str) -> Map {
        presets::preset("csv", contract::table(table).unwrap()).unwrap()
    }

    fn row(map: &Map, cells: &[(&str, Value)]) -> Values {
        let mut values = vec![None; map.table.columns.len()];
        for (name, value) in cells {
            values[place(map, name)] = Some(value.clone());
        }
        values
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn a_repeated_job_id_is_the_next_attempt_and_restarts_count() {
        let map = map("job_events");
        let defaults = Defaults { cluster: Some("c".to_owned()), ..Defaults::default() };
        let mut finish = Finish::new(&map, defaults);
        let mut out = Vec::new();
        for (id, attempt) in [("a", None), ("b", Some(2)), ("a", None), ("a", Some(0)), ("b", None), ("a", Some(9))] {
            let mut cells = vec![("job_id", text(id)), ("ended_at", Value::Time(5))];
            cells.extend(attempt.map(|a| ("attempt", Value::Int(a))));
            finish.push(row(&map, &cells), &mut out).unwrap();
        }
        let attempts: Vec<_> = out.iter().map(|v| v[place(&map, "attempt")].clone().unwrap()).collect();
        assert_eq!(attempts, [0, 2, 1, 2, 3, 9].map(Value::Int));
        assert_eq!(out[0][place(&map, "kind")], Some(text("ended")));
        assert_eq!(out[0][place(&map, "time")], Some(Value::Time(5)));
    }

    #[test]
    fn the_latest_known_time_makes_the_kind() {
        let map = map("job_events");
        let mut finish = Finish::new(&map, Defaults { cluster: Some("c".to_owned()), ..Defaults::default() });
        let mut out = Vec::new();
        let started = [("job_id", text("a")), ("submitted_at", Value::Time(1)), ("started_at", Value::Time(2))];
        finish.push(row(&map, &started), &mut out).unwrap();
        finish.push(row(&map, &started[..2]), &mut out).unwrap();
        let kinds: Vec<_> = out.iter().map(|v| v[place(&map, "kind")].clone().unwrap()).collect();
        assert_eq!(kinds, [text("started"), text("submitted")]);
        let timeless = finish.push(row(&map, &started[..1]), &mut out).unwrap_err();
        assert!(timeless.reason.starts_with("time"), "{timeless:?}");
        assert!(finish.push(row(&map, &started[1..]), &mut out).unwrap_err().reason.starts_with("job_id"));
    }

    #[test]
    fn an_interval_lasts_until_the_gpus_next_row() {
        let map = map("gpu_samples");
        let defaults = Defaults { cluster: Some("c".to_owned()), stem: "log".to_owned(), ..Defaults::default() };
        let mut finish = Finish::new(&map, defaults);
        let mut out = Vec::new();
        let times = [(0, 10), (1, 10), (0, 10), (0, 12), (1, 13), (0, 11)];
        for (gpu, second) in times {
            let cells = [("time", Value::Time(second * 1_000_000)), ("gpu_index", Value::Int(gpu))];
            finish.push(row(&map, &cells), &mut out).unwrap();
        }
        finish.end(&mut out);
        let name = |v: &Values| match (&v[place(&map, "gpu_uuid")], &v[place(&map, "interval_seconds")]) {
            (Some(Value::Text(uuid)), Some(Value::Float(seconds))) => (uuid.clone(), *seconds),
            other => panic!("{other:?}"),
        };
        let found: Vec<_> = out.iter().map(name).collect();
        let expected = [("0", 0.0), ("0", 2.0), ("1", 3.0), ("0", 0.0), ("1", 0.0), ("0", 0.0)];
        assert_eq!(found, expected.map(|(gpu, seconds)| (format!("file:log/{gpu}"), seconds)));
        assert_eq!(out[0][place(&map, "node")], Some(text("log")));
        assert_eq!(out[0][place(&map, "gpu_model")], Some(text("unknown")));
    }
}
