//! A column of Parquet as the texts that a CSV file of it would have.

use arrow::array::{Array, AsArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, DurationNanosecondType, Float32Type, Float64Type, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::Value;

/// Empty for null; `None` for bytes that are no text. Lists and maps are JSON, durations seconds.
pub(super) fn texts(column: &dyn Array) -> Result<Vec<Option<String>>, ArrowError> {
    match column.data_type() {
        // Floats as most writers of CSV print them: 16051200000000.0, not 1.60512e13.
        DataType::Float64 => {
            let column = column.as_primitive::<Float64Type>();
            Ok(column.iter().map(|v| Some(v.map(|v| format!("{v:?}")).unwrap_or_default())).collect())
        }
        DataType::Float32 => {
            let column = column.as_primitive::<Float32Type>();
            Ok(column.iter().map(|v| Some(v.map(|v| format!("{v:?}")).unwrap_or_default())).collect())
        }
        DataType::Binary => Ok(column.as_binary::<i32>().iter().map(of_bytes).collect()),
        DataType::LargeBinary => Ok(column.as_binary::<i64>().iter().map(of_bytes).collect()),
        DataType::BinaryView => Ok(column.as_binary_view().iter().map(of_bytes).collect()),
        DataType::FixedSizeBinary(_) => Ok(column.as_fixed_size_binary().iter().map(of_bytes).collect()),
        DataType::Duration(_) => {
            let nanos = cast(column, &DataType::Duration(TimeUnit::Nanosecond))?;
            let nanos = nanos.as_primitive::<DurationNanosecondType>();
            Ok(nanos.iter().map(|v| Some(v.map(seconds).unwrap_or_default())).collect())
        }
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            (0..lists.len()).map(|row| json(lists.is_null(row), || list(lists.value(row).as_ref()))).collect()
        }
        DataType::LargeList(_) => {
            let lists = column.as_list::<i64>();
            (0..lists.len()).map(|row| json(lists.is_null(row), || list(lists.value(row).as_ref()))).collect()
        }
        DataType::Map(..) => {
            let maps = column.as_map();
            (0..maps.len()).map(|row| json(maps.is_null(row), || object(&maps.value(row)))).collect()
        }
        DataType::Dictionary(_, of) => texts(cast(column, of)?.as_ref()),
        _ => {
            let options = FormatOptions::default().with_null("");
            let formatter = ArrayFormatter::try_new(column, &options)?;
            (0..column.len()).map(|row| formatter.value(row).try_to_string().map(Some)).collect()
        }
    }
}

fn of_bytes(bytes: Option<&[u8]>) -> Option<String> {
    String::from_utf8(bytes.unwrap_or_default().to_vec()).ok()
}

/// `66.0` of 66 billion nanoseconds.
fn seconds(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

fn json(is_null: bool, value: impl FnOnce() -> Result<Value, ArrowError>) -> Result<Option<String>, ArrowError> {
    Ok(Some(if is_null { String::new() } else { value()?.to_string() }))
}

/// Values as JSON texts, null where they are null or no text.
fn values(column: &dyn Array) -> Result<Vec<Value>, ArrowError> {
    let texts = texts(column)?.into_iter().enumerate();
    Ok(texts.map(|(row, text)| text.filter(|_| !column.is_null(row)).map_or(Value::Null, Value::String)).collect())
}

fn list(column: &dyn Array) -> Result<Value, ArrowError> {
    values(column).map(Value::Array)
}

fn object(entries: &StructArray) -> Result<Value, ArrowError> {
    let (keys, values) = (texts(entries.column(0).as_ref())?, values(entries.column(1).as_ref())?);
    Ok(Value::Object(keys.into_iter().flatten().zip(values).collect()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{
        BinaryArray, DurationMillisecondArray, ListBuilder, MapBuilder, StringBuilder, StringDictionaryBuilder,
    };
    use arrow::datatypes::Int32Type;

    fn of(column: &dyn Array) -> Vec<String> {
        texts(column).unwrap().into_iter().map(|t| t.unwrap_or_else(|| "no text".to_owned())).collect()
    }

    #[test]
    fn every_type_has_a_text_that_the_importer_reads() {
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("a,b"), Some("c")]);
        lists.append_null();
        assert_eq!(of(&lists.finish()), [r#"["a,b","c"]"#, ""]);
        let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        maps.keys().append_value("team");
        maps.values().append_value("vi\"sion");
        maps.append(true).unwrap();
        maps.append(false).unwrap();
        assert_eq!(of(&maps.finish()), [r#"{"team":"vi\"sion"}"#, ""]);
        assert_eq!(of(&BinaryArray::from_opt_vec(vec![Some(b"ada"), Some(b"\xff"), None])), ["ada", "no text", ""]);
        assert_eq!(of(&DurationMillisecondArray::from(vec![Some(66_500), None])), ["66.500000000", ""]);
        let mut words = StringDictionaryBuilder::<Int32Type>::new();
        words.append_value("a");
        words.append_null();
        assert_eq!(of(&words.finish()), ["a", ""]);
    }
}
