//! SIGKILL at random moments under load: every acknowledged row is there once, none twice.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::ipc::writer::StreamWriter;
use coulomb_tests::Server;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const KILLS: u64 = 50;
const WRITERS: u64 = 4;
/// Bounds the test on a slow machine; fewer kills than asked for fail it.
const AT_MOST: Duration = Duration::from_secs(600);

/// What one writer sends, in order; a batch is sent again until it is answered.
struct Writer {
    name: String,
    sequence: u64,
    next_row: i64,
    /// The rows of the batch that has not been acknowledged.
    pending: Option<(u64, Range<i64>)>,
    acknowledged: u64,
    duplicates: u64,
}

fn stream(writer: &str, rows: Range<i64>) -> Vec<u8> {
    let n = (rows.end - rows.start) as usize;
    let text = |value: &str| Arc::new(StringArray::from(vec![value; n])) as ArrayRef;
    // A year of days, over and over: a fast machine writes more rows than there are such steps until today.
    let time = rows.clone().map(|row| 1_700_000_000_000_000 + row % 31_536 * 1_000_000_000);
    let batch = RecordBatch::try_from_iter([
        ("time", Arc::new(TimestampMicrosecondArray::from_iter_values(time).with_timezone("UTC")) as ArrayRef),
        ("cluster", text("c")),
        ("node", text(writer)),
        ("kind", text("xid")),
        ("code", Arc::new(Int64Array::from_iter_values(rows))),
        ("severity", text("info")),
        ("message", text("row of the crash test")),
    ]);
    let batch = batch.expect("the columns have one length");
    let mut out = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("memory takes bytes");
    out.write(&batch).and_then(|()| out.finish()).expect("memory takes bytes");
    out.into_inner().expect("memory takes bytes")
}

impl Writer {
    fn new(index: u64) -> Self {
        let name = format!("writer-{index}");
        Self { name, sequence: 0, next_row: 0, pending: None, acknowledged: 0, duplicates: 0 }
    }

    /// Sends batches until `stop` or until the server is gone.
    fn send_until(&mut self, server: (&str, &str), stop: &AtomicBool) {
        let (url, bearer) = server;
        let writer = format!("{}/boot", self.name);
        while !stop.load(Ordering::Relaxed) {
            let (sequence, rows) = self.pending.clone().unwrap_or_else(|| {
                let size = 1 + (self.sequence as i64 * 7) % 40;
                (self.sequence + 1, self.next_row..self.next_row + size)
            });
            self.pending = Some((sequence, rows.clone()));
            let number = sequence.to_string();
            let headers = [("Authorization", bearer), ("Coulomb-Writer", &writer), ("Coulomb-Sequence", &number)];
            let body = stream(&self.name, rows.clone());
            let path = format!("{url}/v1/ingest/device_events");
            let Ok(answer) = coulomb_tests::send("POST", &path, &headers, &body) else { return };
            if answer.status == 429 || answer.status == 503 {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            let answer = answer.expect_status(200).json();
            let count = (rows.end - rows.start) as u64;
            if answer["duplicate"] == true {
                self.duplicates += 1;
            } else {
                assert_eq!(answer["accepted"], count);
            }
            self.acknowledged += count;
            (self.sequence, self.next_row, self.pending) = (sequence, rows.end, None);
        }
    }
}

fn load(server: &Server, writers: &mut [Writer], millis: u64, end: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    let (url, bearer) = (server.url.as_str(), format!("Bearer {}", server.token));
    std::thread::scope(|scope| {
        for writer in writers.iter_mut() {
            scope.spawn(|| writer.send_until((url, &bearer), &stop));
        }
        std::thread::sleep(Duration::from_millis(millis));
        end();
        stop.store(true, Ordering::Relaxed);
    });
}

/// Each writer's rows are 0, 1, 2 … without a gap and without a repetition.
fn check(server: &Server, writers: &[Writer]) {
    let sql = "select node, count(*), count(distinct code), min(code), max(code) from device_events group by node";
    let number = |cell: &String| cell.parse::<i64>().expect("a count is a number");
    let found = server.query(sql).into_iter();
    let found: BTreeMap<_, Vec<i64>> =
        found.map(|row| (row[0].clone(), row[1..].iter().map(number).collect())).collect();
    for writer in writers.iter().filter(|w| w.next_row > 0) {
        let rows = found.get(&writer.name).unwrap_or_else(|| panic!("nothing of {} is there", writer.name));
        let [count, distinct, min, max] = rows[..] else { panic!("{rows:?}") };
        assert_eq!((count, min), (distinct, 0), "{} has a row twice or none first: {rows:?}", writer.name);
        assert_eq!(count, max + 1, "{} has a gap: {rows:?}", writer.name);
        // A batch that was kept but not yet acknowledged may be there as well, whole.
        let kept = [Some(writer.next_row), writer.pending.as_ref().map(|(_, rows)| rows.end)];
        assert!(kept.contains(&Some(count)), "{}: {count} rows, expected one of {kept:?}", writer.name);
    }
}

#[test]
fn every_acknowledged_row_is_there_once_after_fifty_kills() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let flags = ["--flush-after-seconds", "1"];
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let begin = Instant::now();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut kills = 0;
    while kills < KILLS && begin.elapsed() < AT_MOST {
        let server = Server::start_in(dir.path(), &flags);
        if kills % 5 == 0 {
            check(&server, &writers);
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pid = server.program.pid().to_string();
        // Between a few frames and several flushes.
        load(&server, &mut writers, 20 + (random >> 33) % 1_500, || {
            let killed = std::process::Command::new("kill").args(["-KILL", &pid]).status();
            assert!(killed.is_ok_and(|s| s.success()), "the server was gone before it was killed");
        });
        kills += 1;
    }
    assert_eq!(kills, KILLS, "the machine was too slow for this test");
    let server = Server::start_in(dir.path(), &flags);
    load(&server, &mut writers, 500, || ());
    check(&server, &writers);
    let acknowledged: u64 = writers.iter().map(|w| w.acknowledged).sum();
    let duplicates: u64 = writers.iter().map(|w| w.duplicates).sum();
    println!("{KILLS} kills, {acknowledged} rows acknowledged, {duplicates} batches kept before their answer came");
    assert!(acknowledged > 1_000, "there was no load: {acknowledged} rows");
}
