//! The names and values that make a series.

use std::sync::Arc;

/// The label that holds the metric's name.
pub const NAME: &str = "__name__";

/// Sorted by name; no value is empty, because an empty label is an absent one.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Vec<(Arc<str>, Arc<str>)>);

impl Labels {
    pub(super) fn of(pairs: impl IntoIterator<Item = (Arc<str>, Arc<str>)>) -> Self {
        let mut labels: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        labels.sort();
        labels.dedup_by(|a, b| a.0 == b.0);
        Self(labels)
    }

    /// In order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Empty when there is no such label.
    pub(super) fn get(&self, name: &str) -> &str {
        self.find(name).map_or("", |at| &self.0[at].1)
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()
    }

    /// Sets a label, or takes it away when the value is empty.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        match self.0.binary_search_by(|(known, _)| (**known).cmp(name)) {
            Ok(at) if value.is_empty() => drop(self.0.remove(at)),
            Ok(at) => self.0[at].1 = value.into(),
            Err(_) if value.is_empty() => {}
            Err(at) => self.0.insert(at, (name.into(), value.into())),
        }
    }

    pub(super) fn only(&self, names: &[String]) -> Self {
        Self(self.0.iter().filter(|(name, _)| names.iter().any(|n| **n == **name)).cloned().collect())
    }

    pub(super) fn without(&self, names: &[String]) -> Self {
        Self(self.0.iter().filter(|(name, _)| !names.iter().any(|n| **n == **name)).cloned().collect())
    }

    pub(super) fn without_name(&self) -> Self {
        Self(self.0.iter().filter(|(name, _)| &**name != NAME).cloned().collect())
    }
}

/// As Prometheus writes labels in an error.
impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs: Vec<String> = self.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        write!(f, "{{{}}}", pairs.join(", "))
    }
}
