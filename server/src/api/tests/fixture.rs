//! A server on a free port, and requests to it.

use crate::access::Access;
use crate::api::{Running, Services, start};
use crate::dashboards;
use crate::deliver::Networks;
use crate::dispatch::{Dispatch, DispatchSettings};
use crate::ingest::Ingest;
use crate::insight::Insight;
use crate::insight::inference::Inference;
use crate::ledger::Ledger;
use crate::otlp::Otlp;
use crate::query::{Engine, QuerySettings};
use crate::store::{BucketVariables, Store, StoreSettings};
use crate::watch::{self, Watch, WatchSettings};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::ipc::writer::StreamWriter;
use serde_json::{Value, json};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

pub(super) const NOW: i64 = 1_700_000_000_000_000;

pub(super) struct Fixture {
    runtime: tokio::runtime::Runtime,
    running: Running,
    pub(super) store: Store,
    token: String,
    // Last, so that the directory goes after what uses it.
    _dir: tempfile::TempDir,
}

impl Fixture {
    pub(super) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (running, store) = runtime.block_on(listen(dir.path()));
        let token = std::fs::read_to_string(dir.path().join("admin.token")).unwrap().trim().to_owned();
        Self { runtime, running, store, token, _dir: dir }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.running.address
    }

    pub(super) fn stop(self) {
        self.runtime.block_on(self.running.stop()).unwrap();
    }

    pub(super) fn ask(&self, method: &str, path: &str) -> Asked {
        Asked {
            method: method.to_owned(),
            url: format!("http://{}{path}", self.running.address),
            headers: vec![("Authorization".to_owned(), format!("Bearer {}", self.token))],
            body: Vec::new(),
            chunked: false,
        }
    }

    pub(super) fn sql(&self, sql: &str) -> Asked {
        self.ask("POST", "/api/v1/query").json(&json!({ "sql": sql }))
    }

    pub(super) fn ingest(&self, table: &str, sequence: u64, body: Vec<u8>) -> Asked {
        self.ask("POST", &format!("/v1/ingest/{table}"))
            .body(body, contract::ARROW_STREAM_MIME)
            .with(contract::WRITER_HEADER, "n1/boot")
            .with(contract::SEQUENCE_HEADER, &sequence.to_string())
    }

    /// Makes a token and gives its secret and id.
    pub(super) fn token(&self, role: &str) -> (String, String) {
        let made = self.ask("POST", "/api/v1/tokens").json(&json!({ "name": role, "role": role })).send();
        assert_eq!(made.status, 201, "{}", made.text());
        let text = |name: &str| made.json()[name].as_str().unwrap().to_owned();
        (text("secret"), text("id"))
    }
}

async fn listen(dir: &std::path::Path) -> (Running, Store) {
    let store = Store::open(StoreSettings {
        data_dir: dir.into(),
        tables: None,
        flush_after: Duration::from_secs(3600),
        flush_bytes: 64 << 20,
        hot_bytes_max: 128 << 20,
        remove_after: Duration::from_secs(3600),
    });
    let store = store.unwrap();
    let settings = QuerySettings {
        timeout: Duration::from_secs(30),
        rows_max: 1_000_000,
        memory_bytes_max: 256 << 20,
        resident_bytes_max: 1 << 40,
        spill_dir: dir.join("spill"),
        spill_bytes_max: 64 << 20,
    };
    let engine = Engine::new(store.clone(), settings).unwrap();
    let ledger = Ledger::open(store.clone(), engine.clone(), || NOW).await.unwrap();
    let settings = DispatchSettings {
        reports_dir: Some(dir.join("reports")),
        networks: Networks::default(),
        secrets_dir: dir.join("secrets"),
        variables: BucketVariables::default(),
        tables: None,
    };
    let alerts = Arc::new(watch::shelf(dir));
    let watching = WatchSettings {
        networks: Networks::default(),
        secrets_dir: dir.join("secrets"),
        external_url: "http://coulomb.test".to_owned(),
    };
    let ingest = Ingest::new(store.clone());
    let insight = Insight::open(engine.clone(), || NOW).unwrap();
    let services = Services {
        watch: Watch::open(store.clone(), engine.clone(), Arc::clone(&alerts), watching, || NOW).await.unwrap(),
        alerts,
        inference: Inference::open(engine.clone(), || NOW).unwrap(),
        peaks: Arc::new(crate::insight::peaks(dir)),
        otlp: Otlp::new(ingest.clone(), || NOW),
        ingest,
        dispatch: Dispatch::open(store.clone(), (engine.clone(), ledger.clone(), insight.clone()), settings, || NOW),
        ledger,
        insight,
        engine,
        dashboards: Arc::new(dashboards::shelf(dir)),
        access: Access::open(dir, NOW).unwrap(),
        clock: || NOW,
        store: store.clone(),
    };
    (start(services, "127.0.0.1:0".parse().unwrap()).unwrap(), store)
}

/// A route's pattern with names in place of its parameters.
pub(super) fn example_path(pattern: &str) -> String {
    let part = |part: &str| match part.strip_prefix('{').and_then(|named| named.split_once('}')) {
        Some((_, ending)) => format!("x{ending}"),
        None => part.to_owned(),
    };
    let path = pattern.split('/').map(part).collect::<Vec<_>>().join("/");
    // What goes on until its reader leaves is asked for something that it refuses.
    if path.ends_with("/tail") { path + "?severity=x" } else { path }
}

#[derive(Debug, Clone)]
pub(super) struct Asked {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    chunked: bool,
}

impl Asked {
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn without_token(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "Authorization");
        self
    }

    pub(super) fn with_token(self, secret: &str) -> Self {
        self.without_token().with("Authorization", &format!("Bearer {secret}"))
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>, content_type: &str) -> Self {
        self.body = body.into();
        self.with("Content-Type", content_type)
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.body(body.to_string(), "application/json")
    }

    /// Sends the body without telling its length.
    pub(super) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    pub(super) fn send(&self) -> Got {
        self.try_send().unwrap_or_else(|e| panic!("{self:?}: {e}"))
    }

    /// Sends over a connection of its own, which is given back to be dropped.
    pub(super) fn send_without_reading(&self) -> TcpStream {
        let (host, path) = self.url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut connection = TcpStream::connect(host).unwrap();
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = self.body.len();
        let head =
            format!("{} /{path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n", self.method);
        connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(&self.body)).unwrap();
        connection
    }

    /// Fails when the answer does not arrive whole.
    pub(super) fn try_send(&self) -> Result<Got, ureq::Error> {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
        let agent: ureq::Agent = config.timeout_global(Some(Duration::from_secs(60))).build().into();
        let mut request = ureq::http::Request::builder().method(self.method.as_str()).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = match (self.method.as_str(), self.chunked) {
            ("GET" | "HEAD", _) => agent.run(request.body(()).unwrap()),
            (_, false) => agent.run(request.body(self.body.clone()).unwrap()),
            (_, true) => {
                let body = ureq::SendBody::from_owned_reader(std::io::Cursor::new(self.body.clone()));
                agent.run(request.body(body).unwrap())
            }
        };
        let (parts, mut body) = response?.into_parts();
        let text = |v: &ureq::http::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = body.with_config().limit(1 << 30).read_to_vec()?;
        Ok(Got { status: parts.status.as_u16(), headers, body })
    }
}

pub(super) struct Got {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub(super) fn error_kind(&self) -> String {
        let body = self.json();
        // OTLP's errors have codes of gRPC.
        match body["code"].as_i64() {
            Some(7) => return "forbidden".to_owned(),
            Some(16) => return "unauthorized".to_owned(),
            _ => {}
        }
        // Under /prometheus errors are in the envelope of that API.
        let kind = body["error"]["kind"].as_str().or(body["errorType"].as_str());
        kind.unwrap().to_owned()
    }
}

/// An Arrow stream of one integer column.
pub(super) fn stream_of(column: &str, value: i64) -> Vec<u8> {
    let array: ArrayRef = Arc::new(Int64Array::from(vec![value]));
    to_stream(&RecordBatch::try_from_iter([(column, array)]).unwrap())
}

/// Device events of one node, a second apart.
pub(super) fn device_events(rows: usize) -> Vec<u8> {
    let times = (0..rows as i64).map(|i| NOW - i * 1_000_000);
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; rows])) };
    let batch = RecordBatch::try_from_iter([
        ("time", Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")) as ArrayRef),
        ("cluster", text("c")),
        ("node", text("n1")),
        ("kind", text("xid")),
        ("severity", text("critical")),
        ("message", text("it, \"broke\"")),
    ]);
    to_stream(&batch.unwrap())
}

pub(super) fn to_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}
