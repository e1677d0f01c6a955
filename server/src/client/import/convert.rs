//! One row of a source to one row of ours: the map's rules, bound to a header.
//!
//! **Invariant:** a row is either whole or rejected with the column and the reason; a cell that is not reported
//! is null, and one that cannot be true (a negative power, a ratio above 1) rejects its row.

mod cell;

use super::map::{Direction, Map, Read, Rule, Value};
use super::number::Unit;
use super::parse::default_read;
use super::slurm;
use cell::{Why, add, cell, is_null_text, plausible, why};
use contract::Kind;
use csv::StringRecord;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

/// Time cells that are looked at for a zone; a file that has one anywhere has it in all.
const ZONES_CHECKED_MAX: u32 = 100;

/// A row's values by position of our column.
pub(super) type Values = Vec<Option<Value>>;

/// Why a row was not taken. The reason is counted, the detail shown for the first few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reject {
    pub(super) reason: String,
    pub(super) detail: String,
}

impl Reject {
    pub(super) fn new(reason: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason: reason.into(), detail: detail.into() }
    }
}

/// The names of a source's columns, and the units that they carry in brackets.
#[derive(Debug, Clone)]
pub(super) struct Header {
    names: Vec<String>,
    units: Vec<Option<Unit>>,
    places: HashMap<String, usize>,
}

impl Header {
    /// `power.draw [W]` is found as it stands and as `power.draw`.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut header = Self { names: Vec::new(), units: Vec::new(), places: HashMap::new() };
        for (at, name) in names.map(|n| n.trim_start_matches('\u{feff}').trim()).enumerate() {
            let bracket = name.strip_suffix(']').and_then(|n| n.rsplit_once('['));
            header.units.push(bracket.and_then(|(_, unit)| Unit::parse(unit)));
            header.names.push(name.to_owned());
            header.places.entry(name.to_owned()).or_insert(at);
            if let Some((short, _)) = bracket {
                header.places.entry(short.trim().to_owned()).or_insert(at);
            }
        }
        header
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }
}

/// A rule with its source columns found.
enum Bound {
    Constant(Value),
    /// Filled when the line's number is known.
    Row(String),
    Cell {
        at: usize,
        null: Vec<String>,
        read: Read,
    },
    FirstOf(Vec<Bound>),
    SumOf(Vec<Bound>),
    Labels(Vec<(String, usize)>),
    Joined(Vec<Bound>, String),
    Apart {
        from: usize,
        duration: Box<Bound>,
        direction: Direction,
    },
}

impl Bound {
    /// A rule that needs what others read comes after them.
    fn turn(&self) -> u8 {
        match self {
            Self::Apart { .. } => 2,
            Self::Cell { read: Read::Memory, .. } => 1,
            Self::FirstOf(rules) => rules.iter().map(Self::turn).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn is_gres(&self) -> bool {
        matches!(self, Self::Cell { read: Read::Gres, .. })
    }
}

/// A map bound to a header.
pub(super) struct Converter<'a> {
    map: &'a Map,
    bound: Vec<(usize, Bound)>,
    skip: Vec<(usize, &'a str)>,
    cpus: Option<usize>,
    nodes: Option<usize>,
    zones_checked: Cell<u32>,
    has_zoneless_times: Cell<bool>,
}

impl<'a> Converter<'a> {
    /// Fails with what the file lacks.
    pub(super) fn new(map: &'a Map, rules: &BTreeMap<usize, Rule>, header: &Header) -> Result<Self, String> {
        let mut bound = Vec::new();
        for (at, rule) in rules {
            match bind(rule, header) {
                Ok(found) => bound.push((*at, found)),
                Err(_) if map.sparse => {}
                Err(missing) => {
                    let name = map.table.columns[*at].name;
                    return Err(format!("no column {missing:?} (for {name}); it has {}", listed(header)));
                }
            }
        }
        if map.same_names {
            for (at, column) in map.table.columns.iter().enumerate().filter(|(at, _)| !rules.contains_key(at)) {
                if let Some(place) = header.place(column.name) {
                    let read =
                        with_header_unit(default_read(column, None, Unit::of_column(column.unit)), header.units[place]);
                    bound.push((at, Bound::Cell { at: place, null: Vec::new(), read }));
                }
            }
        }
        bound.sort_by_key(|(at, rule)| (rule.turn(), *at));
        let skip = map.skip.iter().filter_map(|s| Some((header.place(&s.source)?, s.contains.as_str()))).collect();
        let column = |name: &str| map.table.columns.iter().position(|c| c.name == name);
        let (cpus, nodes) = (column("cpus_requested"), column("nodes"));
        let (zones_checked, has_zoneless_times) = (Cell::new(0), Cell::new(false));
        Ok(Self { map, bound, skip, cpus, nodes, zones_checked, has_zoneless_times })
    }

    /// Whether any row can have a value in this column.
    pub(super) fn fills(&self, column: usize) -> bool {
        self.bound.iter().any(|(at, _)| *at == column)
    }

    pub(super) fn has_zoneless_times(&self) -> bool {
        self.has_zoneless_times.get()
    }

    /// Names a row by its line, where the map wants that; `mark` tells its file from others.
    pub(super) fn number(&self, values: &mut Values, mark: &str, line: u64) {
        for (at, rule) in &self.bound {
            if let Bound::Row(prefix) = rule {
                values[*at] = Some(Value::Text(format!("{prefix}{mark}-{line}")));
            }
        }
    }

    /// `None` for a row that is to be skipped.
    pub(super) fn row(&self, record: &StringRecord) -> Result<Option<Values>, Reject> {
        let cell = |at: usize| record.get(at).unwrap_or_default().trim();
        if self.skip.iter().any(|(at, part)| cell(*at).contains(part)) {
            return Ok(None);
        }
        let mut values: Values = vec![None; self.map.table.columns.len()];
        for (at, rule) in &self.bound {
            let column = &self.map.table.columns[*at];
            let value = self.value(rule, record, &values);
            let value = value.map_err(|(reason, detail)| Reject::new(format!("{}: {reason}", column.name), detail))?;
            if let Some(value) = &value {
                let quantity = Unit::of_column(column.unit).quantity;
                plausible(value, quantity)
                    .map_err(|(reason, detail)| Reject::new(format!("{}: {reason}", column.name), detail))?;
            }
            values[*at] = value;
        }
        Ok(Some(values))
    }

    fn value(&self, rule: &Bound, record: &StringRecord, so_far: &Values) -> Result<Option<Value>, Why> {
        match rule {
            Bound::Constant(value) => Ok(Some(value.clone())),
            Bound::Row(_) => Ok(None),
            Bound::Cell { at, null, read } => {
                let text = record.get(*at).unwrap_or_default().trim();
                if null.iter().chain(&self.map.null).any(|n| n == text) {
                    return Ok(None);
                }
                self.look_for_zone(text, read);
                match (read, slurm::memory(text)) {
                    (Read::Memory, Ok((bytes, per))) => Ok(self.times(bytes, per, so_far)),
                    _ => cell(text, read, self.map.zone()),
                }
            }
            Bound::FirstOf(rules) => self.first_of(rules, record, so_far),
            Bound::Joined(rules, between) => {
                let mut texts = Vec::new();
                for rule in rules {
                    match self.value(rule, record, so_far)? {
                        Some(Value::Text(text)) => texts.push(text),
                        _ => return Ok(None),
                    }
                }
                Ok(Some(Value::Text(texts.join(between))))
            }
            Bound::SumOf(rules) => {
                let mut sum = None;
                for rule in rules {
                    let Some(value) = self.value(rule, record, so_far)? else { return Ok(None) };
                    sum = Some(match sum {
                        None => value,
                        Some(before) => add(before, value).ok_or_else(|| why("the sum is too large", ""))?,
                    });
                }
                Ok(sum)
            }
            Bound::Labels(labels) => {
                let text = |at: usize| record.get(at).unwrap_or_default().trim();
                let is_null = |t: &str| is_null_text(t) || self.map.null.iter().any(|n| n == t);
                let pairs = labels.iter().map(|(name, at)| (name.clone(), text(*at).to_owned()));
                let pairs: Vec<_> = pairs.filter(|(_, t)| !is_null(t)).collect();
                Ok((!pairs.is_empty()).then_some(Value::Pairs(pairs)))
            }
            Bound::Apart { from, duration, direction } => {
                let duration = self.value(duration, record, so_far)?;
                let (Some(Value::Time(from)), Some(Value::Int(micros))) = (&so_far[*from], duration) else {
                    return Ok(None);
                };
                let sum = match direction {
                    Direction::After => from.checked_add(micros),
                    Direction::Before => from.checked_sub(micros),
                };
                let end = sum.ok_or_else(|| why("the duration is too long", ""))?;
                Ok(Some(Value::Time(end)))
            }
        }
    }

    /// The first that is not null. A list without GPUs says 0, unless an older list beside it has some.
    fn first_of(&self, rules: &[Bound], record: &StringRecord, so_far: &Values) -> Result<Option<Value>, Why> {
        let mut none = None;
        for (at, rule) in rules.iter().enumerate() {
            match self.value(rule, record, so_far)? {
                None => {}
                Some(Value::Int(0)) if rules[at..].iter().any(Bound::is_gres) => none = Some(Value::Int(0)),
                value => return Ok(value),
            }
        }
        Ok(none)
    }

    /// Memory of all CPUs or nodes, where their number is known.
    fn times(&self, bytes: i64, per: slurm::Per, so_far: &Values) -> Option<Value> {
        let of = |at: Option<usize>| at.and_then(|at| so_far[at].as_ref());
        let count = match (per, of(self.cpus), of(self.nodes)) {
            (slurm::Per::Job, ..) => 1,
            (slurm::Per::Cpu, Some(Value::Int(cpus)), _) => *cpus,
            (slurm::Per::Node, _, Some(Value::List(nodes))) => i64::try_from(nodes.len()).ok()?,
            _ => return None,
        };
        bytes.checked_mul(count).map(Value::Int)
    }

    fn look_for_zone(&self, text: &str, read: &Read) {
        let Read::Time { formats } = read else { return };
        let checked = self.zones_checked.get();
        if checked < ZONES_CHECKED_MAX && !text.is_empty() {
            self.zones_checked.set(checked + 1);
            let is_zoneless = formats.iter().any(|f| f.is_zoneless(text));
            self.has_zoneless_times.set(self.has_zoneless_times.get() || is_zoneless);
        }
    }
}

fn bind(rule: &Rule, header: &Header) -> Result<Bound, String> {
    Ok(match rule {
        Rule::Constant(value) => Bound::Constant(value.clone()),
        Rule::Row(prefix) => Bound::Row(prefix.clone()),
        Rule::Source { name, null, read } => {
            let at = header.place(name).ok_or_else(|| name.clone())?;
            Bound::Cell { at, null: null.clone(), read: with_header_unit(read.clone(), header.units[at]) }
        }
        Rule::FirstOf(rules) => {
            let found: Vec<_> = rules.iter().map(|r| bind(r, header)).collect();
            let missing = found.iter().find_map(|f| f.as_ref().err().cloned());
            let found: Vec<_> = found.into_iter().flatten().collect();
            match missing {
                Some(missing) if found.is_empty() => return Err(missing),
                _ => Bound::FirstOf(found),
            }
        }
        Rule::SumOf(rules) => Bound::SumOf(rules.iter().map(|r| bind(r, header)).collect::<Result<_, _>>()?),
        Rule::Labels(labels) => {
            let found: Vec<_> = labels.iter().filter_map(|(n, s)| Some((n.clone(), header.place(s)?))).collect();
            match labels.first() {
                Some((_, source)) if found.is_empty() => return Err(source.clone()),
                _ => Bound::Labels(found),
            }
        }
        Rule::Joined(rules, between) => {
            Bound::Joined(rules.iter().map(|r| bind(r, header)).collect::<Result<_, _>>()?, between.clone())
        }
        Rule::Apart { from, duration, direction } => {
            Bound::Apart { from: *from, duration: Box::new(bind(duration, header)?), direction: *direction }
        }
    })
}

/// The rule's unit wins over the header's, which wins over the base unit.
fn with_header_unit(read: Read, header: Option<Unit>) -> Read {
    let fits = |base: &Unit| header.filter(|h| h.quantity == base.quantity);
    match read {
        Read::Int { unit: None, base } => Read::Int { unit: fits(&base), base },
        Read::Float { unit: None, base } => Read::Float { unit: fits(&base), base },
        Read::Duration { unit: None, base } => Read::Duration { unit: fits(&base), base },
        read => read,
    }
}

/// The columns of a file, bounded.
pub(super) fn listed(header: &Header) -> String {
    /// Enough to recognise the file.
    const NAMES_SHOWN: usize = 40;
    const NAME_CHARS_SHOWN: usize = 60;
    let shown = |name: &String| name.chars().take(NAME_CHARS_SHOWN).collect();
    let names: Vec<String> = header.names.iter().take(NAMES_SHOWN).map(shown).collect();
    let more = header.names.len().saturating_sub(NAMES_SHOWN);
    names.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// The position of a column that the contract is known to have.
pub(super) fn place(map: &Map, name: &str) -> usize {
    map.table.columns.iter().position(|c| c.name == name).expect("the contract has this column")
}

/// The columns that say something about a device, rather than which device it is.
pub(super) fn is_metric(map: &Map, at: usize) -> bool {
    let column = &map.table.columns[at];
    column.nullable && matches!(column.kind, Kind::Int | Kind::Float)
}

#[cfg(test)]
mod tests;
