#![allow(clippy::unwrap_used)]
use super::super::pod::{Names, Requests};
use super::*;
use proptest::prelude::*;

const SECOND: i64 = 1_000_000;

fn node() -> NodeIdentity {
    NodeIdentity { cluster: "c".into(), node: "n1".into() }
}

fn new() -> Jobs {
    Jobs::new(node(), BTreeMap::new())
}

fn pod(uid: &str, created: i64) -> PodFacts {
    PodFacts {
        uid: uid.into(),
        job_id: "a/x".into(),
        cgroup_uid: None,
        created: created * SECOND,
        is_name_unique: false,
        started: None,
        end: None,
        phase: "Pending".into(),
        requests: Requests { gpus: Some(1), ..Requests::default() },
        names: Names::default(),
    }
}

fn running(uid: &str, created: i64) -> PodFacts {
    PodFacts { started: Some((created + 1) * SECOND), phase: "Running".into(), ..pod(uid, created) }
}

fn failed(uid: &str, created: i64, at: i64) -> PodFacts {
    let end = End { at: at * SECOND, state: "Failed", exit_code: Some(1), reason: Some("OOMKilled".into()) };
    PodFacts { end: Some(end), phase: "Failed".into(), ..running(uid, created) }
}

fn gpus(list: &[&str]) -> HashMap<Arc<str>, Vec<Arc<str>>> {
    HashMap::from([("a/x".into(), list.iter().map(|gpu| Arc::from(*gpu)).collect())])
}

/// `kind attempt time` of what is to be told, times in seconds.
fn told(jobs: &mut Jobs) -> Vec<String> {
    let rows = jobs.take_rows();
    rows.iter().map(|row| format!("{} {} {}", row.kind, row.attempt, row.time_unix_micros / SECOND)).collect()
}

/// What a restart knows.
fn restart(jobs: &Jobs) -> Jobs {
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), jobs).unwrap();
    let loaded = load(dir.path(), node());
    assert_eq!(loaded.told, jobs.told);
    loaded
}

#[test]
fn a_life_is_told_once_and_in_order() {
    let mut jobs = new();
    jobs.listed(vec![pod("u", 100)], 105 * SECOND);
    assert_eq!(told(&mut jobs), ["submitted 100 100"]);
    jobs.held(gpus(&["GPU-1"]), 105 * SECOND);
    assert_eq!(told(&mut jobs), [""; 0], "its containers do not run: the list may be of an older pod");
    jobs.seen(running("u", 100), 106 * SECOND);
    let rows = jobs.take_rows();
    assert_eq!((rows.len(), rows[0].kind, rows[0].started_unix_micros), (1, "started", Some(101 * SECOND)));
    assert_eq!(rows[0].gpu_uuids.as_deref(), Some(&["GPU-1".into()][..]));
    jobs.held(gpus(&["GPU-1"]), 107 * SECOND);
    jobs.seen(running("u", 100), 108 * SECOND);
    assert_eq!(told(&mut jobs), [""; 0]);
    jobs.held(gpus(&["GPU-2"]), 109 * SECOND);
    assert_eq!(told(&mut jobs), ["updated 100 109"]);
    jobs.seen(failed("u", 100, 108), 110 * SECOND);
    let rows = jobs.take_rows();
    assert_eq!((rows.len(), rows[0].kind, rows[0].state.as_deref()), (1, "ended", Some("Failed")));
    assert_eq!(rows[0].time_unix_micros, 109 * SECOND, "not older than what was told before, or that would hold");
    assert_eq!((rows[0].ended_unix_micros, rows[0].exit_code), (Some(108 * SECOND), Some(1)));
    assert_eq!(rows[0].labels, [("reason".into(), "OOMKilled".into())]);
    assert_eq!(rows[0].gpu_uuids.as_deref(), Some(&["GPU-2".into()][..]));
    jobs.held(gpus(&["GPU-2"]), 111 * SECOND);
    jobs.listed(vec![failed("u", 100, 108)], 112 * SECOND);
    jobs.gone(failed("u", 100, 108), End { at: 0, state: "Deleted", exit_code: None, reason: None }, 113 * SECOND);
    jobs.listed(vec![], 114 * SECOND);
    assert_eq!(told(&mut jobs), [""; 0]);
    assert!(jobs.told.is_empty() && jobs.facts.is_empty());
}

#[test]
fn what_was_told_is_known_after_a_restart() {
    let mut jobs = new();
    jobs.listed(vec![running("u", 100)], 105 * SECOND);
    jobs.held(gpus(&["GPU-1"]), 106 * SECOND);
    assert_eq!(told(&mut jobs), ["submitted 100 100", "started 100 101", "updated 100 106"]);
    let mut jobs = restart(&jobs);
    jobs.listed(vec![running("u", 100)], 200 * SECOND);
    jobs.held(gpus(&["GPU-1"]), 201 * SECOND);
    assert_eq!(told(&mut jobs), [""; 0]);
    let mut jobs = restart(&jobs);
    jobs.listed(vec![failed("u", 100, 210)], 300 * SECOND);
    assert_eq!(told(&mut jobs), ["ended 100 210"]);
    let mut jobs = restart(&jobs);
    jobs.listed(vec![failed("u", 100, 210)], 400 * SECOND);
    assert_eq!(told(&mut jobs), [""; 0]);
}

#[test]
fn what_vanished_meanwhile_ended_when_it_was_last_seen() {
    let mut jobs = new();
    jobs.listed(vec![running("u", 100)], 105 * SECOND);
    jobs.held(gpus(&["GPU-1"]), 150 * SECOND);
    // The kubelet lists others now, and the API server is away.
    jobs.held(HashMap::new(), 160 * SECOND);
    jobs.take_rows();
    let mut jobs = restart(&jobs);
    jobs.listed(vec![], 1000 * SECOND);
    let rows = jobs.take_rows();
    assert_eq!((rows.len(), rows[0].kind, rows[0].state.as_deref()), (1, "ended", Some("Deleted")));
    assert_eq!(rows[0].ended_unix_micros, Some(150 * SECOND));
    assert!(jobs.told.is_empty());
}

#[test]
fn a_watch_without_news_says_that_a_pod_is_there() {
    let mut jobs = new();
    jobs.listed(vec![running("u", 100)], 105 * SECOND);
    jobs.unchanged(400 * SECOND);
    jobs.take_rows();
    jobs.listed(vec![], 1000 * SECOND);
    assert_eq!(jobs.take_rows()[0].ended_unix_micros, Some(400 * SECOND));
}

#[test]
fn a_pod_of_the_same_name_is_another_attempt() {
    let mut jobs = new();
    jobs.listed(vec![running("u1", 100)], 105 * SECOND);
    jobs.held(gpus(&["GPU-1"]), 106 * SECOND);
    let end = End { at: 110 * SECOND, state: "Deleted", exit_code: None, reason: None };
    jobs.gone(running("u1", 100), end, 110 * SECOND);
    jobs.take_rows();
    jobs.seen(pod("u2", 111), 111 * SECOND);
    // The kubelet still lists the first.
    jobs.held(gpus(&["GPU-1"]), 111 * SECOND);
    jobs.seen(running("u2", 111), 113 * SECOND);
    jobs.held(gpus(&["GPU-2"]), 114 * SECOND);
    let rows = jobs.take_rows();
    assert!(rows.iter().all(|row| row.attempt == 111), "{rows:?}");
    assert_eq!(rows.last().unwrap().gpu_uuids.as_deref(), Some(&["GPU-2".into()][..]));
    // Made in the same second, while the other is still being forgotten.
    jobs.seen(running("u3", 111), 115 * SECOND);
    assert_eq!(jobs.take_rows()[0].attempt, 112);
    let unique = PodFacts { is_name_unique: true, job_id: "a/y".into(), ..running("u4", 111) };
    jobs.seen(unique, 116 * SECOND);
    assert_eq!(jobs.take_rows()[0].attempt, 0);
}

#[test]
fn pods_without_gpus_are_named_and_not_told_until_they_hold_one() {
    let mut jobs = new();
    let plain = PodFacts { requests: Requests::default(), cgroup_uid: Some("digest".into()), ..running("u", 100) };
    jobs.listed(vec![plain], 105 * SECOND);
    assert_eq!(told(&mut jobs), [""; 0]);
    let names = jobs.names();
    assert_eq!((names.get("u").map(|job| &**job), names.get("digest").map(|job| &**job)), (Some("a/x"), Some("a/x")));
    jobs.held(gpus(&["GPU-1"]), 106 * SECOND);
    assert_eq!(told(&mut jobs), ["submitted 100 100", "started 100 101"]);
}

#[test]
fn a_file_that_is_damaged_is_told_anew() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("kubernetes.json"), "{\"u\": {").unwrap();
    let mut jobs = load(dir.path(), node());
    jobs.listed(vec![running("u", 100)], 105 * SECOND);
    assert_eq!(told(&mut jobs), ["submitted 100 100", "started 100 101"]);
}

#[test]
fn pods_are_bounded() {
    let mut jobs = new();
    for number in 0..PODS_MAX + 10 {
        jobs.seen(PodFacts { job_id: format!("a/{number}").into(), ..pod(&format!("u{number}"), 100) }, 105 * SECOND);
    }
    assert_eq!((jobs.facts.len(), jobs.told.len()), (PODS_MAX, PODS_MAX));
}

/// What may be heard, in any order: two pods of one name, lists, deletions, the kubelet and restarts.
#[derive(Debug, Clone)]
enum Step {
    List(bool, bool),
    Run(bool),
    Fail(bool),
    Gone(bool),
    Hold(bool),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<bool>(), any::<bool>()).prop_map(|(one, other)| Step::List(one, other)),
        any::<bool>().prop_map(Step::Run),
        any::<bool>().prop_map(Step::Fail),
        any::<bool>().prop_map(Step::Gone),
        any::<bool>().prop_map(Step::Hold),
        Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn whatever_is_heard_events_are_in_order(steps in prop::collection::vec(step(), 1..30)) {
        let mut jobs = new();
        let mut rows: Vec<JobEventRow> = Vec::new();
        let of = |second: bool| if second { ("u2", 150) } else { ("u1", 100) };
        for (at, step) in steps.into_iter().enumerate() {
            let now = (200 + i64::try_from(at).unwrap()) * SECOND;
            match step {
                Step::List(one, other) => {
                    let there = [(one, "u1", 100), (other, "u2", 150)].into_iter().filter(|(there, ..)| *there);
                    jobs.listed(there.map(|(_, uid, created)| running(uid, created)).collect(), now);
                }
                Step::Run(second) => jobs.seen(running(of(second).0, of(second).1), now),
                Step::Fail(second) => jobs.seen(failed(of(second).0, of(second).1, 190), now),
                Step::Gone(second) => {
                    let end = End { at: now, state: "Deleted", exit_code: None, reason: None };
                    jobs.gone(running(of(second).0, of(second).1), end, now);
                }
                Step::Hold(second) => jobs.held(gpus(&[if second { "GPU-2" } else { "GPU-1" }]), now),
                Step::Restart => jobs = restart(&jobs),
            }
            rows.extend(jobs.take_rows());
        }
        let attempts: HashSet<i64> = rows.iter().map(|row| row.attempt).collect();
        for attempt in attempts {
            let own: Vec<&JobEventRow> = rows.iter().filter(|row| row.attempt == attempt).collect();
            // A pod that comes back after it was gone begins anew, with the same words.
            for life in own.split_inclusive(|row| row.kind == "ended") {
                prop_assert!(life.windows(2).all(|pair| pair[0].time_unix_micros <= pair[1].time_unix_micros));
                for kind in ["submitted", "started", "ended"] {
                    prop_assert!(life.iter().filter(|row| row.kind == kind).count() <= 1, "{life:?}");
                }
                let ranks: Vec<usize> = life.iter().map(|row| {
                    ["submitted", "started", "updated", "ended"].iter().position(|kind| *kind == row.kind).unwrap()
                }).collect();
                prop_assert!(ranks.is_sorted(), "{ranks:?}");
            }
        }
    }
}
