//! What people write prices, rates, pools and factors in: rows of CSV or TOML with the line of every value.
//!
//! **Invariant:** a value keeps the text that was written, so that amounts never pass through floats; every mistake is
//! a [`Fault`] with its line and what would have been right, and one mistake does not hide the next.

mod csv_text;
mod row;
mod toml_text;

use std::fmt;
use std::sync::Arc;

pub(super) use csv_text::csv_rows;
pub(super) use row::{Amount, Row, Validity, amount_of, is_currency, rate_digits};
pub(super) use toml_text::toml_rows;

/// A year of hourly spot prices of a hundred places fits.
const DOCUMENT_BYTES_MAX: usize = 64 << 20;
/// Rows of all documents that are read together: an index of so many takes some 50 MB.
pub(super) const ROWS_MAX: usize = 200_000;
/// Nobody reads more.
const FAULTS_MAX: usize = 100;
/// Longer than any name, address or path that a cell needs.
const CELL_CHARS_MAX: usize = 500;
/// Of a value that a message repeats.
const QUOTED_CHARS_MAX: usize = 60;

/// A text that somebody wrote or exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Ends in `.csv` or `.toml`, which decides how it is read.
    pub name: String,
    /// Tells this text from others of the same name, such as its digest.
    pub version: String,
    pub text: String,
}

/// A mistake in a document, as a sentence for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub document: String,
    /// From 1.
    pub line: usize,
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}: {}", self.document, self.line, self.text)
    }
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Toml,
    Json,
}

/// What was wrong so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    found: Vec<Fault>,
    more: usize,
}

impl Faults {
    pub(super) fn add(&mut self, document: &str, line: usize, text: String) {
        if self.found.len() < FAULTS_MAX {
            self.found.push(Fault { document: document.to_owned(), line, text });
        } else {
            self.more += 1;
        }
    }

    /// How many there were; a row is right when reading it adds none.
    pub(super) fn count(&self) -> usize {
        self.found.len() + self.more
    }

    /// The value when nothing was wrong, else all faults in order.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, Vec<Fault>> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort();
        if let (Some(last), 1..) = (self.found.last().cloned(), self.more) {
            let text = format!("and {} more faults, which are not listed", self.more);
            self.found.push(Fault { text, ..last });
        }
        Err(self.found)
    }
}

/// The format of a document that may be read, by its name.
pub(super) fn format_of(document: &Document, allowed: &[Format], faults: &mut Faults) -> Option<Format> {
    let name = document.name.to_ascii_lowercase();
    let format = match name.rsplit_once('.') {
        Some((_, "csv")) => Some(Format::Csv),
        Some((_, "toml")) => Some(Format::Toml),
        Some((_, "json")) => Some(Format::Json),
        _ => None,
    };
    let format = format.filter(|format| allowed.contains(format));
    if format.is_none() {
        let ending = |format: &Format| match format {
            Format::Csv => ".csv",
            Format::Toml => ".toml",
            Format::Json => ".json",
        };
        let endings = allowed.iter().map(ending).collect::<Vec<_>>().join(" or ");
        faults.add(&document.name, 1, format!("the name must end in {endings}, which says how it is read"));
    }
    if document.text.len() > DOCUMENT_BYTES_MAX {
        faults.add(&document.name, 1, format!("is larger than {} MiB; divide it", DOCUMENT_BYTES_MAX >> 20));
        return None;
    }
    format
}

/// Where the lines of a text begin.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The line of a byte, from 1.
    pub(super) fn at(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte).max(1)
    }

    /// The line on which a record of CSV begins, from 1: what the reader calls its place are the line ends before it.
    pub(super) fn of_record(&self, text: &str, record: &csv::StringRecord) -> usize {
        let byte = record.position().map_or(0, |at| at.byte() as usize);
        let ends = text.as_bytes().iter().skip(byte).take_while(|byte| b"\r\n".contains(byte)).count();
        self.at(byte + ends)
    }
}

/// The names that rows share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) document: Arc<str>,
    pub(super) version: Arc<str>,
}

impl Origin {
    fn of(document: &Document) -> Arc<Self> {
        Arc::new(Self { document: document.name.as_str().into(), version: document.version.as_str().into() })
    }
}

/// A value as messages repeat it.
pub(super) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// `a, b or c`.
pub(super) fn any_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
