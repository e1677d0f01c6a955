//! Pods become jobs: a real collector between a kubelet's socket, an API server and a real server.

#[path = "kubernetes/api_server.rs"]
mod api_server;
#[path = "kubernetes/kubelet.rs"]
mod kubelet;

use api_server::ApiServer;
use coulomb_tests::{Program, Server, binary, run, workspace_root};
use kubelet::{Given, Kubelet};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const AT_MOST: Duration = Duration::from_secs(60);
const GPUS: [&str; 3] = [
    "GPU-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
    "GPU-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f1",
    "GPU-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f2",
];
const INSTANCE: &str = "MIG-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f3";

/// A node with three GPUs, the last of which has a MIG instance of number 6.
struct Node {
    dir: tempfile::TempDir,
    library: PathBuf,
    server: Server,
    api: ApiServer,
}

impl Node {
    /// `None`, with a message, where there is no C compiler for the GPUs.
    fn start() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let library = dir.path().join("libnvidia-ml-stub.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library);
        let compiled = compiler.arg(workspace_root().join("tests/nvml-stub/stub.c")).status();
        let Ok(status) = compiled else {
            eprintln!("skipped: the NVML stub needs a C compiler named cc");
            return None;
        };
        assert!(status.success(), "the stub does not compile");
        let gpus = GPUS.iter().enumerate().map(|(gpu, uuid)| {
            format!("{gpu} uuid {uuid}\n{gpu} name NVIDIA H100 80GB HBM3\n{gpu} gpu_busy 50\n{gpu} memory_used 1\n{gpu} memory_total 2\n{gpu} power 300000\n")
        });
        let instance = format!(
            "2 mig 1\n2.5 uuid {INSTANCE}\n2.5 name NVIDIA H100 80GB HBM3 MIG 3g.40gb\n2.5 memory_used 7\n2.5 memory_total 40\n"
        );
        std::fs::write(dir.path().join("script"), format!("system count 3\n{}{instance}", gpus.collect::<String>()))
            .expect("a file can be written");
        Some(Self { library, server: Server::start(), api: ApiServer::start(), dir })
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("kubelet.sock")
    }

    fn kubelet(&self) -> Kubelet {
        Kubelet::start(&self.socket())
    }

    fn collector(&self) -> Program {
        let path = |name: &str| self.dir.path().join(name);
        let mut command = Command::new(binary("coulomb-collector"));
        command.args(["run", "--kubernetes", "--cluster", "k", "--node", "n1", "--interval", "200ms"]);
        command.args(["--server", &self.server.url]).arg("--token-file").arg(self.server.data.join("admin.token"));
        command.arg("--spool").arg(path("spool")).arg("--pod-resources-socket").arg(self.socket());
        command.arg("--nvml-library").arg(&self.library).env("NVML_STUB", path("script"));
        command.env("KUBECONFIG", self.api.kubeconfig(self.dir.path()));
        Program::start(&mut command)
    }

    /// Asks until the answer is so.
    fn wait(&self, sql: &str, expected: &[&[&str]]) {
        let begin = Instant::now();
        loop {
            let rows = self.server.query(sql);
            if rows == expected {
                return;
            }
            assert!(begin.elapsed() < AT_MOST, "{sql}\nanswers {rows:?}\nand not {expected:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until the latest sample of each GPU or instance names its job.
    fn wait_for_samples(&self, expected: &[(&str, &str)]) {
        let sql = "SELECT gpu_uuid, coalesce(job_id, '-') FROM (SELECT *, row_number() OVER (PARTITION BY gpu_uuid ORDER BY time DESC) AS n \
                   FROM gpu_samples) WHERE n = 1 ORDER BY gpu_uuid";
        let rows: Vec<[&str; 2]> = expected.iter().map(|(gpu, job)| [*gpu, *job]).collect();
        self.wait(sql, &rows.iter().map(|row| &row[..]).collect::<Vec<_>>());
    }
}

fn devices(ids: &[&str]) -> Vec<Given> {
    vec![Given::Devices("nvidia.com/gpu", ids.iter().map(|id| (*id).to_owned()).collect())]
}

/// A pod of the node that was made at a time of 2026-03-01.
fn pod(name: &str, uid: &str, made: &str, status: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "research", "uid": uid, "creationTimestamp": format!("2026-03-01T{made}Z"),
            "labels": {"kueue.x-k8s.io/queue-name": "team-a", "team": "vision"}, "annotations": {"coulomb/user": "ada"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "main", "env": [{"name": "PASSWORD", "value": "do-not-read"}],
            "resources": {"requests": {"cpu": "3500m", "memory": "64Gi"}, "limits": {"nvidia.com/gpu": "1"}}}]},
        "status": status})
}

fn container(state: Value) -> Value {
    json!([{"name": "main", "image": "i", "imageID": "i", "ready": true, "restartCount": 0, "state": state}])
}

fn running(since: &str) -> Value {
    let state = json!({"running": {"startedAt": format!("2026-03-01T{since}Z")}});
    json!({"phase": "Running", "containerStatuses": container(state)})
}

fn ended(phase: &str, since: &str, until: &str, code: i64, reason: &str) -> Value {
    let state = json!({"terminated": {"startedAt": format!("2026-03-01T{since}Z"), "finishedAt": format!("2026-03-01T{until}Z"),
        "exitCode": code, "reason": reason}});
    json!({"phase": phase, "containerStatuses": container(state)})
}

/// Unix seconds of a time of 2026-03-01 with this many seconds of the day.
fn day(seconds: i64) -> String {
    (1_772_323_200 + seconds).to_string()
}

const TEN: i64 = 36_000;
const JOBS: &str = "SELECT job_id, attempt, state, coalesce(cast(exit_code AS varchar), '-'), \
    coalesce(labels['reason'], '-'), cast(to_unixtime(started_at) AS bigint), \
    coalesce(cast(cast(to_unixtime(ended_at) AS bigint) AS varchar), '-') FROM jobs ORDER BY job_id, attempt";

#[test]
fn pods_are_jobs_from_their_start_to_their_end_across_restarts_and_replacements() {
    let Some(node) = Node::start() else { return };
    let kubelet = node.kubelet();
    kubelet.hold(&[("research/train-0", &devices(&[GPUS[0]]))]);
    node.api.apply(&pod("train-0", "u1", "10:00:00", running("10:00:05")));
    let mut plain = pod("proxy", "u0", "09:00:00", running("09:00:05"));
    plain["spec"]["containers"][0]["resources"] = json!({});
    node.api.apply(&plain);
    let mut collector = node.collector();

    let (first, started) = (day(TEN), day(TEN + 5));
    node.wait(JOBS, &[&["research/train-0", &first, "Running", "-", "-", &started, "-"]]);
    let columns = "SELECT \"user\", account, queue, gpus_requested, cpus_requested, memory_requested_bytes, labels['team'], \
                   labels['pod_uid'], array_to_string(nodes, ' '), array_to_string(gpu_uuids, ' ') FROM jobs";
    node.wait(columns, &[&["ada", "research", "team-a", "1", "4", "68719476736", "vision", "u1", "n1", GPUS[0]]]);
    node.wait_for_samples(&[(GPUS[0], "research/train-0"), (GPUS[1], "-"), (GPUS[2], "-"), (INSTANCE, "-")]);
    let held = "SELECT job_id, attempt, gpu_uuid, cast(to_unixtime(started_at) AS bigint), \
                coalesce(cast(cast(to_unixtime(ended_at) AS bigint) AS varchar), '-') FROM allocations ORDER BY attempt";
    node.wait(held, &[&["research/train-0", &first, GPUS[0], &started, "-"]]);

    // It runs out of memory, and another pod of its name takes its place.
    node.api.apply(&pod("train-0", "u1", "10:00:00", ended("Failed", "10:00:05", "10:30:00", 137, "OOMKilled")));
    kubelet.hold(&[]);
    let died = day(TEN + 1_800);
    node.wait(JOBS, &[&["research/train-0", &first, "Failed", "137", "OOMKilled", &started, &died]]);
    node.wait_for_samples(&[(GPUS[0], "-"), (GPUS[1], "-"), (GPUS[2], "-"), (INSTANCE, "-")]);
    node.api.delete("u1");
    node.api.apply(&pod("train-0", "u2", "10:31:00", running("10:31:05")));
    kubelet.hold(&[("research/train-0", &devices(&[GPUS[1]]))]);
    let (second, began) = (day(TEN + 1_860), day(TEN + 1_865));
    let (one, two) = (
        ["research/train-0", first.as_str(), GPUS[0], started.as_str(), died.as_str()],
        ["research/train-0", second.as_str(), GPUS[1], began.as_str(), "-"],
    );
    node.wait(held, &[&one, &two]);
    node.wait_for_samples(&[(GPUS[0], "-"), (GPUS[1], "research/train-0"), (GPUS[2], "-"), (INSTANCE, "-")]);

    // A start knows what was told.
    let events = node.server.query_count("SELECT count(*) FROM job_events");
    assert!(collector.stop(AT_MOST), "{}", collector.log());
    let collector = node.collector();
    let samples = "SELECT count(*) FROM gpu_samples";
    let before = node.server.query_count(samples);
    let begin = Instant::now();
    while node.server.query_count(samples) < before + 40 {
        assert!(begin.elapsed() < AT_MOST, "{}", collector.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(node.server.query_count("SELECT count(*) FROM job_events"), events, "{}", collector.log());

    // It ends while the collector is away, and is gone when it is back.
    drop(collector);
    node.api.delete("u2");
    kubelet.hold(&[]);
    let _collector = node.collector();
    let begin = Instant::now();
    loop {
        let rows = node.server.query("SELECT state, ended_at > now() - interval '10 minutes' FROM jobs WHERE attempt > 0 ORDER BY attempt DESC LIMIT 1");
        if rows == [["Deleted", "true"]] {
            break;
        }
        assert!(begin.elapsed() < AT_MOST, "{rows:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(node.server.query_count("SELECT count(*) FROM jobs"), 2);
    let body = json!({"sql": "SELECT * FROM job_events"}).to_string();
    let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
    let all = node.server.request("POST", "/api/v1/query", &headers, body.as_bytes()).expect_status(200).text();
    assert!(all.contains("vision") && !all.contains("do-not-read"), "environments are nobody's business: {all}");
}

#[test]
fn watches_that_break_or_are_forgotten_lose_no_pod() {
    let Some(node) = Node::start() else { return };
    let _kubelet = node.kubelet();
    node.api.apply(&pod("a", "a1", "10:00:00", running("10:00:01")));
    let collector = node.collector();
    let made = day(TEN);
    let names = "SELECT job_id, state FROM jobs ORDER BY job_id";
    node.wait(names, &[&["research/a", "Running"]]);

    node.api.break_watches();
    node.api.apply(&pod("b", "b1", "10:00:00", running("10:00:01")));
    node.wait(names, &[&["research/a", "Running"], &["research/b", "Running"]]);
    let lists = |node: &Node| {
        node.api.requests().iter().filter(|r| r.starts_with("/api/v1/pods") && !r.contains("watch=true")).count()
    };
    assert_eq!(lists(&node), 1, "a watch that breaks goes on where it was: {:?}", node.api.requests());

    // Meanwhile one ends, one vanishes and one comes, and none of it can be watched any more.
    node.api.apply(&pod("a", "a1", "10:00:00", ended("Succeeded", "10:00:01", "11:00:00", 0, "Completed")));
    node.api.delete("b1");
    node.api.apply(&pod("c", "c1", "10:00:00", running("10:00:01")));
    node.api.forget();
    node.wait(names, &[&["research/a", "Succeeded"], &["research/b", "Deleted"], &["research/c", "Running"]]);
    let rows = node.server.query(JOBS);
    assert_eq!(
        rows[0],
        ["research/a", &made, "Succeeded", "0", "-", &day(TEN + 1), &day(TEN + 3_600)],
        "{}",
        collector.log()
    );
}

#[test]
fn each_of_kubelet_and_api_server_may_be_away() {
    let Some(node) = Node::start() else { return };
    node.api.set_away(true);
    let kubelet = node.kubelet();
    kubelet.hold(&[("research/train-0", &devices(&[GPUS[0]]))]);
    let collector = node.collector();
    // The kubelet alone knows who holds what.
    node.wait_for_samples(&[(GPUS[0], "research/train-0"), (GPUS[1], "-"), (GPUS[2], "-"), (INSTANCE, "-")]);
    assert_eq!(node.server.query_count("SELECT count(*) FROM job_events"), 0);

    // It is started again, on a new socket, while a pod moves to another GPU.
    drop(kubelet);
    let kubelet = node.kubelet();
    kubelet.hold(&[("research/train-0", &devices(&[GPUS[1]]))]);
    node.wait_for_samples(&[(GPUS[0], "-"), (GPUS[1], "research/train-0"), (GPUS[2], "-"), (INSTANCE, "-")]);

    node.api.apply(&pod("train-0", "u1", "10:00:00", running("10:00:05")));
    node.api.set_away(false);
    let (made, started) = (day(TEN), day(TEN + 5));
    node.wait(JOBS, &[&["research/train-0", &made, "Running", "-", "-", &started, "-"]]);
    let held = "SELECT attempt, gpu_uuid FROM allocations";
    node.wait(held, &[&[&made, GPUS[1]]]);

    // Without the kubelet the API server still tells of ends.
    drop(kubelet);
    node.api.apply(&pod("train-0", "u1", "10:00:00", ended("Failed", "10:00:05", "10:10:00", 1, "Error")));
    node.wait(JOBS, &[&["research/train-0", &made, "Failed", "1", "-", &started, &day(TEN + 600)]]);
    node.wait_for_samples(&[(GPUS[0], "-"), (GPUS[1], "-"), (GPUS[2], "-"), (INSTANCE, "-")]);
    let said = collector.log();
    assert!(said.contains("the API server does not tell of pods") && said.contains("tells of pods again"), "{said}");
    // A kubelet that is back between two lists is not missed; after the last one it is.
    assert!(said.contains("the kubelet does not say who holds which GPU"), "{said}");
}

#[test]
fn shares_instances_and_claims_are_allocations() {
    let Some(node) = Node::start() else { return };
    let kubelet = node.kubelet();
    let share = |n: u32| devices(&[&format!("{}::{n}", GPUS[0])]);
    kubelet.hold(&[
        ("research/share-a", &share(0)),
        ("research/share-b", &[share(1), share(2)].concat()),
        ("research/claim", &[Given::Claim("gpu-9")]),
        ("research/gke", &devices(&["nvidia2/gi6"])),
    ]);
    let slice = json!({"metadata": {"name": "n1-gpu"}, "spec": {"driver": "gpu.nvidia.com", "nodeName": "n1",
        "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": "gpu-9", "basic": {"attributes": {"uuid": {"string": GPUS[1]}}}}]}});
    node.api.set_slices(vec![slice]);
    for name in ["share-a", "share-b", "claim", "gke"] {
        let mut pod = pod(name, name, "10:00:00", running("10:00:05"));
        if name == "claim" {
            pod["spec"]["containers"][0]["resources"] = json!({"claims": [{"name": "gpu"}]});
        }
        node.api.apply(&pod);
    }
    let _collector = node.collector();
    let held = "SELECT job_id, gpu_uuid, coalesce(cast(share_count AS varchar), '-') FROM allocations ORDER BY job_id";
    node.wait(
        held,
        &[
            &["research/claim", GPUS[1], "-"],
            &["research/gke", INSTANCE, "-"],
            &["research/share-a", GPUS[0], "1"],
            &["research/share-b", GPUS[0], "2"],
        ],
    );
    // A GPU of two pods is no pod's.
    node.wait_for_samples(&[(GPUS[0], "-"), (GPUS[1], "research/claim"), (GPUS[2], "-"), (INSTANCE, "research/gke")]);
}

/// The API server of a cluster speaks TLS, with a certificate of its own authority.
#[test]
fn an_api_server_is_spoken_to_by_tls_and_its_certificate_is_checked() {
    let Some(node) = Node::start() else { return };
    let dir = node.dir.path();
    let (Some(openssl), Some(python)) = (found("openssl"), found("python3")) else {
        return eprintln!("skipped: it needs openssl and python3");
    };
    let config = "[req]\ndistinguished_name=d\n[d]\n[authority]\nbasicConstraints=critical,CA:TRUE\n\
                  [server]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    std::fs::write(dir.join("openssl.cnf"), config).expect("a file can be written");
    let certificate = |name: &str, kind: &str, by: Option<&str>| {
        let mut command = Command::new(&openssl);
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config"]);
        command.arg(dir.join("openssl.cnf")).args(["-extensions", kind, "-subj", &format!("/CN={name}")]);
        command.arg("-keyout").arg(dir.join(format!("{name}.key"))).arg("-out").arg(dir.join(format!("{name}.pem")));
        if let Some(by) = by {
            command.arg("-CA").arg(dir.join(format!("{by}.pem"))).arg("-CAkey").arg(dir.join(format!("{by}.key")));
        }
        let output = run(&mut command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        dir.join(format!("{name}.pem"))
    };
    let (own, strange) = (certificate("own", "authority", None), certificate("strange", "authority", None));
    let server = certificate("server", "server", Some("own"));
    node.api.apply(&pod("train-0", "u1", "10:00:00", running("10:00:05")));
    let config = node.api.kubeconfig(dir);
    let text = std::fs::read_to_string(&config).expect("it was written");
    let plain = text.lines().find_map(|line| line.trim().strip_prefix("server: http://")).expect("it names a server");
    let mut command = Command::new(python);
    command.arg(workspace_root().join("tests/python/tls_front.py")).arg(plain).arg(&server).arg(dir.join("server.key"));
    let mut front = Program::start(&mut command);
    let address = front.wait_for_line("front: ", AT_MOST);
    let spoken = |authority: &Path| {
        text.replace(
            &format!("http://{plain}"),
            &format!("https://{address}\n    certificate-authority: {}", authority.display()),
        )
    };
    let start = |text: &str| {
        let path = dir.join("tls-config");
        std::fs::write(&path, text).expect("a file can be written");
        let mut command = Command::new(binary("coulomb-collector"));
        command.args(["run", "--kubernetes", "--cluster", "k", "--node", "n1", "--server", &node.server.url]);
        command.arg("--token-file").arg(node.server.data.join("admin.token")).arg("--spool").arg(dir.join("spool"));
        command.arg("--pod-resources-socket").arg(node.socket()).env("KUBECONFIG", path);
        Program::start(&mut command)
    };
    let refused = start(&spoken(&strange));
    let begin = Instant::now();
    while !refused.log().contains("the API server does not tell of pods") {
        assert!(begin.elapsed() < AT_MOST, "{}", refused.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(node.api.requests().is_empty(), "nothing was asked of a stranger: {:?}", node.api.requests());
    drop(refused);
    let _collector = start(&spoken(&own));
    node.wait("SELECT job_id FROM jobs", &[&["research/train-0"]]);
}

fn found(program: &str) -> Option<PathBuf> {
    let output = run(Command::new("sh").args(["-c", "command -v \"$0\"", program]));
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().into())
}
