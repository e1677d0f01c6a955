//! As much of an API server as lists and watches pods of a node and lists resource slices, over plain HTTP.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

pub const TOKEN: &str = "token-of-the-service-account";
/// A watch looks for news this often, and says that it lives this often.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const BOOKMARK_EVERY: Duration = Duration::from_secs(1);

#[derive(Default)]
struct State {
    /// By UID.
    pods: Vec<(String, Value)>,
    slices: Vec<Value>,
    version: u64,
    /// Version, kind and object.
    changes: Vec<(u64, &'static str, Value)>,
    /// Versions below are forgotten.
    oldest: u64,
    is_away: bool,
    /// A watch ends when this has changed since it began.
    broken: u64,
    requests: Vec<String>,
}

/// Answers as long as the test runs.
#[derive(Clone)]
pub struct ApiServer {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
}

impl ApiServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let server = Self { state: Arc::default(), address };
        server.lock().version = 100;
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = serving.clone();
                // A client that leaves is no fault of a test.
                std::thread::spawn(move || drop(server.answer(stream)));
            }
        });
        server
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no answer panics")
    }

    /// A file as `KUBECONFIG` names it.
    pub fn kubeconfig(&self, dir: &Path) -> PathBuf {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters:\n- name: test\n  cluster:\n    server: http://{}\n\
             users:\n- name: test\n  user:\n    token: {TOKEN}\n\
             contexts:\n- name: test\n  context:\n    cluster: test\n    user: test\n",
            self.address
        );
        let path = dir.join("kubeconfig");
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    /// Makes or changes a pod.
    pub fn apply(&self, pod: &Value) {
        let mut state = self.lock();
        state.version += 1;
        let mut pod = pod.clone();
        pod["metadata"]["resourceVersion"] = json!(state.version.to_string());
        let uid = pod["metadata"]["uid"].as_str().expect("a pod has a UID").to_owned();
        let known = state.pods.iter().position(|(known, _)| *known == uid);
        let kind = if known.is_some() { "MODIFIED" } else { "ADDED" };
        match known {
            Some(at) => state.pods[at].1 = pod.clone(),
            None => state.pods.push((uid, pod.clone())),
        }
        let version = state.version;
        state.changes.push((version, kind, pod));
    }

    /// Takes a pod away.
    pub fn delete(&self, uid: &str) {
        let mut state = self.lock();
        state.version += 1;
        let at = state.pods.iter().position(|(known, _)| known == uid).expect("the pod is there");
        let (_, mut pod) = state.pods.remove(at);
        pod["metadata"]["resourceVersion"] = json!(state.version.to_string());
        let version = state.version;
        state.changes.push((version, "DELETED", pod));
    }

    pub fn set_slices(&self, slices: Vec<Value>) {
        self.lock().slices = slices;
    }

    /// Breaks all watches off.
    pub fn break_watches(&self) {
        self.lock().broken += 1;
    }

    /// Forgets all changes so far: a watch that goes on from one hears 410.
    pub fn forget(&self) {
        let mut state = self.lock();
        state.version += 1;
        state.oldest = state.version;
        state.broken += 1;
    }

    /// Accepts connections and closes them at once.
    pub fn set_away(&self, is_away: bool) {
        let mut state = self.lock();
        state.is_away = is_away;
        state.broken += 1;
    }

    /// Lines of requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let target = head[0].split(' ').nth(1).unwrap_or_default().to_owned();
        let mut state = self.lock();
        if state.is_away {
            return Ok(());
        }
        state.requests.push(target.clone());
        if !head.iter().any(|line| line.eq_ignore_ascii_case(&format!("authorization: Bearer {TOKEN}"))) {
            return refuse(&mut stream, 401, "Unauthorized");
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        if parameter("fieldSelector") != Some("spec.nodeName%3Dn1") {
            return refuse(&mut stream, 400, "only pods and slices of n1 are asked for here");
        }
        match path {
            "/api/v1/pods" if parameter("watch") == Some("true") => {
                assert_eq!(parameter("allowWatchBookmarks"), Some("true"), "{target}");
                let from = parameter("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
                drop(state);
                self.watch(&mut stream, from)
            }
            "/api/v1/pods" => {
                let items: Vec<&Value> = state.pods.iter().map(|(_, pod)| pod).collect();
                let version = state.version.to_string();
                let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items});
                respond(&mut stream, 200, &list)
            }
            "/apis/resource.k8s.io/v1beta1/resourceslices" => {
                let list = json!({"kind": "ResourceSliceList", "apiVersion": "resource.k8s.io/v1beta1",
                    "metadata": {"resourceVersion": "1"}, "items": state.slices});
                respond(&mut stream, 200, &list)
            }
            _ => refuse(&mut stream, 404, "the server could not find the requested resource"),
        }
    }

    fn watch(&self, stream: &mut TcpStream, from: u64) -> std::io::Result<()> {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")?;
        let begun = self.lock().broken;
        let (mut at, mut said) = (from, Instant::now());
        loop {
            let (news, broken, oldest, version) = {
                let state = self.lock();
                let news: Vec<_> = state.changes.iter().filter(|(version, ..)| *version > at).cloned().collect();
                (news, state.broken != begun, state.oldest, state.version)
            };
            if at < oldest {
                let gone = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                    "message": "too old resource version", "reason": "Expired", "code": 410}});
                chunk(stream, &gone)?;
                return stream.write_all(b"0\r\n\r\n");
            }
            if broken {
                // In the middle of a line, as a connection breaks.
                return stream.write_all(b"10\r\n{\"type\":\"ADDED\",\r\n");
            }
            for (version, kind, object) in news {
                chunk(stream, &json!({"type": kind, "object": object}))?;
                at = version;
            }
            if said.elapsed() >= BOOKMARK_EVERY {
                said = Instant::now();
                at = at.max(version);
                chunk(
                    stream,
                    &json!({"type": "BOOKMARK", "object": {"kind": "Pod", "apiVersion": "v1",
                    "metadata": {"resourceVersion": at.to_string()}}}),
                )?;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn chunk(stream: &mut TcpStream, event: &Value) -> std::io::Result<()> {
    let line = format!("{event}\n");
    write!(stream, "{:x}\r\n{line}\r\n", line.len())
}

fn respond(stream: &mut TcpStream, status: u16, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    let head = format!("content-type: application/json\r\nconnection: close\r\ncontent-length: {}", body.len());
    write!(stream, "HTTP/1.1 {status} X\r\n{head}\r\n\r\n{body}")
}

fn refuse(stream: &mut TcpStream, status: u16, message: &str) -> std::io::Result<()> {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": status});
    respond(stream, status, &body)
}
