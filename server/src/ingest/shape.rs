//! From the columns that were sent to the columns of the table: names matched, types cast where nothing is lost.

use super::IngestError;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray, make_array, new_null_array,
};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use contract::{Column, Kind, Table, arrow_type};
use std::sync::Arc;

/// Says what is wrong with the schema as a whole, before any row is read.
pub(super) fn check_schema(table: &'static Table, sent: &Schema) -> Result<(), IngestError> {
    for (i, field) in sent.fields().iter().enumerate() {
        let name = field.name();
        let Some(column) = table.column(name) else {
            return Err(refuse(table, format!("table {} has no column {name:?}", table.name)));
        };
        if sent.fields()[..i].iter().any(|f| f.name() == name) {
            return Err(refuse(table, format!("column {name:?} is there twice")));
        }
        if !may_cast(field.data_type(), column.kind) {
            // Text views are read as binary ones, and were sent as text.
            let from = field.data_type().to_string().replace("BinaryView", "Utf8View");
            let to = arrow_type(column.kind);
            return Err(refuse(
                table,
                format!("column {name:?} has type {from}, which does not cast to {to} without loss"),
            ));
        }
    }
    for column in table.columns.iter().filter(|c| !c.nullable) {
        if sent.field_with_name(column.name).is_err() {
            return Err(refuse(table, format!("required column {:?} of table {} is missing", column.name, table.name)));
        }
    }
    Ok(())
}

fn refuse(table: &Table, message: String) -> IngestError {
    let known = |c: &Column| {
        let required = if c.nullable { "" } else { " (required)" };
        format!("{}: {}{required}", c.name, type_name(c.kind))
    };
    IngestError::Schema { message, known: table.columns.iter().map(known).collect() }
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Time => "timestamp[us, UTC]",
        Kind::Text => "string",
        Kind::Int => "int64",
        Kind::Float => "float64",
        Kind::Decimal => "decimal128(38, 18)",
        Kind::TextList => "list<string>",
        Kind::IntList => "list<int64>",
        Kind::FloatList => "list<float64>",
        Kind::TextMap => "map<string, string>",
    }
}

/// Whether values of a type can be cast to the kind without loss at all; the values decide later.
fn may_cast(from: &DataType, kind: Kind) -> bool {
    use DataType as T;
    match (from, kind) {
        (T::Null, _) => true,
        (T::Dictionary(_, values), Kind::Text | Kind::Int | Kind::Float | Kind::Time) => {
            !matches!(**values, T::Dictionary(_, _)) && may_cast(values, kind)
        }
        // Text views are read as binary ones, see `views.rs`.
        (T::Utf8 | T::LargeUtf8 | T::BinaryView, Kind::Text) => true,
        (from, Kind::Int | Kind::Float) => from.is_numeric(),
        (from, Kind::Decimal) => from.is_integer() || from.is_decimal(),
        // A time without a zone is read as UTC, the only zone that there is here; a date is its first instant.
        (T::Timestamp(_, _) | T::Date32, Kind::Time) => true,
        (T::Map(entries, _), Kind::TextMap) => match entries.data_type() {
            T::Struct(pair) => pair.iter().all(|f| may_cast(f.data_type(), Kind::Text)),
            _ => false,
        },
        (from, _) => match (element(from), kind) {
            (Some(T::Null), Kind::TextList | Kind::IntList | Kind::FloatList) => true,
            (Some(of), Kind::TextList) => may_cast(of, Kind::Text),
            (Some(of), Kind::IntList) => of.is_integer(),
            (Some(of), Kind::FloatList) => of.is_integer() || of.is_floating(),
            _ => false,
        },
    }
}

/// The type of a list's elements.
fn element(list: &DataType) -> Option<&DataType> {
    use DataType as T;
    match list {
        T::List(of) | T::LargeList(of) | T::FixedSizeList(of, _) | T::ListView(of) | T::LargeListView(of) => {
            Some(of.data_type())
        }
        _ => None,
    }
}

/// The batch with all columns of the table, in its order; absent ones are null. `first_row` is the position of its
/// first row in the body.
pub(super) fn conform(table: &'static Table, sent: &RecordBatch, first_row: u64) -> Result<Vec<ArrayRef>, IngestError> {
    let one = |column: &Column| match sent.column_by_name(column.name) {
        None => Ok(new_null_array(&arrow_type(column.kind), sent.num_rows())),
        Some(array) => cast_whole(table, column, array, first_row),
    };
    table.columns.iter().map(one).collect()
}

fn cast_whole(
    table: &'static Table,
    column: &Column,
    array: &ArrayRef,
    first_row: u64,
) -> Result<ArrayRef, IngestError> {
    let failed = |e: ArrowError| refuse(table, format!("column {:?} does not cast: {e}", column.name));
    let plain = plain(array).map_err(failed)?;
    let to = arrow_type(column.kind);
    let cast = match column.kind {
        // Bytes that are not text are an error, and not null.
        Kind::Text | Kind::TextList | Kind::TextMap => {
            cast_with_options(&plain, &to, &CastOptions { safe: false, ..CastOptions::default() })
        }
        _ => cast_safe(&plain, &to),
    };
    let cast = cast.map_err(failed)?;
    if let Some(row) = first_loss(&plain, &cast, column.kind).map_err(failed)? {
        let value = arrow::util::display::array_value_to_string(&plain, row).map_err(failed)?;
        let (name, row) = (type_name(column.kind), first_row + row as u64);
        let message = format!("column {:?}, row {row}: {value} is not a {name} without loss", column.name);
        return Err(refuse(table, message));
    }
    Ok(if column.kind == Kind::Time { saturated(&plain, cast) } else { cast })
}

/// What does not fit becomes null.
fn cast_safe(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, to, &CastOptions { safe: true, ..CastOptions::default() })
}

/// The same values in the plainest layout, so that the way back from a cast compares values with values.
fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    use DataType as T;
    match array.data_type() {
        T::Dictionary(_, values) => plain(&cast_safe(array, values)?),
        // Seconds hold every date; microseconds do not.
        T::Date32 => plain(&cast_safe(array, &T::Timestamp(TimeUnit::Second, None))?),
        // Naive times are taken as UTC by name; a cast would look each of them up in a calendar.
        T::Timestamp(unit, None) => {
            let named = array.to_data().into_builder().data_type(T::Timestamp(*unit, Some("UTC".into())));
            named.build().map(make_array)
        }
        T::ListView(of) | T::FixedSizeList(of, _) => cast_safe(array, &T::List(Arc::clone(of))),
        T::LargeListView(of) => cast_safe(array, &T::LargeList(Arc::clone(of))),
        _ => Ok(Arc::clone(array)),
    }
}

/// The first row whose value does not come back from the cast.
fn first_loss(before: &ArrayRef, after: &ArrayRef, kind: Kind) -> Result<Option<usize>, ArrowError> {
    let (from, to) = (before.data_type(), after.data_type());
    let numbers = |of: &DataType| of.is_numeric() || matches!(of, DataType::Timestamp(_, _));
    let (lists, value, target) = match (element(from), element(to)) {
        (Some(value), Some(target)) => (true, value, target),
        _ => (false, from, to),
    };
    if !numbers(value) || value == target || always_fits(value, target) {
        // Texts only change their layout.
        return Ok(None);
    }
    let back = cast_safe(after, from)?;
    if lists {
        let differs = |i: &usize| back.slice(*i, 1).as_ref() != before.slice(*i, 1).as_ref();
        return Ok((0..back.len()).find(differs));
    }
    let same: BooleanArray = not_distinct(&back, before)?;
    // A time that microseconds cannot count is its row's fault alone, and -0.0 is 0.
    let allowed = |i: usize| (kind == Kind::Time && after.is_null(i)) || (is_zero(before, i) && !after.is_null(i));
    Ok((0..same.len()).find(|i| !same.value(*i) && !allowed(*i)))
}

fn always_fits(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    matches!(
        (from, to),
        (T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32, T::Int64 | T::Float64)
            | (T::Float16 | T::Float32, T::Float64)
            | (T::Timestamp(TimeUnit::Microsecond, _), T::Timestamp(TimeUnit::Microsecond, _))
    )
}

fn is_zero(array: &ArrayRef, row: usize) -> bool {
    let double = array.as_primitive_opt::<Float64Type>().is_some_and(|a| a.value(row) == 0.0);
    let single = array.as_primitive_opt::<Float32Type>().is_some_and(|a| a.value(row) == 0.0);
    double || single
}

/// Times that microseconds cannot count become the last one that they can, which no calendar names: the row is
/// rejected for its time, and not for having none.
fn saturated(before: &ArrayRef, after: ArrayRef) -> ArrayRef {
    if after.null_count() == before.logical_null_count() {
        return after;
    }
    let times = after.as_primitive::<TimestampMicrosecondType>().iter().enumerate();
    let times = times.map(|(i, time)| time.or(before.is_valid(i).then_some(i64::MAX)));
    Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}
