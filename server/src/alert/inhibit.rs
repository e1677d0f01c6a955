//! Alerts that say nothing new while another one fires: a silent node's GPUs beside the node.

use super::labels::Labels;
use super::matcher::{Matcher, all_match};
use std::sync::Arc;

/// While one alert fires that `source` fits, those that `target` fits stay unsaid where `equal` labels are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inhibition {
    pub source: Vec<Matcher>,
    pub target: Vec<Matcher>,
    pub equal: Vec<Arc<str>>,
}

impl Inhibition {
    /// Whether an alert keeps others unsaid while it fires.
    pub fn is_source(&self, labels: &Labels) -> bool {
        all_match(&self.source, labels)
    }

    /// Whether any of the `sources` keeps an alert unsaid. One never does so to itself, nor to one that does so to it.
    pub fn mutes(&self, labels: &Labels, sources: &[&Labels]) -> bool {
        if !all_match(&self.target, labels) {
            return false;
        }
        let is_source_too = self.is_source(labels);
        sources.iter().any(|other| {
            let same = |name: &Arc<str>| other.get(name).map_or("", |v| v) == labels.get(name).map_or("", |v| v);
            let is_mutual = is_source_too && all_match(&self.target, other);
            !is_mutual && self.equal.iter().all(same)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_silent_node_speaks_for_its_gpus() {
        let rule = Inhibition {
            source: vec![Matcher::is("alertname", "NodeSilent")],
            target: vec![Matcher::parse("alertname=~\"Gpu.*\"").unwrap()],
            equal: vec!["node".into()],
        };
        let alert =
            |name: &str, node: &str| Labels::from([("alertname".into(), name.into()), ("node".into(), node.into())]);
        let (silent, here, there) = (alert("NodeSilent", "a"), alert("GpuLost", "a"), alert("GpuLost", "b"));
        let active = [silent.clone(), here.clone(), there.clone()];
        let mutes = |rule: &Inhibition, labels: &Labels| {
            let sources: Vec<&Labels> = active.iter().filter(|other| rule.is_source(other)).collect();
            rule.mutes(labels, &sources)
        };
        assert!(mutes(&rule, &here));
        assert!(!mutes(&rule, &there), "another node");
        assert!(!mutes(&rule, &silent), "the node itself is told");
        assert!(!rule.mutes(&here, &[]), "nothing that fits fires");
        let any = Inhibition { source: Vec::new(), target: Vec::new(), equal: Vec::new() };
        assert!(!mutes(&any, &here), "alerts do not silence each other all round");
    }
}
