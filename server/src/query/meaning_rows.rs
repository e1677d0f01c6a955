//! The table `xid_meanings`: what device events mean, for SQL to join by `kind` and `code`.

use super::QueryError;
use super::meanings::{Meaning, Meanings, severity_word};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use std::sync::Arc;

/// The table's name in SQL.
pub(super) const NAME: &str = "xid_meanings";

/// One row a meaning; `code` is null for what any event of a kind means.
pub(super) fn sheet(meanings: &Meanings) -> Result<RecordBatch, QueryError> {
    let all: Vec<_> = meanings.all().collect();
    let text = |pick: fn(&Meaning) -> &str| -> ArrayRef {
        let texts = all.iter().map(|(_, _, meaning)| Some(pick(meaning)).filter(|text| !text.is_empty()));
        Arc::new(texts.collect::<StringArray>())
    };
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("kind", Arc::new(StringArray::from_iter_values(all.iter().map(|(kind, _, _)| *kind))), false),
        ("code", Arc::new(all.iter().map(|(_, code, _)| *code).collect::<Int64Array>()), true),
        ("mnemonic", text(|meaning| &meaning.mnemonic), true),
        ("class", text(|meaning| meaning.class.as_str()), true),
        ("severity", text(|meaning| severity_word(meaning.severity)), true),
        ("meaning", text(|meaning| &meaning.meaning), true),
        ("action", text(|meaning| &meaning.action), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| QueryError::Internal(error.to_string()))
}
