//! Writers of `device_events` that know what was acknowledged, and hold the server to it.
//!
//! **Invariant:** a writer's rows are 0, 1, 2 …, so that a count and the bounds tell every gap and repetition.

use crate::{Answer, Server, send};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::ipc::writer::StreamWriter;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What one writer sends, in order; a batch is sent again until it is answered.
pub struct Writer {
    pub name: String,
    pub sequence: u64,
    pub next_row: i64,
    /// The rows of the batch that has not been acknowledged.
    pub pending: Option<(u64, Range<i64>)>,
    pub acknowledged: u64,
    pub duplicates: u64,
    /// How often the server refused for now.
    pub refusals: u64,
}

/// An Arrow stream of `device_events` whose `code` is their number.
pub fn events(node: &str, rows: Range<i64>) -> Vec<u8> {
    // A year of days, over and over: a fast machine writes more rows than there are such steps until today.
    events_at(node, rows, |row| 1_700_000_000_000_000 + row % 31_536 * 1_000_000_000)
}

/// Likewise, at times of the caller's (Unix microseconds).
pub fn events_at(node: &str, rows: Range<i64>, micros: impl Fn(i64) -> i64) -> Vec<u8> {
    let n = (rows.end - rows.start) as usize;
    let text = |value: &str| Arc::new(StringArray::from(vec![value; n])) as ArrayRef;
    let time = rows.clone().map(micros);
    let batch = RecordBatch::try_from_iter([
        ("time", Arc::new(TimestampMicrosecondArray::from_iter_values(time).with_timezone("UTC")) as ArrayRef),
        ("cluster", text("c")),
        ("node", text(node)),
        ("kind", text("xid")),
        ("code", Arc::new(Int64Array::from_iter_values(rows))),
        ("severity", text("info")),
        ("message", text("row of a test of crashes")),
    ]);
    let batch = batch.expect("the columns have one length");
    let mut out = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("memory takes bytes");
    out.write(&batch).and_then(|()| out.finish()).expect("memory takes bytes");
    out.into_inner().expect("memory takes bytes")
}

impl Writer {
    pub fn new(index: u64) -> Self {
        let name = format!("writer-{index}");
        Self { name, sequence: 0, next_row: 0, pending: None, acknowledged: 0, duplicates: 0, refusals: 0 }
    }

    /// Posts one of its batches; `None` when the server is gone.
    pub fn post(&self, (url, bearer): (&str, &str), sequence: u64, rows: Range<i64>) -> Option<Answer> {
        let (writer, number) = (format!("{}/boot", self.name), sequence.to_string());
        let headers = [("Authorization", bearer), ("Coulomb-Writer", &writer), ("Coulomb-Sequence", &number)];
        send("POST", &format!("{url}/v1/ingest/device_events"), &headers, &events(&self.name, rows)).ok()
    }

    /// Sends batches until `stop` or until the server is gone.
    pub fn send_until(&mut self, server: (&str, &str), stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let (sequence, rows) = self.pending.clone().unwrap_or_else(|| {
                let size = 1 + (self.sequence as i64 * 7) % 40;
                (self.sequence + 1, self.next_row..self.next_row + size)
            });
            self.pending = Some((sequence, rows.clone()));
            let Some(answer) = self.post(server, sequence, rows.clone()) else { return };
            if answer.status == 429 || answer.status == 503 {
                self.refusals += 1;
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

/// Lets all writers send for so long, then does `end`, and returns when all have heard of it.
pub fn load(server: &Server, writers: &mut [Writer], millis: u64, end: impl FnOnce()) {
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
pub fn check(server: &Server, writers: &[Writer]) {
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

/// Every writer's last acknowledged batch is known: sent again, it is a duplicate.
pub fn check_duplicates(server: &Server, writers: &[Writer]) {
    let bearer = format!("Bearer {}", server.token);
    for writer in writers.iter().filter(|w| w.sequence > 0) {
        let answer = writer.post((&server.url, &bearer), writer.sequence, 0..1).expect("the server answers");
        assert_eq!(answer.expect_status(200).json()["duplicate"], true, "{} {}", writer.name, writer.sequence);
    }
}
