//! A disk that fails at each step of a flush: the rows are in files once when it works again.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod several;

use super::super::tests::{rows, table};
use super::super::{durable, hot, merge};
use super::*;
use std::io;

struct Fixture {
    _dir: tempfile::TempDir,
    tables_dir: PathBuf,
    flusher: Flusher,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let tables_dir = dir.path().join("tables");
    std::fs::create_dir_all(&tables_dir).unwrap();
    let flusher = Flusher {
        wal_dir: dir.path().to_owned(),
        place: Place::Folder(tables_dir.clone()),
        meta: Meta::open(&dir.path().join("meta.sqlite")).unwrap(),
        deltas: HashMap::new(),
        tables: Arc::new(Tables::new(crate::store::ground_tables())),
        counters: Arc::default(),
        unsaved: Watermarks::new(),
        pending: HashMap::new(),
        sync: durable::disk(),
        replaced: Arc::new(Replaced::new(Duration::from_secs(3600))),
    };
    Fixture { _dir: dir, tables_dir, flusher }
}

/// A disk whose syncs of these names fail the first `times`.
fn failing(names: [&'static str; 2], mut times: usize) -> Sync {
    Box::new(move |path| {
        if times > 0 && names.iter().any(|name| path.ends_with(name)) {
            times -= 1;
            return Err(io::Error::other("the disk fails"));
        }
        durable::disk()(path)
    })
}

impl Fixture {
    fn publish(&self, into: &'static Table, batch: &RecordBatch) {
        let room = self.flusher.tables.reserve(hot::batch_bytes(batch), u64::MAX).unwrap();
        let rows = columns::to_read_schema(into, batch).unwrap();
        self.flusher.tables.publish(into, hot::Hot { rows, room });
        self.flusher.tables.seal();
    }

    /// Rows of the table as its files say, in the store and as a start would find them.
    async fn rows_in_files(&self) -> (u64, u64) {
        let shown = self.flusher.tables.snapshot(table());
        assert!(shown.hot.is_empty(), "rows are in memory still");
        let delta = Delta::open(&self.flusher.place, table()).await.unwrap().unwrap();
        let found = delta.files(table()).unwrap();
        let sum = |files: &[crate::store::DataFile]| files.iter().map(|f| f.rows).sum();
        (sum(&shown.files), sum(&found))
    }

    fn parquet_files(&self) -> usize {
        let days = std::fs::read_dir(self.tables_dir.join(table().name)).unwrap().map(|e| e.unwrap().path());
        let days = days.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("day="));
        days.map(|day| std::fs::read_dir(day).unwrap().count()).sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_could_not_be_synced_is_not_made_twice() {
    let mut f = fixture();
    f.flusher.sync = failing(["00000000000000000001.json", "_sync"], 2);
    f.publish(table(), &rows(0..100, 1));
    assert!(f.flusher.commit_sealed(1).await.is_err());
    assert_eq!(f.flusher.tables.snapshot(table()).hot.len(), 1, "the rows stay visible and in memory");
    // Meanwhile more rows have come.
    f.publish(table(), &rows(100..150, 1));
    assert!(f.flusher.commit_sealed(2).await.is_err());
    f.flusher.commit_sealed(3).await.unwrap();
    assert_eq!(f.rows_in_files().await, (150, 150));
    assert_eq!((f.parquet_files(), f.flusher.tables.bytes()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_is_synced_the_first_one_too() {
    let mut f = fixture();
    let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    f.flusher.sync = Box::new(move |path| {
        log.lock().push(path.file_name().unwrap().to_string_lossy().into_owned());
        durable::disk()(path)
    });
    for position in 1..3 {
        f.publish(table(), &rows(0..10, 1));
        f.flusher.commit_sealed(position).await.unwrap();
    }
    let mut names = seen.lock().clone();
    names.sort();
    let expected = (0..3).map(|version| format!("{version:020}.json")).collect::<Vec<_>>();
    assert_eq!(names, expected, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_fails_does_not_stop_the_others() {
    let mut f = fixture();
    let first = &contract::TABLES[0];
    assert_ne!(first.name, table().name);
    let obstacle = f.tables_dir.join(first.name);
    std::fs::write(&obstacle, "not a folder").unwrap();
    f.publish(first, &RecordBatch::new_empty(contract::schema(first)));
    f.publish(table(), &rows(0..100, 2));
    assert!(f.flusher.commit_sealed(1).await.is_err());
    assert_eq!(f.rows_in_files().await, (100, 100));
    assert_eq!(f.flusher.counters.flushes.load(Ordering::Relaxed), 0);
    std::fs::remove_file(&obstacle).unwrap();
    f.flusher.commit_sealed(1).await.unwrap();
    assert_eq!(f.rows_in_files().await, (100, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_doubt_counts_when_the_table_holds_its_files() {
    let mut f = fixture();
    f.publish(table(), &rows(0..10, 1));
    f.flusher.commit_sealed(1).await.unwrap();
    for (happened, position) in [(true, 2), (false, 4)] {
        f.publish(table(), &rows(10..20, 1));
        let mut files = Vec::new();
        let sealed = f.flusher.tables.sealed(table());
        write_files(table(), &f.flusher.place, sealed, position, &mut files).await.unwrap();
        if happened {
            let mut other = Delta::open(&f.flusher.place, table()).await.unwrap().unwrap();
            other.commit(table(), &files, position).await.unwrap();
        }
        let doubt = Some(StoreError::Internal("no answer".into()));
        f.flusher.pending.insert(table().name, Pending { files, position, batches: 1, doubt });
        assert_eq!(f.flusher.commit_sealed(position).await.is_ok(), happened);
        f.flusher.commit_sealed(position + 1).await.unwrap();
    }
    assert_eq!(f.rows_in_files().await, (30, 30));
    assert_eq!(f.parquet_files(), 3, "the files of the commit that did not happen are removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_fails_is_not_a_failed_flush() {
    let mut f = fixture();
    f.publish(table(), &rows(0..10, 1));
    f.flusher.commit_sealed(1).await.unwrap();
    for position in 2..99 {
        f.flusher.deltas.get_mut(table().name).unwrap().commit(table(), &[], position).await.unwrap();
    }
    let log = f.tables_dir.join(table().name).join("_delta_log");
    let obstacle = log.join(format!("{:020}.checkpoint.parquet", 99));
    std::fs::create_dir_all(obstacle.join("full")).unwrap();
    f.publish(table(), &rows(10..20, 1));
    f.flusher.commit_sealed(99).await.unwrap();
    assert!(!log.join("_last_checkpoint").exists(), "this version was to be summed up");
    std::fs::remove_dir_all(&obstacle).unwrap();
    f.publish(table(), &rows(20..30, 1));
    f.flusher.commit_sealed(100).await.unwrap();
    assert_eq!(f.rows_in_files().await, (30, 30));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_removes_files_that_no_version_names() {
    let mut f = fixture();
    f.publish(table(), &rows(0..10, 1));
    f.flusher.commit_sealed(1).await.unwrap();
    let dir = f.tables_dir.join(table().name);
    let mut files = Vec::new();
    let batch = columns::to_read_schema(table(), &rows(10..20, 1)).unwrap();
    write_files(table(), &f.flusher.place, vec![(batch, 1)], 2, &mut files).await.unwrap();
    let foreign = dir.join("day=1970-01-01/notes.parquet");
    std::fs::write(&foreign, "of somebody else").unwrap();
    assert_eq!(f.parquet_files(), 3);
    let mut again = Fixture { flusher: fixture().flusher, ..f };
    again.flusher.place = Place::Folder(again.tables_dir.clone());
    again.flusher.open_tables(crate::store::ground_tables()).await.unwrap();
    assert_eq!(again.rows_in_files().await, (10, 10));
    assert_eq!(again.parquet_files(), 2);
    assert!(foreign.exists());
}

#[test]
fn groups_are_bounded_by_their_bytes() {
    let batch = RecordBatch::new_empty(contract::schema(table()));
    let of = |sizes: &[u64]| groups(sizes.iter().map(|bytes| (batch.clone(), *bytes)).collect());
    let half = SORT_BYTES_MAX / 2;
    let sizes = |groups: Vec<Vec<RecordBatch>>| groups.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(of(&[half, half, 1, half, half])), [2, 2, 1]);
    assert_eq!(sizes(of(&[2 * SORT_BYTES_MAX, 1])), [1, 1]);
}

/// Three files of one day, and the file that has their rows.
async fn merged(f: &mut Fixture) -> (Vec<DataFile>, NewFile) {
    for part in 0..3 {
        f.publish(table(), &rows(part * 10..part * 10 + 10, 1));
        f.flusher.commit_sealed(part as u64 + 1).await.unwrap();
    }
    let old = f.flusher.tables.snapshot(table()).files.to_vec();
    let inputs: Vec<PathBuf> = old.iter().map(|file| f.tables_dir.join(file.path.as_ref())).collect();
    let path = format!("day=1970-01-01/{:020}-{}.parquet", 3, uuid::Uuid::new_v4());
    let output = f.tables_dir.join(table().name).join(&path);
    let written = merge::merge(table(), &inputs, &output, &mut || Ok(())).unwrap();
    (old, NewFile { path, day: 0, written, logs: Positions::local(1), covers: None })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_file_takes_the_place_of_its_inputs() {
    let mut f = fixture();
    let (old, new) = merged(&mut f).await;
    f.flusher.change(table(), Change::Merge { old, new }).await.unwrap();
    assert_eq!(f.rows_in_files().await, (30, 30));
    assert_eq!(f.flusher.tables.snapshot(table()).files.len(), 1);
    f.publish(table(), &rows(30..40, 1));
    f.flusher.commit_sealed(4).await.unwrap();
    assert_eq!(f.rows_in_files().await, (40, 40));
    // A start finds the inputs, which a reader of an earlier version may still want.
    let mut restarted = fixture();
    restarted.flusher.place = f.flusher.place.clone();
    let positions = restarted.flusher.open_tables(crate::store::ground_tables()).await.unwrap();
    assert_eq!(positions[table().name], 4, "a merge does not say how far the log is covered");
    assert_eq!(restarted.flusher.replaced.waiting(), 3);
    assert_eq!(f.parquet_files(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_could_not_be_synced_neither_doubles_nor_hides_rows() {
    let mut f = fixture();
    let (old, new) = merged(&mut f).await;
    f.flusher.sync = failing(["00000000000000000004.json", "_sync"], 1);
    let refused = f.flusher.change(table(), Change::Merge { old, new }).await;
    assert!(matches!(refused, Err(StoreError::Doubt(_))), "{refused:?}");
    assert_eq!(f.rows_in_files().await, (30, 30));
    f.publish(table(), &rows(30..40, 1));
    f.flusher.commit_sealed(4).await.unwrap();
    assert_eq!(f.rows_in_files().await, (40, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_of_files_outlive_their_versions_and_a_copy_from_the_checkpoint_on_opens() {
    let mut f = fixture();
    f.publish(table(), &rows(0..10, 1));
    f.flusher.commit_sealed(1).await.unwrap();
    for position in 2..99 {
        f.flusher.deltas.get_mut(table().name).unwrap().commit(table(), &[], position).await.unwrap();
    }
    for position in 99..101 {
        f.publish(table(), &rows(position as i64 * 10..position as i64 * 10 + 10, 1));
        f.flusher.commit_sealed(position).await.unwrap();
    }
    let (from, copy) = (f.tables_dir.join(table().name), tempfile::tempdir().unwrap());
    let copied = copy.path().join(table().name);
    for folder in ["_delta_log", "day=1970-01-01"] {
        std::fs::create_dir_all(copied.join(folder)).unwrap();
        for entry in std::fs::read_dir(from.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let is_old = name.ends_with(".json") && name.as_str() < "00000000000000000099";
            if !is_old && name != "_last_checkpoint" {
                std::fs::copy(from.join(folder).join(&name), copied.join(folder).join(&name)).unwrap();
            }
        }
    }
    let delta = Delta::open(&Place::Folder(copy.path().to_owned()), table()).await.unwrap().unwrap();
    assert_eq!((delta.position().await.unwrap(), delta.version()), (100, 100));
    let files = delta.summed_files(table()).unwrap();
    assert_eq!(files.len(), 3);
    for (file, sum) in files {
        let bytes = std::fs::read(f.tables_dir.join(file.path.as_ref())).unwrap();
        assert_eq!(sum, Some(crc32fast::hash(&bytes)), "{}", file.path);
    }
}
