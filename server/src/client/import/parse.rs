//! The text of a map: TOML, checked against the contract's columns and the known units.
//!
//! **Invariant:** every mistake names its line and key, and lists what would have been accepted.

use super::error::ImportError;
use super::instant::{FORMATS, Format};
use super::map::{FileRules, Interval, Map, Read, Rule, Skip, Value};
use super::number::{Quantity, Unit};
use chrono_tz::Tz;
use contract::{Column, Kind, Table};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MapText {
    delimiter: Option<Spanned<String>>,
    quoted: Option<bool>,
    timezone: Option<Spanned<String>>,
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

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    source: Option<String>,
    sources: Option<Sources>,
    first_of: Option<Vec<RuleText>>,
    sum_of: Option<Vec<String>>,
    value: Option<toml::Value>,
    row: Option<String>,
    unit: Option<String>,
    format: Option<Formats>,
    after: Option<String>,
    tres: Option<Vec<String>>,
    parse: Option<String>,
    #[serde(default)]
    names: BTreeMap<String, String>,
    #[serde(default)]
    null: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Sources {
    Names(Vec<String>),
    Labels(BTreeMap<String, String>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Formats {
    One(String),
    Several(Vec<String>),
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
        map.timezone = zone.as_ref().parse().map_err(|_| wrong())?;
    }
    if let Some(interval) = parsed.interval {
        map.interval = text.interval(&interval)?;
    }
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
        timezone: Tz::UTC,
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

impl RuleText {
    fn check(self, column: &Column, table: &Table) -> Result<Rule, String> {
        let given = [
            ("source", self.source.is_some()),
            ("sources", self.sources.is_some()),
            ("first_of", self.first_of.is_some()),
            ("sum_of", self.sum_of.is_some()),
            ("value", self.value.is_some()),
            ("row", self.row.is_some()),
        ];
        let names: Vec<&str> = given.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        if names.len() != 1 {
            let all: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
            return Err(format!("give exactly one of {}, not {}", all.join(", "), names.len()));
        }
        if let Some(start) = self.after.clone() {
            return self.after(&start, column, table);
        }
        if let Some(rules) = self.first_of {
            let rules = rules.into_iter().map(|rule| rule.check(column, table)).collect::<Result<_, _>>()?;
            return Ok(Rule::FirstOf(rules));
        }
        if let Some(value) = &self.value {
            return Ok(Rule::Constant(constant(value, column)?));
        }
        if let Some(prefix) = self.row {
            return if column.kind == Kind::Text { Ok(Rule::Row(prefix)) } else { Err("row is for texts".to_owned()) };
        }
        if let Some(Sources::Labels(labels)) = &self.sources
            && column.kind != Kind::TextMap
        {
            return Err(format!("a table of sources is for labels; give a list ({} of them)", labels.len()));
        }
        let read = self.read(column)?;
        let source = |name: String| Rule::Source { name, null: self.null.clone(), read: read.clone() };
        match (self.source, self.sources, self.sum_of) {
            (Some(name), ..) => Ok(source(name)),
            (_, Some(Sources::Labels(labels)), _) => Ok(Rule::Labels(labels.into_iter().collect())),
            (_, Some(Sources::Names(names)), _) if column.kind == Kind::TextMap => {
                Ok(Rule::Labels(names.into_iter().map(|n| (n.clone(), n)).collect()))
            }
            (_, Some(Sources::Names(names)), _) => Ok(Rule::FirstOf(names.into_iter().map(source).collect())),
            (.., Some(names)) if matches!(column.kind, Kind::Int | Kind::Float) => {
                Ok(Rule::SumOf(names.into_iter().map(source).collect()))
            }
            _ => Err("sum_of is for numbers".to_owned()),
        }
    }

    fn after(self, start: &str, column: &Column, table: &Table) -> Result<Rule, String> {
        let is_time = |c: &Column| c.kind == Kind::Time;
        let at = table.columns.iter().position(|c| c.name == start && is_time(c) && c.name != column.name);
        let known: Vec<&str> = table.columns.iter().filter(|c| is_time(c)).map(|c| c.name).collect();
        let at = at.ok_or_else(|| format!("after {start:?} is not another time column ({})", known.join(", ")))?;
        if !is_time(column) {
            return Err("after is for times".to_owned());
        }
        let unit = self.unit.as_deref().map(|u| unit(u, Quantity::Seconds)).transpose()?;
        let name = self.source.ok_or("after needs source, the column of the duration")?;
        let read = Read::Duration { unit, base: Unit::of_column("seconds") };
        Ok(Rule::After { start: at, duration: Box::new(Rule::Source { name, null: self.null, read }) })
    }

    fn read(&self, column: &Column) -> Result<Read, String> {
        if self.format.is_some() && column.kind != Kind::Time {
            return Err("format is for times".to_owned());
        }
        if self.tres.is_some() && column.kind != Kind::Int {
            return Err("tres is for whole numbers".to_owned());
        }
        if !self.names.is_empty() && column.kind != Kind::Text {
            return Err("names is for texts".to_owned());
        }
        let base = Unit::of_column(column.unit);
        let unit = self.unit.as_deref().map(|u| unit(u, base.quantity)).transpose()?;
        if unit.is_some() && !matches!(column.kind, Kind::Int | Kind::Float) {
            return Err("unit is for numbers".to_owned());
        }
        if let Some(names) = &self.tres {
            return Ok(Read::Tres {
                names: names.clone(),
                unit: unit.or((base.quantity != Quantity::Pure).then_some(base)),
            });
        }
        let read = default_read(column, unit, base);
        match (self.parse.as_deref(), read) {
            (None, Read::Text { .. }) => Ok(Read::Text { names: self.names.clone() }),
            (None, Read::Time { formats }) => Ok(Read::Time { formats: self.formats(formats)? }),
            (None, read) => Ok(read),
            (Some("slurm_state"), Read::Text { .. }) => Ok(Read::State),
            (Some("slurm_exit_code"), Read::Int { .. }) => Ok(Read::ExitCode),
            (Some("wait_status"), Read::Int { .. }) => Ok(Read::WaitStatus),
            (Some("hostlist"), Read::List) => Ok(Read::Hosts),
            (Some(other), _) => Err(format!(
                "parse {other:?} does not fit (known: slurm_state for texts, slurm_exit_code and wait_status for \
                 whole numbers, hostlist for lists)"
            )),
        }
    }

    fn formats(&self, default: Vec<Format>) -> Result<Vec<Format>, String> {
        let names = match &self.format {
            None => return Ok(default),
            Some(Formats::One(name)) => std::slice::from_ref(name),
            Some(Formats::Several(names)) => names,
        };
        let format = |n: &String| Format::parse(n).ok_or_else(|| format!("unknown format {n:?} (known: {FORMATS})"));
        names.iter().map(format).collect()
    }
}

/// How a column is read when the rule says nothing more.
pub(super) fn default_read(column: &Column, unit: Option<Unit>, base: Unit) -> Read {
    match column.kind {
        Kind::Time => Read::Time { formats: vec![Format::Iso] },
        Kind::Text => Read::Text { names: BTreeMap::new() },
        Kind::Int => Read::Int { unit, base },
        Kind::Float => Read::Float { unit, base },
        Kind::TextList | Kind::IntList | Kind::FloatList => Read::List,
        Kind::TextMap => Read::Pairs,
    }
}

fn unit(name: &str, quantity: Quantity) -> Result<Unit, String> {
    let known = || Unit::names(quantity).join(", ");
    match Unit::parse(name) {
        Some(unit) if unit.quantity == quantity => Ok(unit),
        Some(_) => Err(format!("unit {name:?} does not measure this column (known: {})", known())),
        None => Err(format!("unknown unit {name:?} (known: {})", known())),
    }
}

fn constant(value: &toml::Value, column: &Column) -> Result<Value, String> {
    match (column.kind, value) {
        (Kind::Text, toml::Value::String(text)) if !text.is_empty() => Ok(Value::Text(text.clone())),
        (Kind::Int, toml::Value::Integer(number)) => Ok(Value::Int(*number)),
        (Kind::Float, toml::Value::Integer(number)) => Ok(Value::Float(*number as f64)),
        (Kind::Float, toml::Value::Float(number)) if number.is_finite() => Ok(Value::Float(*number)),
        (Kind::Time, toml::Value::String(text)) => {
            let micros = Format::Rfc3339.read(text, Tz::UTC);
            micros.map(Value::Time).ok_or_else(|| format!("{text:?} is not a time like 2026-01-31T12:00:00Z"))
        }
        _ => Err(format!("value {value} does not fit a column of kind {:?}", column.kind)),
    }
}

#[cfg(test)]
mod tests;
