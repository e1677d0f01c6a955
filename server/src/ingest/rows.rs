//! Which rows are kept: required values there, times not in the future, ratios between 0 and 1.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::{filter, max, min, nullif};
use arrow::datatypes::{Float64Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use contract::answers::Rejection;
use contract::{Column, Kind, Table};
use std::sync::Arc;

/// How far a row's time may lie ahead of ours: clocks drift by minutes, a wrong zone by an hour or more.
const AHEAD_MICROS_MAX: i64 = 3_600_000_000;
/// The years 1 to 9999: a day outside of them has no name that readers of the tables understand.
const CALENDAR_MICROS: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_300_800_000_000;
/// A file's bounds are whole milliseconds above its rows' times, and must have a name as well.
const BOUND_MICROS: i64 = 1_000;
/// Rejections that an answer lists; the rest of a wholly bad batch says nothing new.
pub(super) const REJECTIONS_LISTED_MAX: usize = 1_000;

/// The rows that are kept, and why the others are not.
pub(super) struct Sifted {
    pub kept: RecordBatch,
    pub rejected: Vec<Rejection>,
    pub rejected_rows: u64,
}

/// `schema` is that of the table; `columns` are in its order and types; `first_row` is the position of their first row in the body.
pub(super) fn sift(
    table: &'static Table,
    schema: &SchemaRef,
    mut columns: Vec<ArrayRef>,
    first_row: u64,
    now_micros: i64,
) -> Result<Sifted, ArrowError> {
    let rows = columns.first().map_or(0, |c| c.len());
    let mut keep = vec![true; rows];
    let mut rejected = Vec::new();
    let mut rejected_rows = 0;
    for (column, array) in table.columns.iter().zip(&mut columns) {
        if column.kind == Kind::Float {
            *array = without_nan(array)?;
        }
        let is_time = column.name == table.time_column;
        if is_faultless((column, is_time), array, now_micros) {
            continue;
        }
        for (row, kept) in keep.iter_mut().enumerate() {
            if let Some(reason) = fault((column, is_time), array, row, now_micros)
                && *kept
            {
                *kept = false;
                rejected_rows += 1;
                if rejected.len() < REJECTIONS_LISTED_MAX {
                    let row = first_row + row as u64;
                    rejected.push(Rejection { row, column: column.name.into(), reason: reason.into() });
                }
            }
        }
    }
    if rejected_rows > 0 {
        let keep = BooleanArray::from(keep);
        columns = columns.iter().map(|column| filter(column, &keep)).collect::<Result<_, _>>()?;
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows - rejected_rows as usize));
    let kept = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
    rejected.sort_by_key(|r| r.row);
    Ok(Sifted { kept, rejected, rejected_rows })
}

/// "Not a number" is how some sources say "unknown", and unknown is null.
fn without_nan(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let values: &Float64Array = array.as_primitive::<Float64Type>();
    if !values.values().iter().any(|v| v.is_nan()) {
        return Ok(Arc::clone(array));
    }
    nullif(array, &BooleanArray::from_unary(values, f64::is_nan))
}

/// Whether no row of a column has a fault, as far as one look at the whole column says so: nearly all are good.
fn is_faultless((column, is_time): (&Column, bool), array: &ArrayRef, now_micros: i64) -> bool {
    if !column.nullable && array.null_count() > 0 {
        return false;
    }
    match column.kind {
        Kind::Float => {
            // Whatever stands where a value is null may fail it, too: then each row is looked at.
            let (least, most) = if column.unit == "ratio" { (0.0, 1.0) } else { (f64::MIN, f64::MAX) };
            array.as_primitive::<Float64Type>().values().iter().all(|value| (least..=most).contains(value))
        }
        Kind::Time => {
            let times = array.as_primitive::<TimestampMicrosecondType>();
            let bounds = [min(times), max(times)];
            bounds.into_iter().flatten().all(|micros| time_fault((column, is_time), micros, now_micros).is_none())
        }
        Kind::Text => {
            let is_identity = !column.nullable && is_identity(column.name);
            !is_identity || array.as_string::<i32>().offsets().windows(2).all(|ends| ends[0] < ends[1])
        }
        _ => true,
    }
}

/// The same words for the same cause, so that they can be counted.
fn fault((column, is_time): (&Column, bool), array: &ArrayRef, row: usize, now_micros: i64) -> Option<&'static str> {
    if array.is_null(row) {
        return (!column.nullable).then_some("a required value is missing");
    }
    match column.kind {
        Kind::Float => {
            let value = array.as_primitive::<Float64Type>().value(row);
            if value.is_infinite() {
                return Some("not a finite number");
            }
            let outside = column.unit == "ratio" && !(0.0..=1.0).contains(&value);
            outside.then_some("not a ratio between 0 and 1")
        }
        Kind::Time => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            time_fault((column, is_time), micros, now_micros)
        }
        Kind::Text => {
            let empty = array.as_string::<i32>().value(row).is_empty();
            (empty && !column.nullable && is_identity(column.name)).then_some("an identity is empty")
        }
        _ => None,
    }
}

fn time_fault((column, is_time): (&Column, bool), micros: i64, now_micros: i64) -> Option<&'static str> {
    let last_bound = is_time && micros >= CALENDAR_MICROS.end - BOUND_MICROS;
    if !CALENDAR_MICROS.contains(&micros) || last_bound {
        return Some("the time lies outside of the years 1 to 9999");
    }
    let refused = column.name == "time" && micros.saturating_sub(now_micros) > AHEAD_MICROS_MAX;
    refused.then_some("the time lies more than an hour ahead of the server's clock")
}

fn is_identity(name: &str) -> bool {
    matches!(name, "cluster" | "node" | "gpu_uuid" | "job_id")
}
