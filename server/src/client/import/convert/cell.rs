//! One cell's text to a value of its column's kind and unit.

use super::super::map::{Read, Value};
use super::super::number::{Decimal, Quantity, Unit, split_unit};
use super::super::slurm;
use chrono_tz::Tz;
use std::collections::BTreeMap;

/// Reason and detail, before the column is known.
pub(super) type Why = (String, String);

pub(super) fn why(reason: &str, detail: &str) -> Why {
    (reason.to_owned(), detail.to_owned())
}

/// What a cell's text says; null where it says that nothing is known.
pub(super) fn cell(text: &str, read: &Read, zone: Tz) -> Result<Option<Value>, Why> {
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
        Read::Duration { unit, base } => Value::Int(match slurm::duration(text) {
            Ok(micros) => micros,
            Err(_) => number(unit, base)?.floor_i64(6).ok_or_else(range)?,
        }),
        Read::Time { formats } => {
            let micros = formats.iter().find_map(|f| f.read(text, zone));
            Value::Time(micros.ok_or_else(|| why("not a time of this format", text))?)
        }
        Read::List => Value::List(list(text)),
        Read::Hosts => Value::List(slurm::hosts(text).map_err(slurm)?),
        Read::Pairs => Value::Pairs(pairs(text).ok_or_else(|| why("not a JSON object of texts", text))?),
        Read::Tres { names, unit } => match slurm::tres(text, names, *unit).map_err(slurm)? {
            Some(count) => Value::Int(count),
            None => return Ok(None),
        },
        Read::Gres => Value::Int(slurm::gres(text).map_err(slurm)?),
        Read::Memory => match slurm::memory(text).map_err(slurm)? {
            (bytes, slurm::Per::Job) => Value::Int(bytes),
            // The converter knows how many CPUs and nodes there are.
            _ => return Ok(None),
        },
        Read::ExitCode => Value::Int(slurm::exit_code(text).map_err(slurm)?),
        Read::WaitStatus => Value::Int(slurm::wait_status(text).map_err(slurm)?),
    }))
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
pub(super) fn is_null_text(text: &str) -> bool {
    matches!(text, "" | "\\N" | "NULL" | "[N/A]" | "[Not Supported]" | "[Unknown Error]" | "[]")
}

fn is_null_number(text: &str) -> bool {
    const WORDS: [&str; 8] = ["null", "none", "nan", "n/a", "not supported", "unknown", "\\n", "err!"];
    text.is_empty() || text.starts_with('[') || text == "-" || WORDS.iter().any(|w| w.eq_ignore_ascii_case(text))
}

pub(super) fn plausible(value: &Value, quantity: Quantity) -> Result<(), Why> {
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

pub(super) fn add(a: Value, b: Value) -> Option<Value> {
    Some(match (a, b) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a.checked_add(b)?),
        (Value::Float(a), Value::Float(b)) => Value::Float(a + b),
        _ => return None,
    })
}

/// `['a', 'b']`, `["a"]`, `[a, b]`, `a;b` and `a,b`.
fn list(text: &str) -> Vec<String> {
    if let Ok(list) = serde_json::from_str::<Vec<Option<String>>>(text) {
        return list.into_iter().flatten().collect();
    }
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let parts = inner.split([',', ';']).map(|p| p.trim().trim_matches(['\'', '"']));
    parts.filter(|p| !p.is_empty()).map(str::to_owned).collect()
}

fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let parsed: BTreeMap<String, Option<String>> = serde_json::from_str(text).ok()?;
    Some(parsed.into_iter().filter_map(|(k, v)| Some((k, v?))).collect())
}
