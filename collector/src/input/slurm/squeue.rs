//! What `squeue --json` prints, from version 21.08 to 26.05: jobs that wait, run, or ended minutes ago.
//!
//! One job is in memory at a time, however long the queue. **Invariants:** a number is read whether it is plain or
//! wrapped with `set` and `infinite`; a job that cannot be read is counted and takes no other with it.

use super::job::{self, Facts, Phase, Seen};
use super::tres;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::io::{BufReader, Read};
use std::sync::Arc;

/// Jobs of one queue; the largest clusters hold some hundred thousand.
const JOBS_MAX: usize = 1_000_000;

/// The jobs of an answer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub seen: Vec<Seen>,
    pub unreadable: u64,
    /// An answer without a list of jobs is none.
    has_jobs: bool,
}

/// Reads all jobs.
pub(super) fn read(input: impl Read) -> Result<Queue, String> {
    let mut queue = Queue::default();
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(Lossy::new(input)));
    Answer(&mut queue).deserialize(&mut json).map_err(|error| error.to_string())?;
    if queue.has_jobs { Ok(queue) } else { Err("an answer without jobs".to_owned()) }
}

struct Answer<'q>(&'q mut Queue);

impl<'de> DeserializeSeed<'de> for Answer<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Answer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with a list of jobs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "jobs" {
                self.0.has_jobs = true;
                map.next_value_seed(Jobs(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Jobs<'q>(&'q mut Queue);

impl<'de> DeserializeSeed<'de> for Jobs<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Jobs<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of jobs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element::<Value>()? {
            match parse(&value) {
                Some(seen) => self.0.seen.extend(job::each_task(seen)),
                None => self.0.unreadable += 1,
            }
            if self.0.seen.len() > JOBS_MAX {
                return Err(A::Error::custom(format_args!("more than {JOBS_MAX} jobs")));
            }
        }
        Ok(())
    }
}

fn parse(value: &Value) -> Option<Seen> {
    let number = |name: &str| number(&value[name]);
    let time = |name: &str| number(name).and_then(job::time);
    let words = words(&value["job_state"]);
    let (state, phase) = job::state(words.iter().map(String::as_str));
    let nodes = value["nodes"].as_str().and_then(job::nodes);
    let given = nodes.is_some() || value["tres_alloc_str"].as_str().is_some_and(|list| !list.is_empty());
    // Of a job that waits these are times at which Slurm expects it to start and end; of one that runs, its limit.
    let started = time("start_time").filter(|_| given && phase != Phase::Waiting);
    let ended = time("end_time").filter(|_| phase == Phase::Ended);
    let phase = match phase {
        Phase::Ended if ended.is_none() => Phase::Changing,
        Phase::Running if started.is_none() => Phase::Changing,
        phase => phase,
    };
    Some(Seen {
        job_id: job::text(&job_id(value)?)?,
        attempt: Some(number("restart_cnt").unwrap_or(0).max(0)),
        record: 0,
        phase,
        state: state.into(),
        submitted: time("submit_time")?,
        started,
        ended: ended.map(|ended| ended.max(started.unwrap_or(ended))),
        changed: time("suspend_time"),
        suspended: None,
        exit_code: exit_code(&value["exit_code"]).filter(|_| phase == Phase::Ended),
        facts: facts(value, phase, nodes),
    })
}

/// As Slurm prints it: `7`, `5_2`, `5_[3-9%2]` of tasks that wait as one, `9+1`.
fn job_id(value: &Value) -> Option<String> {
    let id = number(&value["job_id"]).filter(|id| *id > 0)?;
    let number_of = |name: &str| number(&value[name]);
    if let Some(array) = number_of("array_job_id").filter(|array| *array > 0) {
        let waiting = value["array_task_string"].as_str().filter(|list| !list.is_empty());
        return match (number_of("array_task_id"), waiting) {
            (_, Some(list)) => Some(format!("{array}_[{list}]")),
            (Some(task), None) => Some(format!("{array}_{task}")),
            (None, None) => Some(id.to_string()),
        };
    }
    match number_of("het_job_id").filter(|first| *first > 0) {
        Some(first) => Some(format!("{first}+{}", number_of("het_job_offset").unwrap_or(0))),
        None => Some(id.to_string()),
    }
}

fn facts(value: &Value, phase: Phase, nodes: Option<Vec<Arc<str>>>) -> Facts {
    let text = |name: &str| value[name].as_str().and_then(job::text);
    let plain = |name: &str| value[name].as_str().map(str::to_owned);
    let tres = |name: &str| tres::parse(value[name].as_str().unwrap_or_default());
    let cpus = number(&value["cpus"]).filter(|n| *n > 0);
    let user = text("user_name").or_else(|| Some(number(&value["user_id"])?.to_string().into()));
    let array = number(&value["array_job_id"]).filter(|array| *array > 0);
    let gpus = value["gres_detail"].as_array().filter(|_| phase != Phase::Waiting);
    Facts {
        name: text("name"),
        user,
        account: text("account"),
        queue: text("partition"),
        tres: tres("tres_alloc_str").or(tres("tres_req_str")).or(tres::Tres { cpus, ..tres::Tres::default() }),
        gpu_uuids: gpus.and_then(|detail| gpu_uuids(detail, nodes.as_deref()?)),
        nodes,
        labels: job::labels([
            ("array_job_id", array.map(|array| array.to_string())),
            ("comment", plain("comment")),
            ("qos", plain("qos")),
            ("reservation", plain("resv_name")),
            ("slurm_cluster", plain("cluster")),
            ("sluid", plain("sluid")),
            ("time_limit", time_limit(&value["time_limit"])),
            ("wckey", plain("wckey")),
        ]),
    }
}

/// `<node>/<index>` of each GPU: one text a node, in the order of the nodes.
fn gpu_uuids(detail: &[Value], nodes: &[Arc<str>]) -> Option<Vec<Arc<str>>> {
    // Another number of texts than of nodes would put GPUs where they are not.
    if detail.is_empty() || detail.len() != nodes.len() {
        return None;
    }
    let mut all = Vec::new();
    for (text, node) in detail.iter().zip(nodes) {
        let text = text.as_str()?;
        if text.contains("gpu") {
            all.extend(tres::gpu_indices(text)?.into_iter().map(|index| Arc::from(format!("{node}/{index}"))));
        }
    }
    (!all.is_empty()).then_some(all)
}

fn time_limit(value: &Value) -> Option<String> {
    if value["infinite"].as_bool() == Some(true) {
        return Some("UNLIMITED".to_owned());
    }
    number(value).filter(|minutes| *minutes > 0).map(job::time_limit)
}

/// A status of wait(2), or an object with the code and the signal.
fn exit_code(value: &Value) -> Option<i64> {
    let Some(code) = number(&value["return_code"]) else {
        let signal = number(&value["signal"]["id"]).or(number(&value["signal"]["signal_id"]));
        return signal.map_or_else(|| number(value).and_then(job::wait_status), |signal| job::exit_code(0, signal));
    };
    let signal = number(&value["signal"]["id"]).or(number(&value["signal"]["signal_id"]));
    job::exit_code(code, signal.unwrap_or(0))
}

/// A plain number, or the number of an object where it is set.
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|n| n as i64)),
        Value::Object(wrapped) => {
            let is = |name: &str| wrapped.get(name).and_then(Value::as_bool).unwrap_or(false);
            let number = wrapped.get("number").filter(|_| is("set") && !is("infinite"))?;
            number.as_i64().or_else(|| number.as_f64().map(|n| n as i64))
        }
        _ => None,
    }
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(word) => vec![word.clone()],
        Value::Array(words) => words.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect(),
        _ => Vec::new(),
    }
}

/// Reads text in which bytes that are no UTF-8 become `?`: Slurm prints names as users gave them.
struct Lossy<R> {
    inner: R,
    raw: Vec<u8>,
    good: Vec<u8>,
    at: usize,
}

impl<R: Read> Lossy<R> {
    fn new(inner: R) -> Self {
        Self { inner, raw: Vec::new(), good: Vec::new(), at: 0 }
    }

    /// Moves what is known to be text, or not, from the raw bytes to the good ones.
    fn sort(&mut self, is_end: bool) {
        loop {
            match std::str::from_utf8(&self.raw) {
                Ok(_) => {
                    self.good.append(&mut self.raw);
                    return;
                }
                Err(error) => {
                    self.good.extend(self.raw.drain(..error.valid_up_to()));
                    let bad = error.error_len().or(is_end.then_some(self.raw.len()));
                    let Some(bad) = bad else { return };
                    self.raw.drain(..bad);
                    self.good.push(b'?');
                }
            }
        }
    }
}

impl<R: Read> Read for Lossy<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        const PIECE_BYTES: usize = 16 << 10;
        while self.at == self.good.len() {
            (self.at, self.good) = (0, Vec::new());
            let mut piece = [0; PIECE_BYTES];
            let count = self.inner.read(&mut piece)?;
            self.raw.extend_from_slice(&piece[..count]);
            self.sort(count == 0);
            if count == 0 && self.good.is_empty() {
                return Ok(0);
            }
        }
        let count = out.len().min(self.good.len() - self.at);
        out[..count].copy_from_slice(&self.good[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
