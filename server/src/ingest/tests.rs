//! Bodies as clients send them, good and bad, through the door.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::store::StoreSettings;
use arrow::array::{
    ArrayRef, AsArray, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array, ListBuilder, MapBuilder,
    StringArray, StringBuilder, TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use arrow::ipc::writer::StreamWriter;
use proptest::prelude::*;
use std::time::Duration;

const NOW: i64 = 1_763_900_000_000_000;

struct Fixture {
    _dir: tempfile::TempDir,
    ingest: Ingest,
    store: Store,
}

fn check_body(
    table: &'static Table,
    body: &[u8],
    now_micros: i64,
    memory: &Arc<Semaphore>,
) -> Result<Checked, IngestError> {
    check(table, &contract::schema(table), body, now_micros, memory)
}

fn settings(dir: &std::path::Path) -> StoreSettings {
    StoreSettings {
        data_dir: dir.to_owned(),
        tables: None,
        flush_after: Duration::from_secs(3600),
        flush_bytes: 1 << 40,
        hot_bytes_max: 1 << 40,
        remove_after: Duration::from_secs(3600),
    }
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(settings(dir.path())).unwrap();
    Fixture { _dir: dir, ingest: Ingest::new(store.clone()), store }
}

fn times(values: &[i64]) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values.to_vec()).with_timezone("UTC"))
}

fn texts(value: &str, n: usize) -> ArrayRef {
    Arc::new(StringArray::from(vec![value; n]))
}

/// A `gpu_samples` row for each time, with more columns on top; a column of the same name is replaced.
fn samples(at: &[i64], more: Vec<(&'static str, ArrayRef)>) -> RecordBatch {
    let n = at.len();
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("time", times(at)),
        ("interval_seconds", Arc::new(Float64Array::from(vec![1.0; n]))),
        ("cluster", texts("c", n)),
        ("node", texts("n", n)),
        ("gpu_uuid", texts("GPU-1", n)),
        ("gpu_index", Arc::new(Int32Array::from(vec![0; n]))),
        ("gpu_model", texts("H100", n)),
    ];
    for (name, array) in more {
        columns.retain(|(known, _)| *known != name);
        columns.push((name, array));
    }
    RecordBatch::try_from_iter(columns).unwrap()
}

fn body(batch: &RecordBatch) -> Bytes {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap().into()
}

async fn post(f: &Fixture, sequence: u64, batch: &RecordBatch) -> Result<IngestAnswer, IngestError> {
    f.ingest.post("gpu_samples", Some("n/b"), Some(&sequence.to_string()), body(batch), NOW).await
}

#[tokio::test]
async fn good_rows_are_kept_once() {
    let f = fixture();
    let batch = samples(&[NOW, NOW - 5], vec![]);
    let first = post(&f, 1, &batch).await.unwrap();
    assert_eq!(first, IngestAnswer { accepted: 2, duplicate: false, rejected: vec![], rejected_rows: 0 });
    let again = post(&f, 1, &batch).await.unwrap();
    assert_eq!(again, IngestAnswer { accepted: 0, duplicate: true, rejected: vec![], rejected_rows: 0 });
    let rows: usize = f.store.snapshot(contract::table("gpu_samples").unwrap()).hot.iter().map(|b| b.num_rows()).sum();
    assert_eq!(rows, 2);
}

#[tokio::test]
async fn types_are_cast_where_nothing_is_lost() {
    let f = fixture();
    let names: DictionaryArray<Int32Type> = vec!["a", "b"].into_iter().collect();
    let batch = samples(
        &[NOW, NOW],
        vec![
            ("node", Arc::new(names)),
            ("time", Arc::new(TimestampNanosecondArray::from(vec![NOW * 1000, NOW * 1000]))),
            ("gpu_index", Arc::new(Float64Array::from(vec![3.0, 4.0]))),
            ("gpu_busy_ratio", Arc::new(Float32Array::from(vec![0.5, 1.0]))),
            ("memory_used_bytes", Arc::new(UInt64Array::from(vec![1 << 40, 7]))),
            ("job_id", arrow::array::new_null_array(&arrow::datatypes::DataType::Null, 2)),
        ],
    );
    assert_eq!(post(&f, 1, &batch).await.unwrap().accepted, 2);
    let kept = &f.store.snapshot(contract::table("gpu_samples").unwrap()).hot[0];
    let value =
        |name: &str, row| arrow::util::display::array_value_to_string(kept.column_by_name(name).unwrap(), row).unwrap();
    assert_eq!(
        (value("node", 1), value("gpu_index", 1), value("memory_used_bytes", 0)),
        ("b".into(), "4".into(), "1099511627776".into())
    );
    assert!(kept.column_by_name("job_id").unwrap().is_null(0));
}

#[tokio::test]
async fn lossy_or_unknown_or_missing_columns_are_refused_with_what_is_known() {
    let f = fixture();
    let cases: Vec<(&str, RecordBatch)> = vec![
        ("gpu_index", samples(&[NOW], vec![("gpu_index", Arc::new(Float64Array::from(vec![1.5])))])),
        ("power_watts", samples(&[NOW], vec![("power_watts", texts("300", 1))])),
        (
            "memory_used_bytes",
            samples(&[NOW], vec![("memory_used_bytes", Arc::new(UInt64Array::from(vec![u64::MAX])))]),
        ),
        ("time", samples(&[NOW], vec![("time", Arc::new(TimestampNanosecondArray::from(vec![NOW * 1000 + 1])))])),
        ("time", samples(&[NOW], vec![("time", Arc::new(Int64Array::from(vec![NOW])))])),
        ("watts", samples(&[NOW], vec![("watts", texts("300", 1))])),
        ("gpu_uuid", samples(&[NOW], vec![]).project(&[0, 1, 2, 3, 5, 6]).unwrap()),
    ];
    for (named, batch) in cases {
        let error = post(&f, 1, &batch).await.unwrap_err();
        assert!(error.is_schema() && error.to_string().contains(named), "{named}: {error}");
        assert!(error.known().iter().any(|k| k == "gpu_uuid: string (required)"), "{:?}", error.known());
    }
}

#[tokio::test]
async fn bad_rows_are_named_and_good_ones_kept() {
    let f = fixture();
    let hour = 3_600_000_000;
    let batch = samples(
        &[NOW, NOW + hour + 1, NOW + hour, 0, NOW],
        vec![
            (
                "gpu_busy_ratio",
                Arc::new(Float64Array::from(vec![Some(97.0), None, Some(1.0), Some(0.0), Some(f64::NAN)])),
            ),
            ("gpu_uuid", Arc::new(StringArray::from(vec![Some("a"), Some("b"), Some("c"), None, Some("e")]))),
        ],
    );
    let answer = post(&f, 1, &batch).await.unwrap();
    let named: Vec<_> = answer.rejected.iter().map(|r| (r.row, r.column.as_str())).collect();
    assert_eq!(named, [(0, "gpu_busy_ratio"), (1, "time"), (3, "gpu_uuid")]);
    assert_eq!(answer.accepted, 2);
    let kept = &f.store.snapshot(contract::table("gpu_samples").unwrap()).hot[0];
    assert!(kept.column_by_name("gpu_busy_ratio").unwrap().is_null(1), "NaN is unknown, and unknown is null");
}

#[tokio::test]
async fn a_time_outside_of_the_calendar_is_rejected() {
    let f = fixture();
    let answer = post(&f, 1, &samples(&[i64::MIN, -62_135_596_800_000_001, 0, i64::MAX], vec![])).await.unwrap();
    let named: Vec<_> = answer.rejected.iter().map(|r| r.row).collect();
    assert_eq!((named, answer.accepted), (vec![0, 1, 3], 1));
}

#[tokio::test]
async fn lists_and_maps_arrive() {
    let f = fixture();
    let mut nodes = ListBuilder::new(StringBuilder::new());
    nodes.append_value([Some("n1"), Some("n2")]);
    let mut labels = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    labels.keys().append_value("team");
    labels.values().append_value("vision");
    labels.append(true).unwrap();
    let batch = RecordBatch::try_from_iter([
        ("time", times(&[NOW])),
        ("cluster", texts("c", 1)),
        ("job_id", texts("7_1", 1)),
        ("attempt", Arc::new(Int64Array::from(vec![0])) as ArrayRef),
        ("kind", texts("started", 1)),
        ("nodes", Arc::new(nodes.finish())),
        ("labels", Arc::new(labels.finish())),
    ]);
    let posted = f.ingest.post("job_events", Some("n/b"), Some("1"), body(&batch.unwrap()), NOW).await.unwrap();
    assert_eq!(posted.accepted, 1);
    let kept = &f.store.snapshot(contract::table("job_events").unwrap()).hot[0];
    assert_eq!(kept.column_by_name("nodes").unwrap().as_list::<i32>().value(0).len(), 2);
}

#[tokio::test]
async fn headers_and_tables_are_checked() {
    let f = fixture();
    let good = body(&samples(&[NOW], vec![]));
    for (writer, sequence) in [
        (None, Some("1")),
        (Some("n/b"), None),
        (Some("nb"), Some("1")),
        (Some("n/b"), Some("-1")),
        (Some("n/b"), Some("x")),
    ] {
        let error = f.ingest.post("gpu_samples", writer, sequence, good.clone(), NOW).await.unwrap_err();
        assert!(matches!(error, IngestError::Header(_)), "{writer:?} {sequence:?}: {error}");
    }
    let error = f.ingest.post("nope", Some("n/b"), Some("1"), good, NOW).await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.known().contains(&"gpu_samples".to_owned()));
}

#[tokio::test]
async fn a_stream_without_rows_is_kept_as_a_sequence() {
    let f = fixture();
    let empty = samples(&[], vec![]);
    assert!(!post(&f, 3, &empty).await.unwrap().duplicate);
    assert!(post(&f, 3, &empty).await.unwrap().duplicate);
}

fn not_full() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))
}

fn check_samples(batch: &RecordBatch) -> Result<Checked, IngestError> {
    check_body(contract::table("gpu_samples").unwrap(), &body(batch), NOW, &not_full())
}

#[test]
fn a_small_body_that_becomes_gigabytes_is_refused() {
    let n = 4_000;
    let at = vec![NOW; n];
    let long = "x".repeat(1 << 20);
    let keys = arrow::array::Int8Array::from(vec![0; n]);
    let values: ArrayRef = Arc::new(arrow::array::LargeStringArray::from(vec![long.as_str()]));
    let dictionary: ArrayRef = Arc::new(DictionaryArray::new(keys, values));
    let mut views = arrow::array::StringViewBuilder::new();
    let block = views.append_block(long.as_bytes().into());
    for _ in 0..n {
        views.try_append_view(block, 0, long.len() as u32).unwrap();
    }
    let views: ArrayRef = Arc::new(views.finish());
    for array in [dictionary, views] {
        let error = check_samples(&samples(&at, vec![("node", array)])).map(|c| c.rows.num_rows()).unwrap_err();
        assert!(error.is_too_large() && error.to_string().contains("after casting"), "{error}");
    }
    let nulls = |n: usize| -> ArrayRef { Arc::new(arrow::array::NullArray::new(n)) };
    let n = 8 << 20;
    let columns = contract::schema(contract::table("gpu_samples").unwrap());
    let columns = columns.fields().iter().map(|f| (f.name().as_str(), nulls(n))).collect::<Vec<_>>();
    let error = check_samples(&RecordBatch::try_from_iter(columns).unwrap()).map(|c| c.rows.num_rows()).unwrap_err();
    assert!(error.is_too_large(), "{error}");
}

#[test]
fn overlapping_views_of_lists_are_counted_as_often_as_they_are_named() {
    let n = 20_000;
    let items: ArrayRef = Arc::new(arrow::array::Float64Array::from(vec![1.0; n]));
    let field = Arc::new(arrow::datatypes::Field::new("item", arrow::datatypes::DataType::Float64, true));
    let all = (vec![0_i32; n].into(), vec![n as i32; n].into());
    let views: ArrayRef = Arc::new(arrow::array::ListViewArray::new(field, all.0, all.1, items, None));
    let batch = metrics(n, vec![("histogram_bounds", views)]);
    let checked = check_body(contract::table("metrics").unwrap(), &body(&batch), NOW, &not_full());
    let error = checked.map(|c| c.rows.num_rows()).unwrap_err();
    assert!(error.is_too_large(), "{error}");
}

#[test]
fn bodies_that_are_unpacked_at_once_are_bounded() {
    let table = contract::table("gpu_samples").unwrap();
    let memory = Arc::new(Semaphore::new(4));
    let first = check_body(table, &body(&samples(&[NOW], vec![])), NOW, &memory).map(|c| c.rows.num_rows());
    assert_eq!((first.unwrap(), memory.available_permits()), (1, 4), "given back");
    let error = check_body(table, &body(&samples(&[NOW; 100], vec![])), NOW, &memory).map(|c| c.rows.num_rows());
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.retry_after_seconds()), (ErrorKind::Unavailable, Some(1)));
}

/// Points of `metrics` with more columns on top.
fn metrics(n: usize, more: Vec<(&'static str, ArrayRef)>) -> RecordBatch {
    let mut columns = vec![
        ("time", times(&vec![NOW; n])),
        ("name", texts("m", n)),
        ("unit", texts("1", n)),
        ("kind", texts("histogram", n)),
    ];
    columns.extend(more);
    RecordBatch::try_from_iter(columns).unwrap()
}

fn casts(column: &'static str, array: ArrayRef) -> Result<String, IngestError> {
    let table = contract::table(if column.starts_with("histogram") { "metrics" } else { "gpu_samples" }).unwrap();
    let (at, n) = (vec![NOW; array.len()], array.len());
    let batch =
        if table.name == "metrics" { metrics(n, vec![(column, array)]) } else { samples(&at, vec![(column, array)]) };
    let checked = check_body(table, &body(&batch), NOW, &not_full())?;
    assert_eq!((checked.rows.num_rows(), checked.rejected_rows), (n, 0), "{column}");
    let kept = checked.rows.column_by_name(column).unwrap();
    let texts = (0..n).map(|i| arrow::util::display::array_value_to_string(kept, i).unwrap());
    Ok(texts.collect::<Vec<_>>().join(" "))
}

#[test]
fn types_that_lose_nothing_are_taken() {
    use arrow::array::{Date32Array, Decimal128Array, Float32Builder, Int32Builder, ListViewArray, NullArray};
    use arrow::array::{ListArray, TimestampSecondArray};
    let check = |column, array: ArrayRef, expected: &str| assert_eq!(casts(column, array).unwrap(), expected);
    let mut small = ListBuilder::new(Int32Builder::new());
    small.append_value([Some(1), None, Some(3)]);
    let small = small.finish();
    check("histogram_bounds", Arc::new(small.clone()), "[1.0, , 3.0]");
    check("histogram_counts", Arc::new(ListViewArray::from(small)), "[1, , 3]");
    let mut bounds = ListBuilder::new(Float32Builder::new());
    bounds.append_value([Some(0.5)]);
    bounds.append_null();
    check("histogram_bounds", Arc::new(bounds.finish()), "[0.5] ");
    let nothing: ArrayRef = Arc::new(NullArray::new(2));
    let field = Arc::new(arrow::datatypes::Field::new("item", arrow::datatypes::DataType::Null, true));
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([2, 0]);
    check("histogram_counts", Arc::new(ListArray::new(field, offsets, nothing, None)), "[, ] []");
    let instants: ArrayRef = Arc::new(TimestampSecondArray::from(vec![60]));
    check(
        "time",
        Arc::new(DictionaryArray::new(Int32Array::from(vec![0, 0]), instants)),
        "1970-01-01T00:01:00Z 1970-01-01T00:01:00Z",
    );
    check("time", Arc::new(Date32Array::from(vec![1])), "1970-01-02T00:00:00Z");
    let decimal = |value| Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(20, 2).unwrap());
    check("gpu_index", decimal(300), "3");
    check("power_watts", decimal(12_345), "123.45");
    assert!(casts("gpu_index", decimal(305)).unwrap_err().is_schema());
    check("gpu_index", Arc::new(Float64Array::from(vec![-0.0])), "0");
    check("gpu_index", Arc::new(Float32Array::from(vec![-0.0])), "0");
    let views: ArrayRef = Arc::new(arrow::array::StringViewArray::from(vec![Some("a"), Some("a text of some length")]));
    check("node", Arc::clone(&views), "a a text of some length");
    let keys = Int32Array::from(vec![1, 0, 1]);
    check("gpu_model", Arc::new(DictionaryArray::new(keys, views)), "a text of some length a a text of some length");
}

#[tokio::test]
async fn text_views_in_lists_and_maps_arrive_and_must_be_text() {
    use arrow::array::{BinaryViewArray, StringViewBuilder};
    let f = fixture();
    let mut nodes = ListBuilder::new(StringViewBuilder::new());
    nodes.append_value([Some("n1"), None, Some("a node with a long name")]);
    let mut labels = MapBuilder::new(None, StringBuilder::new(), StringViewBuilder::new());
    labels.keys().append_value("team");
    labels.values().append_value("vision");
    labels.append(true).unwrap();
    let batch = RecordBatch::try_from_iter([
        ("time", times(&[NOW])),
        ("cluster", texts("c", 1)),
        ("job_id", texts("7_1", 1)),
        ("attempt", Arc::new(Int64Array::from(vec![0])) as ArrayRef),
        ("kind", texts("started", 1)),
        ("nodes", Arc::new(nodes.finish())),
        ("labels", Arc::new(labels.finish())),
    ]);
    let posted = f.ingest.post("job_events", Some("n/b"), Some("1"), body(&batch.unwrap()), NOW).await.unwrap();
    assert_eq!(posted.accepted, 1);
    let bytes: ArrayRef = Arc::new(BinaryViewArray::from_iter_values([b"\xff\xfe"]));
    let error = post(&f, 2, &samples(&[NOW], vec![("node", bytes)])).await.unwrap_err();
    assert!(error.is_schema(), "{error}");
    let views: ArrayRef = Arc::new(arrow::array::StringViewArray::from(vec!["300"]));
    let error = post(&f, 2, &samples(&[NOW], vec![("power_watts", views)])).await.unwrap_err();
    assert!(error.is_schema() && error.to_string().contains("Utf8View"), "{error}");
}

#[test]
fn numbers_that_do_not_fit_are_refused_in_lists_too() {
    let mut counts = ListBuilder::new(arrow::array::UInt64Builder::new());
    counts.append_value([Some(1)]);
    counts.append_value([Some(1 << 63)]);
    let error = casts("histogram_counts", Arc::new(counts.finish())).unwrap_err();
    assert!(error.is_schema() && error.to_string().contains("row 1"), "{error}");
    let mut bounds = ListBuilder::new(arrow::array::Int64Builder::new());
    bounds.append_value([Some((1 << 53) + 1)]);
    assert!(casts("histogram_bounds", Arc::new(bounds.finish())).unwrap_err().is_schema());
    assert!(casts("gpu_index", Arc::new(Float64Array::from(vec![f64::NAN]))).unwrap_err().is_schema());
    assert!(casts("gpu_index", Arc::new(Float32Array::from(vec![f32::NAN]))).unwrap_err().is_schema());
}

#[test]
fn a_lossy_value_is_named_by_its_row_in_the_body() {
    let good = samples(&[NOW; 5], vec![("gpu_index", Arc::new(Float64Array::from(vec![1.0; 5])))]);
    let bad = samples(&[NOW; 2], vec![("gpu_index", Arc::new(Float64Array::from(vec![1.0, 1.5])))]);
    let mut writer = StreamWriter::try_new(Vec::new(), &good.schema()).unwrap();
    writer.write(&good).and_then(|()| writer.write(&bad)).and_then(|()| writer.finish()).unwrap();
    let table = contract::table("gpu_samples").unwrap();
    let error =
        check_body(table, &writer.into_inner().unwrap(), NOW, &not_full()).map(|c| c.rows.num_rows()).unwrap_err();
    assert!(error.to_string().contains("row 6: 1.5"), "{error}");
}

#[tokio::test]
async fn a_time_beyond_microseconds_rejects_its_row_only() {
    let f = fixture();
    let seconds = arrow::array::TimestampSecondArray::from(vec![i64::MAX, NOW / 1_000_000, i64::MIN]);
    let answer = post(&f, 1, &samples(&[NOW; 3], vec![("time", Arc::new(seconds))])).await.unwrap();
    assert_eq!((answer.accepted, answer.rejected_rows), (1, 2));
    assert!(answer.rejected.iter().all(|r| r.column == "time" && r.reason.contains("years")), "{:?}", answer.rejected);
    let days = arrow::array::Date32Array::from(vec![i32::MAX, 0]);
    let answer = post(&f, 2, &samples(&[NOW; 2], vec![("time", Arc::new(days))])).await.unwrap();
    assert_eq!((answer.accepted, answer.rejected_rows), (1, 1));
}

#[tokio::test]
async fn the_last_time_that_is_kept_has_a_bound_that_the_next_start_reads() {
    let f = fixture();
    let last = 253_402_300_799_999_000 - 1;
    let price = |from: i64| {
        let columns = [
            ("valid_from", times(&[from])),
            ("valid_to", times(&[253_402_300_799_999_999])),
            ("kind", texts("owned", 1)),
            ("currency", texts("USD", 1)),
            ("price_micros_per_gpu_hour", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        ];
        body(&RecordBatch::try_from_iter(columns).unwrap())
    };
    let kept = f.ingest.post("prices", Some("n/b"), Some("1"), price(last), NOW).await.unwrap();
    let refused = f.ingest.post("prices", Some("n/b"), Some("2"), price(last + 1), NOW).await.unwrap();
    assert_eq!((kept.accepted, refused.rejected_rows), (1, 1));
    f.store.close().unwrap();
    let Fixture { _dir: dir, ingest, store } = f;
    drop((ingest, store));
    let again = settings(dir.path());
    let files = Store::open(again).unwrap().snapshot(contract::table("prices").unwrap()).files;
    assert!(files[0].time_max_micros >= last);
}

#[tokio::test]
async fn rejections_beyond_the_list_are_counted() {
    let f = fixture();
    let n = rows::REJECTIONS_LISTED_MAX + 7;
    let ratios = (0..n).map(|i| 2.0 + i as f64).collect::<Vec<_>>();
    let batch = samples(&vec![NOW; n], vec![("gpu_busy_ratio", Arc::new(Float64Array::from(ratios)))]);
    let answer = post(&f, 1, &batch).await.unwrap();
    assert_eq!((answer.rejected.len(), answer.rejected_rows), (rows::REJECTIONS_LISTED_MAX, n as u64));
    assert!(answer.rejected.iter().all(|r| r.reason == answer.rejected[0].reason), "one cause, one text");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn damaged_bodies_are_refused_or_read_but_never_fatal(flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let names: DictionaryArray<Int32Type> = vec!["a", "b"].into_iter().collect();
        let mut bytes = body(&samples(&[NOW, NOW - 9], vec![("node", Arc::new(names))])).to_vec();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // A panic inside the Arrow reader is caught where it is called; anything else would fail this test.
        let outcome = std::panic::catch_unwind(|| check_body(contract::table("gpu_samples").unwrap(), &bytes, NOW, &not_full()).map(|c| c.rows.num_rows()));
        if let Ok(Ok(rows)) = outcome {
            prop_assert!(rows <= 2);
        }
    }
}
