//! Through the door: what is kept is there once, after closing, after a crash, after a retry.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::time::Instant;

mod together;

const NEVER: Duration = Duration::from_secs(3600);

fn settings(dir: &std::path::Path) -> StoreSettings {
    StoreSettings {
        data_dir: dir.to_owned(),
        tables: None,
        flush_after: NEVER,
        flush_bytes: 1 << 40,
        hot_bytes_max: 1 << 40,
        remove_after: NEVER,
    }
}

pub(super) fn table() -> &'static Table {
    contract::table("device_events").unwrap()
}

fn writer() -> WriterId {
    WriterId::parse("node/boot").unwrap()
}

/// Rows whose `code` is their identity, over `days` days.
pub(super) fn rows(codes: std::ops::Range<i64>, days: i64) -> RecordBatch {
    let schema = contract::schema(table());
    let n = (codes.end - codes.start) as usize;
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "time" => Arc::new(
                TimestampMicrosecondArray::from_iter_values(
                    codes.clone().map(|c| (c % days) * columns::DAY_MICROS + c),
                )
                .with_timezone("UTC"),
            ),
            "code" => Arc::new(Int64Array::from_iter_values(codes.clone())),
            "node" => Arc::new(StringArray::from_iter_values(codes.clone().map(|c| format!("n{}", c % 3)))),
            _ if field.is_nullable() => new_null_array(field.data_type(), n),
            _ => Arc::new(StringArray::from_iter_values(codes.clone().map(|_| "x"))),
        }
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

/// How often each code is in the snapshot, hot and in files.
fn codes(store: &Store, dir: &std::path::Path) -> BTreeMap<i64, usize> {
    let snapshot = store.snapshot(table());
    let mut seen = BTreeMap::new();
    let mut count = |batch: &RecordBatch| {
        for code in batch.column_by_name("code").unwrap().as_primitive::<Int64Type>().iter() {
            *seen.entry(code.unwrap()).or_default() += 1;
        }
    };
    snapshot.hot.iter().for_each(&mut count);
    for file in snapshot.files.iter() {
        let opened = std::fs::File::open(dir.join("tables").join(file.path.as_ref())).unwrap();
        let mut rows = 0;
        let mut last = None;
        for batch in ParquetRecordBatchReaderBuilder::try_new(opened).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            count(&batch);
            rows += batch.num_rows() as u64;
            let nodes = batch.column_by_name("node").unwrap().as_string::<i32>().clone();
            let times = batch.column_by_name("time").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
            for i in 0..batch.num_rows() {
                let key = Some((nodes.value(i).to_owned(), times.value(i)));
                assert!(last <= key, "{} is not sorted", file.path);
                assert!((file.time_min_micros..=file.time_max_micros).contains(&times.value(i)));
                last = key;
            }
        }
        assert_eq!(rows, file.rows);
    }
    seen
}

fn once(range: std::ops::Range<i64>) -> BTreeMap<i64, usize> {
    range.map(|c| (c, 1)).collect()
}

/// The directory as a crash might leave it: the log is copied first, then commits, then what they name, so that
/// a running flush cannot make the copy emptier than any state the disk was in.
fn crash_copy(dir: &std::path::Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_tree(&dir.join("wal"), &copy.path().join("wal"), |_| true);
    for in_log in [true, false] {
        let wanted = |p: &std::path::Path| p.components().any(|c| c.as_os_str() == "_delta_log") == in_log;
        copy_tree(&dir.join("tables"), &copy.path().join("tables"), wanted);
    }
    for name in ["meta.sqlite", "meta.sqlite-wal"] {
        std::fs::copy(dir.join(name), copy.path().join(name)).unwrap();
    }
    copy
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path, wanted: impl Fn(&std::path::Path) -> bool + Copy) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_tree(&path, &target, wanted);
        } else if wanted(&path) {
            // A segment may be cut while it is looked at; what it held is in files by then.
            drop(std::fs::copy(&path, &target));
        }
    }
}

#[tokio::test]
async fn rows_survive_closing_and_a_retry_is_a_duplicate() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(settings(dir.path())).unwrap();
    assert_eq!(store.append(table(), &writer(), 5, rows(0..10, 3)).await.unwrap(), Appended::Kept);
    assert_eq!(store.append(table(), &writer(), 5, rows(0..10, 3)).await.unwrap(), Appended::Duplicate);
    assert_eq!(store.append(table(), &writer(), 4, rows(0..10, 3)).await.unwrap(), Appended::Duplicate);
    assert_eq!(codes(&store, dir.path()), once(0..10));
    store.close().unwrap();
    assert!(store.append(table(), &writer(), 6, rows(10..11, 1)).await.is_err());
    drop(store);

    let store = Store::open(settings(dir.path())).unwrap();
    let snapshot = store.snapshot(table());
    assert_eq!((snapshot.hot.len(), snapshot.files.len()), (0, 3), "one file a day, nothing hot");
    assert_eq!(codes(&store, dir.path()), once(0..10));
    assert_eq!(store.append(table(), &writer(), 5, rows(0..10, 3)).await.unwrap(), Appended::Duplicate);
    assert_eq!(store.append(table(), &writer(), 6, rows(10..20, 3)).await.unwrap(), Appended::Kept);
    assert_eq!(codes(&store, dir.path()), once(0..20));
}

#[tokio::test]
async fn a_crash_before_any_flush_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(settings(dir.path())).unwrap();
    for i in 0..50 {
        store.append(table(), &writer(), i as u64 + 1, rows(i * 10..i * 10 + 10, 2)).await.unwrap();
    }
    let copy = crash_copy(dir.path());
    let reopened = Store::open(settings(copy.path())).unwrap();
    assert_eq!(codes(&reopened, copy.path()), once(0..500));
    assert_eq!(reopened.append(table(), &writer(), 50, rows(0..10, 2)).await.unwrap(), Appended::Duplicate);
    assert_eq!(reopened.append(table(), &writer(), 51, rows(500..510, 2)).await.unwrap(), Appended::Kept);
    reopened.close().unwrap();
    drop(reopened);
    let again = Store::open(settings(copy.path())).unwrap();
    assert_eq!(codes(&again, copy.path()), once(0..510));
}

#[tokio::test]
async fn a_crash_at_any_moment_of_flushing_keeps_each_row_once() {
    let dir = tempfile::tempdir().unwrap();
    let often = StoreSettings { flush_bytes: 1, ..settings(dir.path()) };
    let store = Store::open(often).unwrap();
    for round in 0..12 {
        for i in 0..8 {
            let n = round * 8 + i;
            store.append(table(), &writer(), n as u64 + 1, rows(n * 5..n * 5 + 5, 2)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(37 * (round as u64 % 5))).await;
        let (copy, sent) = (crash_copy(dir.path()), (round * 8 + 8) * 5);
        let reopened = Store::open(settings(copy.path())).unwrap();
        assert_eq!(codes(&reopened, copy.path()), once(0..sent), "round {round}");
    }
    store.close().unwrap();
    assert_eq!(std::fs::read_dir(dir.path().join("wal")).unwrap().count(), 1, "the log was cut");
}

#[tokio::test]
async fn replay_that_passes_the_flush_limit_flushes_and_does_not_double() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(settings(dir.path())).unwrap();
    for i in 0..20 {
        store.append(table(), &writer(), i as u64 + 1, rows(i * 100..i * 100 + 100, 2)).await.unwrap();
    }
    let copy = crash_copy(dir.path());
    let small = StoreSettings { flush_bytes: 30_000, ..settings(copy.path()) };
    for _ in 0..2 {
        let reopened = Store::open(small.clone()).unwrap();
        assert!(!reopened.snapshot(table()).files.is_empty());
        assert_eq!(codes(&reopened, copy.path()), once(0..2000));
    }
}

#[tokio::test]
async fn full_memory_refuses_and_a_flush_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let one = hot::batch_bytes(&rows(0..100, 1));
    let tight = StoreSettings { hot_bytes_max: one * 2, ..settings(dir.path()) };
    let store = Store::open(StoreSettings { flush_bytes: one * 2, ..tight }).unwrap();
    let mut refused = 0;
    for i in 0..40_i64 {
        while let Err(error) = store.append(table(), &writer(), i as u64 + 1, rows(i * 100..i * 100 + 100, 1)).await {
            assert!(matches!(error, StoreError::Full { .. }), "{error}");
            refused += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(store.hot_bytes() <= one * 2);
    }
    assert!(refused > 0, "the limit was never reached");
    assert_eq!(codes(&store, dir.path()), once(0..4000));
}

#[tokio::test]
async fn concurrent_writers_share_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(settings(dir.path())).unwrap();
    let sends = (0..200_i64).map(|i| {
        let store = store.clone();
        tokio::spawn(async move {
            let writer = WriterId::parse(&format!("n{i}/b")).unwrap();
            store.append(table(), &writer, 1, rows(i..i + 1, 1)).await.unwrap()
        })
    });
    for sent in sends.collect::<Vec<_>>() {
        assert_eq!(sent.await.unwrap(), Appended::Kept);
    }
    assert_eq!(codes(&store, dir.path()), once(0..200));
    assert!(value(&store.counters().log_syncs) <= 200);
}

#[test]
fn a_second_server_is_refused_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Store::open(settings(dir.path())).unwrap();
    let second = Store::open(settings(dir.path()));
    assert!(second.is_err_and(|e| e.to_string().contains("another server")));
}

#[tokio::test]
async fn rows_that_never_fit_are_refused_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let one = hot::batch_bytes(&rows(0..100, 1));
    let store = Store::open(StoreSettings { hot_bytes_max: one - 1, ..settings(dir.path()) }).unwrap();
    let error = store.append(table(), &writer(), 1, rows(0..100, 1)).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }) && error.kind() == crate::error::ErrorKind::Limit, "{error}");
    drop(store);
    // Nor does a log take more than its reader gives back, whatever memory there is.
    let store = Store::open(settings(dir.path())).unwrap();
    let text = "x".repeat(4 << 20);
    let n = wal::APPEND_BYTES_MAX as usize / text.len() + 1;
    let small = rows(0..n as i64, 1);
    let schema = small.schema();
    let columns = schema.fields().iter().zip(small.columns()).map(|(field, array)| {
        let long = || Arc::new(StringArray::from(vec![text.as_str(); n])) as ArrayRef;
        if field.name() == "message" { long() } else { Arc::clone(array) }
    });
    let large = RecordBatch::try_new(small.schema(), columns.collect()).unwrap();
    let error = store.append(table(), &writer(), 1, large).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    assert_eq!(store.append(table(), &writer(), 1, small).await.unwrap(), Appended::Kept);
}

#[tokio::test]
async fn texts_count_against_memory_and_room_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(settings(dir.path())).unwrap();
    let small = rows(0..1, 1);
    let schema = small.schema();
    let columns = schema.fields().iter().zip(small.columns()).map(|(field, array)| match field.name().as_str() {
        "message" => Arc::new(StringArray::from(vec!["x".repeat(1 << 20)])) as ArrayRef,
        _ => Arc::clone(array),
    });
    let large = RecordBatch::try_new(small.schema(), columns.collect()).unwrap();
    store.append(table(), &writer(), 1, large.clone()).await.unwrap();
    let held = store.hot_bytes();
    assert!((1 << 20..(1 << 20) + 4096).contains(&held), "{held}");
    store.append(table(), &writer(), 1, large.clone()).await.unwrap();
    assert_eq!(store.hot_bytes(), held, "a duplicate takes no room");
    let gone = WriterId::parse("gone/boot").unwrap();
    // A request that is dropped before its answer, at whatever point it was.
    for sequence in 2..50 {
        let append = store.append(table(), &gone, sequence, large.clone());
        let _gone = tokio::time::timeout(Duration::ZERO, append).await.is_ok();
    }
    store.close().unwrap();
    assert_eq!(store.hot_bytes(), 0);
}

#[tokio::test]
async fn a_slice_of_a_large_batch_does_not_keep_the_rest_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(settings(dir.path())).unwrap();
    let large = rows(0..100_000, 1);
    store.append(table(), &writer(), 1, large.slice(500, 10)).await.unwrap();
    let hot = &store.snapshot(table()).hot[0];
    assert_eq!(hot.num_rows(), 10);
    assert!(hot.columns().iter().all(|array| array.get_buffer_memory_size() < 16_384));
}

#[tokio::test]
async fn saved_sequences_are_not_lowered_by_an_older_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(settings(dir.path())).unwrap();
    store.append(table(), &writer(), 5, rows(0..10, 1)).await.unwrap();
    let copy = crash_copy(dir.path());
    drop(store);
    // As after a flush that saved more than the log that is left says.
    let saved = meta::Watermarks::from([(("device_events".to_owned(), "node/boot".to_owned()), 9)]);
    meta::Meta::open(&copy.path().join("meta.sqlite")).unwrap().save(&saved).unwrap();
    let store = Store::open(settings(copy.path())).unwrap();
    assert_eq!(store.append(table(), &writer(), 7, rows(10..20, 1)).await.unwrap(), Appended::Duplicate);
}

#[test]
fn a_thread_that_panics_is_not_silent() {
    let health = Arc::default();
    let thread = open::spawn("coulomb-test", &health, || panic!("on purpose")).unwrap();
    assert!(thread.join().unwrap().is_err());
    let why = health.check().unwrap_err();
    assert!(matches!(&why, StoreError::Broken { .. }) && why.to_string().contains("coulomb-test panicked"), "{why}");
}

/// Waits until the merging of files has nothing more to do.
async fn merged(store: &Store, files: usize) {
    let end = Instant::now() + Duration::from_secs(60);
    while store.snapshot(table()).files.len() > files {
        assert!(Instant::now() < end, "{} files are left", store.snapshot(table()).files.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn small_files_become_one_a_day_beside_readers_and_writers() {
    let dir = tempfile::tempdir().unwrap();
    for part in 0..9 {
        let store = Store::open(settings(dir.path())).unwrap();
        store.append(table(), &writer(), part + 1, rows(part as i64 * 100..part as i64 * 100 + 100, 3)).await.unwrap();
        store.close().unwrap();
    }
    let store = Store::open(settings(dir.path())).unwrap();
    let before = store.snapshot(table());
    store.append(table(), &writer(), 10, rows(900..1000, 3)).await.unwrap();
    merged(&store, 3).await;
    assert_eq!(codes(&store, dir.path()), once(0..1000));
    // A reader that began earlier still finds its files.
    for file in before.files.iter() {
        assert!(dir.path().join("tables").join(file.path.as_ref()).is_file());
    }
    let copy = crash_copy(dir.path());
    store.close().unwrap();
    drop(store);
    for dir in [dir.path(), copy.path()] {
        let reopened = Store::open(settings(dir)).unwrap();
        assert_eq!(codes(&reopened, dir), once(0..1000));
        assert_eq!(reopened.append(table(), &writer(), 10, rows(900..1000, 3)).await.unwrap(), Appended::Duplicate);
    }
}

#[tokio::test]
async fn a_damaged_file_keeps_no_other_from_being_merged() {
    let dir = tempfile::tempdir().unwrap();
    for part in 0..3 {
        let store = Store::open(settings(dir.path())).unwrap();
        store.append(table(), &writer(), part + 1, rows(part as i64 * 90..part as i64 * 90 + 90, 3)).await.unwrap();
        store.close().unwrap();
    }
    // The stop wrote the last rows of each day to a file that is not merged yet.
    let day = dir.path().join("tables/device_events/day=1970-01-01");
    for file in std::fs::read_dir(day).unwrap() {
        std::fs::write(file.unwrap().path(), b"PAR1 nothing PAR1").unwrap();
    }
    let store = Store::open(settings(dir.path())).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while value(&store.counters().merge_failures) == 0 {
        assert!(Instant::now() < end, "nothing was found damaged");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(store.ready().is_ok());
    assert_eq!(store.append(table(), &writer(), 9, rows(900..910, 1)).await.unwrap(), Appended::Kept);
    store.close().unwrap();
}

#[tokio::test]
async fn days_that_are_over_are_dropped_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(settings(dir.path())).unwrap();
    store.append(table(), &writer(), 1, rows(0..90, 3)).await.unwrap();
    store.close().unwrap();
    drop(store);
    let store = Store::open(settings(dir.path())).unwrap();
    // Nothing of this table, and nothing of the first day, is old enough yet.
    store.expire(contract::table("logs").unwrap(), Duration::ZERO, i64::MAX).await.unwrap();
    store.expire(table(), Duration::from_secs(1), 1_000_080).await.unwrap();
    assert_eq!(codes(&store, dir.path()), once(0..90));
    let before = store.snapshot(table());
    store.expire(table(), Duration::from_secs(86_400), 2 * columns::DAY_MICROS).await.unwrap();
    let kept: BTreeMap<i64, usize> = (0..90).filter(|code| code % 3 != 0).map(|code| (code, 1)).collect();
    assert_eq!(codes(&store, dir.path()), kept);
    for file in before.files.iter() {
        assert!(dir.path().join("tables").join(file.path.as_ref()).is_file(), "an earlier reader has lost a file");
    }
    // Late rows of a day that was dropped are welcome, until it is dropped again.
    assert_eq!(store.append(table(), &writer(), 1, rows(0..90, 3)).await.unwrap(), Appended::Duplicate);
    assert_eq!(store.append(table(), &writer(), 2, rows(900..901, 3)).await.unwrap(), Appended::Kept);
    store.close().unwrap();
    drop(store);
    let store = Store::open(settings(dir.path())).unwrap();
    let found = codes(&store, dir.path());
    assert_eq!(found.len(), kept.len() + 1);
    assert_eq!(found.get(&900), Some(&1));
}
