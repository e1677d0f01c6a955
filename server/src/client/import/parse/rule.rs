//! The text of one column's rule, checked against the column.
//!
//! **Invariant:** an option is applied or refused, never passed over.

use super::super::instant::{FORMATS, Format};
use super::super::map::{Direction, Read, Rule, Value};
use super::super::number::{Quantity, Unit};
use chrono_tz::Tz;
use contract::{Column, Kind, Table};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleText {
    source: Option<String>,
    sources: Option<Sources>,
    first_of: Option<Vec<RuleText>>,
    sum_of: Option<Vec<String>>,
    value: Option<toml::Value>,
    row: Option<String>,
    join_of: Option<Vec<String>>,
    with: Option<String>,
    unit: Option<String>,
    format: Option<Formats>,
    after: Option<String>,
    before: Option<String>,
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

impl RuleText {
    pub(super) fn check(self, column: &Column, table: &Table) -> Result<Rule, String> {
        let given = [
            ("source", self.source.is_some()),
            ("sources", self.sources.is_some()),
            ("first_of", self.first_of.is_some()),
            ("sum_of", self.sum_of.is_some()),
            ("value", self.value.is_some()),
            ("row", self.row.is_some()),
            ("join_of", self.join_of.is_some()),
        ];
        let names: Vec<&str> = given.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        if names.len() != 1 {
            let all: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
            return Err(format!("give exactly one of {}, not {}", all.join(", "), names.len()));
        }
        self.fits(names[0], column)?;
        match (self.after.clone(), self.before.clone()) {
            (Some(from), _) => return self.apart(&from, Direction::After, column, table),
            (_, Some(from)) => return self.apart(&from, Direction::Before, column, table),
            _ => {}
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
        if let Some(names) = self.join_of {
            let between = self.with.unwrap_or_else(|| "/".to_owned());
            return match read {
                Read::Text { .. } => Ok(Rule::Joined(names.into_iter().map(source).collect(), between)),
                _ => Err("join_of is for texts".to_owned()),
            };
        }
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

    /// Refuses the options that a rule of this form would pass over.
    fn fits(&self, form: &str, column: &Column) -> Result<(), String> {
        let given = [
            ("unit", self.unit.is_some()),
            ("format", self.format.is_some()),
            ("after", self.after.is_some()),
            ("before", self.before.is_some()),
            ("tres", self.tres.is_some()),
            ("parse", self.parse.is_some()),
            ("names", !self.names.is_empty()),
            ("null", !self.null.is_empty()),
            ("with", self.with.is_some()),
        ];
        let is_labels = column.kind == Kind::TextMap && self.sources.is_some();
        let (what, takes): (&str, &[&str]) = match form {
            "value" | "row" | "first_of" => (form, &[]),
            "join_of" => (form, &["with", "null", "names"]),
            _ if is_labels => ("sources of labels", &[]),
            _ if self.after.is_some() => ("after", &["after", "unit", "null"]),
            _ if self.before.is_some() => ("before", &["before", "unit", "null"]),
            _ if self.tres.is_some() => ("tres", &["tres", "unit", "null"]),
            _ if self.parse.is_some() => ("parse", &["parse", "null"]),
            _ => (form, &["unit", "format", "names", "null"]),
        };
        match given.iter().find(|(name, is)| *is && !takes.contains(name)) {
            Some((name, _)) if form == "first_of" => Err(format!("{name} belongs to each rule of first_of")),
            Some((name, _)) => Err(format!("{name} does not go with {what}")),
            None => Ok(()),
        }
    }

    fn apart(self, from: &str, direction: Direction, column: &Column, table: &Table) -> Result<Rule, String> {
        let word = if direction == Direction::After { "after" } else { "before" };
        let is_time = |c: &Column| c.kind == Kind::Time;
        let at = table.columns.iter().position(|c| c.name == from && is_time(c) && c.name != column.name);
        let known: Vec<&str> = table.columns.iter().filter(|c| is_time(c)).map(|c| c.name).collect();
        let at = at.ok_or_else(|| format!("{word} {from:?} is not another time column ({})", known.join(", ")))?;
        if !is_time(column) {
            return Err(format!("{word} is for times"));
        }
        let unit = self.unit.as_deref().map(|u| unit(u, Quantity::Seconds)).transpose()?;
        let name = self.source.ok_or_else(|| format!("{word} needs source, the column of the duration"))?;
        let read = Read::Duration { unit, base: Unit::of_column("seconds") };
        let duration = Box::new(Rule::Source { name, null: self.null, read });
        Ok(Rule::Apart { from: at, duration, direction })
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
            (Some("slurm_gres"), Read::Int { .. }) => Ok(Read::Gres),
            (Some("slurm_memory"), Read::Int { base, .. }) if base.quantity == Quantity::Bytes => Ok(Read::Memory),
            (Some("hostlist"), Read::List) => Ok(Read::Hosts),
            (Some(other), _) => Err(format!(
                "parse {other:?} does not fit (known: slurm_state for texts, slurm_exit_code, wait_status, \
                 slurm_gres and slurm_memory for whole numbers, hostlist for lists)"
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
pub(in super::super) fn default_read(column: &Column, unit: Option<Unit>, base: Unit) -> Read {
    match column.kind {
        Kind::Time => Read::Time { formats: vec![Format::Iso] },
        Kind::Text | Kind::Decimal => Read::Text { names: BTreeMap::new() },
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
