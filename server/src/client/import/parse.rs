//! The text of a map: TOML, checked against the contract's columns and the known units.
//!
//! **Invariant:** every mistake names its line and key, and lists what would have been accepted.

mod rule;

pub(super) use rule::default_read;

use super::error::ImportError;
use super::map::{FileRules, Interval, Map, Rule, Skip};
use contract::Table;
use rule::RuleText;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MapText {
    delimiter: Option<Spanned<String>>,
    quoted: Option<bool>,
    timezone: Option<Spanned<String>>,
    header: Option<Vec<String>>,
    #[serde(default)]
    null: Vec<String>,
    interval: Option<Spanned<IntervalText>>,
    join: Option<bool>,
    sparse: Option<bool>,
    same_names: Option<bool>,
    #[serde(default)]
    skip: Vec<SkipText>,
    #[serde(default)]
    columns: ColumnTexts,
    #[serde(default)]
    file: Vec<FileText>,
}

type ColumnTexts = BTreeMap<Spanned<String>, RuleText>;

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum IntervalText {
    Word(String),
    Whole(i64),
    Seconds(f64),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SkipText {
    source: String,
    contains: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    name_contains: String,
    columns: ColumnTexts,
}

/// One text and where its mistakes are reported.
struct Text<'a> {
    name: &'a str,
    text: &'a str,
    table: &'static Table,
}

/// Parses a map; what it does not say is as in `base`, a preset, where there is one.
pub(super) fn parse(name: &str, text: &str, table: &'static Table, base: Option<Map>) -> Result<Map, ImportError> {
    let text = Text { name, text, table };
    let parsed: MapText = toml::from_str(text.text).map_err(|e| text.wrong(e.span(), None, e.message()))?;
    let mut map = base.unwrap_or_else(|| empty(name, table));
    name.clone_into(&mut map.name);
    if let Some(delimiter) = parsed.delimiter {
        map.delimiter = text.delimiter(&delimiter)?;
    }
    if let Some(zone) = parsed.timezone {
        let why = "not a time zone; give a name such as UTC or America/Los_Angeles";
        let wrong = || text.wrong(Some(zone.span()), Some("timezone"), &format!("{:?} is {why}", zone.as_ref()));
        map.timezone = Some(zone.as_ref().parse().map_err(|_| wrong())?);
    }
    if let Some(interval) = parsed.interval {
        map.interval = text.interval(&interval)?;
    }
    map.header = parsed.header.or(map.header);
    map.quoted = parsed.quoted.unwrap_or(map.quoted);
    map.joined = parsed.join.unwrap_or(map.joined);
    map.sparse = parsed.sparse.unwrap_or(map.sparse);
    map.same_names = parsed.same_names.unwrap_or(map.same_names);
    map.null.extend(parsed.null);
    map.skip.extend(parsed.skip.into_iter().map(|s| Skip { source: s.source, contains: s.contains }));
    map.rules.extend(text.rules(parsed.columns)?);
    let files = parsed.file.into_iter();
    let files = files.map(|f| Ok(FileRules { name_contains: f.name_contains, rules: text.rules(f.columns)? }));
    map.files.extend(files.collect::<Result<Vec<_>, ImportError>>()?);
    Ok(map)
}

fn empty(name: &str, table: &'static Table) -> Map {
    Map {
        name: name.to_owned(),
        table,
        delimiter: b',',
        quoted: true,
        timezone: None,
        header: None,
        null: Vec::new(),
        interval: Interval::Next,
        joined: false,
        sparse: false,
        same_names: false,
        skip: Vec::new(),
        rules: BTreeMap::new(),
        files: Vec::new(),
    }
}

impl Text<'_> {
    /// One line: file, line, key, what is wrong.
    fn wrong(&self, span: Option<std::ops::Range<usize>>, key: Option<&str>, why: &str) -> ImportError {
        let before = span.and_then(|s| self.text.get(..s.start));
        let line = before.map(|b| format!(" line {}", b.matches('\n').count() + 1)).unwrap_or_default();
        let key = key.map(|k| format!(", key {k}")).unwrap_or_default();
        let why = why.lines().collect::<Vec<_>>().join(", ");
        ImportError::Map { place: format!("map {:?}{line}{key}", self.name), why }
    }

    fn delimiter(&self, text: &Spanned<String>) -> Result<u8, ImportError> {
        match text.as_ref().as_bytes() {
            [one] if one.is_ascii() => Ok(*one),
            _ => Err(self.wrong(Some(text.span()), Some("delimiter"), "give one ASCII character, such as \"|\"")),
        }
    }

    fn interval(&self, text: &Spanned<IntervalText>) -> Result<Interval, ImportError> {
        match text.as_ref() {
            IntervalText::Word(word) if word == "next" => Ok(Interval::Next),
            IntervalText::Whole(seconds) if *seconds >= 0 => Ok(Interval::Seconds(*seconds as f64)),
            IntervalText::Seconds(seconds) if *seconds >= 0.0 && seconds.is_finite() => Ok(Interval::Seconds(*seconds)),
            _ => Err(self.wrong(Some(text.span()), Some("interval"), "give \"next\" or a number of seconds")),
        }
    }

    fn rules(&self, columns: ColumnTexts) -> Result<BTreeMap<usize, Rule>, ImportError> {
        let mut rules = BTreeMap::new();
        for (key, rule) in columns {
            let name: &str = key.as_ref();
            let wrong = |why: String| self.wrong(Some(key.span()), Some(name), &why);
            let known = || self.table.columns.iter().map(|c| c.name).collect::<Vec<_>>().join(", ");
            let Some(at) = self.table.columns.iter().position(|c| c.name == name) else {
                return Err(wrong(format!("{} has no such column (known: {})", self.table.name, known())));
            };
            rules.insert(at, rule.check(&self.table.columns[at], self.table).map_err(wrong)?);
        }
        Ok(rules)
    }
}

#[cfg(test)]
mod tests;
