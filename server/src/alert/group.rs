//! When a message about a group of alerts is wanted, by what its receiver was told before.
//!
//! Nothing waits in a queue: what is true now is held against what the receiver has taken, and the difference is told.
//! **Invariants:** without news nothing is wanted but repeats; whoever was told that something fires is told that it is
//! over, also when it is muted by then; what a receiver did not take is wanted until it does.

use super::labels::{Fingerprint, Labels};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Which message an alert belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    pub receiver: Arc<str>,
    /// Conditions of its route.
    pub route: Arc<str>,
    /// What all of its alerts have in common by the route.
    pub labels: Labels,
}

impl fmt::Display for GroupKey {
    /// As Alertmanager writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}:{{", self.route)?;
        for (at, (name, value)) in self.labels.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={:?}", &**value)?;
        }
        f.write_str("}")
    }
}

/// An alert that fires or has gone missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Active {
    /// When it began to fire, Unix microseconds.
    pub started_micros: i64,
    /// Whether a silence, a window or another alert keeps it unsaid.
    pub is_muted: bool,
    /// Whether somebody works at it.
    pub is_acknowledged: bool,
}

/// The active alerts of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    pub alerts: BTreeMap<Fingerprint, Active>,
}

/// One beginning of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToldAlert {
    pub fingerprint: Fingerprint,
    pub started_micros: i64,
}

/// What a receiver knows of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// When it took a message for the last time, Unix microseconds.
    pub at_micros: Option<i64>,
    /// What fires by that message.
    pub firing: BTreeSet<ToldAlert>,
    /// What it was to be told since, and did not take.
    pub owed: BTreeSet<ToldAlert>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The receiver believes that all is well.
    First,
    /// Something began or ended.
    News,
    Repeat,
}

/// A message that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub why: Why,
    pub firing: BTreeSet<ToldAlert>,
    pub over: BTreeSet<ToldAlert>,
}

/// The pace of a route.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub wait_micros: i64,
    pub interval_micros: i64,
    pub repeat_micros: i64,
}

impl Group {
    /// The message that is due now, if any.
    pub fn wanted(&self, told: &Told, pace: Pace, now_micros: i64) -> Option<Wanted> {
        let all =
            || self.alerts.iter().map(|(f, a)| (ToldAlert { fingerprint: *f, started_micros: a.started_micros }, a));
        let unsaid: BTreeSet<ToldAlert> = all().filter(|(_, a)| !a.is_muted).map(|(told, _)| told).collect();
        let still: BTreeSet<ToldAlert> = all().map(|(told, _)| told).collect();
        let over: BTreeSet<ToldAlert> = told.firing.union(&told.owed).filter(|t| !still.contains(t)).copied().collect();
        let news: Vec<&ToldAlert> = unsaid.difference(&told.firing).collect();
        let first = news.iter().map(|news| news.started_micros).min();
        let why = if told.firing.is_empty() {
            match first {
                // A clock that was set back is no reason to wait.
                Some(first) if over.is_empty() && now_micros.abs_diff(first) < pace.wait_micros.unsigned_abs() => None,
                Some(_) => Some(Why::First),
                None => (!over.is_empty()).then_some(Why::News),
            }
        } else if first.is_some() || !over.is_empty() {
            told.is_past(pace.interval_micros, now_micros).then_some(Why::News)
        } else {
            let is_open = all().any(|(known, a)| !a.is_muted && !a.is_acknowledged && told.firing.contains(&known));
            (is_open && told.is_past(pace.repeat_micros, now_micros)).then_some(Why::Repeat)
        };
        why.map(|why| Wanted { why, firing: unsaid, over })
    }
}

impl Told {
    /// Whether its last message is so long ago. A clock that was set back makes that no longer than twice as long.
    fn is_past(&self, span_micros: i64, now_micros: i64) -> bool {
        self.at_micros.is_none_or(|at| now_micros - at >= span_micros || at - now_micros > span_micros)
    }

    /// After the receiver has taken a message of these.
    pub fn take(&mut self, firing: &BTreeSet<ToldAlert>, over: &BTreeSet<ToldAlert>, now_micros: i64) {
        self.at_micros = Some(now_micros);
        // What is muted still fires by what it was told before.
        self.firing.retain(|told| !over.contains(told));
        self.firing.extend(firing.iter().copied());
        self.owed.clear();
    }

    /// After it has not.
    pub fn owe(&mut self, firing: &BTreeSet<ToldAlert>) {
        self.owed.extend(firing.difference(&self.firing).copied());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
