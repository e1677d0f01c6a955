//! Tables that several servers write: commits that arrive late, merges of the same files, files nobody names.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::super::super::bucket::Bucket;
use super::super::super::place::Shared;
use super::super::super::tests::{rows, table};
use super::super::super::{durable, hot, merge};
use super::super::*;
use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, Error as ObjectError, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as ObjectResult,
};
use parking_lot::Mutex;
use std::fmt;
use std::path::Path;

/// What becomes of the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Good,
    /// It happens, and the answer is lost.
    Torn,
    /// It fails, and arrives when [`Unsure::release`] is called.
    Late,
}

/// A bucket in memory whose commits may be in doubt.
#[derive(Debug)]
struct Unsure {
    inner: InMemory,
    next: Mutex<Next>,
    late: Mutex<Vec<(ObjectPath, PutPayload)>>,
}

impl fmt::Display for Unsure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unsure")
    }
}

impl Unsure {
    /// The late commits arrive; says how many took effect.
    async fn release(&self) -> usize {
        let late = std::mem::take(&mut *self.late.lock());
        let mut happened = 0;
        for (path, payload) in late {
            happened += usize::from(self.inner.put_opts(&path, payload, PutMode::Create.into()).await.is_ok());
        }
        happened
    }

    fn set(&self, next: Next) {
        *self.next.lock() = next;
    }
}

#[async_trait]
impl ObjectStore for Unsure {
    async fn put_opts(&self, path: &ObjectPath, payload: PutPayload, how: PutOptions) -> ObjectResult<PutResult> {
        let is_commit = path.as_ref().contains("_delta_log") && how.mode == PutMode::Create;
        let next = if is_commit { std::mem::replace(&mut *self.next.lock(), Next::Good) } else { Next::Good };
        let lost = || ObjectError::Generic { store: "unsure", source: "no answer".into() };
        match next {
            Next::Good => self.inner.put_opts(path, payload, how).await,
            Next::Torn => {
                self.inner.put_opts(path, payload, how).await?;
                Err(lost())
            }
            Next::Late => {
                self.late.lock().push((path.clone(), payload));
                Err(lost())
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        path: &ObjectPath,
        how: PutMultipartOptions,
    ) -> ObjectResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, how).await
    }

    async fn get_opts(&self, path: &ObjectPath, how: GetOptions) -> ObjectResult<GetResult> {
        self.inner.get_opts(path, how).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, ObjectResult<ObjectPath>>,
    ) -> BoxStream<'static, ObjectResult<ObjectPath>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, ObjectResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> ObjectResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &ObjectPath, to: &ObjectPath, how: CopyOptions) -> ObjectResult<()> {
        self.inner.copy_opts(from, to, how).await
    }
}

fn unsure() -> Arc<Unsure> {
    Arc::new(Unsure { inner: InMemory::new(), next: Mutex::new(Next::Good), late: Mutex::default() })
}

/// A server's flush, with its own data directory.
struct Server {
    dir: tempfile::TempDir,
    flusher: Flusher,
}

fn flusher(dir: &Path, objects: &Arc<Unsure>, name: &str) -> Flusher {
    let root: Arc<dyn ObjectStore> = Arc::clone(objects) as Arc<dyn ObjectStore>;
    let bucket = Bucket::of("s3://bucket/fleet/", root).unwrap();
    std::fs::create_dir_all(dir.join("transit")).unwrap();
    Flusher {
        wal_dir: dir.to_owned(),
        place: Place::Shared(Arc::new(Shared::new(bucket, name, dir.join("transit")))),
        meta: Meta::open(&dir.join("meta.sqlite")).unwrap(),
        deltas: HashMap::new(),
        tables: Arc::new(Tables::new(crate::store::ground_tables())),
        counters: Arc::default(),
        unsaved: Watermarks::new(),
        pending: HashMap::new(),
        sync: durable::disk(),
        replaced: Arc::new(Replaced::new(Duration::from_secs(3600))),
    }
}

fn server(objects: &Arc<Unsure>, name: &str) -> Server {
    let dir = tempfile::tempdir().unwrap();
    Server { flusher: flusher(dir.path(), objects, name), dir }
}

impl Server {
    fn publish(&self, batch: &RecordBatch) {
        let room = self.flusher.tables.reserve(hot::batch_bytes(batch), u64::MAX).unwrap();
        let rows = columns::to_read_schema(table(), batch).unwrap();
        self.flusher.tables.publish(table(), hot::Hot { rows, room });
        self.flusher.tables.seal();
    }

    async fn flush(&mut self, codes: std::ops::Range<i64>, position: u64) -> Result<(), StoreError> {
        self.publish(&rows(codes, 1));
        self.flusher.commit_sealed(position).await
    }

    /// Rows that are shown: in memory and in files.
    fn shown(&self) -> (u64, u64) {
        let snapshot = self.flusher.tables.snapshot(table());
        let hot = snapshot.hot.iter().map(|batch| batch.num_rows() as u64).sum();
        (hot, snapshot.files.iter().map(|file| file.rows).sum())
    }

    /// All files of the table, merged and kept under a name of their own.
    async fn merged(&self) -> (Vec<DataFile>, NewFile) {
        let old = self.flusher.tables.snapshot(table()).files.to_vec();
        let mut here = Vec::new();
        for file in &old {
            here.push(self.flusher.place.fetch(file).await.unwrap());
        }
        let path = format!("day=1970-01-01/{:020}-{}.parquet", 3, uuid::Uuid::new_v4());
        let within = format!("{}/{path}", table().name);
        let draft = self.flusher.place.draft(&within).unwrap();
        let inputs: Vec<PathBuf> = here.iter().map(|file| file.path().to_owned()).collect();
        let written = merge::merge(table(), &inputs, draft.path(), &mut || Ok(())).unwrap();
        self.flusher.place.keep(&[(within, draft)]).await.unwrap();
        (old, NewFile { path, day: 0, written, logs: Positions::local(1), covers: None })
    }
}

/// Rows of the table as a server finds them that has just come.
async fn found(objects: &Arc<Unsure>) -> u64 {
    let mut newcomer = server(objects, "newcomer");
    newcomer.flusher.open_tables(crate::store::ground_tables()).await.unwrap();
    let mut rows = 0;
    for file in newcomer.flusher.tables.snapshot(table()).files.iter() {
        let copy = newcomer.flusher.place.fetch(file).await.unwrap();
        rows += crate::store::read_parquet(copy.path()).unwrap().rows;
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_flushes_the_other_shows() {
    let objects = unsure();
    let (mut a, mut b) = (server(&objects, "a"), server(&objects, "b"));
    a.flush(0..10, 7).await.unwrap();
    assert_eq!(b.shown(), (0, 0));
    b.flusher.refresh().await.unwrap();
    assert_eq!(b.shown(), (0, 10));
    b.flush(10..30, 3).await.unwrap();
    assert_eq!(b.shown(), (0, 30), "one's own commit shows what came before it");
    a.flusher.refresh().await.unwrap();
    assert_eq!((a.shown(), found(&objects).await), ((0, 30), 30));
    let generation = a.flusher.tables.snapshot(table()).generation;
    a.flusher.refresh().await.unwrap();
    assert_eq!(a.flusher.tables.snapshot(table()).generation, generation, "nothing has changed");
    // Each has its own position in the log of the table.
    for (name, position) in [("a", 7), ("b", 3), ("c", 0)] {
        let positions = server(&objects, name).flusher.open_tables(crate::store::ground_tables()).await.unwrap();
        assert_eq!(positions[table().name], position, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_merges_of_the_same_files_one_gives_way() {
    let objects = unsure();
    let (mut a, mut b) = (server(&objects, "a"), server(&objects, "b"));
    for part in 0..3 {
        a.flush(part * 10..part * 10 + 10, part as u64 + 1).await.unwrap();
    }
    b.flusher.refresh().await.unwrap();
    let ((old_a, new_a), (old_b, new_b)) = (a.merged().await, b.merged().await);
    a.flusher.change(table(), Change::Merge { old: old_a, new: new_a }).await.unwrap();
    let late = b.flusher.change(table(), Change::Merge { old: old_b, new: new_b }).await;
    assert!(matches!(late, Err(StoreError::Overtaken { .. })), "{late:?}");
    assert_eq!((a.shown(), b.shown(), found(&objects).await), ((0, 30), (0, 30), 30));
    assert_eq!(b.flusher.tables.snapshot(table()).files.len(), 1, "it sees at once what came first");
    // A flush in between is no reason to give way.
    b.flush(30..40, 1).await.unwrap();
    a.flusher.refresh().await.unwrap();
    let (old, new) = a.merged().await;
    b.flush(40..50, 2).await.unwrap();
    a.flusher.change(table(), Change::Merge { old, new }).await.unwrap();
    assert_eq!((a.shown(), found(&objects).await), ((0, 50), 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_two_servers_drop_are_dropped_once() {
    let objects = unsure();
    let (mut a, mut b) = (server(&objects, "a"), server(&objects, "b"));
    a.flush(0..10, 1).await.unwrap();
    b.flusher.refresh().await.unwrap();
    let expire = || Change::Expire { keep: Duration::ZERO, now_micros: 5 * columns::DAY_MICROS };
    a.flusher.change(table(), expire()).await.unwrap();
    b.flusher.change(table(), expire()).await.unwrap();
    assert_eq!((a.shown(), b.shown(), found(&objects).await), ((0, 0), (0, 0), 0));
    b.flush(10..30, 1).await.unwrap();
    assert_eq!(found(&objects).await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_counts_once_also_when_it_comes_late() {
    for (next, position) in [(Next::Torn, 2), (Next::Late, 3), (Next::Late, 2)] {
        let objects = unsure();
        let (mut a, mut b) = (server(&objects, "a"), server(&objects, "b"));
        a.flush(0..10, 1).await.unwrap();
        objects.set(next);
        // What is known to have failed is tried again by the next flush.
        let first = a.flush(10..30, 2).await;
        assert_eq!(first.is_ok(), next == Next::Torn, "{first:?}");
        b.flusher.refresh().await.unwrap();
        assert_eq!(objects.release().await, 0, "a late commit was kept out");
        a.flush(30..30 + position as i64 % 2 * 10, position).await.unwrap();
        let all = 30 + position % 2 * 10;
        b.flusher.refresh().await.unwrap();
        assert_eq!((a.shown(), b.shown(), found(&objects).await), ((0, all), (0, all), all), "{next:?} {position}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_arrives_after_a_kill_is_not_made_twice() {
    for arrives_first in [true, false] {
        let objects = unsure();
        let mut a = server(&objects, "a");
        a.flush(0..10, 1).await.unwrap();
        objects.set(Next::Late);
        a.publish(&rows(10..30, 1));
        // Killed before it hears of it: nothing is settled.
        let place = a.flusher.place.clone();
        let (sealed, mut files) = (a.flusher.tables.sealed(table()), Vec::new());
        write_files(table(), &place, sealed, 2, &mut files).await.unwrap();
        let delta = a.flusher.deltas.get_mut(table().name).unwrap();
        assert!(delta.commit(table(), &files, 2).await.is_err());
        // What the log still holds; its header is not looked at.
        std::fs::write(wal::segment_path(a.dir.path(), 2), [0; 100]).unwrap();
        if arrives_first {
            assert_eq!(objects.release().await, 1);
        }
        let mut again = flusher(a.dir.path(), &objects, "a");
        let covered = again.open_tables(crate::store::ground_tables()).await.unwrap()[table().name];
        assert_eq!(covered, if arrives_first { 2 } else { 1 });
        assert_eq!(objects.release().await, 0, "it cannot arrive any more");
        let mut again = Server { flusher: again, ..a };
        if covered < 2 {
            again.flush(10..30, 2).await.unwrap();
        }
        assert_eq!((again.shown(), found(&objects).await), ((0, 30), 30));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_whose_answer_is_lost_neither_doubles_nor_hides_rows() {
    for next in [Next::Torn, Next::Late] {
        let objects = unsure();
        let mut a = server(&objects, "a");
        for part in 0..3 {
            a.flush(part * 10..part * 10 + 10, part as u64 + 1).await.unwrap();
        }
        let (old, new) = a.merged().await;
        objects.set(next);
        let merged = a.flusher.change(table(), Change::Merge { old, new }).await;
        assert_eq!(merged.is_ok(), next == Next::Torn, "{merged:?}");
        assert_eq!(objects.release().await, 0);
        assert_eq!((a.shown(), found(&objects).await), ((0, 30), 30));
        let (old, new) = a.merged().await;
        a.flusher.change(table(), Change::Merge { old, new }).await.unwrap();
        assert_eq!((a.shown(), found(&objects).await), ((0, 30), 30));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_written_beside_the_versions_of_others() {
    let objects = unsure();
    let (mut a, mut b) = (server(&objects, "a"), server(&objects, "b"));
    for turn in 0..52_i64 {
        a.flush(turn * 2..turn * 2 + 1, turn as u64 + 1).await.unwrap();
        b.flush(turn * 2 + 1..turn * 2 + 2, turn as u64 + 1).await.unwrap();
    }
    let last = ObjectPath::from(format!("fleet/{}/_delta_log/_last_checkpoint", table().name));
    assert!(objects.inner.head(&last).await.is_ok(), "there is a checkpoint");
    assert_eq!(found(&objects).await, 104);
    for name in ["a", "b"] {
        assert_eq!(
            server(&objects, name).flusher.open_tables(crate::store::ground_tables()).await.unwrap()[table().name],
            52
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_nobody_names_go_when_they_are_a_day_old() {
    let objects = unsure();
    let mut a = server(&objects, "a");
    a.flush(0..10, 1).await.unwrap();
    let young = ObjectPath::from(format!("fleet/{}/day=1970-01-01/{:020}-x.parquet", table().name, 1));
    objects.inner.put(&young, "of another server, which is about to name it".into()).await.unwrap();
    let Place::Shared(shared) = &a.flusher.place else { panic!("it is shared") };
    let known = || unnamed::Known::new(table(), Vec::new(), Vec::new());
    unnamed::remove_from_bucket(shared, &known(), &a.flusher.replaced).await.unwrap();
    assert_eq!(found(&objects).await, 10, "all are young");
    assert!(objects.inner.head(&young).await.is_ok());
    // One that an earlier version names waits, as after a merge.
    let path = a.flusher.tables.snapshot(table()).files[0].path.to_string();
    let known = unnamed::Known::new(table(), Vec::new(), vec![path]);
    unnamed::remove_from_bucket(shared, &known, &a.flusher.replaced).await.unwrap();
    assert_eq!(a.flusher.replaced.waiting(), 1);
    let ages = |hours: &[i64]| -> Vec<bool> {
        let now = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let object = |hours: &i64| ObjectMeta {
            location: ObjectPath::from("t/day=1970-01-01/x"),
            last_modified: now - chrono::TimeDelta::hours(*hours),
            size: 1,
            e_tag: None,
            version: None,
        };
        let objects: Vec<_> = hours.iter().map(object).collect();
        objects.iter().map(|object| unnamed::is_abandoned(object, now)).collect()
    };
    assert_eq!(ages(&[0, 23, 25]), [false, false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_data_directory_is_noticed_before_rows_are_lost() {
    let objects = unsure();
    let (mut a, mut copy) = (server(&objects, "a"), server(&objects, "a"));
    a.flush(0..10, 1).await.unwrap();
    copy.flusher.open_tables(crate::store::ground_tables()).await.unwrap();
    a.flush(10..20, 5).await.unwrap();
    for _ in 0..2 {
        let refused = copy.flush(20..30, 2).await;
        assert!(refused.is_err_and(|error| error.to_string().contains("copy")));
    }
    assert_eq!((a.shown(), copy.shown()), ((0, 20), (20, 10)), "its rows stay in memory and in its log");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_any_size_come_back_as_they_went() {
    let objects = unsure();
    let place = server(&objects, "a").flusher.place;
    let Place::Shared(shared) = &place else { panic!("it is shared") };
    let dir = tempfile::tempdir().unwrap();
    for size in [1, (8 << 20) - 1, 8 << 20, (8 << 20) + 1, 20 << 20] {
        let bytes: Vec<u8> = (0..size as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let path = format!("t/day=1970-01-01/{size}");
        let draft = dir.path().join("draft");
        std::fs::write(&draft, &bytes).unwrap();
        shared.bucket.upload_one(&ObjectPath::from(path.as_str()), &draft).await.unwrap();
        let (path, size_bytes) = (ObjectPath::from(path), size as u64);
        let file =
            DataFile { path, size_bytes, rows: 1, time_min_micros: 0, time_max_micros: 0, logs: Default::default() };
        let copy = dir.path().join("copy");
        shared.bucket.download(&file, &copy).await.unwrap();
        assert!(std::fs::read(copy).unwrap() == bytes, "{size} bytes came back differently");
    }
}
