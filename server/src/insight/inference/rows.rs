//! What is asked of the engine, row by row.

use super::error::InferenceError;
use crate::query::{Engine, Parameter, Rows};
use contract::answers::Range;

/// Parameters of a statement in the order in which they are named.
#[derive(Debug, Clone, Default)]
pub(super) struct With(pub(super) Vec<Parameter>);

impl With {
    /// `$1` and `$2` are the range.
    pub(super) fn range(range: Range) -> Self {
        Self(vec![Parameter::Time(range.from_unix_micros), Parameter::Time(range.to_unix_micros)])
    }

    /// The parameter's name in the statement.
    pub(super) fn text(&mut self, value: &str) -> String {
        self.0.push(Parameter::Text(value.to_owned()));
        format!("${}", self.0.len())
    }

    /// The same of several; a list that nothing is in where there are none.
    pub(super) fn texts<'v>(&mut self, values: impl IntoIterator<Item = &'v str>) -> String {
        let names: Vec<String> = values.into_iter().map(|value| self.text(value)).collect();
        if names.is_empty() { "null".to_owned() } else { names.join(", ") }
    }
}

/// Gives each row to `each`.
pub(super) async fn each(
    engine: &Engine,
    sql: &str,
    with: With,
    mut each: impl FnMut(&Rows<'_>, usize),
) -> Result<(), InferenceError> {
    for batch in &engine.sql(sql, with.0).await?.collect().await? {
        let rows = Rows::new(batch);
        (0..batch.num_rows()).for_each(|row| each(&rows, row));
    }
    Ok(())
}

/// A count or a sum, which has no sign.
pub(super) fn count(rows: &Rows<'_>, at: usize, row: usize) -> u64 {
    rows.int(at, row).unwrap_or_default().max(0).unsigned_abs()
}
