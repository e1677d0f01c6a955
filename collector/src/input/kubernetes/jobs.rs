//! Pods as jobs: what was told of each, and which events are still to be told.
//!
//! Time is an argument. **Invariants:** of each pod its submission, start and end are told once, in this order, also
//! across restarts; an event is never older than the one before it, so that what came last is what holds; a pod with
//! another UID is another attempt, whatever its name.

mod kept;

pub(super) use kept::{load, save};

use super::pod::{End, PodFacts};
use crate::source::{JobEventRow, NodeIdentity};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Pods of a node that are followed at once; the kubelet starts 110 by default, and large nodes a few hundred.
pub(super) const PODS_MAX: usize = 1_024;
/// What a pod ended as when nobody saw how.
const DELETED: &str = "Deleted";

/// What was told of a pod; this is what a restart must know.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Told {
    job_id: Arc<str>,
    attempt: i64,
    started: Option<i64>,
    is_over: bool,
    gpus: Vec<Arc<str>>,
    /// The time of the last event.
    last: i64,
    /// Tells whether anything else changed.
    digest: u32,
    /// When the pod was last seen to be there.
    seen: i64,
}

/// All pods of the node that hold or ask for GPUs.
#[derive(Debug)]
pub(super) struct Jobs {
    node: NodeIdentity,
    /// By UID, pods without GPUs too.
    facts: HashMap<Arc<str>, PodFacts>,
    /// By UID.
    told: BTreeMap<Arc<str>, Told>,
    /// The latest list of the kubelet: elements by job.
    held: HashMap<Arc<str>, Vec<Arc<str>>>,
    rows: Vec<JobEventRow>,
}

impl Jobs {
    fn new(node: NodeIdentity, told: BTreeMap<Arc<str>, Told>) -> Self {
        Self { node, facts: HashMap::new(), told, held: HashMap::new(), rows: Vec::new() }
    }

    /// The events that are to be told, in their order.
    pub(super) fn take_rows(&mut self) -> Vec<JobEventRow> {
        std::mem::take(&mut self.rows)
    }

    /// Jobs by each UID that a cgroup may name.
    pub(super) fn names(&self) -> HashMap<Arc<str>, Arc<str>> {
        let mut names = HashMap::new();
        for (uid, facts) in &self.facts {
            let uids = [Some(uid), facts.cgroup_uid.as_ref()];
            names.extend(uids.into_iter().flatten().map(|uid| (Arc::clone(uid), Arc::clone(&facts.job_id))));
        }
        names
    }

    /// Whether the API server says of a job that it is over.
    pub(super) fn is_over(&self, job_id: &str) -> bool {
        let mut pods = self.facts.values().filter(|facts| &*facts.job_id == job_id).peekable();
        pods.peek().is_some() && pods.all(|facts| facts.end.is_some())
    }

    /// All pods that there are: what is not among them is gone.
    pub(super) fn listed(&mut self, pods: Vec<PodFacts>, now: i64) {
        let there: HashSet<Arc<str>> = pods.iter().map(|facts| Arc::clone(&facts.uid)).collect();
        self.facts.retain(|uid, _| there.contains(uid));
        let gone: Vec<Arc<str>> = self.told.keys().filter(|uid| !there.contains(*uid)).cloned().collect();
        for uid in gone {
            self.vanished(&uid);
        }
        // The oldest first, so that attempts of a name follow each other.
        let mut pods = pods;
        pods.sort_by_key(|facts| facts.created);
        for facts in pods {
            self.seen(facts, now);
        }
    }

    /// A pod is there, as it is now.
    pub(super) fn seen(&mut self, facts: PodFacts, now: i64) {
        let uid = Arc::clone(&facts.uid);
        if self.facts.len() >= PODS_MAX && !self.facts.contains_key(&uid) {
            return tracing::warn!(pod = %facts.job_id, pods = PODS_MAX, "a node has more pods than are followed");
        }
        self.facts.insert(Arc::clone(&uid), facts);
        self.tell(&uid, now);
        if let Some(told) = self.told.get_mut(&uid) {
            told.seen = now;
        }
    }

    /// The API server says that nothing else has changed.
    pub(super) fn unchanged(&mut self, now: i64) {
        for told in self.told.iter_mut().filter(|(uid, _)| self.facts.contains_key(*uid)).map(|(_, told)| told) {
            told.seen = now;
        }
    }

    /// A pod is no more there; `end` is how it ended, unless that was told.
    pub(super) fn gone(&mut self, mut facts: PodFacts, end: End, now: i64) {
        let uid = Arc::clone(&facts.uid);
        facts.end.get_or_insert(end);
        if self.told.contains_key(&uid) || facts.requests.gpus.unwrap_or(0) > 0 {
            self.seen(facts, now);
        }
        self.facts.remove(&uid);
        self.told.remove(&uid);
    }

    /// The kubelet's list of who holds what.
    pub(super) fn held(&mut self, held: HashMap<Arc<str>, Vec<Arc<str>>>, now: i64) {
        self.held = held;
        let uids: Vec<Arc<str>> = self.facts.keys().cloned().collect();
        for uid in uids {
            self.tell(&uid, now);
        }
        // While the API server is away, the kubelet's word is that a pod is still there.
        for told in self.told.values_mut().filter(|told| self.held.contains_key(&told.job_id)) {
            told.seen = now;
        }
    }

    /// A pod that ended while nobody looked: at the latest when it was last seen.
    fn vanished(&mut self, uid: &str) {
        let Some(told) = self.told.remove(uid).filter(|told| !told.is_over) else { return };
        let at = told.seen.max(told.last);
        self.rows.push(JobEventRow {
            time_unix_micros: at,
            cluster: Arc::clone(&self.node.cluster),
            job_id: told.job_id,
            attempt: told.attempt,
            kind: "ended",
            state: Some(DELETED.into()),
            ended_unix_micros: Some(at),
            ..JobEventRow::default()
        });
    }

    /// Tells what is new of a pod.
    fn tell(&mut self, uid: &Arc<str>, now: i64) {
        let Some(facts) = self.facts.get(uid) else { return };
        let running = facts.started.is_some() && facts.end.is_none();
        // A list names pods only; before its containers run, a pod of that name may be one that was there before.
        let held = self.held.get(&facts.job_id).filter(|held| running && !held.is_empty() && self.is_latest(facts));
        let known = self.told.contains_key(uid);
        if !known && held.is_none() && facts.requests.gpus.unwrap_or(0) == 0 {
            return;
        }
        let mut told = self.told.get(uid).cloned().unwrap_or_else(|| self.begin(facts));
        if told.is_over {
            return;
        }
        let held = held.cloned().unwrap_or_else(|| told.gpus.clone());
        let says = Says { facts, node: &self.node, gpus: &held };
        let digest = says.digest();
        let mut rows = Vec::new();
        if !known {
            rows.push(says.row("submitted", facts.created, &mut told));
        }
        if let (None, Some(started)) = (told.started, facts.started) {
            told.started = Some(started);
            rows.push(says.row("started", started, &mut told));
        } else if let (true, None, true) = (known, &facts.end, told.digest != digest) {
            rows.push(says.row("updated", now, &mut told));
        }
        if let Some(end) = &facts.end {
            rows.push(says.ended(end, &mut told));
        }
        told.digest = digest;
        told.gpus = held;
        self.rows.extend(rows);
        self.told.insert(Arc::clone(uid), told);
    }

    /// Whether no other pod of the same name is younger.
    fn is_latest(&self, facts: &PodFacts) -> bool {
        let same = self.facts.values().filter(|other| other.job_id == facts.job_id);
        same.into_iter().all(|other| (other.created, &other.uid) <= (facts.created, &facts.uid))
    }

    fn begin(&self, facts: &PodFacts) -> Told {
        Told {
            job_id: Arc::clone(&facts.job_id),
            attempt: self.attempt(facts),
            started: None,
            is_over: false,
            gpus: Vec::new(),
            last: facts.created,
            digest: 0,
            seen: facts.created,
        }
    }

    /// 0 where the name is of this pod only. Otherwise a pod of that name may have been on any node before, so the
    /// attempt is the second in which this one was made: later ones are larger, on whichever node.
    fn attempt(&self, facts: &PodFacts) -> i64 {
        let mut attempt = if facts.is_name_unique { 0 } else { facts.created.div_euclid(1_000_000) };
        let others = || self.told.values().filter(|told| told.job_id == facts.job_id);
        while others().any(|told| told.attempt == attempt) {
            attempt += 1;
        }
        attempt
    }
}

/// What a row of a pod says.
struct Says<'a> {
    facts: &'a PodFacts,
    node: &'a NodeIdentity,
    gpus: &'a [Arc<str>],
}

impl Says<'_> {
    /// Of everything that an event of kind `updated` is for.
    fn digest(&self) -> u32 {
        let PodFacts { names, requests, .. } = self.facts;
        crc32fast::hash(format!("{names:?} {requests:?} {:?}", self.gpus).as_bytes())
    }

    fn row(&self, kind: &'static str, at: i64, told: &mut Told) -> JobEventRow {
        let PodFacts { names, requests, .. } = self.facts;
        told.last = told.last.max(at);
        let state = match kind {
            "submitted" => "Pending".into(),
            "started" => "Running".into(),
            _ => Arc::clone(&self.facts.phase),
        };
        JobEventRow {
            time_unix_micros: told.last,
            cluster: Arc::clone(&self.node.cluster),
            job_id: Arc::clone(&told.job_id),
            attempt: told.attempt,
            kind,
            state: Some(state),
            name: names.name.clone(),
            user: names.user.clone(),
            account: names.account.clone(),
            project: names.project.clone(),
            queue: names.queue.clone(),
            gpus_requested: requests.gpus,
            cpus_requested: requests.cpus,
            memory_requested_bytes: requests.memory_bytes,
            nodes: Some(vec![Arc::clone(&self.node.node)]),
            gpu_uuids: Some(self.gpus.to_vec()).filter(|gpus| !gpus.is_empty()),
            submitted_unix_micros: Some(self.facts.created),
            started_unix_micros: told.started,
            ended_unix_micros: None,
            exit_code: None,
            labels: names.labels.clone(),
        }
    }

    fn ended(&self, end: &End, told: &mut Told) -> JobEventRow {
        // Times of the cluster are whole seconds: a container may end in the second before it starts.
        let at = end.at.max(told.started.unwrap_or(end.at));
        let mut row = self.row("ended", at, told);
        told.is_over = true;
        row.state = Some(end.state.into());
        row.ended_unix_micros = Some(at);
        row.exit_code = end.exit_code;
        row.labels.extend(end.reason.clone().map(|reason| (Arc::from("reason"), reason)));
        row.labels.sort();
        row.labels.dedup_by(|one, before| one.0 == before.0);
        row
    }
}

#[cfg(test)]
mod tests;
