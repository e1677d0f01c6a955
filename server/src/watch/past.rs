//! Alerts that are over and that somebody has not been told of yet.

use crate::alert::{Instance, ToldAlert};
use std::collections::{BTreeMap, BTreeSet};

/// An alert that nobody is told of, because no route takes it, is forgotten among so many others.
const KEPT_MAX: usize = 20_000;

/// By which beginning it was.
#[derive(Debug, Default)]
pub(super) struct Past(BTreeMap<ToldAlert, Instance>);

impl Past {
    pub(super) fn of(over: BTreeMap<ToldAlert, Instance>) -> Self {
        Self(over)
    }

    pub(super) fn add(&mut self, told: ToldAlert, instance: Instance) {
        self.0.insert(told, instance);
        while self.0.len() > KEPT_MAX {
            self.0.pop_first();
        }
    }

    pub(super) fn get(&self, told: &ToldAlert) -> Option<&Instance> {
        self.0.get(told)
    }

    /// Forgets what nobody has to be told of.
    pub(super) fn keep(&mut self, wanted: &BTreeSet<ToldAlert>) {
        self.0.retain(|told, _| wanted.contains(told));
    }
}
