//! A server that takes batches, remembers them as Coulomb does, and can be told to fail.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// How the sink answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// As Coulomb does.
    Take,
    /// Keeps the rows, and closes the connection before it says so.
    TakeAndHangUp,
    /// This status, with a `Retry-After` of one second.
    Status(u16),
    /// 422 for one table, as Coulomb does for the others.
    RefuseHosts,
    /// 503 for one table, as Coulomb does for the others.
    BusyForGpus,
    /// Takes all rows of GPUs but one a batch, and the other tables as Coulomb does.
    RejectOneGpuRow,
}

#[derive(Debug, Default)]
pub struct Kept {
    /// Rows by table, by GPU or node (and pid) and by time, with how often each came.
    pub rows: BTreeMap<(String, String, i64), u64>,
    pub messages: Vec<String>,
    pub lost: i64,
    pub requests: u64,
    pub duplicates: u64,
    pub tokens: Vec<Option<String>>,
    last: HashMap<(String, String), u64>,
}

#[derive(Debug, Clone)]
pub struct Sink {
    pub address: SocketAddr,
    pub kept: Arc<Mutex<Kept>>,
    answer: Arc<Mutex<Answer>>,
}

impl Sink {
    pub fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sink = Self {
            address: listener.local_addr().unwrap(),
            kept: Arc::default(),
            answer: Arc::new(Mutex::new(answer)),
        };
        let serving = sink.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let sink = serving.clone();
                // A client that hangs up ends its thread, as it should.
                thread::spawn(move || sink.serve(stream.unwrap()).is_none());
            }
        });
        sink
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub fn rows(&self, table: &str) -> u64 {
        self.kept.lock().unwrap().rows.iter().filter(|((t, ..), _)| t == table).map(|(_, n)| n).sum()
    }

    pub fn requests(&self) -> u64 {
        self.kept.lock().unwrap().requests
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let table = line.split(['/', ' ']).rfind(|p| contract::table(p).is_some()).unwrap_or("").to_owned();
            let mut headers = HashMap::new();
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).ok()?;
                let Some((name, value)) = header.trim_end().split_once(':') else { break };
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            let mut body = vec![0; headers["content-length"].parse().unwrap()];
            reader.read_exact(&mut body).ok()?;
            let answer = *self.answer.lock().unwrap();
            let (status, text) = self.take(answer, &table, &headers, &body);
            if answer == Answer::TakeAndHangUp {
                return None;
            }
            let retry = if status == 200 { "" } else { "Retry-After: 1\r\n" };
            write!(stream, "HTTP/1.1 {status} X\r\n{retry}Content-Length: {}\r\n\r\n{text}", text.len()).ok()?;
        }
    }

    fn take(&self, answer: Answer, table: &str, headers: &HashMap<String, String>, body: &[u8]) -> (u16, String) {
        let mut kept = self.kept.lock().unwrap();
        kept.requests += 1;
        kept.tokens.push(headers.get("authorization").cloned());
        match answer {
            Answer::Status(status) => return (status, "told to fail".to_owned()),
            Answer::RefuseHosts if table == "host_samples" => return (422, "unknown column".to_owned()),
            Answer::BusyForGpus if table == "gpu_samples" => return (503, "told to fail".to_owned()),
            _ => {}
        }
        let writer = headers["coulomb-writer"].clone();
        let sequence: u64 = headers["coulomb-sequence"].parse().unwrap();
        let last = kept.last.entry((writer, table.to_owned())).or_default();
        if sequence <= *last {
            kept.duplicates += 1;
            return (200, r#"{"accepted":0,"duplicate":true,"rejected":[]}"#.to_owned());
        }
        *last = sequence;
        let mut rows = 0;
        for batch in arrow::ipc::reader::StreamReader::try_new(body, None).unwrap() {
            let batch = batch.unwrap();
            rows += batch.num_rows();
            kept.keep(table, &batch);
        }
        if answer == Answer::RejectOneGpuRow && table == "gpu_samples" {
            let rejected = r#"[{"row":0,"column":"time","reason":"told to"}]"#;
            return (200, format!(r#"{{"accepted":{},"duplicate":false,"rejected":{rejected}}}"#, rows - 1));
        }
        (200, format!(r#"{{"accepted":{rows},"duplicate":false,"rejected":[]}}"#))
    }
}

impl Kept {
    fn keep(&mut self, table: &str, batch: &arrow::record_batch::RecordBatch) {
        use arrow::array::AsArray;
        use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
        let text = |name: &str| batch.column_by_name(name).map(|c| arrow::compute::cast(c, &DataType::Utf8).unwrap());
        let times = batch.column_by_name("time").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
        let (key, messages) = (text("gpu_uuid").or(text("node")).or(text("job_id")).unwrap(), text("message"));
        let pids = text("pid");
        for row in 0..batch.num_rows() {
            let pid = pids.as_ref().map_or("", |p| p.as_string::<i32>().value(row));
            let key = format!("{}{pid}", key.as_string::<i32>().value(row));
            let key = (table.to_owned(), key, times.value(row));
            *self.rows.entry(key).or_default() += 1;
            self.messages.extend(messages.iter().map(|m| m.as_string::<i32>().value(row).to_owned()));
            if text("kind").is_some_and(|k| k.as_string::<i32>().value(row) == "dropped") {
                let codes = batch.column_by_name("code").unwrap().as_primitive::<Int64Type>();
                self.lost += codes.value(row);
            }
        }
    }
}
