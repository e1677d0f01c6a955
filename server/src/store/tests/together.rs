//! Rows of several tables that are kept together or not at all.

use super::{crash_copy, settings, table};
use crate::store::{Store, wal};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use contract::{Kind, Table, WriterId};
use std::sync::Arc;

/// Rows of any table, with something in every column that is not a list or a map.
fn some(table: &'static Table, rows: usize) -> RecordBatch {
    let numbers = || (0..rows as i64).map(|n| n + 1);
    let column = |column: &contract::Column| -> ArrayRef {
        match column.kind {
            Kind::Time => Arc::new(numbers().map(Some).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
            Kind::Int => Arc::new(numbers().collect::<Int64Array>()),
            Kind::Float => Arc::new(numbers().map(|n| n as f64).collect::<Float64Array>()),
            Kind::Text => Arc::new(numbers().map(|n| Some(n.to_string())).collect::<StringArray>()),
            kind => arrow::array::new_null_array(&contract::arrow_type(kind), rows),
        }
    };
    RecordBatch::try_new(contract::schema(table), table.columns.iter().map(column).collect()).unwrap()
}

fn requests() -> &'static Table {
    contract::table("inference_requests").unwrap()
}

fn counts(store: &Store) -> (u64, u64) {
    let count = |table| {
        let snapshot = store.snapshot(table);
        let hot: usize = snapshot.hot.iter().map(RecordBatch::num_rows).sum();
        hot as u64 + snapshot.files.iter().map(|file| file.rows).sum::<u64>()
    };
    (count(table()), count(requests()))
}

#[tokio::test]
async fn a_crash_keeps_all_tables_of_an_append_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(settings(dir.path())).unwrap();
    let writer = WriterId::parse("otlp/x").unwrap();
    let both = |rows| vec![(table(), some(table(), 2 * rows)), (requests(), some(requests(), rows))];
    store.append_together(&writer, both(1)).await.unwrap();
    store.append_together(&writer, Vec::new()).await.unwrap();
    store.append_together(&writer, vec![(requests(), some(requests(), 3))]).await.unwrap();
    let before = std::fs::read_dir(dir.path().join("wal")).unwrap().count();
    store.append_together(&writer, both(1)).await.unwrap();
    assert_eq!(counts(&store), (4, 5));
    assert_eq!(std::fs::read_dir(dir.path().join("wal")).unwrap().count(), before);
    let (first, path) = wal::list_segments(&dir.path().join("wal")).unwrap().pop().unwrap();
    let whole = std::fs::metadata(&path).unwrap().len();
    for cut in [0, 1, 100, 700, whole / 8] {
        let copy = crash_copy(dir.path());
        let torn = wal::segment_path(&copy.path().join("wal"), first);
        std::fs::OpenOptions::new().write(true).open(torn).unwrap().set_len(whole - cut).unwrap();
        let reopened = Store::open(settings(copy.path())).unwrap();
        let expected = if cut == 0 { (4, 5) } else { (2, 4) };
        assert_eq!(counts(&reopened), expected, "cut off {cut} of {whole}");
        // The numbers go on after those that were kept.
        reopened.append_together(&writer, both(1)).await.unwrap();
        reopened.close().unwrap();
        assert_eq!(counts(&reopened), (expected.0 + 2, expected.1 + 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_of_one_writer_are_all_kept_and_share_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(settings(dir.path())).unwrap();
    let writer = WriterId::parse("otlp/x").unwrap();
    let appends = (0..200).map(|_| {
        let (store, writer) = (store.clone(), writer.clone());
        let batches = vec![(table(), some(table(), 1)), (requests(), some(requests(), 1))];
        tokio::spawn(async move { store.append_together(&writer, batches).await })
    });
    for append in appends.collect::<Vec<_>>() {
        append.await.unwrap().unwrap();
    }
    assert_eq!(counts(&store), (200, 200));
    assert!(crate::store::value(&store.counters().log_syncs) < 200);
    let copy = crash_copy(dir.path());
    assert_eq!(counts(&Store::open(settings(copy.path())).unwrap()), (200, 200));
}
