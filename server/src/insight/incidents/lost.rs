//! What a failure took: the work of attempts since their start or last checkpoint, and the hours of GPUs that are down.

use super::super::facts::{CostHour, Event, HOUR, Job, Text, Window};
use super::{Incident, JobHit, Losses};
use crate::cost::Micros;
use std::collections::HashMap;

/// What the ledger has of an attempt, without the time in which its GPUs were down.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in super::super) struct AttemptCost {
    pub(in super::super) gpu_hours: f64,
    pub(in super::super) cost: Option<Micros>,
}

/// An hour in which a GPU was down.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct DownHour {
    pub(in super::super) cluster: Text,
    pub(in super::super) node: Option<Text>,
    pub(in super::super) gpu_uuid: Text,
    pub(in super::super) of: CostHour,
}

/// What of an attempt is gone.
pub(super) fn hit(job: &Job, losses: &Losses) -> JobHit {
    let ended = job.ended.unwrap_or_default();
    let started = job.started.unwrap_or(ended);
    let key = (job.cluster.clone(), job.job_id.clone(), job.attempt);
    let written = losses.checkpoints.get(&(job.cluster.clone(), job.job_id.clone()));
    let checkpoint = written.and_then(|times| times.iter().rev().copied().find(|time| (started..ended).contains(time)));
    let hours = losses.hours.get(&key);
    let (gpu_hours, cost) = match (checkpoint, hours) {
        (Some(checkpoint), Some(hours)) => since(checkpoint, Window { from_micros: started, to_micros: ended }, hours),
        _ => match losses.attempts.get(&key) {
            Some(all) => (all.gpu_hours, all.cost),
            None => (job.gpus.unwrap_or_default() as f64 * (ended - started).max(0) as f64 / HOUR as f64, None),
        },
    };
    let has_checkpoint = checkpoint.is_some() && hours.is_some();
    JobHit {
        cluster: job.cluster.clone(),
        job_id: job.job_id.clone(),
        attempt: job.attempt,
        name: job.name.clone(),
        user: job.user.clone(),
        state: job.state.clone(),
        ended_micros: ended,
        lost_from_micros: checkpoint.filter(|_| has_checkpoint).unwrap_or(started),
        has_checkpoint,
        gpu_hours_lost: gpu_hours,
        cost,
    }
}

/// The hours from a checkpoint on; of the hour in which it was written its part.
fn since(checkpoint: i64, run: Window, hours: &[CostHour]) -> (f64, Option<Micros>) {
    let mut sum = (0.0, None);
    for hour in hours {
        let whole = Window { from_micros: hour.hour, to_micros: hour.hour + HOUR };
        let after = Window { from_micros: checkpoint, to_micros: run.to_micros };
        let (after, all) = (whole.shared(after), whole.shared(run));
        if after <= 0 || all <= 0 {
            continue;
        }
        sum.0 += hour.gpu_hours * after as f64 / all as f64;
        let part = hour.cost.map(|cost| cost.split(&[after.unsigned_abs(), (all - after).unsigned_abs()])[0]);
        sum.1 = sum.1.into_iter().chain(part).reduce(|a: Micros, b| a + b);
    }
    sum
}

/// When a GPU, or a node as a whole, is back; none while it is away.
fn back(outages: &[Event], gpu: Option<&Text>, (cluster, node): (&Text, &Text), from: i64) -> Option<i64> {
    let is_back = |event: &&Event| {
        let same = event.gpu_uuid.as_ref() == gpu || event.gpu_uuid.is_none();
        &*event.kind == "reset" && event.time > from && same && (&event.cluster, &event.node) == (cluster, node)
    };
    outages.iter().filter(is_back).map(|event| event.time).min()
}

/// Gives each hour in which a GPU was down to the first incident whose outage it is in.
pub(super) fn down(hours: Vec<DownHour>, outages: &[Event], window: Window, incidents: &mut [Incident]) {
    let mut of_node: HashMap<(Text, Text), Vec<&Event>> = HashMap::new();
    for event in outages {
        of_node.entry((event.cluster.clone(), event.node.clone())).or_default().push(event);
    }
    // By node: what an incident takes is of its own node.
    let mut free: HashMap<(Text, Text), Vec<DownHour>> = HashMap::new();
    for hour in hours {
        let node = hour.node.clone().unwrap_or_else(|| Text::from(""));
        free.entry((hour.cluster.clone(), node)).or_default().push(hour);
    }
    let mut order: Vec<usize> = (0..incidents.len()).collect();
    order.sort_by_key(|at| incidents[*at].seen.from_micros);
    for at in order {
        let incident = &mut incidents[at];
        let Some(node) = incident.node.clone() else { continue };
        let key = (incident.cluster.clone(), node);
        let events: Vec<Event> = of_node.get(&key).into_iter().flatten().map(|event| (*event).clone()).collect();
        let lost: Vec<(Option<Text>, i64)> = incident
            .events
            .iter()
            .filter(|e| &*e.kind == "lost")
            .map(|e| (e.gpu_uuid.clone(), e.seen.from_micros))
            .collect();
        for (gpu, from) in lost {
            let until = back(&events, gpu.as_ref(), (&key.0, &key.1), from);
            incident.is_ongoing |= until.is_none_or(|until| until >= window.to_micros);
            let until = until.unwrap_or(window.to_micros).min(window.to_micros);
            incident.seen.to_micros = incident.seen.to_micros.max(until);
            let Some(hours) = free.get_mut(&key) else { continue };
            take(hours, gpu.as_ref(), Window { from_micros: from, to_micros: until }, incident);
        }
    }
}

fn take(hours: &mut Vec<DownHour>, gpu: Option<&Text>, outage: Window, incident: &mut Incident) {
    hours.retain(|down| {
        let hour = Window { from_micros: down.of.hour, to_micros: down.of.hour + HOUR };
        let is_of_it = gpu.is_none_or(|gpu| down.gpu_uuid == *gpu) && hour.shared(outage) > 0;
        if is_of_it {
            incident.down_gpu_hours += down.of.gpu_hours;
            incident.down_cost = incident.down_cost.into_iter().chain(down.of.cost).reduce(|a, b| a + b);
        }
        !is_of_it
    });
}
