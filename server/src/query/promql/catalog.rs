//! Which columns of which tables are metrics, and which are labels.
//!
//! A number that is measured is the metric `coulomb_<table>_<column>`, where a column that starts with the table's
//! word does not say it twice; texts, and numbers that name, are labels.

use contract::{Column, Kind};

/// A table of samples.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sampled {
    pub(super) table: &'static str,
    /// What a row is a sample of; the word in the metrics' names.
    word: &'static str,
    /// The columns that tell devices apart. A device has one row at a time.
    pub(super) device: &'static [&'static str],
    /// Labels that a device has for a while.
    pub(super) changing: &'static [&'static str],
    /// Numbers that name and do not measure.
    naming: &'static [&'static str],
}

pub(super) const SAMPLED: [Sampled; 3] = [
    Sampled { table: "gpu_samples", word: "gpu", device: &["gpu_uuid"], changing: &["job_id"], naming: &["gpu_index"] },
    Sampled { table: "host_samples", word: "host", device: &["cluster", "node"], changing: &[], naming: &[] },
    Sampled {
        table: "process_samples",
        word: "process",
        device: &["cluster", "node", "gpu_uuid", "pid"],
        changing: &[],
        naming: &["pid"],
    },
];

impl Sampled {
    fn columns(&self) -> impl Iterator<Item = &'static Column> + use<> {
        contract::table(self.table).map_or(&[][..], |table| table.columns).iter()
    }

    /// The columns that are labels, in the table's order.
    pub(super) fn labels(&self) -> Vec<&'static Column> {
        self.columns().filter(|c| c.kind == Kind::Text || self.naming.contains(&c.name)).collect()
    }

    pub(super) fn label(&self, name: &str) -> Option<&'static Column> {
        self.labels().into_iter().find(|c| c.name == name)
    }
}

/// A column whose values are samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) sampled: &'static Sampled,
    pub(super) column: &'static Column,
}

/// What a metric is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    pub name: String,
    /// `counter` or `gauge`.
    pub kind: &'static str,
    pub help: &'static str,
    /// As in the contract; empty for a mask or a pure number.
    pub unit: &'static str,
}

/// Every metric, by table and in the order of its columns.
pub(super) fn metrics() -> Vec<Metric> {
    let of = |sampled: &'static Sampled| {
        let number = |c: &&Column| matches!(c.kind, Kind::Int | Kind::Float) && !sampled.naming.contains(&c.name);
        sampled.columns().filter(number).map(move |column| {
            let word = sampled.word;
            let rest = column.name.strip_prefix(word).and_then(|rest| rest.strip_prefix('_')).unwrap_or(column.name);
            Metric { name: format!("coulomb_{word}_{rest}"), sampled, column }
        })
    };
    SAMPLED.iter().flat_map(of).collect()
}

pub(super) fn metadata() -> Vec<Metadata> {
    let of = |metric: Metric| Metadata {
        kind: if metric.column.name.ends_with("_total") { "counter" } else { "gauge" },
        help: metric.column.doc,
        unit: metric.column.unit,
        name: metric.name,
    };
    metrics().into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_every_number_is_a_metric_or_a_label() {
        let metrics = metrics();
        let names: BTreeSet<&str> = metrics.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names.len(), metrics.len());
        for name in [
            "coulomb_gpu_busy_ratio",
            "coulomb_gpu_energy_joules_total",
            "coulomb_host_load_1m",
            "coulomb_process_sm_busy_ratio",
        ] {
            assert!(names.contains(name), "{name} is not in {names:?}");
        }
        for sampled in &SAMPLED {
            let table = contract::table(sampled.table).expect("it is in the contract");
            let of_table = metrics.iter().filter(|m| m.sampled == sampled).count();
            assert_eq!(of_table + sampled.labels().len() + 1, table.columns.len(), "{}: all but time", table.name);
            for name in sampled.device.iter().chain(sampled.changing) {
                assert!(sampled.label(name).is_some(), "{}.{name}", table.name);
            }
        }
    }
}
