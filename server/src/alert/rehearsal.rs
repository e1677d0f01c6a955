//! Cases of rules as people write them: rows and series that are there, times, and what should fire then.
//!
//! Pure: read strictly, every mistake is told with its line. Playing them is the business of `watch`.

mod expected;
mod load;

pub use expected::{Eval, Expected};
pub use load::Played;

use super::stated::TEXT_BYTES_MAX;
use crate::cost::{LineFault, TomlDocument, TomlFields, parse_span};
use load::Load;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Cases of a file; each opens a store of its own.
const CASES_MAX: usize = 200;
const EVALS_MAX: usize = 100;
/// When the clock of a case stands at `0s`, where the file does not say it: a Wednesday at noon.
const START: &str = "2026-01-14T12:00:00Z";

/// A row of a table by the names of its columns.
pub type Row = serde_json::Map<String, serde_json::Value>;

/// A file of cases.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// Files of rules, beside this one.
    pub rules: Vec<Arc<str>>,
    /// Unix microseconds.
    pub start_micros: i64,
    pub cases: Vec<Case>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    pub name: Arc<str>,
    /// Rules that are played; all where none is named.
    pub only: Vec<Arc<str>>,
    pub rows: Vec<Played>,
    /// In the order of their times.
    pub evals: Vec<Eval>,
    /// From 1.
    pub line: usize,
}

impl Script {
    /// From TOML: `rules`, `start`, `[[default]]`, and `[[case]]` with `[[case.load]]` and `[[case.eval]]`.
    pub fn parse(text: &str) -> Result<Self, Vec<LineFault>> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(vec![LineFault { line: 1, what: format!("the file is larger than {TEXT_BYTES_MAX} bytes") }]);
        }
        let (mut document, mut top) = TomlDocument::open(text);
        if !top.has("rules") {
            document.fault(0, "rules is missing: files of rules beside this one, like [\"mine.toml\"]".to_owned());
        }
        let rules = named(&mut document, &mut top, "rules");
        let start_at = top.at_of("start").unwrap_or(0);
        let start = document.text(&mut top, "start").unwrap_or_else(|| START.into());
        let start = chrono::DateTime::parse_from_rfc3339(&start).map(|time| time.timestamp_micros());
        if start.is_err() {
            document.fault(start_at, format!("start is a time like {START}"));
        }
        let mut defaults = BTreeMap::new();
        for mut table in document.tables(&mut top, "default") {
            let name = document.needed_text(&mut table, "table");
            defaults.insert(name, load::row(&mut document, &mut table, "row"));
            document.finish(table);
        }
        let mut cases = Vec::new();
        let tables = document.tables(&mut top, "case");
        if tables.len() > CASES_MAX {
            document.fault(0, format!("there are more than {CASES_MAX} cases"));
        }
        for table in tables.into_iter().take(CASES_MAX) {
            cases.push(case(&mut document, table, &defaults));
        }
        document.finish(top);
        document.close(Self { rules, start_micros: start.unwrap_or_default(), cases })
    }
}

fn case<'t>(document: &mut TomlDocument<'t>, mut table: TomlFields<'t>, defaults: &BTreeMap<Arc<str>, Row>) -> Case {
    let line = document.line_of(table.at);
    let name = document.needed_text(&mut table, "name");
    let only = if table.has("rules") { named(document, &mut table, "rules") } else { Vec::new() };
    let mut rows = Vec::new();
    for own in document.tables(&mut table, "load") {
        let at = own.at;
        rows.extend(Load::read(document, own, defaults).into_iter().flat_map(Load::played));
        if rows.len() > load::ROWS_MAX {
            document.fault(at, format!("a case has more than {} rows", load::ROWS_MAX));
            rows.clear();
        }
    }
    let tables = document.tables(&mut table, "eval");
    if tables.is_empty() || tables.len() > EVALS_MAX {
        document.fault(table.at, format!("a case has [[case.eval]], {EVALS_MAX} at most"));
    }
    let mut evals: Vec<Eval> = tables.into_iter().take(EVALS_MAX).map(|own| Eval::read(document, own)).collect();
    evals.sort_by_key(|eval| eval.at_micros);
    document.finish(table);
    Case { name, only, rows, evals, line }
}

fn named<'t>(document: &mut TomlDocument<'t>, table: &mut TomlFields<'t>, name: &'static str) -> Vec<Arc<str>> {
    let Some(value) = table.take_spanned(name) else { return Vec::new() };
    document.texts(name, value).into_iter().map(|(_, text)| text.into()).collect()
}

/// A time from the start of a case: `5m`, `-1h30m`.
pub fn offset(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(before) => parse_span(before).map(|micros| -micros),
        None => parse_span(text),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
