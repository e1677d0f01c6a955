//! How far logs have come: which rows a file holds, and which rows of its sources a derived table holds.
//!
//! Tables in a bucket have rows of many logs, one a server, and a number says nothing without its log.
//! **Invariant:** rows of one table reach its files in the order of their log, so a position stands for all before it.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The only log of tables on a local disk.
const NAMELESS: &str = "";

/// Of each log, by its name, the newest position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions(Vec<(Arc<str>, u64)>);

impl Positions {
    pub fn of(log: &str, position: u64) -> Self {
        Self(vec![(log.into(), position)])
    }

    /// Of the log of a local disk.
    pub fn local(position: u64) -> Self {
        Self::of(NAMELESS, position)
    }

    fn at(&self, log: &str) -> u64 {
        self.0.iter().find(|(name, _)| &**name == log).map_or(0, |(_, position)| *position)
    }

    /// Whether it has come as far as `other` in each log.
    pub fn hold(&self, other: &Self) -> bool {
        other.0.iter().all(|(log, position)| self.at(log) >= *position)
    }

    /// Has come as far as the two together from now on.
    pub fn raise(&mut self, other: &Self) {
        for (log, position) in &other.0 {
            match self.0.iter_mut().find(|(name, _)| name == log) {
                Some((_, own)) => *own = (*own).max(*position),
                None => self.0.push((Arc::clone(log), *position)),
            }
        }
    }

    /// The greatest of its numbers.
    pub(super) fn greatest(&self) -> u64 {
        self.0.iter().map(|(_, position)| *position).max().unwrap_or(0)
    }

    /// Whether they are of a local disk, where a file's name says the same.
    pub(super) fn are_local(&self) -> bool {
        self.0.iter().all(|(log, _)| &**log == NAMELESS)
    }

    fn to_value(&self) -> Value {
        self.0.iter().map(|(log, position)| (log.to_string(), Value::from(*position))).collect::<Map<_, _>>().into()
    }

    fn from_value(value: &Value) -> Option<Self> {
        let logs = value.as_object()?.iter();
        logs.map(|(log, position)| Some((Arc::from(log.as_str()), position.as_u64()?))).collect::<Option<_>>().map(Self)
    }

    pub(super) fn to_text(&self) -> String {
        self.to_value().to_string()
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        Self::from_value(&serde_json::from_str(text).ok()?)
    }
}

/// What a derived table holds: of each of its sources, by name, how far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covers(BTreeMap<String, Positions>);

impl Covers {
    pub fn of(&self, source: &str) -> Positions {
        self.0.get(source).cloned().unwrap_or_default()
    }

    pub fn add(&mut self, source: &str, positions: &Positions) {
        self.0.entry(source.to_owned()).or_default().raise(positions);
    }

    pub fn raise(&mut self, other: &Self) {
        other.0.iter().for_each(|(source, positions)| self.add(source, positions));
    }

    pub(super) fn greatest(&self) -> u64 {
        self.0.values().map(Positions::greatest).max().unwrap_or(0)
    }

    pub(super) fn to_text(&self) -> String {
        let sources = self.0.iter().map(|(source, positions)| (source.clone(), positions.to_value()));
        Value::from(sources.collect::<Map<_, _>>()).to_string()
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let sources = value.as_object()?.iter();
        sources.map(|(name, of)| Some((name.clone(), Positions::from_value(of)?))).collect::<Option<_>>().map(Self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn positions() -> impl Strategy<Value = Positions> {
        proptest::collection::btree_map("[a-c]{0,1}", 0..u64::MAX, 0..4)
            .prop_map(|logs| Positions(logs.into_iter().map(|(log, position)| (log.into(), position)).collect()))
    }

    proptest! {
        #[test]
        fn two_together_hold_each_of_them_and_survive_their_text(a in positions(), b in positions(), c in positions()) {
            let mut both = a.clone();
            both.raise(&b);
            prop_assert!(both.hold(&a) && both.hold(&b));
            prop_assert_eq!(both.hold(&c), c.0.iter().all(|(log, at)| a.at(log).max(b.at(log)) >= *at));
            prop_assert_eq!(Positions::from_text(&both.to_text()).unwrap().hold(&both), true);
            let mut covers = Covers::default();
            covers.add("t", &a);
            covers.add("u", &c);
            covers.add("t", &b);
            let again = Covers::from_text(&covers.to_text()).unwrap();
            prop_assert!(again.of("t").hold(&both) && both.hold(&again.of("t")) && again.of("u").hold(&c));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            drop((Positions::from_text(&text), Covers::from_text(&text)));
        }
    }

    #[test]
    fn what_is_not_known_holds_nothing() {
        assert!(!Positions::default().hold(&Positions::of("a", 1)));
        assert!(!Positions::of("b", 9).hold(&Positions::of("a", 1)));
        assert!(Positions::local(3).hold(&Positions::default()));
    }
}
