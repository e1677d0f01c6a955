//! One value of an Arrow column as JSON or CSV. Pure.
//!
//! Times are RFC 3339 with `Z` and microseconds, spans are ISO 8601, numbers that are not finite and times beyond the
//! calendar are null, maps are objects, lists are arrays, integers are exact.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::*;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, SecondsFormat};
use serde_json::Value;
use std::fmt::Write;
use std::sync::Arc;

/// A column's type in few words.
pub(super) fn type_name(data_type: &DataType) -> String {
    use DataType as T;
    match data_type {
        T::Boolean => "boolean".into(),
        T::Utf8 | T::LargeUtf8 | T::Utf8View => "string".into(),
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => "binary".into(),
        T::Date32 | T::Date64 => "date".into(),
        T::Time32(_) | T::Time64(_) => "time".into(),
        T::Timestamp(_, _) => "timestamp".into(),
        T::Duration(_) | T::Interval(_) => "interval".into(),
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) | T::Decimal256(p, s) => {
            format!("decimal({p},{s})")
        }
        T::List(f) | T::LargeList(f) | T::FixedSizeList(f, _) | T::ListView(f) | T::LargeListView(f) => {
            format!("list<{}>", type_name(f.data_type()))
        }
        T::Map(entries, _) => match entries.data_type() {
            T::Struct(f) if f.len() == 2 => {
                format!("map<{},{}>", type_name(f[0].data_type()), type_name(f[1].data_type()))
            }
            _ => "map".into(),
        },
        T::Struct(_) => "struct".into(),
        T::Dictionary(_, value) => type_name(value),
        other => other.to_string().to_ascii_lowercase(),
    }
}

/// Appends the value as JSON.
pub(super) fn write_json(out: &mut String, array: &dyn Array, row: usize) -> Result<(), ArrowError> {
    use DataType as T;
    if array.is_null(row) || *array.data_type() == T::Null {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        T::List(_) => write_list(out, array.as_list::<i32>().value(row).as_ref()),
        T::LargeList(_) => write_list(out, array.as_list::<i64>().value(row).as_ref()),
        T::FixedSizeList(_, _) => write_list(out, array.as_fixed_size_list().value(row).as_ref()),
        T::ListView(_) => write_list(out, array.as_list_view::<i32>().value(row).as_ref()),
        T::Map(_, _) => write_map(out, array, row),
        T::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members =
                fields.iter().zip(columns).map(|(field, column)| (field.name().clone(), column.as_ref(), row));
            write_object(out, members)
        }
        T::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys()[row];
            write_json(out, dictionary.values().as_ref(), key)
        }
        _ => {
            match scalar(array, row)? {
                Scalar::Bare(text) => out.push_str(&text),
                Scalar::Text(text) => push_json_text(out, &text),
                Scalar::Unsayable => out.push_str("null"),
            }
            Ok(())
        }
    }
}

/// Appends the value as a CSV field. Null is empty, an empty text is `""`.
pub(super) fn write_csv(out: &mut String, array: &dyn Array, row: usize) -> Result<(), ArrowError> {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        return Ok(());
    }
    if array.data_type().is_nested() || matches!(array.data_type(), DataType::Dictionary(_, _)) {
        let mut text = String::new();
        write_json(&mut text, array, row)?;
        // A dictionary's text is a text, not JSON.
        let plain = serde_json::from_str::<Value>(&text).ok().and_then(|v| v.as_str().map(str::to_owned));
        out.push_str(&csv_text(&plain.unwrap_or(text)));
        return Ok(());
    }
    match scalar(array, row)? {
        Scalar::Bare(text) => out.push_str(&text),
        Scalar::Text(text) => out.push_str(&csv_text(&text)),
        Scalar::Unsayable => {}
    }
    Ok(())
}

/// A text as a CSV field.
pub(super) fn csv_text(text: &str) -> String {
    let plain = !text.is_empty() && !text.contains(['"', ',', '\n', '\r']) && text.trim().len() == text.len();
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

/// The schema of an answer as a Parquet file: spans of time, for which Parquet has no type, are texts as in JSON.
pub(super) fn parquet_schema(schema: &Schema) -> SchemaRef {
    let field = |f: &FieldRef| match f.data_type() {
        DataType::Interval(_) => Arc::new(f.as_ref().clone().with_data_type(DataType::Utf8)),
        _ => Arc::clone(f),
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Whether a part of a column, deeper than [`parquet_schema`] reaches, is a span of time.
pub(super) fn holds_interval(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Interval(_) => true,
        T::List(f) | T::LargeList(f) | T::FixedSizeList(f, _) | T::Map(f, _) => holds_interval(f.data_type()),
        T::Struct(fields) => fields.iter().any(|f| holds_interval(f.data_type())),
        _ => false,
    }
}

/// Rows in the schema of [`parquet_schema`].
pub(super) fn for_parquet(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |array: &ArrayRef| -> ArrayRef {
        let DataType::Interval(unit) = array.data_type() else { return Arc::clone(array) };
        let texts = (0..array.len()).map(|row| array.is_valid(row).then(|| interval(array.as_ref(), row, *unit)));
        Arc::new(texts.collect::<StringArray>())
    };
    let columns = batch.columns().iter().map(column).collect();
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)
}

/// A value that has no parts.
enum Scalar {
    /// Stands for itself in JSON and CSV.
    Bare(String),
    /// Needs quotes.
    Text(String),
    /// Not a finite number, or a time that no calendar has.
    Unsayable,
}

fn scalar(array: &dyn Array, row: usize) -> Result<Scalar, ArrowError> {
    use DataType as T;
    let bare = |text: String| Ok(Scalar::Bare(text));
    match array.data_type() {
        T::Boolean => bare(array.as_boolean().value(row).to_string()),
        T::Int64 => bare(array.as_primitive::<Int64Type>().value(row).to_string()),
        T::Float64 => Ok(float(array.as_primitive::<Float64Type>().value(row))),
        T::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            Ok(if value.is_finite() { Scalar::Bare(format!("{value:?}")) } else { Scalar::Unsayable })
        }
        T::Float16 => Ok(float(f64::from(array.as_primitive::<Float16Type>().value(row)))),
        T::Utf8 => Ok(Scalar::Text(array.as_string::<i32>().value(row).to_owned())),
        T::Utf8View => Ok(Scalar::Text(array.as_string_view().value(row).to_owned())),
        T::LargeUtf8 => Ok(Scalar::Text(array.as_string::<i64>().value(row).to_owned())),
        T::Timestamp(_, _) => Ok(timestamp(array, row)?.map_or(Scalar::Unsayable, Scalar::Text)),
        T::Date32 | T::Date64 => Ok(display(array, row).map_or(Scalar::Unsayable, Scalar::Text)),
        T::Duration(_) => Ok(Scalar::Text(duration(array, row)?)),
        T::Interval(unit) => Ok(Scalar::Text(interval(array, row, *unit))),
        T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => bare(display(array, row)?),
        T::Decimal32(_, _) | T::Decimal64(_, _) | T::Decimal128(_, _) | T::Decimal256(_, _) => {
            bare(display(array, row)?)
        }
        _ => Ok(Scalar::Text(display(array, row)?)),
    }
}

fn float(value: f64) -> Scalar {
    if value.is_finite() { Scalar::Bare(format!("{value:?}")) } else { Scalar::Unsayable }
}

fn display(array: &dyn Array, row: usize) -> Result<String, ArrowError> {
    ArrayFormatter::try_new(array, &FormatOptions::default())?.value(row).try_to_string()
}

/// None where the time does not fit into microseconds or into the calendar.
fn timestamp(array: &dyn Array, row: usize) -> Result<Option<String>, ArrowError> {
    let DataType::Timestamp(_, zone) = array.data_type() else {
        return Err(ArrowError::CastError(format!("{} is not a timestamp", array.data_type())));
    };
    // A cast turns what overflows into null.
    let micros = cast(&array.slice(row, 1), &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
    let micros = micros.as_primitive::<TimestampMicrosecondType>().iter().next().flatten();
    let time = micros.and_then(DateTime::from_timestamp_micros);
    Ok(time.map(|t| t.to_rfc3339_opts(SecondsFormat::Micros, true)))
}

fn duration(array: &dyn Array, row: usize) -> Result<String, ArrowError> {
    let nanos_each: i128 = match array.data_type() {
        DataType::Duration(TimeUnit::Second) => 1_000_000_000,
        DataType::Duration(TimeUnit::Millisecond) => 1_000_000,
        DataType::Duration(TimeUnit::Microsecond) => 1_000,
        _ => 1,
    };
    let count = cast(&array.slice(row, 1), &DataType::Int64)?.as_primitive::<Int64Type>().value(0);
    Ok(span(0, 0, i128::from(count) * nanos_each))
}

fn interval(array: &dyn Array, row: usize, unit: IntervalUnit) -> String {
    match unit {
        IntervalUnit::YearMonth => span(array.as_primitive::<IntervalYearMonthType>().value(row).into(), 0, 0),
        IntervalUnit::DayTime => {
            let value = array.as_primitive::<IntervalDayTimeType>().value(row);
            span(0, value.days.into(), i128::from(value.milliseconds) * 1_000_000)
        }
        IntervalUnit::MonthDayNano => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            span(value.months.into(), value.days.into(), value.nanoseconds.into())
        }
    }
}

/// ISO 8601: `P1M2DT3H4M5.5S`; a negative part carries its own sign.
fn span(months: i64, days: i64, nanos: i128) -> String {
    let mut text = String::from("P");
    let mut put = |amount: String, letter: char| {
        text.push_str(&amount);
        text.push(letter);
    };
    for (amount, letter) in [(months, 'M'), (days, 'D')] {
        if amount != 0 {
            put(amount.to_string(), letter);
        }
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let (seconds, fraction) = (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut clock = String::new();
    for (amount, letter) in [(hours, 'H'), (minutes, 'M')] {
        if amount != 0 {
            clock.push_str(&format!("{sign}{amount}{letter}"));
        }
    }
    if fraction != 0 {
        let digits = format!("{fraction:09}");
        clock.push_str(&format!("{sign}{seconds}.{}S", digits.trim_end_matches('0')));
    } else if seconds != 0 || (clock.is_empty() && months == 0 && days == 0) {
        clock.push_str(&format!("{sign}{seconds}S"));
    }
    if !clock.is_empty() {
        text.push('T');
        text.push_str(&clock);
    }
    text
}

fn write_list(out: &mut String, values: &dyn Array) -> Result<(), ArrowError> {
    out.push('[');
    for i in 0..values.len() {
        if i > 0 {
            out.push(',');
        }
        write_json(out, values, i)?;
    }
    out.push(']');
    Ok(())
}

fn write_map(out: &mut String, array: &dyn Array, row: usize) -> Result<(), ArrowError> {
    let entries = array.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    let mut members = Vec::with_capacity(entries.len());
    for i in 0..entries.len() {
        members.push((display(keys.as_ref(), i)?, values.as_ref(), i));
    }
    write_object(out, members.into_iter())
}

fn write_object<'a>(
    out: &mut String,
    members: impl Iterator<Item = (String, &'a dyn Array, usize)>,
) -> Result<(), ArrowError> {
    out.push('{');
    for (i, (name, array, row)) in members.enumerate() {
        if i > 0 {
            out.push(',');
        }
        push_json_text(out, &name);
        out.push(':');
        write_json(out, array, row)?;
    }
    out.push('}');
    Ok(())
}

fn push_json_text(out: &mut String, text: &str) {
    write!(out, "{}", Value::String(text.to_owned())).expect("a string takes all text");
}

#[cfg(test)]
mod tests;
