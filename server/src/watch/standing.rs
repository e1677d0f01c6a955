//! How everything stands, for whoever looks.

use super::silences::muting;
use super::{Watch, Watched};
use crate::alert::{Fingerprint, Instance, Route, Rule, SilenceKind};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How the looks of a rule go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not looked at yet.
    Waiting,
    Well,
    /// What it needs has not arrived.
    NoData,
    /// Why.
    Failing(String),
}

pub struct Standing {
    pub alerts: Vec<AlertStanding>,
    pub rules: Vec<RuleStanding>,
    pub receivers: Vec<ReceiverStanding>,
    /// Sentences about texts that do not go together.
    pub problems: Vec<String>,
}

pub struct AlertStanding {
    pub rule: Arc<str>,
    pub fingerprint: Fingerprint,
    pub instance: Instance,
    pub is_flapping: bool,
    /// What keeps it unsaid.
    pub muted_by: Option<String>,
    pub is_acknowledged: bool,
    /// Receivers that routes lead it to.
    pub to: Vec<Arc<str>>,
    /// Those of them that know that it fires.
    pub told: Vec<Arc<str>>,
}

pub struct RuleStanding {
    pub rule: Arc<Rule>,
    /// The text that it is of.
    pub text: Arc<str>,
    pub health: Health,
    pub last_micros: Option<i64>,
    pub took: Duration,
    /// Alerts of it that are not over.
    pub alerts: usize,
}

pub struct ReceiverStanding {
    pub name: Arc<str>,
    pub kind: &'static str,
    /// Why it cannot be told, as far as it is known.
    pub problem: Option<String>,
    pub last_told_micros: Option<i64>,
    /// Tries of messages that it has not taken.
    pub attempts: i64,
}

impl Watch {
    pub fn standing(&self) -> Standing {
        let now_micros = (self.inner.clock)();
        let book = Arc::clone(&self.inner.book.lock());
        let silences = self.silences();
        let mut told: BTreeMap<Fingerprint, Vec<Arc<str>>> = BTreeMap::new();
        for (key, telling) in self.inner.told.lock().iter() {
            for alert in &telling.told.firing {
                told.entry(alert.fingerprint).or_default().push(Arc::clone(&key.receiver));
            }
        }
        let (mut open, mut rules) = (Vec::new(), Vec::new());
        for watched in self.inner.watched.lock().values() {
            let all = watched.instances.iter().filter(|(_, instance)| !instance.phase.is_over());
            let before = open.len();
            open.extend(all.map(|(f, instance)| (Arc::clone(&watched.rule.name), *f, instance.clone())));
            rules.push(rule(watched, open.len() - before));
        }
        let active = self.active();
        let mutes = book.mutes(&active);
        let muted_by = |instance: &Instance| match muting(&silences, instance, SilenceKind::Silence, now_micros) {
            Some(id) => Some(format!("silence {id}")),
            None => mutes.why(&instance.labels, now_micros),
        };
        let alerts = open.into_iter().map(|(rule, fingerprint, instance)| AlertStanding {
            is_flapping: instance.is_flapping(now_micros),
            muted_by: muted_by(&instance),
            is_acknowledged: muting(&silences, &instance, SilenceKind::Acknowledgement, now_micros).is_some(),
            to: Route::taken(&book.routes, &instance.labels).flat_map(|route| route.to.iter().cloned()).collect(),
            told: told.remove(&fingerprint).unwrap_or_default(),
            rule,
            fingerprint,
            instance,
        });
        Standing { alerts: alerts.collect(), rules, receivers: self.receivers(), problems: book.problems.clone() }
    }

    /// A rule that is watched.
    pub fn rule(&self, name: &str) -> Option<Arc<Rule>> {
        self.inner.watched.lock().get(name).map(|watched| Arc::clone(&watched.rule))
    }

    fn receivers(&self) -> Vec<ReceiverStanding> {
        let book = Arc::clone(&self.inner.book.lock());
        let told = self.inner.told.lock();
        let standing = book.receivers.values().map(|receiver| {
            let groups = || told.iter().filter(|(key, _)| key.receiver == receiver.name).map(|(_, telling)| telling);
            let secret = receiver.way.secret().and_then(|name| self.inner.secrets.text(name).err());
            ReceiverStanding {
                name: Arc::clone(&receiver.name),
                kind: receiver.way.as_str(),
                problem: secret.map(|error| error.to_string()).or_else(|| groups().find_map(|t| t.error.clone())),
                last_told_micros: groups().filter_map(|telling| telling.told.at_micros).max(),
                attempts: groups().map(|telling| telling.attempts).sum(),
            }
        });
        standing.collect()
    }
}

fn rule(watched: &Watched, alerts: usize) -> RuleStanding {
    RuleStanding {
        rule: Arc::clone(&watched.rule),
        text: Arc::clone(&watched.text),
        health: watched.health.clone(),
        last_micros: watched.last_micros,
        took: watched.took,
        alerts,
    }
}
