#![allow(clippy::unwrap_used)]

use super::*;
use arrow::array::*;
use std::sync::Arc;

/// The JSON and the CSV of the only row of an array.
fn both(array: impl Array + 'static) -> (String, String) {
    let (mut json, mut csv) = (String::new(), String::new());
    write_json(&mut json, &array, 0).unwrap();
    write_csv(&mut csv, &array, 0).unwrap();
    serde_json::from_str::<Value>(&json).unwrap();
    (json, csv)
}

fn check(array: impl Array + 'static, json: &str, csv: &str) {
    assert_eq!(both(array), (json.to_owned(), csv.to_owned()));
}

#[test]
fn numbers_are_exact_and_what_is_not_finite_is_null() {
    check(Int64Array::from(vec![i64::MAX]), "9223372036854775807", "9223372036854775807");
    check(UInt64Array::from(vec![u64::MAX]), "18446744073709551615", "18446744073709551615");
    check(Float64Array::from(vec![0.1]), "0.1", "0.1");
    check(Float64Array::from(vec![1e300]), "1e300", "1e300");
    check(Float32Array::from(vec![0.1_f32]), "0.1", "0.1");
    check(Float64Array::from(vec![f64::NAN]), "null", "");
    check(Float64Array::from(vec![f64::NEG_INFINITY]), "null", "");
    check(Int64Array::from(vec![None]), "null", "");
    check(NullArray::new(1), "null", "");
    let decimal = Decimal128Array::from(vec![-12_345]).with_precision_and_scale(10, 2).unwrap();
    check(decimal, "-123.45", "-123.45");
}

#[test]
fn texts_are_quoted_where_they_must_be() {
    check(StringArray::from(vec!["a"]), "\"a\"", "a");
    check(StringViewArray::from(vec!["a,\"b\"\n"]), "\"a,\\\"b\\\"\\n\"", "\"a,\"\"b\"\"\n\"");
    check(StringArray::from(vec![""]), "\"\"", "\"\"");
    let dictionary: DictionaryArray<Int32Type> = vec!["x, y"].into_iter().collect();
    check(dictionary, "\"x, y\"", "\"x, y\"");
}

#[test]
fn times_are_utc_with_microseconds() {
    let text = "2023-11-14T22:13:20.000001Z";
    let quoted = format!("\"{text}\"");
    check(TimestampMicrosecondArray::from(vec![1_700_000_000_000_001]).with_timezone("UTC"), &quoted, text);
    check(TimestampMicrosecondArray::from(vec![1_700_000_000_000_001]), &quoted, text);
    check(TimestampNanosecondArray::from(vec![1_700_000_000_000_001_999]).with_timezone("+02:00"), &quoted, text);
    check(Date32Array::from(vec![19_675]), "\"2023-11-14\"", "2023-11-14");
}

#[test]
fn spans_are_iso_8601() {
    for (nanos, text) in [
        (0, "PT0S"),
        (1_500_000_000, "PT1.5S"),
        (3_600_000_000_000, "PT1H"),
        (90_061_000_000_000, "PT25H1M1S"),
        (-61_000_000_000, "PT-1M-1S"),
        (1, "PT0.000000001S"),
    ] {
        assert_eq!(span(0, 0, nanos), text);
    }
    assert_eq!(span(14, -2, 5_000_000_000), "P14M-2DT5S");
    check(DurationMicrosecondArray::from(vec![61_000_000]), "\"PT1M1S\"", "PT1M1S");
    let interval = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(0, 1, 0)]);
    check(interval, "\"P1D\"", "P1D");
}

#[test]
fn lists_are_arrays_and_maps_are_objects() {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1), None])]);
    assert_eq!(type_name(list.data_type()), "list<int64>");
    check(list, "[1,null]", "\"[1,null]\"");
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("team \"a\"");
    map.values().append_value("x");
    map.keys().append_value("none");
    map.values().append_null();
    map.append(true).unwrap();
    let map = map.finish();
    assert_eq!(type_name(map.data_type()), "map<string,string>");
    check(
        map,
        "{\"team \\\"a\\\"\":\"x\",\"none\":null}",
        "\"{\"\"team \\\"\"a\\\"\"\"\":\"\"x\"\",\"\"none\"\":null}\"",
    );
    let values: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    let whole = StructArray::from(vec![(Arc::new(Field::new("ok", DataType::Boolean, false)), values)]);
    check(whole, "{\"ok\":true}", "\"{\"\"ok\"\":true}\"");
}
