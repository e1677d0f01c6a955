//! One row of a document and the reading of its values.

use super::super::hours;
use super::super::money::parse_decimal;
use super::{CELL_CHARS_MAX, Faults, Origin, any_of, quoted};
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Digits after the point that rates keep.
pub(in super::super) const RATE_DIGITS: u32 = 12;

/// First hour that counts, and first that no longer does, Unix microseconds; each open where it is none.
pub(in super::super) type Validity = (Option<i64>, Option<i64>);

/// A row of CSV, or a table of TOML.
#[derive(Debug, Clone)]
pub(in super::super) struct Row {
    pub(in super::super) origin: Arc<Origin>,
    /// From 1.
    pub(in super::super) line: usize,
    pub(super) cells: BTreeMap<String, Cell>,
}

#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) value: Value,
    pub(super) line: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// As written; numbers and times, too.
    Text(String),
    List(Vec<Cell>),
    Table(Row),
}

/// What an amount may be.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Amount {
    /// More is a slip.
    pub(in super::super) most: i64,
    pub(in super::super) zero: bool,
}

impl Amount {
    pub(in super::super) const fn up_to(most: i64) -> Self {
        Self { most, zero: true }
    }

    pub(in super::super) const fn above_zero_up_to(most: i64) -> Self {
        Self { most, zero: false }
    }
}

/// The amount that a text says, rounded to the digits of a rate; else what is wrong.
pub(in super::super) fn amount_of(text: &str, bounds: Amount) -> Result<Decimal, String> {
    match parse_decimal(text) {
        Ok(amount) if amount.is_sign_negative() && !amount.is_zero() => Err("must not be negative".to_owned()),
        Ok(amount) if amount > Decimal::from(bounds.most) => {
            Err(format!("is more than {}, which looks like a slip", bounds.most))
        }
        Ok(amount) => match rate_digits(amount.abs()) {
            rounded if rounded.is_zero() && !bounds.zero => Err("must be more than 0".to_owned()),
            rounded => Ok(rounded),
        },
        Err(_) => {
            Err("is not a decimal amount like 2.50, without currency signs and separators of thousands".to_owned())
        }
    }
}

/// Rounded to what rates keep, half to even.
pub(in super::super) fn rate_digits(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(RATE_DIGITS, RoundingStrategy::MidpointNearestEven).normalize()
}

impl Row {
    pub(in super::super) fn fault(&self, key: &str, faults: &mut Faults, text: String) {
        let line = self.cells.get(key).map_or(self.line, |cell| cell.line);
        faults.add(&self.origin.document, line, text);
    }

    pub(in super::super) fn keys(&self) -> Vec<String> {
        self.cells.keys().cloned().collect()
    }

    pub(in super::super) fn has(&self, key: &str) -> bool {
        self.cells.contains_key(key)
    }

    /// Finds fault with keys that mean nothing here.
    pub(in super::super) fn only(&self, known: &[&str], faults: &mut Faults) {
        for key in self.cells.keys().filter(|key| !known.contains(&key.as_str())) {
            self.fault(key, faults, format!("has an unknown key {}; a key is {}", quoted(key), any_of(known)));
        }
    }

    /// None where there is none, or an empty one.
    pub(in super::super) fn text(&self, key: &str, faults: &mut Faults) -> Option<&str> {
        let text = match &self.cells.get(key)?.value {
            Value::Text(text) => text.as_str(),
            _ => {
                self.fault(key, faults, format!("{key} must be one value, not a list or a table"));
                return None;
            }
        };
        if text.chars().nth(CELL_CHARS_MAX).is_some() {
            self.fault(key, faults, format!("{key} is longer than {CELL_CHARS_MAX} characters"));
            return None;
        }
        if text.chars().any(char::is_control) {
            self.fault(key, faults, format!("{key} has a line break or another control character in it"));
            return None;
        }
        (!text.is_empty()).then_some(text)
    }

    pub(in super::super) fn required(&self, key: &str, faults: &mut Faults) -> Option<&str> {
        let before = faults.count();
        let text = self.text(key, faults);
        if text.is_none() && faults.count() == before {
            self.fault(key, faults, format!("has no {key}"));
        }
        text
    }

    pub(in super::super) fn name(&self, key: &str, faults: &mut Faults) -> Option<Arc<str>> {
        self.text(key, faults).map(Arc::from)
    }

    /// An amount within its bounds, rounded to the digits of a rate.
    pub(in super::super) fn amount(&self, key: &str, bounds: Amount, faults: &mut Faults) -> Option<Decimal> {
        let text = self.text(key, faults)?;
        match amount_of(text, bounds) {
            Ok(amount) => Some(amount),
            Err(why) => {
                self.fault(key, faults, format!("{key} {} {why}", quoted(text)));
                None
            }
        }
    }

    pub(in super::super) fn required_amount(&self, key: &str, bounds: Amount, faults: &mut Faults) -> Option<Decimal> {
        self.required(key, faults)?;
        self.amount(key, bounds, faults)
    }

    /// A whole number from 1.
    pub(in super::super) fn whole(&self, key: &str, most: u32, faults: &mut Faults) -> Option<u32> {
        let text = self.required(key, faults)?;
        let number = text.parse::<u32>().ok().filter(|number| (1..=most).contains(number));
        if number.is_none() {
            self.fault(key, faults, format!("{key} {} is not a whole number from 1 to {most}", quoted(text)));
        }
        number
    }

    /// Three capital letters.
    pub(in super::super) fn currency(&self, key: &str, faults: &mut Faults) -> Option<Arc<str>> {
        let text = self.required(key, faults)?;
        if !is_currency(text) {
            self.fault(key, faults, format!("{key} {} is not a code of three capital letters like EUR", quoted(text)));
            return None;
        }
        Some(text.into())
    }

    /// Start of an hour, Unix microseconds.
    pub(in super::super) fn hour(&self, key: &str, faults: &mut Faults) -> Option<i64> {
        let text = self.text(key, faults)?;
        match hours::parse(text) {
            Ok(micros) => Some(micros),
            Err(why) => {
                self.fault(key, faults, format!("{key} {} {why}", quoted(text)));
                None
            }
        }
    }

    /// `valid_from` and `valid_to`, each open where it is not given; the end is after the beginning.
    pub(in super::super) fn validity(&self, faults: &mut Faults) -> Validity {
        let (from, to) = (self.hour("valid_from", faults), self.hour("valid_to", faults));
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            let (from, to) = (hours::format(from), hours::format(to));
            let text =
                format!("valid_to {to} must be after valid_from {from}; it is the first hour that no longer counts");
            self.fault("valid_to", faults, text);
        }
        (from, to)
    }

    /// Texts of a list, or the one text, with the line of each.
    pub(in super::super) fn texts(&self, key: &str, faults: &mut Faults) -> Vec<(&str, usize)> {
        let Some(cell) = self.cells.get(key) else { return Vec::new() };
        let cells = match &cell.value {
            Value::List(cells) => cells.as_slice(),
            _ => std::slice::from_ref(cell),
        };
        let mut texts = Vec::new();
        for cell in cells {
            match &cell.value {
                Value::Text(text) if (1..=CELL_CHARS_MAX).contains(&text.len()) => {
                    texts.push((text.as_str(), cell.line))
                }
                _ => {
                    let text = format!("{key} must be a list of short texts");
                    faults.add(&self.origin.document, cell.line, text);
                }
            }
        }
        texts
    }

    /// Tables below this one, `[[name.key]]`; the line of each is that of its first value.
    pub(in super::super) fn tables(&self, key: &str, faults: &mut Faults) -> Vec<Row> {
        let Some(cell) = self.cells.get(key) else { return Vec::new() };
        let Value::List(cells) = &cell.value else {
            self.fault(key, faults, format!("{key} must be a list of tables"));
            return Vec::new();
        };
        let mut rows = Vec::new();
        for cell in cells {
            match &cell.value {
                Value::Table(row) => rows.push(Row { line: cell.line, ..row.clone() }),
                _ => faults.add(&self.origin.document, cell.line, format!("{key} must be a list of tables")),
            }
        }
        rows
    }

    /// The keys and texts of a table `key = { … }`.
    pub(in super::super) fn pairs(&self, key: &str, faults: &mut Faults) -> Vec<(String, String)> {
        let Some(cell) = self.cells.get(key) else { return Vec::new() };
        let Value::Table(row) = &cell.value else {
            self.fault(key, faults, format!("{key} must be a table of names and texts"));
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for (name, cell) in &row.cells {
            match &cell.value {
                Value::Text(text) => pairs.push((name.clone(), text.clone())),
                _ => self.fault(key, faults, format!("{key}.{name} must be a text")),
            }
        }
        pairs
    }
}

pub(in super::super) fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase())
}
