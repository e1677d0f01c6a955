//! From the columns that were sent to the columns of the table: names matched, types cast where nothing is lost.

use super::IngestError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Schema, TimeUnit};
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
            let (from, to) = (field.data_type(), arrow_type(column.kind));
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
        (T::Dictionary(_, values), Kind::Text | Kind::Int | Kind::Float) => may_cast(values, kind),
        (T::Utf8 | T::LargeUtf8 | T::Utf8View, Kind::Text) => true,
        (from, Kind::Int | Kind::Float) => from.is_integer() || from.is_floating(),
        // A time without a zone is read as UTC, the only zone that there is here.
        (T::Timestamp(_, _), Kind::Time) => true,
        (T::List(of) | T::LargeList(of) | T::FixedSizeList(of, _), Kind::TextList) => {
            may_cast(of.data_type(), Kind::Text)
        }
        (T::List(of) | T::LargeList(of) | T::FixedSizeList(of, _), Kind::IntList) => of.data_type().is_integer(),
        (T::List(of) | T::LargeList(of) | T::FixedSizeList(of, _), Kind::FloatList) => of.data_type().is_floating(),
        (T::Map(entries, _), Kind::TextMap) => match entries.data_type() {
            T::Struct(pair) => pair.iter().all(|f| may_cast(f.data_type(), Kind::Text)),
            _ => false,
        },
        _ => false,
    }
}

/// The batch with all columns of the table, in its order; absent ones are null.
pub(super) fn conform(table: &'static Table, sent: &RecordBatch) -> Result<Vec<ArrayRef>, IngestError> {
    let one = |column: &Column| match sent.column_by_name(column.name) {
        None => Ok(new_null_array(&arrow_type(column.kind), sent.num_rows())),
        Some(array) => cast_whole(table, column, array),
    };
    table.columns.iter().map(one).collect()
}

fn cast_whole(table: &'static Table, column: &Column, array: &ArrayRef) -> Result<ArrayRef, IngestError> {
    let to = arrow_type(column.kind);
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let failed = |e: arrow::error::ArrowError| refuse(table, format!("column {:?} does not cast: {e}", column.name));
    // Dictionaries are unpacked first, so that the way back below compares values with values.
    let plain = match array.data_type() {
        DataType::Dictionary(_, values) => cast_with_options(array, values, &options).map_err(failed)?,
        // Naive times are taken as UTC by name, not shifted.
        DataType::Timestamp(unit, None) => {
            cast_with_options(array, &DataType::Timestamp(*unit, Some("UTC".into())), &options).map_err(failed)?
        }
        _ => Arc::clone(array),
    };
    let cast = cast_with_options(&plain, &to, &options).map_err(failed)?;
    if let Some(row) = first_loss(&plain, &cast, &options).map_err(failed)? {
        let value = arrow::util::display::array_value_to_string(&plain, row).map_err(failed)?;
        let name = type_name(column.kind);
        let message = format!("column {:?}, row {row}: {value} is not a {name} without loss", column.name);
        return Err(refuse(table, message));
    }
    Ok(cast)
}

/// The first row whose value does not come back from the cast.
fn first_loss(
    before: &ArrayRef,
    after: &ArrayRef,
    options: &CastOptions<'_>,
) -> Result<Option<usize>, arrow::error::ArrowError> {
    let numbers = before.data_type().is_numeric() || matches!(before.data_type(), DataType::Timestamp(_, _));
    if !numbers || before.data_type() == after.data_type() || always_fits(before.data_type(), after.data_type()) {
        // Texts, lists and maps of texts only change their layout; a list's numbers are checked by their nulls.
        return Ok(None);
    }
    let back = cast_with_options(after, before.data_type(), options)?;
    let same: BooleanArray = not_distinct(&back, before)?;
    Ok((0..same.len()).find(|i| !same.value(*i) && !is_nan(before, *i)))
}

fn always_fits(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32, T::Int64 | T::Float64) => true,
        (T::Float16 | T::Float32, T::Float64) => true,
        (T::Timestamp(TimeUnit::Microsecond, _), T::Timestamp(TimeUnit::Microsecond, _)) => true,
        _ => false,
    }
}

fn is_nan(array: &ArrayRef, row: usize) -> bool {
    array.as_primitive_opt::<arrow::datatypes::Float64Type>().is_some_and(|a| a.value(row).is_nan())
}
