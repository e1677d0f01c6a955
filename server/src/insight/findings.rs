//! Findings: what is wasted, broken or about to break, one small file a rule, each pure over the facts of a window.
//!
//! **Invariant:** the money of an hour of a GPU is in one finding of waste at most: rules claim cells of the ledger in
//! their order, and a cell that is claimed is no other rule's. What has no price has no cost, never 0.

mod claims;
mod empty;
mod idle;
mod lemon;
mod link;
mod memory_errors;
mod oversized;
mod repeats;
mod silent;
mod small_memory;
mod stalled;
mod tensor;
mod throttled;
mod unpriced;
mod waiting;

#[cfg(test)]
mod tests;

use super::facts::{DAY, Facts, Text, Window, id_of};
use super::incidents::Failures;
use crate::cost::Micros;
use claims::Claims;
use contract::answers::Severity;
use rust_decimal::Decimal;

/// Less than this is not worth a sentence.
const GPU_HOURS_MIN: f64 = 1.0;
const MONTH: i64 = 30 * DAY;

/// Where something is; what is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub cluster: Text,
    pub node: Option<Text>,
    pub gpu_uuid: Option<Text>,
    pub job_id: Option<Text>,
}

/// Who has to act.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owner {
    pub team: Option<Text>,
    pub user: Option<Text>,
}

/// Something that somebody should do something about.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub kind: &'static str,
    pub severity: Severity,
    pub title: String,
    pub detail: String,
    /// The one next thing to do.
    pub action: String,
    pub place: Place,
    pub owner: Owner,
    /// Since when, until when.
    pub seen: Window,
    pub confidence: f64,
    /// Why not more.
    pub why: &'static str,
    pub gpu_hours: Option<f64>,
    /// What the time that it is about costs; none where that has no price, or where no time is lost.
    pub cost: Option<Micros>,
    /// Whether that money is wasted; otherwise it is what is at stake.
    pub is_waste: bool,
    pub evidence: Vec<(&'static str, f64)>,
}

impl Finding {
    /// The same as long as it is about the same.
    pub fn id(&self) -> String {
        let text = |text: &Option<Text>| text.as_deref().unwrap_or_default().to_owned();
        let Place { cluster, node, gpu_uuid, job_id } = &self.place;
        id_of(&[self.kind, cluster, &text(node), &text(gpu_uuid), &text(job_id), &text(&self.owner.user)])
    }

    /// Whether it was so in the last hour that is known.
    pub fn is_ongoing(&self, window: Window) -> bool {
        self.seen.to_micros >= window.to_micros
    }
}

/// What 30 days like the window cost.
pub fn per_month(cost: Micros, window: Window) -> Option<Micros> {
    let months = Decimal::from(MONTH).checked_div(Decimal::from(window.micros()))?;
    Micros::of(cost.decimal(), months).ok()
}

/// What a rule looks at besides the facts.
pub(super) struct Looking<'a> {
    pub(super) facts: &'a Facts,
    /// What has failed, and how often nodes do.
    pub(super) failures: &'a Failures,
    claims: Claims<'a>,
}

/// Finds what there is of one kind, or of few.
type Rule = fn(&mut Looking<'_>) -> Vec<Finding>;

/// The rules that claim money come first, the more certain ones before the others.
const RULES: [Rule; 14] = [
    oversized::check,
    stalled::check,
    empty::check,
    idle::check,
    waiting::check,
    throttled::check,
    small_memory::check,
    tensor::check,
    unpriced::check,
    silent::check,
    memory_errors::check,
    link::check,
    lemon::check,
    repeats::check,
];

/// All findings, the worst first.
pub(super) fn all(facts: &Facts, failures: &Failures) -> Vec<Finding> {
    let mut looking = Looking { facts, failures, claims: Claims::of(&facts.cells) };
    let mut all: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&mut looking)).collect();
    let cost = |finding: &Finding| finding.cost.unwrap_or_default();
    let hours = |finding: &Finding| finding.gpu_hours.unwrap_or_default();
    all.sort_by(|a, b| {
        let worse = a.severity.cmp(&b.severity).then(cost(b).cmp(&cost(a))).then(hours(b).total_cmp(&hours(a)));
        worse.then_with(|| a.id().cmp(&b.id()))
    });
    all
}
