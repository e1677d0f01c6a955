//! One row of a source to one row of ours: the map's rules, bound to a header.
//!
//! **Invariant:** a row is either whole or rejected with the column and the reason; a cell that is not reported
//! is null, and one that cannot be true (a negative power, a ratio above 1) rejects its row.

use super::map::{Map, Read, Rule, Value};
use super::number::{Decimal, Quantity, Unit, split_unit};
use super::parse::default_read;
use super::slurm;
use contract::Kind;
use csv::StringRecord;
use std::collections::{BTreeMap, HashMap};

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
    Row(String),
    Cell { at: usize, null: Vec<String>, read: Read },
    FirstOf(Vec<Bound>),
    SumOf(Vec<Bound>),
    Labels(Vec<(String, usize)>),
    After { start: usize, duration: Box<Bound> },
}

/// A map bound to a header.
pub(super) struct Converter<'a> {
    map: &'a Map,
    bound: Vec<(usize, Bound)>,
    skip: Vec<(usize, &'a str)>,
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
        // A duration needs its start, which another rule reads.
        bound.sort_by_key(|(at, rule)| (matches!(rule, Bound::After { .. }), *at));
        let skip = map.skip.iter().filter_map(|s| Some((header.place(&s.source)?, s.contains.as_str()))).collect();
        Ok(Self { map, bound, skip })
    }

    /// Whether any row can have a value in this column.
    pub(super) fn fills(&self, column: usize) -> bool {
        self.bound.iter().any(|(at, _)| *at == column)
    }

    /// `None` for a row that is to be skipped.
    pub(super) fn row(&self, record: &StringRecord, line: u64) -> Result<Option<Values>, Reject> {
        let cell = |at: usize| record.get(at).unwrap_or_default().trim();
        if self.skip.iter().any(|(at, part)| cell(*at).contains(part)) {
            return Ok(None);
        }
        let mut values: Values = vec![None; self.map.table.columns.len()];
        for (at, rule) in &self.bound {
            let column = &self.map.table.columns[*at];
            let value = self.value(rule, record, line, &values);
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

    fn value(&self, rule: &Bound, record: &StringRecord, line: u64, so_far: &Values) -> Result<Option<Value>, Why> {
        match rule {
            Bound::Constant(value) => Ok(Some(value.clone())),
            Bound::Row(prefix) => Ok(Some(Value::Text(format!("{prefix}{line}")))),
            Bound::Cell { at, null, read } => {
                let text = record.get(*at).unwrap_or_default().trim();
                if null.iter().chain(&self.map.null).any(|n| n == text) {
                    return Ok(None);
                }
                self.cell(text, read)
            }
            Bound::FirstOf(rules) => {
                for rule in rules {
                    if let Some(value) = self.value(rule, record, line, so_far)? {
                        return Ok(Some(value));
                    }
                }
                Ok(None)
            }
            Bound::SumOf(rules) => {
                let mut sum = None;
                for rule in rules {
                    let Some(value) = self.value(rule, record, line, so_far)? else { return Ok(None) };
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
            Bound::After { start, duration } => {
                let duration = self.value(duration, record, line, so_far)?;
                let (Some(Value::Time(start)), Some(Value::Int(micros))) = (&so_far[*start], duration) else {
                    return Ok(None);
                };
                let end = start.checked_add(micros).ok_or_else(|| why("the duration is too long", ""))?;
                Ok(Some(Value::Time(end)))
            }
        }
    }

    fn cell(&self, text: &str, read: &Read) -> Result<Option<Value>, Why> {
        let is_text = matches!(read, Read::Text { .. } | Read::State | Read::List | Read::Hosts | Read::Pairs);
        if if is_text { is_null_text(text) } else { is_null_number(text) } {
            return Ok(None);
        }
        let number = |unit: &Option<Unit>, base: &Unit| quantity(text, unit.unwrap_or(*base));
        let range = || why("the number is too large", text);
        let slurm = |e: String| why("not of Slurm's form", &e);
        Ok(Some(match read {
            Read::Text { names } => Value::Text(names.get(text).map_or(text, String::as_str).to_owned()),
            Read::State => Value::Text(slurm::state(text)),
            Read::Int { unit, base } => {
                let number = number(unit, base)?;
                if base.quantity == Quantity::Pure && !number.is_integer() {
                    return Err(why("not a whole number", text));
                }
                Value::Int(number.to_i64(0).ok_or_else(range)?)
            }
            Read::Float { unit, base } => Value::Float(number(unit, base)?.to_f64().ok_or_else(range)?),
            Read::Duration { unit, base } => Value::Int(number(unit, base)?.floor_i64(6).ok_or_else(range)?),
            Read::Time { formats } => {
                let micros = formats.iter().find_map(|f| f.read(text, self.map.timezone));
                Value::Time(micros.ok_or_else(|| why("not a time of this format", text))?)
            }
            Read::List => Value::List(list(text)),
            Read::Hosts => Value::List(slurm::hosts(text).map_err(slurm)?),
            Read::Pairs => Value::Pairs(pairs(text).ok_or_else(|| why("not a JSON object of texts", text))?),
            Read::Tres { names, unit } => match slurm::tres(text, names, *unit).map_err(slurm)? {
                Some(count) => Value::Int(count),
                None => return Ok(None),
            },
            Read::ExitCode => Value::Int(slurm::exit_code(text).map_err(slurm)?),
            Read::WaitStatus => Value::Int(slurm::wait_status(text).map_err(slurm)?),
        }))
    }
}

/// Reason and detail, before the column is known.
type Why = (String, String);

fn why(reason: &str, detail: &str) -> Why {
    (reason.to_owned(), detail.to_owned())
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
        Rule::After { start, duration } => Bound::After { start: *start, duration: Box::new(bind(duration, header)?) },
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

fn listed(header: &Header) -> String {
    /// Enough to recognise the file.
    const NAMES_SHOWN: usize = 40;
    let names: Vec<&str> = header.names.iter().take(NAMES_SHOWN).map(String::as_str).collect();
    let more = header.names.len().saturating_sub(NAMES_SHOWN);
    names.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// A number with the unit of its cell, or `unit`.
fn quantity(text: &str, unit: Unit) -> Result<Decimal, Why> {
    if let Some(mask) = text.strip_prefix("0x") {
        let mask = i64::from_str_radix(mask, 16).map_err(|_| why("not a number", text))?;
        return Decimal::parse(&mask.to_string()).ok_or_else(|| why("not a number", text));
    }
    let (number, suffix) = split_unit(text);
    let decimal = Decimal::parse(number).ok_or_else(|| why("not a number", text))?;
    let unit = match suffix {
        "" => unit,
        name => match Unit::parse(name).filter(|u| u.quantity == unit.quantity) {
            Some(unit) => unit,
            None => return Err(why("not a number of a known unit", text)),
        },
    };
    decimal.times(unit).ok_or_else(|| why("the number is too large", text))
}

/// Only what no user, queue or job can be called.
fn is_null_text(text: &str) -> bool {
    matches!(text, "" | "\\N" | "NULL" | "[N/A]" | "[Not Supported]" | "[Unknown Error]" | "[]")
}

fn is_null_number(text: &str) -> bool {
    const WORDS: [&str; 8] = ["null", "none", "nan", "n/a", "not supported", "unknown", "\\n", "err!"];
    text.is_empty() || text.starts_with('[') || text == "-" || WORDS.iter().any(|w| w.eq_ignore_ascii_case(text))
}

fn plausible(value: &Value, quantity: Quantity) -> Result<(), Why> {
    match (value, quantity) {
        (Value::Float(v), Quantity::Ratio) if *v > 1.0 => {
            Err(why("above 1, is it in percent: give unit = \"percent\"", &v.to_string()))
        }
        (Value::Float(v), q) if *v < 0.0 && !matches!(q, Quantity::Celsius | Quantity::Pure) => {
            Err(why("negative", &v.to_string()))
        }
        (Value::Int(v), q) if *v < 0 && q != Quantity::Pure => Err(why("negative", &v.to_string())),
        _ => Ok(()),
    }
}

fn add(a: Value, b: Value) -> Option<Value> {
    Some(match (a, b) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a.checked_add(b)?),
        (Value::Float(a), Value::Float(b)) => Value::Float(a + b),
        _ => return None,
    })
}

/// `['a', 'b']`, `["a"]`, `[a, b]`, `a;b` and `a,b`.
fn list(text: &str) -> Vec<String> {
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let parts = inner.split([',', ';']).map(|p| p.trim().trim_matches(['\'', '"']));
    parts.filter(|p| !p.is_empty()).map(str::to_owned).collect()
}

fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let parsed: BTreeMap<String, Option<String>> = serde_json::from_str(text).ok()?;
    Some(parsed.into_iter().filter_map(|(k, v)| Some((k, v?))).collect())
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
