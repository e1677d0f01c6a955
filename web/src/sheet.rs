//! What a chart shows as rows: one table for the page, one CSV for all of them. Pure.
//!
//! **Invariant:** the CSV has the rows and columns that are shown, in their order, with exact values; null is empty.

pub(crate) mod gpus;

use crate::csv::line;
use crate::format::{self, Unit, money};
use crate::instant::rfc3339;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Head {
    /// Of the page.
    pub(crate) label: String,
    /// Of the CSV, with the unit in the name.
    pub(crate) key: String,
    pub(crate) is_number: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) shown: String,
    pub(crate) exact: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sheet {
    /// Of its files.
    pub(crate) name: String,
    pub(crate) heads: Vec<Head>,
    pub(crate) rows: Vec<Vec<Field>>,
}

pub(crate) fn text(label: &str, key: &str) -> Head {
    Head { label: label.to_owned(), key: key.to_owned(), is_number: false }
}

pub(crate) fn number(label: impl Into<String>, key: impl Into<String>) -> Head {
    Head { label: label.into(), key: key.into(), is_number: true }
}

pub(crate) fn named(shown: impl Into<String>) -> Field {
    let shown = shown.into();
    Field { exact: shown.clone(), shown }
}

pub(crate) fn micros(value: Option<i64>) -> Field {
    match value {
        Some(micros) => Field { shown: money::money(micros), exact: micros.to_string() },
        None => missing(),
    }
}

pub(crate) fn hours(value: Option<f64>) -> Field {
    match value {
        Some(hours) => Field { shown: format::hours(hours), exact: hours.to_string() },
        None => missing(),
    }
}

pub(crate) fn ratio(value: Option<f64>) -> Field {
    match value {
        Some(ratio) => Field { shown: format::percent(ratio), exact: ratio.to_string() },
        None => missing(),
    }
}

pub(crate) fn count(n: u64) -> Field {
    Field { shown: format::count(n), exact: n.to_string() }
}

/// A number without a unit.
pub(crate) fn amount(value: Option<f64>) -> Field {
    match value {
        Some(value) => Field { shown: format::digits(value), exact: value.to_string() },
        None => missing(),
    }
}

pub(crate) fn measured(unit: Unit, value: Option<f64>) -> Field {
    match value {
        Some(value) => Field { shown: format::value(unit, value), exact: value.to_string() },
        None => missing(),
    }
}

pub(crate) fn time(micros: i64) -> Field {
    Field { shown: format::short_instant(micros), exact: rfc3339(micros) }
}

/// Null, which is not 0.
pub(crate) fn missing() -> Field {
    Field { shown: format::NOT_REPORTED.to_owned(), exact: String::new() }
}

/// What stands below rows of which only the first are shown.
pub(crate) fn beyond(left: usize) -> Option<String> {
    (left > 0).then(|| format!("{} in the CSV only.", format::counted(left as u64, "further row")))
}

impl Sheet {
    pub(crate) fn csv(&self) -> String {
        let heads: Vec<String> = self.heads.iter().map(|head| head.key.clone()).collect();
        let rows = self.rows.iter().map(|row| line(&row.iter().map(|f| f.exact.clone()).collect::<Vec<_>>()));
        std::iter::once(line(&heads)).chain(rows).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_exact_values_and_no_value_for_null() {
        let sheet = Sheet {
            name: "x".to_owned(),
            heads: vec![text("Team", "team"), number("Cost, USD", "cost_micros"), number("Share", "share_ratio")],
            rows: vec![
                vec![named("a,b"), micros(Some(1_234_567_891)), ratio(Some(0.25))],
                vec![named("c"), micros(None), hours(None)],
            ],
        };
        assert_eq!(sheet.csv(), "team,cost_micros,share_ratio\n\"a,b\",1234567891,0.25\nc,,\n");
        assert_eq!(sheet.rows[0][1].shown, "1,234.57");
        assert_eq!(sheet.rows[1][1].shown, "not reported");
    }
}
