//! All texts together: what holds, and what does not go together.

use super::inhibit::Inhibition;
use super::labels::{Fingerprint, Labels};
use super::route::{Receiver, Route};
use super::rule::Rule;
use super::silence::Maintenance;
use super::state::Instance;
use super::stated::Stated;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is watched for, and who is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Book {
    /// With the text that each is of.
    pub rules: BTreeMap<Arc<str>, (Arc<str>, Arc<Rule>)>,
    pub receivers: BTreeMap<Arc<str>, Receiver>,
    pub routes: Vec<Route>,
    pub inhibitions: Vec<Inhibition>,
    pub maintenance: Vec<Maintenance>,
    /// Sentences about what does not go together.
    pub problems: Vec<String>,
}

impl Book {
    /// Of texts by their names. Of two rules or receivers of the same name the first counts.
    pub fn of<'a>(texts: impl IntoIterator<Item = (&'a str, &'a Stated)>) -> Self {
        let mut book = Self::default();
        for (text, stated) in texts {
            let text: Arc<str> = text.into();
            for rule in &stated.rules {
                let named = (Arc::clone(&text), Arc::new(rule.clone()));
                if let Some((first, _)) = book.rules.get(&rule.name) {
                    let problem =
                        format!("{text}.toml line {}: {first}.toml has a rule {:?} already", rule.line, rule.name);
                    book.problems.push(problem);
                    continue;
                }
                book.rules.insert(Arc::clone(&rule.name), named);
            }
            for receiver in &stated.receivers {
                if book.receivers.contains_key(&receiver.name) {
                    let problem =
                        format!("{text}.toml line {}: there is a receiver {:?} already", receiver.line, receiver.name);
                    book.problems.push(problem);
                    continue;
                }
                book.receivers.insert(Arc::clone(&receiver.name), receiver.clone());
            }
            book.routes.extend(stated.routes.iter().cloned());
            book.inhibitions.extend(stated.inhibitions.iter().cloned());
            book.maintenance.extend(stated.maintenance.iter().cloned());
        }
        let unknown: BTreeSet<&Arc<str>> = book.routes.iter().flat_map(|route| &route.to).collect();
        let unknown = unknown.into_iter().filter(|name| !book.receivers.contains_key(*name));
        let told =
            unknown.map(|name| format!("a route names the receiver {name:?}, and there is none")).collect::<Vec<_>>();
        book.problems.extend(told);
        book
    }

    /// What keeps alerts unsaid while these fire.
    pub fn mutes<'a>(&'a self, active: &'a [(Fingerprint, Instance)]) -> Mutes<'a> {
        let sources = self.inhibitions.iter().map(|inhibition| {
            let labels = active.iter().map(|(_, instance)| &instance.labels);
            labels.filter(|labels| inhibition.is_source(labels)).collect()
        });
        Mutes { book: self, sources: sources.collect() }
    }
}

/// What keeps alerts unsaid at an instant, beside silences.
pub struct Mutes<'a> {
    book: &'a Book,
    /// Of each inhibition the alerts that it is about.
    sources: Vec<Vec<&'a Labels>>,
}

impl Mutes<'_> {
    /// Which window of maintenance, or that another alert does; none where nothing does.
    pub fn why(&self, labels: &Labels, now_micros: i64) -> Option<String> {
        if let Some(window) = self.book.maintenance.iter().find(|window| window.mutes(labels, now_micros)) {
            return Some(format!("maintenance {:?}", window.name));
        }
        let mut inhibitions = self.book.inhibitions.iter().zip(&self.sources);
        inhibitions.any(|(inhibition, sources)| inhibition.mutes(labels, sources)).then(|| "another alert".to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn texts_go_together_or_it_is_told_why_not() {
        let rule = |name: &str| {
            format!("[[rule]]\nname = \"{name}\"\nsql = \"select 1\"\nseverity = \"info\"\nsummary = \"s\"\n")
        };
        let one =
            Stated::parse(&(rule("A") + "[[receiver]]\nname = \"r\"\nkind = \"slack\"\nsecret = \"s\"\n")).unwrap();
        let two = Stated::parse(&(rule("B") + &rule("A") + "[[route]]\nto = [\"r\", \"nobody\"]\n")).unwrap();
        let book = Book::of([("one", &one), ("two", &two)]);
        assert_eq!(
            book.rules.iter().map(|(name, (text, _))| format!("{name} {text}")).collect::<Vec<_>>(),
            ["A one", "B two"]
        );
        assert_eq!(book.problems.len(), 2, "{:?}", book.problems);
        assert!(book.problems[0].starts_with("two.toml line 6: one.toml has a rule \"A\""), "{:?}", book.problems);
        assert!(book.problems[1].contains("\"nobody\""));
    }
}
