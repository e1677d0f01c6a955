//! Carbon of electricity beside the ledger's rows: the factors that hold, as a table that SQL joins by region and time.
//!
//! **Invariant:** energy that was not measured, and energy from a grid without a factor, have no emissions; neither is
//! taken as 0.

use super::LedgerError;
use super::statements::Statements;
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use std::sync::Arc;

/// The ledger's rows with the factor of their grid at their hour: `l` and `f`, the latter null where there is none.
pub(super) const WITH_FACTORS: &str = "ledger l left join grid_factors f on f.region = l.region \
    and (f.valid_from is null or l.time >= f.valid_from) and (f.valid_to is null or l.time < f.valid_to)";

/// The factors, one row each.
pub(super) fn sheet(statements: &Statements) -> Result<RecordBatch, LedgerError> {
    let rows: Vec<_> = statements.factors.rows().collect();
    let text = |pick: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows.len()).map(pick)))
    };
    let number = |pick: &dyn Fn(usize) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values((0..rows.len()).map(pick)))
    };
    let time = |pick: &dyn Fn(usize) -> Option<i64>| -> ArrayRef {
        Arc::new((0..rows.len()).map(pick).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let lines = Int64Array::from_iter_values(rows.iter().map(|(_, factor)| factor.line as i64));
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("region", text(&|at| rows[at].0.to_string()), false),
        ("valid_from", time(&|at| rows[at].1.valid_from_micros), true),
        ("valid_to", time(&|at| rows[at].1.valid_to_micros), true),
        ("grams_co2e_per_kwh", number(&|at| rows[at].1.grams_co2e_per_kwh), false),
        ("pue", number(&|at| rows[at].1.pue), false),
        ("grams_co2e_per_joule", number(&|at| rows[at].1.grams_per_joule()), false),
        ("source", text(&|at| rows[at].1.source.to_string()), false),
        ("version", text(&|at| rows[at].1.version.to_string()), false),
        ("line", Arc::new(lines), false),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| LedgerError::Internal(error.to_string()))
}
