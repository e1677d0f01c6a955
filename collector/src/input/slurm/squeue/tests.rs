#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use super::*;
use proptest::prelude::*;
use serde_json::json;

/// A job of 22.05, with plain numbers.
fn plain() -> Value {
    json!({"account": "lab", "array_job_id": 0, "array_task_id": null, "array_task_string": "", "cluster": "hpc",
        "comment": "", "cpus": 8, "end_time": 1_827_635_647, "exit_code": 0, "gres_detail":
        ["gpu:test:2(IDX:0-1)", "gpu:test:1(IDX:3)"], "het_job_id": 0, "het_job_offset": 0, "job_id": 7,
        "job_state": "RUNNING", "name": "train", "nodes": "gpu[01-02]", "partition": "main", "qos": "normal",
        "restart_cnt": 1, "resv_name": "", "start_time": 1_796_099_647, "submit_time": 1_796_099_410,
        "suspend_time": 0, "time_limit": 90, "tres_alloc_str": "cpu=8,node=2,gres/gpu=3,gres/gpu:test=3",
        "tres_req_str": "cpu=8,mem=4G,node=2,gres/gpu=3", "user_id": 1000, "user_name": "ada", "wckey": ""})
}

/// The same as newer versions write it.
fn wrapped() -> Value {
    let set = |number: i64| json!({"set": true, "infinite": false, "number": number});
    let mut job = plain();
    for name in ["submit_time", "start_time", "end_time", "suspend_time", "time_limit", "array_job_id", "cpus"] {
        job[name] = set(job[name].as_i64().unwrap());
    }
    job["array_task_id"] = json!({"set": false, "infinite": false, "number": 0});
    job["job_state"] = json!(["RUNNING"]);
    job["exit_code"] = json!({"status": ["SUCCESS"], "return_code": set(0),
        "signal": {"id": {"set": false, "infinite": false, "number": 0}, "name": ""}});
    job
}

fn one(job: Value) -> Seen {
    let mut queue = read(json!({"meta": {"x": [1]}, "jobs": [job], "errors": []}).to_string().as_bytes()).unwrap();
    assert_eq!((queue.seen.len(), queue.unreadable), (1, 0));
    queue.seen.remove(0)
}

fn with(mut job: Value, values: Value) -> Value {
    for (name, value) in values.as_object().unwrap() {
        job[name] = value.clone();
    }
    job
}

#[test]
fn old_and_new_versions_say_the_same() {
    let seen = one(plain());
    assert_eq!(seen, one(wrapped()));
    assert_eq!((&*seen.job_id, seen.attempt, seen.phase), ("7", Some(1), Phase::Running));
    assert_eq!((seen.started, seen.ended), (Some(1_796_099_647_000_000), None));
    let gpus: Vec<&str> = seen.facts.gpu_uuids.iter().flatten().map(|gpu| &**gpu).collect();
    assert_eq!(gpus, ["gpu01/0", "gpu01/1", "gpu02/3"]);
    assert_eq!(seen.facts.tres, tres::Tres { gpus: Some(3), cpus: Some(8), memory_bytes: Some(4 << 30) });
    let labels: Vec<String> = seen.facts.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(labels, ["qos=normal", "slurm_cluster=hpc", "time_limit=01:30:00"]);
}

#[test]
fn ids_are_those_that_slurm_prints() {
    let id = |values: Value| one(with(plain(), values)).job_id.to_string();
    assert_eq!(id(json!({"array_job_id": 5, "array_task_id": 0})), "5_0");
    assert_eq!(id(json!({"het_job_id": 9, "het_job_offset": 1, "job_id": 10})), "9+1");
    assert_eq!(id(json!({"het_job_id": {"set": true, "number": 9}, "job_id": 9})), "9+0");
    let waiting = with(plain(), json!({"job_state": "PENDING", "array_job_id": 5, "array_task_string": "1-2,7%1"}));
    let queue = read(json!({ "jobs": [waiting] }).to_string().as_bytes()).unwrap();
    assert_eq!(queue.seen.iter().map(|seen| &*seen.job_id).collect::<Vec<_>>(), ["5_1", "5_2", "5_7"]);
    assert!(queue.seen.iter().all(|seen| seen.started.is_none()), "an expected start is none");
}

#[test]
fn ends_have_their_status() {
    let exit = |code: Value| one(with(plain(), json!({"job_state": "FAILED", "exit_code": code}))).exit_code;
    assert_eq!((exit(json!(768)), exit(json!(9)), exit(json!(0))), (Some(3), Some(137), Some(0)));
    let signal = json!({"status": ["SIGNALED"], "return_code": {"set": false, "number": 0},
        "signal": {"id": {"set": true, "number": 9}, "name": "KILL"}});
    assert_eq!(exit(signal), Some(137));
    assert_eq!(exit(json!({"return_code": 3, "signal": {"signal_id": 0}})), Some(3));
    let cancelled = json!({"job_state": "CANCELLED", "nodes": "", "tres_alloc_str": "", "gres_detail": []});
    let seen = one(with(plain(), cancelled));
    assert_eq!((seen.phase, seen.started, seen.ended), (Phase::Ended, None, Some(1_827_635_647_000_000)));
}

#[test]
fn bytes_that_are_no_text_and_jobs_that_are_none_take_no_other_with_them() {
    let mut text = json!({"jobs": ["x", {"job_id": -1}, with(plain(), json!({"name": "BYTES"})), {}, plain()]})
        .to_string()
        .into_bytes();
    let at = text.windows(5).position(|w| w == b"BYTES").unwrap();
    text.splice(at..at + 5, [b'a', 0xff, 0xc3, 0xa4, 0xf0, 0x9f]);
    let queue = read(&text[..]).unwrap();
    assert_eq!((queue.seen.len(), queue.unreadable), (2, 3));
    assert_eq!(queue.seen[0].facts.name.as_deref(), Some("a?ä?"));
    for bad in ["", "[]", "{}", "{\"jobs\": 1}", "{\"jobs\": [", "slurm_load_jobs error"] {
        assert!(read(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(read(format!("{{\"jobs\": [{}", "[".repeat(100_000)).as_bytes()).is_err());
}

/// Real queues of two versions, where they lie beside the checkout.
#[test]
fn real_queues_are_read() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/formats/slurm/squeue_out.json");
    let Ok(text) = std::fs::read(&file) else {
        return println!("skipped: no {}", file.display());
    };
    let jobs = serde_json::from_slice::<Value>(&text).unwrap()["jobs"].as_array().unwrap().len();
    let queue = read(&text[..]).unwrap();
    assert_eq!(queue.unreadable, 0);
    assert!(queue.seen.len() >= jobs, "{} of {jobs}", queue.seen.len());
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9\\[\\],:()_=-]{0,24}|PENDING|RUNNING|FAILED".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            (inner, any::<bool>()).prop_map(|(n, set)| json!({"set": set, "infinite": !set, "number": n})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    /// Any field may be of any kind.
    #[test]
    fn no_value_panics(name in 0_usize..28, value in any_value()) {
        let mut job = plain();
        let names: Vec<String> = job.as_object().unwrap().keys().cloned().collect();
        job[&names[name % names.len()]] = value;
        let queue = read(json!({ "jobs": [job] }).to_string().as_bytes()).unwrap();
        for seen in queue.seen {
            prop_assert!(seen.ended.is_none_or(|ended| seen.started.is_none_or(|started| started <= ended)));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..900) {
        let text = json!({"jobs": [plain()]}).to_string();
        let mut broken = text.as_bytes()[..cut.min(text.len())].to_vec();
        broken.extend(&bytes);
        drop(read(&broken[..]));
    }

    /// However it arrives, text stays what it is.
    #[test]
    fn good_text_is_unchanged(text in "\\PC{0,80}", piece in 1_usize..7) {
        struct Slowly<'a>(&'a [u8], usize);
        impl Read for Slowly<'_> {
            fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
                let count = self.1.min(out.len()).min(self.0.len());
                out[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        let mut read = String::new();
        Lossy::new(Slowly(text.as_bytes(), piece)).read_to_string(&mut read).unwrap();
        prop_assert_eq!(read, text);
    }
}
