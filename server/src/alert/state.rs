//! From one look to the next: what is pending, fires, has gone missing, and is over.
//!
//! **Invariants:** an instance fires only after looks have seen it true for as long as the rule wants, and is over only
//! after looks have seen it untrue for as long; a look counts for no more than [`LOOK_MICROS_MAX`], however far the
//! clock went; what is missing is over only where the rule says so, or after [`MISSING_MICROS_MAX`].

use super::labels::{Fingerprint, Labels, fingerprint};
use super::rule::{Missing, Rule};
use std::collections::BTreeMap;
use std::sync::Arc;

const MINUTE: i64 = 60_000_000;
/// Beside the rule's own pace: a server that was busy, not a clock that was set.
const LOOK_MICROS_MAX: i64 = MINUTE;
/// What nobody has measured for a day is not watched any more.
const MISSING_MICROS_MAX: i64 = 24 * 60 * MINUTE;
/// Who begins so often within [`FLAP_WITHIN_MICROS`] is flapping …
const FLAPS_MAX: usize = 3;
const FLAP_WITHIN_MICROS: i64 = 60 * MINUTE;
/// … and has to be quiet for so long before it is over.
const FLAP_QUIET_MICROS: i64 = 10 * MINUTE;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// True, but not for long enough.
    Pending,
    Firing,
    /// It fired, and nobody knows whether it still would.
    Missing,
    /// It fired, and is over.
    Resolved,
    /// It never fired, and is over.
    Dropped,
}

impl Phase {
    pub const ALL: [Self; 5] = [Self::Pending, Self::Firing, Self::Missing, Self::Resolved, Self::Dropped];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Missing => "missing",
            Self::Resolved => "resolved",
            Self::Dropped => "dropped",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }

    /// Whether receivers are to know of it.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Firing | Self::Missing)
    }

    /// Whether it is over.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Resolved | Self::Dropped)
    }
}

/// One thing that a rule watches because it is, or was just now, something to speak of.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub labels: Labels,
    pub annotations: BTreeMap<Arc<str>, String>,
    pub phase: Phase,
    /// The last that was known.
    pub value: Option<f64>,
    /// Since when it has the phase, Unix microseconds.
    pub since_micros: i64,
    /// When it began to fire; none before.
    pub started_micros: Option<i64>,
    /// So long looks have seen it true without a break.
    pub true_micros: i64,
    /// Likewise untrue.
    pub quiet_micros: i64,
    /// Likewise neither.
    pub missing_micros: i64,
    /// When it began to fire, the last times.
    pub starts: Vec<i64>,
}

impl Instance {
    /// Whether it begins and ends so often that its end is waited for.
    pub fn is_flapping(&self, now_micros: i64) -> bool {
        self.starts.iter().filter(|start| now_micros - **start < FLAP_WITHIN_MICROS).count() >= FLAPS_MAX
    }
}

/// What a look saw of one thing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Of the row.
    pub labels: Labels,
    /// None where the row says that it is not known.
    pub value: Option<f64>,
    /// Other numbers of the row, for its sentences.
    pub numbers: BTreeMap<Arc<str>, f64>,
}

/// A step of one instance from one phase to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub fingerprint: Fingerprint,
    /// As it is after the step.
    pub instance: Instance,
    /// The phase before; none for what begins.
    pub from: Option<Phase>,
}

/// Takes what a look saw into the instances of a rule, and tells what changed. `last_micros` is when the look before was.
/// Those that are over are gone from the map afterwards, but for what flaps.
pub fn step(
    rule: &Rule,
    known: &mut BTreeMap<Fingerprint, Instance>,
    seen: &[Seen],
    last_micros: Option<i64>,
    now_micros: i64,
) -> Vec<Change> {
    if known.is_empty() && !seen.iter().any(|seen| begins(rule, seen.value)) {
        // As most looks of most rules are.
        return Vec::new();
    }
    let gone_by = last_micros.map_or(0, |last| (now_micros - last).clamp(0, rule.every_micros + LOOK_MICROS_MAX));
    let mut looks: BTreeMap<Fingerprint, (Labels, &Seen)> = BTreeMap::new();
    for seen in seen {
        let labels = rule.labels_of(&seen.labels);
        // Of two rows with the same labels the first counts.
        looks.entry(fingerprint(&labels)).or_insert((labels, seen));
    }
    let mut changes = Vec::new();
    for (key, instance) in known.iter_mut() {
        let look = looks.remove(key);
        let is_true = match &look {
            Some((_, seen)) => rule.is_true(seen.value),
            // A rule without a threshold names what is not well, and is silent about the rest.
            None if rule.threshold.is_none() || instance.phase.is_over() => Some(false),
            None => None,
        };
        let before = instance.phase;
        if let Some((_, seen)) = look {
            instance.annotations = annotations(rule, &instance.labels, seen);
            instance.value = seen.value.or(instance.value);
        }
        follow(rule, instance, is_true, gone_by, now_micros);
        if instance.phase != before {
            changes.push(Change { fingerprint: *key, instance: instance.clone(), from: Some(before) });
        }
    }
    for (key, (labels, seen)) in looks {
        if begins(rule, seen.value) {
            let instance = begun(rule, labels, seen, now_micros);
            changes.push(Change { fingerprint: key, instance: instance.clone(), from: None });
            known.insert(key, instance);
        }
    }
    known.retain(|_, instance| !instance.phase.is_over() || recent(instance, now_micros));
    changes
}

/// Whether a value that was seen is something to speak of that was not there before.
pub fn begins(rule: &Rule, value: Option<f64>) -> bool {
    let is_true = rule.is_true(value);
    is_true == Some(true) || (is_true.is_none() && rule.missing == Missing::Alert)
}

/// Whether how often it begins is still of interest.
fn recent(instance: &Instance, now_micros: i64) -> bool {
    instance.starts.last().is_some_and(|start| now_micros - start < FLAP_WITHIN_MICROS)
}

fn begun(rule: &Rule, labels: Labels, seen: &Seen, now_micros: i64) -> Instance {
    let mut instance = Instance {
        annotations: annotations(rule, &labels, seen),
        labels,
        phase: Phase::Pending,
        value: seen.value,
        since_micros: now_micros,
        started_micros: None,
        true_micros: 0,
        quiet_micros: 0,
        missing_micros: 0,
        starts: Vec::new(),
    };
    fire_if_due(rule, &mut instance, now_micros);
    instance
}

fn follow(rule: &Rule, instance: &mut Instance, is_true: Option<bool>, gone_by: i64, now_micros: i64) {
    let is_true = match (is_true, rule.missing) {
        (None, Missing::Resolve) => Some(false),
        (None, Missing::Alert) if !instance.phase.is_active() => Some(true),
        (is_true, _) => is_true,
    };
    match is_true {
        Some(true) => {
            let is_back = instance.phase.is_over();
            (instance.true_micros, instance.quiet_micros, instance.missing_micros) =
                (if is_back { 0 } else { instance.true_micros + gone_by }, 0, 0);
            match instance.phase {
                Phase::Missing => enter(instance, Phase::Firing, now_micros),
                Phase::Resolved | Phase::Dropped => {
                    instance.started_micros = None;
                    enter(instance, Phase::Pending, now_micros);
                }
                Phase::Pending | Phase::Firing => {}
            }
            fire_if_due(rule, instance, now_micros);
        }
        Some(false) => {
            (instance.true_micros, instance.missing_micros) = (0, 0);
            instance.quiet_micros += gone_by;
            let quiet = if instance.is_flapping(now_micros) { FLAP_QUIET_MICROS } else { 0 };
            match instance.phase {
                Phase::Pending => enter(instance, Phase::Dropped, now_micros),
                Phase::Firing | Phase::Missing if instance.quiet_micros >= quiet.max(rule.keep_firing_micros) => {
                    enter(instance, Phase::Resolved, now_micros);
                }
                _ => {}
            }
        }
        None => {
            (instance.true_micros, instance.quiet_micros) = (0, 0);
            instance.missing_micros += gone_by;
            match instance.phase {
                Phase::Pending => enter(instance, Phase::Dropped, now_micros),
                Phase::Firing => enter(instance, Phase::Missing, now_micros),
                Phase::Missing if instance.missing_micros >= MISSING_MICROS_MAX => {
                    enter(instance, Phase::Resolved, now_micros);
                }
                _ => {}
            }
        }
    }
}

fn fire_if_due(rule: &Rule, instance: &mut Instance, now_micros: i64) {
    if instance.phase == Phase::Pending && instance.true_micros >= rule.for_micros {
        enter(instance, Phase::Firing, now_micros);
        instance.started_micros = Some(now_micros);
        instance.starts.push(now_micros);
        let surplus = instance.starts.len().saturating_sub(FLAPS_MAX);
        instance.starts.drain(..surplus);
    }
}

fn enter(instance: &mut Instance, phase: Phase, now_micros: i64) {
    (instance.phase, instance.since_micros) = (phase, now_micros);
}

fn annotations(rule: &Rule, labels: &Labels, seen: &Seen) -> BTreeMap<Arc<str>, String> {
    let fill = |template: &super::template::Template| template.fill(labels, seen.value, &seen.numbers);
    rule.annotations.iter().map(|(name, template)| (Arc::clone(name), fill(template))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
