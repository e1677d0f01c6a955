//! From the rows of a panel to numbers over time, as the page draws them: a time, then numbers, or a name and a number.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, SchemaRef, TimeUnit, TimestampMicrosecondType};
use std::collections::BTreeMap;

/// Lines that the eye tells apart.
const LINES_MAX: usize = 8;
/// More points than a drawing has room for.
const TIMES_MAX: usize = 5_000;
/// A name that is null.
const NAMELESS: &str = "none";

/// Numbers at common times; none where nothing was reported.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Points {
    /// Unix microseconds, rising.
    pub times: Vec<i64>,
    pub lines: Vec<(String, Vec<Option<f64>>)>,
    /// Names that have no line, and their sums.
    pub left_out: usize,
    pub rest: Vec<Option<f64>>,
}

/// By name and time.
type Found = BTreeMap<String, BTreeMap<i64, f64>>;

/// None where the rows have no times or no numbers.
pub fn points(schema: &SchemaRef, batches: &[RecordBatch]) -> Option<Points> {
    let at = |fits: fn(&DataType) -> bool| schema.fields().iter().position(|field| fits(field.data_type()));
    let time = at(|t| matches!(t, DataType::Timestamp(_, _) | DataType::Date32))?;
    let name = at(|t| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View));
    let numbers: Vec<usize> =
        (0..schema.fields().len()).filter(|at| schema.field(*at).data_type().is_numeric()).collect();
    let shown = if name.is_some() { numbers.get(..1)? } else { numbers.get(..numbers.len().min(LINES_MAX))? };
    let mut found = Found::new();
    for batch in batches {
        shown.iter().try_for_each(|number| gather(batch, (time, name, *number), &mut found))?;
    }
    let mut times: Vec<i64> = found.values().flat_map(BTreeMap::keys).copied().collect();
    times.sort_unstable();
    times.dedup();
    times.truncate(TIMES_MAX);
    let mut ranked: Vec<(String, BTreeMap<i64, f64>)> = found.into_iter().collect();
    let size = |values: &BTreeMap<i64, f64>| values.values().map(|value| value.abs()).sum::<f64>();
    match name {
        Some(_) => ranked.sort_by(|a, b| size(&b.1).total_cmp(&size(&a.1))),
        // As the statement has them.
        None => ranked.sort_by_key(|(label, _)| schema.index_of(label).unwrap_or(usize::MAX)),
    }
    let others = ranked.split_off(ranked.len().min(LINES_MAX));
    let sum = |time: &i64| others.iter().filter_map(|(_, values)| values.get(time)).copied().reduce(|a, b| a + b);
    let rest = times.iter().map(sum).collect();
    let line = |(label, values): (String, BTreeMap<i64, f64>)| {
        (label, times.iter().map(|time| values.get(time).copied()).collect())
    };
    let lines = ranked.into_iter().map(line).collect();
    Some(Points { times, lines, left_out: others.len(), rest })
}

fn gather(batch: &RecordBatch, (time, name, number): (usize, Option<usize>, usize), found: &mut Found) -> Option<()> {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let times = cast(batch.column(time), &micros).ok()?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let values = cast(batch.column(number), &DataType::Float64).ok()?;
    let values = values.as_primitive::<Float64Type>();
    let names = name.map(|at| cast(batch.column(at), &DataType::Utf8)).transpose().ok()?;
    let column = batch.schema_ref().field(number).name().clone();
    for row in (0..batch.num_rows()).filter(|row| times.is_valid(*row)) {
        let label = match &names {
            Some(names) if names.is_valid(row) => names.as_string::<i32>().value(row).to_owned(),
            Some(_) => NAMELESS.to_owned(),
            None => column.clone(),
        };
        let line = found.entry(label).or_default();
        if values.is_valid(row) && values.value(row).is_finite() {
            line.insert(times.value(row), values.value(row));
        }
    }
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use std::sync::Arc;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    #[test]
    fn a_name_is_a_line_and_what_is_null_is_a_gap() {
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![2, 1, 2]).with_timezone("UTC"));
        let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("a"), None]));
        let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(2.0), None, Some(9.0)]));
        let rows = batch(vec![("bucket", times), ("name", names), ("value", values)]);
        let found = points(&rows.schema(), &[rows.clone()]).unwrap();
        assert_eq!(found.times, [2]);
        assert_eq!(found.lines, [("none".to_owned(), vec![Some(9.0)]), ("a".to_owned(), vec![Some(2.0)])]);
    }

    #[test]
    fn columns_are_lines_in_their_order() {
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![5, 6]));
        let z: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(3)]));
        let a: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(f64::NAN)]));
        let rows = batch(vec![("bucket", times), ("z", z), ("a", a)]);
        let found = points(&rows.schema(), &[rows.clone()]).unwrap();
        let names: Vec<&str> = found.lines.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, found.times.len()), (vec!["z", "a"], 2));
        assert_eq!(found.lines[1].1, [None, None]);
        let none = batch(vec![("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
        assert_eq!(points(&none.schema(), &[none.clone()]), None);
    }
}
