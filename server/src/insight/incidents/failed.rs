//! Attempts that failed, put to the incident that hit them or to one of their own.

use super::super::facts::{Facts, Job, MINUTE, SECOND, Text, Window};
use super::category::{Ended, category_of_job};
use super::{Category, Incident, Losses, lost};
use std::collections::HashMap;

/// A job dies some time after its device does; a scheduler may notice it before the driver's line is read.
const BEFORE_END: i64 = 2 * MINUTE;
const AFTER_END: i64 = MINUTE;
/// An event that names the job may come longer before: a program hangs until it gives up.
const NAMED_BEFORE_END: i64 = 10 * MINUTE;
/// Jobs of one node that end so shortly one after the other ended of the same.
const SAME_CRASH: i64 = 2 * MINUTE;

/// Where device incidents are: by GPU, by node as a whole and by job, with the time of each event.
#[derive(Default)]
struct Index<'a> {
    gpus: HashMap<(&'a str, &'a str), Vec<(i64, usize)>>,
    nodes: HashMap<(&'a str, &'a str), Vec<(i64, usize)>>,
}

pub(super) fn join(facts: &Facts, losses: &Losses, incidents: &mut Vec<Incident>) {
    let named = named(facts, incidents);
    let mut crashes: Vec<usize> = Vec::new();
    let hits: Vec<(&Job, Ended, Option<usize>)> = {
        let index = Index::of(incidents);
        let failed = facts.jobs.iter().filter_map(|job| Some((job, category_of_job(job)?)));
        let within =
            |job: &Job| job.ended.is_some_and(|end| (facts.window.from_micros..facts.window.to_micros).contains(&end));
        let hit = |(job, ended): (_, Ended)| (job, ended, index.find(job, &ended, incidents, &named));
        failed.filter(|(job, _)| within(job)).map(hit).collect()
    };
    for (job, ended, found) in hits {
        let hit = lost::hit(job, losses);
        let crash = || crashes.iter().copied().find(|at| is_same_crash(job, &incidents[*at]));
        match found.or_else(|| if ended.category == Category::Hardware { crash() } else { None }) {
            Some(at) => {
                let incident = &mut incidents[at];
                incident.seen.from_micros = incident.seen.from_micros.min(hit.ended_micros);
                incident.seen.to_micros = incident.seen.to_micros.max(hit.ended_micros);
                incident.jobs.push(hit);
            }
            None => {
                if ended.category == Category::Hardware {
                    crashes.push(incidents.len());
                }
                incidents.push(of_job(job, ended, hit));
            }
        }
    }
}

/// Times and incidents of events that name a job.
fn named(facts: &Facts, incidents: &[Incident]) -> HashMap<(Text, Text), Vec<(i64, usize)>> {
    let mut by_node: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for (at, incident) in incidents.iter().enumerate() {
        by_node.entry((&incident.cluster, incident.node.as_deref().unwrap_or_default())).or_default().push(at);
    }
    let mut named: HashMap<(Text, Text), Vec<(i64, usize)>> = HashMap::new();
    for event in &facts.events {
        let Some(job) = &event.job_id else { continue };
        let known = by_node.get(&(&*event.cluster, &*event.node)).into_iter().flatten();
        let is_in = |at: &&usize| {
            let Incident { seen, events, .. } = &incidents[**at];
            let same = events.iter().any(|known| known.kind == event.kind && known.code == event.code);
            same && (seen.from_micros..=seen.to_micros).contains(&event.time)
        };
        if let Some(at) = known.into_iter().find(is_in) {
            named.entry((event.cluster.clone(), job.clone())).or_default().push((event.time, *at));
        }
    }
    named
}

impl<'a> Index<'a> {
    fn of(incidents: &'a [Incident]) -> Self {
        let mut index = Self::default();
        for (at, incident) in incidents.iter().enumerate() {
            for event in &incident.events {
                let (from, to) = (event.seen.from_micros, event.seen.to_micros);
                let node = incident.node.as_deref().unwrap_or_default();
                let times = match &event.gpu_uuid {
                    Some(gpu) => index.gpus.entry((&incident.cluster, gpu)).or_default(),
                    None => index.nodes.entry((&incident.cluster, node)).or_default(),
                };
                times.extend([(from, at), (to, at)]);
            }
        }
        index
    }

    /// The gravest incident that fits the end of the job.
    fn find(
        &self,
        job: &Job,
        ended: &Ended,
        incidents: &[Incident],
        named: &HashMap<(Text, Text), Vec<(i64, usize)>>,
    ) -> Option<usize> {
        let end = job.ended?;
        let near = |(time, at): &(i64, usize)| (end - BEFORE_END..=end + AFTER_END).contains(time).then_some(*at);
        let gpus = job.gpu_uuids.iter().filter_map(|gpu| self.gpus.get(&(&*job.cluster, &**gpu))).flatten();
        let nodes = job.nodes.iter().filter_map(|node| self.nodes.get(&(&*job.cluster, &**node))).flatten();
        let by_name = named.get(&(job.cluster.clone(), job.job_id.clone())).into_iter().flatten();
        let by_name = by_name.filter(|(time, _)| (end - NAMED_BEFORE_END..=end + AFTER_END).contains(time));
        let found = gpus.chain(nodes).filter_map(near).chain(by_name.map(|(_, at)| *at));
        found.filter(|at| may_cause(&incidents[*at], ended)).min_by_key(|at| (incidents[*at].severity, *at))
    }
}

/// A fault of a program does not make a node fail, and what the scheduler ended by itself only a device explains.
fn may_cause(incident: &Incident, ended: &Ended) -> bool {
    match ended.category {
        Category::UserCode | Category::Unknown => incident.category != Category::Planned,
        Category::Hardware | Category::Preempted => incident.category != Category::UserCode,
        _ => incident.category.is_of_nodes(),
    }
}

fn is_same_crash(job: &Job, crash: &Incident) -> bool {
    let near = job.ended.is_some_and(|end| (end - crash.seen.from_micros).abs() <= SAME_CRASH);
    near && crash.cluster == job.cluster && crash.node.as_ref().is_some_and(|node| job.nodes.contains(node))
}

fn of_job(job: &Job, ended: Ended, hit: super::JobHit) -> Incident {
    let (id, state) = (&job.job_id, job.state.as_deref().unwrap_or_default());
    let exit = job.exit_code.filter(|code| *code != 0).map(|code| format!(", exit status {code}")).unwrap_or_default();
    let node = job.nodes.first().filter(|_| job.nodes.len() == 1).cloned();
    let title = match ended.category {
        Category::Hardware => format!("Job {id} died with {}", node.as_deref().unwrap_or("one of its nodes")),
        Category::OutOfMemory => format!("Job {id} ran out of memory"),
        Category::Timeout => format!("Job {id} ran out of time"),
        Category::Preempted => format!("Job {id} was preempted"),
        _ => format!("Job {id} failed"),
    };
    Incident {
        category: ended.category,
        severity: ended.severity,
        title,
        meaning: format!("The scheduler says {state}{exit}."),
        action: ended.action.to_owned(),
        cluster: job.cluster.clone(),
        node,
        gpu_uuids: Vec::new(),
        seen: Window { from_micros: hit.ended_micros, to_micros: hit.ended_micros + SECOND },
        is_ongoing: false,
        events: Vec::new(),
        jobs: vec![hit],
        down_gpu_hours: 0.0,
        down_cost: None,
        confidence: ended.confidence,
        why: ended.why,
    }
}
