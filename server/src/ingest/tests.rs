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

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let settings = StoreSettings {
        data_dir: dir.path().to_owned(),
        flush_after: Duration::from_secs(3600),
        flush_bytes: 1 << 40,
        hot_bytes_max: 1 << 40,
    };
    let store = Store::open(settings).unwrap();
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
    assert_eq!(first, IngestAnswer { accepted: 2, duplicate: false, rejected: vec![] });
    let again = post(&f, 1, &batch).await.unwrap();
    assert_eq!(again, IngestAnswer { accepted: 0, duplicate: true, rejected: vec![] });
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
        let outcome = std::panic::catch_unwind(|| check(contract::table("gpu_samples").unwrap(), &bytes, NOW).map(|c| c.rows.num_rows()));
        if let Ok(Ok(rows)) = outcome {
            prop_assert!(rows <= 2);
        }
    }
}
