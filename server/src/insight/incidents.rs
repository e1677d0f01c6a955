//! Incidents: what failed, what it hit and what that cost.
//!
//! An incident is device events of a node that come together, or an attempt of a job that failed by itself, or both.
//! **Invariant:** an attempt is lost in one incident, and an hour of a GPU that is down belongs to one; so what all
//! incidents cost is never more than what the ledger has.

mod category;
mod device;
mod failed;
mod lost;
mod records;

#[cfg(test)]
mod tests;

use super::facts::{CostHour, Event, Facts, Text, Window, id_of};
use crate::cost::Micros;
use crate::query::Meanings;
pub use category::Category;
pub(super) use category::category_of_job;
use contract::answers::Severity;
pub(super) use lost::{AttemptCost, DownHour};
pub use records::NodeRecord;
use std::collections::HashMap;

/// Cluster, job and attempt.
pub(super) type Attempt = (Text, Text, i64);

/// What only incidents need besides the facts.
#[derive(Debug, Default)]
pub(super) struct Losses {
    pub(super) attempts: HashMap<Attempt, AttemptCost>,
    /// Hours of attempts that have written checkpoints.
    pub(super) hours: HashMap<Attempt, Vec<CostHour>>,
    /// When jobs had written one, by cluster and job, in order.
    pub(super) checkpoints: HashMap<(Text, Text), Vec<i64>>,
    pub(super) down: Vec<DownHour>,
    /// `lost` and `reset` events, those before the window too.
    pub(super) outages: Vec<Event>,
}

/// Events of the same kind of the same GPU, each within minutes of the one before.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeat {
    pub kind: Text,
    pub code: Option<i64>,
    pub gpu_uuid: Option<Text>,
    pub count: u64,
    pub seen: Window,
    pub severity: Severity,
    /// Of the last one.
    pub message: Text,
    pub meaning: String,
    pub action: String,
}

/// An attempt that ended too early, and what of it is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct JobHit {
    pub cluster: Text,
    pub job_id: Text,
    pub attempt: i64,
    pub name: Option<Text>,
    pub user: Option<Text>,
    pub state: Option<Text>,
    pub ended_micros: i64,
    /// Its start, or its last checkpoint.
    pub lost_from_micros: i64,
    pub has_checkpoint: bool,
    pub gpu_hours_lost: f64,
    /// None where the ledger has no price of it.
    pub cost: Option<Micros>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    pub category: Category,
    pub severity: Severity,
    pub title: String,
    pub meaning: String,
    /// The one next thing to do.
    pub action: String,
    pub cluster: Text,
    /// None where several or none of them may be at fault.
    pub node: Option<Text>,
    pub gpu_uuids: Vec<Text>,
    /// From the first event to the last, or to when the last GPU was back.
    pub seen: Window,
    /// A GPU of it is still away at the end of the window.
    pub is_ongoing: bool,
    pub events: Vec<Repeat>,
    pub jobs: Vec<JobHit>,
    pub down_gpu_hours: f64,
    pub down_cost: Option<Micros>,
    pub confidence: f64,
    pub why: &'static str,
}

impl Incident {
    /// The same as long as its first event is.
    pub fn id(&self) -> String {
        let text = |text: Option<&Text>| text.map(|text| text.to_string()).unwrap_or_default();
        let job = self.jobs.first().map(|job| (job.job_id.to_string(), job.attempt.to_string())).unwrap_or_default();
        let event = self.events.first();
        let (time, job) = match event {
            Some(event) => (event.seen.from_micros, String::new()),
            None => (self.seen.from_micros, format!("{} {}", job.0, job.1)),
        };
        id_of(&[
            &self.cluster,
            &text(self.node.as_ref()),
            &text(event.map(|event| &event.kind)),
            &time.to_string(),
            &job,
        ])
    }

    pub fn gpu_hours_lost(&self) -> f64 {
        self.down_gpu_hours + self.jobs.iter().map(|job| job.gpu_hours_lost).sum::<f64>()
    }

    /// None where nothing of it has a price.
    pub fn cost(&self) -> Option<Micros> {
        self.jobs.iter().filter_map(|job| job.cost).chain(self.down_cost).reduce(|a, b| a + b)
    }
}

/// What has failed in a window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Failures {
    /// The latest first.
    pub incidents: Vec<Incident>,
    /// Every node that had attempts or incidents, the worst first.
    pub nodes: Vec<NodeRecord>,
}

/// All incidents of the window.
pub(super) fn all(facts: &Facts, losses: Losses, meanings: &Meanings) -> Failures {
    let mut incidents = device::incidents(facts, &losses.outages, meanings);
    failed::join(facts, &losses, &mut incidents);
    lost::down(losses.down, &losses.outages, facts.window, &mut incidents);
    incidents.retain(|incident| matters(incident, facts.window));
    incidents.sort_by_cached_key(|incident| (std::cmp::Reverse(incident.seen.from_micros), incident.id()));
    let nodes = records::of(facts, &incidents);
    Failures { incidents, nodes }
}

/// Programs that fault and go on, and outages that were over before, are no incidents of the window.
fn matters(incident: &Incident, window: Window) -> bool {
    let has_lost = !incident.jobs.is_empty() || incident.down_gpu_hours > 0.0;
    has_lost || (incident.severity != Severity::Notice && incident.seen.to_micros >= window.from_micros)
}
