//! The texts of `alerts/`, read strictly: every mistake is told with its line.

mod routes;
mod rules;

use super::inhibit::Inhibition;
use super::matcher::Matcher;
use super::route::{Receiver, Route};
use super::rule::Rule;
use super::silence::Maintenance;
use crate::cost::{LineFault, TomlDocument, TomlFields};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Texts that people write.
pub const TEXT_BYTES_MAX: usize = 256 << 10;
/// Rules of a text: each asks the engine at its pace.
const RULES_MAX: usize = 1_000;
/// Receivers, routes, inhibitions and windows of a text, of each.
const OTHERS_MAX: usize = 200;
const NAME_CHARS_MAX: usize = 100;

/// What a text states.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stated {
    pub rules: Vec<Rule>,
    pub receivers: Vec<Receiver>,
    pub routes: Vec<Route>,
    pub inhibitions: Vec<Inhibition>,
    pub maintenance: Vec<Maintenance>,
}

impl Stated {
    /// From TOML: `[[rule]]`, `[[receiver]]`, `[[route]]`, `[[inhibit]]` and `[[maintenance]]`.
    pub fn parse(text: &str) -> Result<Self, Vec<LineFault>> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(vec![LineFault { line: 1, what: format!("the text is larger than {TEXT_BYTES_MAX} bytes") }]);
        }
        let (mut document, mut top) = TomlDocument::open(text);
        let mut stated = Self::default();
        for table in listed(&mut document, &mut top, "rule", RULES_MAX) {
            stated.rules.extend(rules::rule(&mut document, table));
        }
        for table in listed(&mut document, &mut top, "receiver", OTHERS_MAX) {
            stated.receivers.extend(routes::receiver(&mut document, table));
        }
        for table in listed(&mut document, &mut top, "route", OTHERS_MAX) {
            stated.routes.extend(routes::route(&mut document, table));
        }
        for table in listed(&mut document, &mut top, "inhibit", OTHERS_MAX) {
            stated.inhibitions.push(routes::inhibition(&mut document, table));
        }
        for table in listed(&mut document, &mut top, "maintenance", OTHERS_MAX) {
            stated.maintenance.extend(routes::maintenance(&mut document, table));
        }
        document.finish(top);
        let mut faults = document.close(()).err().unwrap_or_default();
        faults.extend(stated.twice());
        if faults.is_empty() { Ok(stated) } else { Err(faults) }
    }

    /// Rules and receivers with a name that was given before.
    fn twice(&self) -> Vec<LineFault> {
        let mut names = BTreeSet::new();
        let rules = self.rules.iter().map(|rule| ("rule", &rule.name, rule.line));
        let all = rules.chain(self.receivers.iter().map(|receiver| ("receiver", &receiver.name, receiver.line)));
        all.filter(|(kind, name, _)| !names.insert((*kind, Arc::clone(name))))
            .map(|(kind, name, line)| LineFault { line, what: format!("there are two of {kind} {name:?}") })
            .collect()
    }
}

fn listed<'t>(
    document: &mut TomlDocument<'t>,
    top: &mut TomlFields<'t>,
    name: &'static str,
    most: usize,
) -> Vec<TomlFields<'t>> {
    let mut tables = document.tables(top, name);
    if tables.len() > most {
        document.fault(0, format!("there are more than {most} of [[{name}]]"));
        tables.truncate(most);
    }
    tables
}

/// Conditions of a list, or of one text.
fn matchers<'t>(document: &mut TomlDocument<'t>, table: &mut TomlFields<'t>, name: &'static str) -> Vec<Matcher> {
    let Some(value) = table.take_spanned(name) else { return Vec::new() };
    let texts = document.texts(name, value).into_iter();
    let read = texts.map(|(at, text)| (at, Matcher::parse(&text)));
    read.filter_map(|(at, read)| read.map_err(|what| document.fault(at, format!("{name}: {what}"))).ok()).collect()
}

/// Names of a list, or one.
fn names<'t>(
    document: &mut TomlDocument<'t>,
    table: &mut TomlFields<'t>,
    name: &'static str,
) -> Vec<(usize, Arc<str>)> {
    let Some(value) = table.take_spanned(name) else { return Vec::new() };
    document.texts(name, value).into_iter().map(|(at, text)| (at, text.into())).collect()
}

/// The span of a name, or what is meant where there is none; between bounds.
fn span<'t>(
    document: &mut TomlDocument<'t>,
    table: &mut TomlFields<'t>,
    name: &'static str,
    otherwise: i64,
    (least, most): (i64, i64),
) -> i64 {
    let at = table.at_of(name).unwrap_or(table.at);
    let read = document.span(table, name).unwrap_or(otherwise);
    if !(least..=most).contains(&read) {
        document.fault(at, format!("{name} is between {} and {} seconds", least / 1_000_000, most / 1_000_000));
    }
    read
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
