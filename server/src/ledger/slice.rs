//! Which rows of the ledger a question is about: hours, and names that rows must have.
//!
//! **Invariant:** a value that somebody asks for is a parameter, and never a part of a statement.

use super::LedgerError;
use crate::query::Parameter;
use contract::answers::Range;

/// Filters of one question; there are fewer columns.
const FILTERS_MAX: usize = 64;
/// Longer than any name.
const VALUE_BYTES_MAX: usize = 4_096;

/// What rows can be told apart by, and its column.
const FILTERS: [(&str, &str); 23] = [
    ("team", "team"),
    ("cost_centre", "cost_centre"),
    ("project", "project"),
    ("user", "\"user\""),
    ("account", "account"),
    ("queue", "queue"),
    ("job", "job_id"),
    ("gpu_model", "gpu_model"),
    ("gpu", "gpu_uuid"),
    ("pool", "pool"),
    ("provider", "provider"),
    ("region", "region"),
    ("node", "node"),
    ("cluster", "cluster"),
    ("category", "category"),
    ("state", "state"),
    ("period", "period"),
    ("corrects", "corrects"),
    ("unit", "unit"),
    ("price_kind", "price_kind"),
    ("price_version", "price_version"),
    ("policy_version", "policy_version"),
    ("overhead", "overhead"),
];

/// Hours that begin in a range, of rows that have these names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slice {
    pub range: Range,
    /// Dimension and value; an empty value asks for rows that have none.
    pub filters: Vec<(String, String)>,
}

impl Slice {
    pub fn all(range: Range) -> Self {
        Self { range, filters: Vec::new() }
    }

    /// The same of the range of the same length that ends where this one begins.
    pub(super) fn before(&self) -> Self {
        let Range { from_unix_micros: from, to_unix_micros: to } = self.range;
        let range = Range { from_unix_micros: from.saturating_sub(to.saturating_sub(from)), to_unix_micros: from };
        Self { range, filters: self.filters.clone() }
    }

    /// Of columns that `prefix` stands before, such as `l.`.
    pub(super) fn conditions(&self, prefix: &str) -> Result<Conditions, LedgerError> {
        let mut conditions = Conditions::default();
        conditions.add(&format!("{prefix}time >="), Parameter::Time(self.range.from_unix_micros));
        conditions.add(&format!("{prefix}time <"), Parameter::Time(self.range.to_unix_micros));
        conditions.filter(prefix, &self.filters)?;
        Ok(conditions)
    }
}

/// What rows must be, as SQL with its parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    texts: Vec<String>,
    pub(super) with: Vec<Parameter>,
}

impl Conditions {
    /// A comparison that lacks its right side.
    pub(super) fn add(&mut self, comparison: &str, value: Parameter) {
        self.with.push(value);
        self.texts.push(format!("{comparison} ${}", self.with.len()));
    }

    /// A whole condition.
    pub(super) fn be(&mut self, condition: String) {
        self.texts.push(condition);
    }

    /// Fails where a dimension is unknown or given twice.
    pub(super) fn filter(&mut self, prefix: &str, filters: &[(String, String)]) -> Result<(), LedgerError> {
        if filters.len() > FILTERS_MAX {
            return Err(LedgerError::Refused(format!("there are more than {FILTERS_MAX} filters")));
        }
        for (at, (name, value)) in filters.iter().enumerate() {
            let found = FILTERS.iter().find(|(known, _)| known == name);
            let (_, column) = found.ok_or_else(|| LedgerError::NotFound {
                what: "dimension",
                name: name.chars().take(100).collect(),
                hint: format!("there are {}", FILTERS.map(|(name, _)| name).join(", ")),
            })?;
            if filters[..at].iter().any(|(other, _)| other == name) {
                return Err(LedgerError::Refused(format!("{name} is given twice, a row has one")));
            }
            if value.len() > VALUE_BYTES_MAX {
                return Err(LedgerError::Refused(format!("{name} has more than {VALUE_BYTES_MAX} bytes")));
            }
            match value.as_str() {
                "" => self.be(format!("{prefix}{column} is null")),
                value => self.add(&format!("{prefix}{column} ="), Parameter::Text(value.to_owned())),
            }
        }
        Ok(())
    }

    pub(super) fn text(&self) -> String {
        match self.texts.is_empty() {
            true => "true".to_owned(),
            false => self.texts.join(" and "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_is_never_a_part_of_the_statement(name in ".{0,20}", value in ".{0,20}") {
            let mut conditions = Conditions::default();
            match conditions.filter("l.", &[(name.clone(), value.clone())]) {
                Ok(()) => {
                    prop_assert!(value.is_empty() || conditions.with == [Parameter::Text(value)]);
                    prop_assert!(conditions.text().starts_with("l."));
                }
                Err(error) => prop_assert!(FILTERS.iter().all(|(known, _)| *known != name), "{}", error),
            }
        }
    }
}
