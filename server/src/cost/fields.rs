//! A document in TOML, read strictly: each table is emptied by name, and whatever is wrong or left over is a fault
//! with its line. All faults are found, not the first alone.

use super::money::parse_decimal;
use super::pattern::Pattern;
use chrono::{DateTime, NaiveDate, NaiveTime};
use rust_decimal::Decimal;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Documents that people write; a larger one is none.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Longer than names that people give.
const PATTERN_BYTES_MAX: usize = 1_000;
/// More faults than anyone reads at once.
const FAULTS_MAX: usize = 100;

/// What is wrong at a line of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    pub what: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// A document and the faults found in it so far.
pub struct Document<'t> {
    text: &'t str,
    faults: Vec<Fault>,
}

/// A table that is emptied by name.
pub struct Fields<'t> {
    /// Byte at which it starts.
    pub at: usize,
    named: Vec<(String, Spanned<DeValue<'t>>)>,
    /// Every name that was asked for.
    asked: Vec<&'static str>,
}

impl<'t> Document<'t> {
    /// The document and its topmost table, with as much as can be read of it.
    pub fn open(text: &'t str) -> (Self, Fields<'t>) {
        let mut document = Self { text, faults: Vec::new() };
        if text.len() > TEXT_BYTES_MAX {
            document.fault(0, format!("the document is larger than {TEXT_BYTES_MAX} bytes"));
            return (document, Fields::of(0, DeTable::new()));
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            document.fault(error.span().map_or(0, |span| span.start), error.message().to_owned());
        }
        (document, Fields::of(0, table.into_inner()))
    }

    pub fn fault(&mut self, at: usize, what: String) {
        if self.faults.len() >= FAULTS_MAX {
            return;
        }
        let line = self.line_of(at);
        self.faults.push(Fault { line, what });
    }

    /// The line of a byte, from 1.
    pub fn line_of(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    /// What was read, if nothing was wrong.
    pub fn close<T>(mut self, read: T) -> Result<T, Vec<Fault>> {
        if self.faults.is_empty() {
            return Ok(read);
        }
        self.faults.sort();
        self.faults.dedup();
        Err(self.faults)
    }

    /// Faults for names that nobody asked for.
    pub fn finish(&mut self, fields: Fields<'t>) {
        for (name, value) in fields.named {
            let known = fields.asked.join(", ");
            self.fault(value.span().start, format!("{name:?} is not known here; known: {known}"));
        }
    }

    pub fn text(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Option<Arc<str>> {
        let (at, value) = fields.take(name)?;
        match &value {
            DeValue::String(text) if !text.trim().is_empty() => return Some(Arc::from(text.as_ref())),
            DeValue::String(_) => self.fault(at, format!("{name} is empty")),
            _ => self.fault(at, format!("{name} is a text in quotation marks")),
        }
        None
    }

    /// A text that has to be there.
    pub fn needed_text(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Arc<str> {
        if !fields.has(name) {
            self.fault(fields.at, format!("{name} is missing"));
        }
        self.text(fields, name).unwrap_or_else(|| Arc::from(""))
    }

    /// One text or a list of them, in which `*` stands for any characters, each as it was written.
    pub(super) fn patterns(&mut self, name: &str, value: Spanned<DeValue<'t>>) -> Vec<(Arc<str>, Pattern)> {
        let mut patterns = Vec::new();
        for (at, text) in self.texts(name, value) {
            match text.len() > PATTERN_BYTES_MAX {
                true => self.fault(at, format!("{name}: a pattern has at most {PATTERN_BYTES_MAX} bytes")),
                false => patterns.push((text.as_str().into(), Pattern::with_stars(&text))),
            }
        }
        patterns
    }

    /// One text or a list of them, with the byte of each.
    pub fn texts(&mut self, name: &str, value: Spanned<DeValue<'t>>) -> Vec<(usize, String)> {
        let at = value.span().start;
        let values = match value.into_inner() {
            DeValue::Array(list) => list.into_iter().collect(),
            one => vec![Spanned::new(at..at, one)],
        };
        if values.is_empty() {
            self.fault(at, format!("{name} is an empty list, which nothing can match"));
        }
        let mut texts = Vec::new();
        for value in values {
            let at = value.span().start;
            match value.into_inner() {
                DeValue::String(text) if !text.is_empty() => texts.push((at, text.into_owned())),
                _ => self.fault(at, format!("{name} is a text in quotation marks or a list of them")),
            }
        }
        texts
    }

    /// A list of numbers, each exactly as it is written; none where it is anything else.
    pub(super) fn decimals(&self, value: Spanned<DeValue<'t>>) -> Option<Vec<Decimal>> {
        let DeValue::Array(list) = value.into_inner() else { return None };
        list.iter().map(|value| decimal_of(value.get_ref())).collect()
    }

    /// A number, exactly as it is written, or as a text.
    pub(super) fn decimal(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Option<Decimal> {
        let (at, value) = fields.take(name)?;
        let read = decimal_of(&value);
        if read.is_none() {
            self.fault(at, format!("{name} is a decimal number like 2.50"));
        }
        read
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, fields: &mut Fields<'t>, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let (at, value) = fields.take(name)?;
        let text = value.as_str().unwrap_or_default();
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.fault(at, format!("{name} is one of {}", known.join(", ")));
        }
        found
    }

    /// A span like `90s`, `5m`, `1h30m` or `2d`, in microseconds.
    pub fn span(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Option<i64> {
        let (at, value) = fields.take(name)?;
        let read = value.as_str().and_then(span);
        if read.is_none() {
            self.fault(at, format!("{name} is a span like \"90s\", \"5m\", \"1h30m\" or \"2d\""));
        }
        read
    }

    /// A number.
    pub fn number(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Option<f64> {
        let (at, value) = fields.take(name)?;
        let read = match &value {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().replace('_', "").parse().ok(),
            DeValue::Float(number) => number.as_str().replace('_', "").parse().ok(),
            _ => None,
        };
        let read = read.filter(|number: &f64| number.is_finite());
        if read.is_none() {
            self.fault(at, format!("{name} is a number"));
        }
        read
    }

    pub fn truth(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Option<bool> {
        let (at, value) = fields.take(name)?;
        let read = value.as_bool();
        if read.is_none() {
            self.fault(at, format!("{name} is true or false"));
        }
        read
    }

    /// A table of texts, by names that the document chooses; with the byte of each.
    pub fn named_texts(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Vec<(usize, String, String)> {
        let Some(table) = self.table(fields, name) else { return Vec::new() };
        let mut named = Vec::new();
        for (key, value) in table.rest() {
            let at = value.span().start;
            match value.into_inner() {
                DeValue::String(text) => named.push((at, key, text.into_owned())),
                _ => self.fault(at, format!("{name}.{key} is a text in quotation marks")),
            }
        }
        named
    }

    /// A date, which means its start in UTC, or a time with its zone: Unix microseconds.
    pub(super) fn instant(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Option<i64> {
        let (at, value) = fields.take(name)?;
        let text = match &value {
            DeValue::Datetime(time) => time.to_string(),
            DeValue::String(text) => text.to_string(),
            _ => String::new(),
        };
        let read = instant(&text);
        if read.is_none() {
            self.fault(at, format!("{name} is a date like 2026-01-31, or a time like 2026-01-31T08:00:00Z"));
        }
        read
    }

    /// The start and the end of a validity, which has to be some time.
    pub(super) fn validity(&mut self, fields: &mut Fields<'t>) -> (i64, i64) {
        let at = fields.at_of("valid_to").unwrap_or(fields.at);
        let from = self.instant(fields, "valid_from").unwrap_or(i64::MIN);
        let to = self.instant(fields, "valid_to").unwrap_or(i64::MAX);
        if to <= from {
            self.fault(at, "valid_to is not after valid_from".to_owned());
        }
        (from, to)
    }

    /// A table of the name; none where there is none.
    pub(super) fn table(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Option<Fields<'t>> {
        let value = fields.take_spanned(name)?;
        let at = value.span().start;
        match value.into_inner() {
            DeValue::Table(table) => Some(Fields::of(at, table)),
            _ => {
                self.fault(at, format!("{name} is a table: [{name}]"));
                None
            }
        }
    }

    /// All tables of a name, `[[name]]`, in their order.
    pub fn tables(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Vec<Fields<'t>> {
        let Some(value) = fields.take_spanned(name) else { return Vec::new() };
        let at = value.span().start;
        let DeValue::Array(list) = value.into_inner() else {
            self.fault(at, format!("{name} is a list of tables: [[{name}]]"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for value in list {
            let at = value.span().start;
            match value.into_inner() {
                DeValue::Table(table) => tables.push(Fields::of(at, table)),
                _ => self.fault(at, format!("{name} is a list of tables: [[{name}]]")),
            }
        }
        tables
    }
}

impl<'t> Fields<'t> {
    fn of(at: usize, table: DeTable<'t>) -> Self {
        let named = table.into_iter().map(|(name, value)| (name.into_inner().into_owned(), value)).collect();
        Self { at, named, asked: Vec::new() }
    }

    pub fn has(&self, name: &str) -> bool {
        self.named.iter().any(|(known, _)| known == name)
    }

    pub fn at_of(&self, name: &str) -> Option<usize> {
        self.named.iter().find(|(known, _)| known == name).map(|(_, value)| value.span().start)
    }

    pub fn take_spanned(&mut self, name: &'static str) -> Option<Spanned<DeValue<'t>>> {
        self.asked.push(name);
        let at = self.named.iter().position(|(known, _)| known == name)?;
        Some(self.named.remove(at).1)
    }

    fn take(&mut self, name: &'static str) -> Option<(usize, DeValue<'t>)> {
        let value = self.take_spanned(name)?;
        let Range { start, .. } = value.span();
        Some((start, value.into_inner()))
    }

    /// All that is left, by names that the document chooses.
    pub(super) fn rest(self) -> Vec<(String, Spanned<DeValue<'t>>)> {
        self.named
    }

    /// A value as a table of its own.
    pub(super) fn within(value: Spanned<DeValue<'t>>) -> Option<Self> {
        let at = value.span().start;
        match value.into_inner() {
            DeValue::Table(table) => Some(Self::of(at, table)),
            _ => None,
        }
    }
}

fn decimal_of(value: &DeValue<'_>) -> Option<Decimal> {
    let text = match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        DeValue::String(text) => text.as_ref(),
        _ => return None,
    };
    // Whatever is no decimal number is none.
    parse_decimal(text).ok()
}

/// A span like `90s`, `5m`, `1h30m` or `2d` in microseconds; each unit at most once, the greatest first.
pub fn span(text: &str) -> Option<i64> {
    const UNITS: [(char, i64); 4] = [('d', 86_400_000_000), ('h', 3_600_000_000), ('m', 60_000_000), ('s', 1_000_000)];
    let (mut rest, mut micros) = (text, 0_i64);
    for (unit, size) in UNITS {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 && rest[digits..].starts_with(unit) {
            micros = rest[..digits].parse::<i64>().ok()?.checked_mul(size)?.checked_add(micros)?;
            rest = &rest[digits + 1..];
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(micros)
}

fn instant(text: &str) -> Option<i64> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(date.and_time(NaiveTime::MIN).and_utc().timestamp_micros());
    }
    // Whatever is no time with a zone is none.
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_unit_by_unit() {
        for (text, seconds) in
            [("90s", 90), ("5m", 300), ("1h30m", 5_400), ("2d", 172_800), ("0s", 0), ("1d1s", 86_401)]
        {
            assert_eq!(span(text), Some(seconds * 1_000_000), "{text}");
        }
        for text in ["", "5", "m", "30m1h", "1h 30m", "-5m", "1.5h", "99999999999999999999s", "9999999999999d", "5ms"] {
            assert_eq!(span(text), None, "{text}");
        }
    }
}
