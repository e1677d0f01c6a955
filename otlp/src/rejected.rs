//! Records that are not kept, counted by reason.

use crate::bounds::REASONS_LISTED_MAX;
use std::collections::BTreeMap;

/// How many records of a message are not kept, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected {
    by_reason: BTreeMap<&'static str, u64>,
}

impl Rejected {
    pub(crate) fn add(&mut self, reason: &'static str) {
        *self.by_reason.entry(reason).or_default() += 1;
    }

    pub fn total(&self) -> u64 {
        self.by_reason.values().sum()
    }

    /// Each reason with the number of its records, the most frequent first.
    pub fn reasons(&self) -> Vec<(&'static str, u64)> {
        let mut reasons: Vec<_> = self.by_reason.iter().map(|(reason, count)| (*reason, *count)).collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons
    }

    /// In words, for who has sent them.
    pub fn message(&self) -> String {
        let reasons = self.reasons();
        let listed = reasons.iter().take(REASONS_LISTED_MAX);
        listed.map(|(reason, count)| format!("{count}: {reason}")).collect::<Vec<_>>().join("; ")
    }
}
