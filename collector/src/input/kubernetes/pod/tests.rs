#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;
use serde_json::{Value, from_value, json};

const SECOND: i64 = 1_000_000;
/// 2026-03-01T10:00:00Z
const TEN: i64 = 1_772_359_200 * SECOND;

fn pod(metadata: &Value, spec: &Value, status: &Value) -> Pod {
    let mut all = json!({"name": "train-0", "namespace": "research", "uid": "u1",
        "creationTimestamp": "2026-03-01T10:00:00Z"});
    let merged = all.as_object_mut().unwrap();
    merged.extend(metadata.as_object().unwrap().clone());
    let mut spec = spec.clone();
    spec.as_object_mut().unwrap().entry("containers").or_insert(json!([{"name": "main"}]));
    from_value(json!({"metadata": all, "spec": spec, "status": status})).unwrap()
}

fn with_status(status: &Value) -> PodFacts {
    facts(&pod(&json!({}), &json!({}), status)).unwrap()
}

/// The status of a container, which has ended or runs.
fn container(state: &Value, restarts: i64) -> Value {
    json!({"name": "main", "image": "i", "imageID": "i", "ready": false, "restartCount": restarts, "state": state})
}

fn ended(exit_code: i64, reason: &str, finished: &str) -> Value {
    json!({"terminated": {"exitCode": exit_code, "reason": reason, "startedAt": "2026-03-01T10:00:05Z",
        "finishedAt": finished}})
}

fn end_of(phase: &str, containers: &[Value], more: &Value) -> End {
    let mut status = json!({"phase": phase, "containerStatuses": containers});
    status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    with_status(&status).end.unwrap()
}

#[test]
fn a_pod_starts_with_its_first_container() {
    assert_eq!(with_status(&json!({"phase": "Pending"})).started, None);
    let waiting = container(&json!({"waiting": {"reason": "ContainerCreating"}}), 0);
    assert_eq!(with_status(&json!({"phase": "Pending", "containerStatuses": [waiting]})).started, None);
    let running = container(&json!({"running": {"startedAt": "2026-03-01T10:00:30Z"}}), 0);
    let prepared = container(&ended(0, "Completed", "2026-03-01T10:00:20Z"), 0);
    let status = json!({"phase": "Running", "containerStatuses": [running], "initContainerStatuses": [prepared]});
    assert_eq!(with_status(&status).started, Some(TEN + 5 * SECOND));
    let mut again = container(&json!({"running": {"startedAt": "2026-03-01T12:00:00Z"}}), 7);
    again["lastState"] = ended(1, "Error", "2026-03-01T11:59:00Z");
    let status = json!({"phase": "Running", "startTime": "2026-03-01T10:00:02Z", "containerStatuses": [again]});
    assert_eq!(with_status(&status).started, Some(TEN + 2 * SECOND), "earlier runs are forgotten");
}

#[test]
fn ends_have_their_state_time_exit_code_and_reason() {
    let none = json!({});
    let well = end_of("Succeeded", &[container(&ended(0, "Completed", "2026-03-01T10:01:00Z"), 0)], &none);
    assert_eq!(well, End { at: TEN + 60 * SECOND, state: "Succeeded", exit_code: Some(0), reason: None });
    let oom = end_of(
        "Failed",
        &[
            container(&ended(0, "Completed", "2026-03-01T10:00:50Z"), 0),
            container(&ended(137, "OOMKilled", "2026-03-01T10:01:00Z"), 0),
        ],
        &none,
    );
    let expected =
        End { at: TEN + 60 * SECOND, state: "Failed", exit_code: Some(137), reason: Some("OOMKilled".into()) };
    assert_eq!(oom, expected);
    let evicted = json!({"reason": "Evicted", "startTime": "2026-03-01T10:00:01Z", "conditions": [
        {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet",
         "lastTransitionTime": "2026-03-01T10:05:00Z"}]});
    let end = end_of("Failed", &[], &evicted);
    assert_eq!((end.state, end.at, end.reason.as_deref()), ("Evicted", TEN + 300 * SECOND, Some("Evicted")));
    let preempted = json!({"conditions": [{"type": "DisruptionTarget", "status": "True",
        "reason": "PreemptionByScheduler", "lastTransitionTime": "2026-03-01T10:05:00Z"}]});
    let killed = container(&ended(143, "Error", "2026-03-01T10:05:10Z"), 0);
    let end = end_of("Failed", &[killed], &preempted);
    assert_eq!((end.state, end.exit_code), ("Evicted", Some(143)));
    assert_eq!(end.reason.as_deref(), Some("PreemptionByScheduler"));
    // The API server refused it: it never ran.
    let refused = end_of("Failed", &[], &json!({"reason": "UnexpectedAdmissionError"}));
    assert_eq!((refused.state, refused.at), ("Failed", TEN));
    let signal = json!({"terminated": {"exitCode": 0, "signal": 9, "finishedAt": "2026-03-01T10:01:00Z"}});
    assert_eq!(end_of("Failed", &[container(&signal, 0)], &none).exit_code, Some(137));
    assert_eq!(with_status(&json!({"phase": "Running"})).end, None);
}

#[test]
fn what_fails_after_its_deletion_was_asked_for_is_deleted() {
    // Asked for at 10:01:00, with a grace of 30 s.
    let deletion = json!({"deletionTimestamp": "2026-03-01T10:01:30Z", "deletionGracePeriodSeconds": 30});
    let status = |finished: &str| json!({"phase": "Failed", "containerStatuses": [container(&ended(143, "Error", finished), 0)]});
    let end = |finished: &str| end::end(&pod(&deletion, &json!({}), &status(finished))).unwrap();
    assert_eq!(end("2026-03-01T10:01:05Z").state, "Deleted");
    assert_eq!(end("2026-03-01T10:00:40Z").state, "Failed");
}

#[test]
fn a_pod_that_is_gone_ended_when_its_containers_did_or_now() {
    let now = TEN + 500 * SECOND;
    let running = container(&json!({"running": {"startedAt": "2026-03-01T10:00:30Z"}}), 0);
    let done = container(&ended(0, "Completed", "2026-03-01T10:01:00Z"), 0);
    let gone = |containers: Value| {
        let status = json!({"phase": "Running", "containerStatuses": containers});
        after_deletion(&pod(&json!({}), &json!({}), &status), now)
    };
    let forced = gone(json!([running, done]));
    assert_eq!((forced.at, forced.state, forced.exit_code), (now, "Deleted", None));
    let ended = gone(json!([done]));
    assert_eq!((ended.at, ended.state, ended.exit_code), (TEN + 60 * SECOND, "Deleted", Some(0)));
    assert_eq!(gone(json!([])).at, now);
}

#[test]
fn requests_add_up_as_the_scheduler_does() {
    let of = |spec: &Value| facts(&pod(&json!({}), spec, &json!({}))).unwrap().requests;
    let asks = |requests: &Value| json!({"name": "c", "resources": {"requests": requests}});
    let spec = json!({"containers": [
        asks(&json!({"nvidia.com/gpu": "2", "cpu": "1500m", "memory": "64Gi"})),
        {"name": "side", "resources": {"limits": {"cpu": "600m", "nvidia.com/mig-1g.10gb": "1"}}},
    ]});
    assert_eq!(of(&spec), Requests { gpus: Some(3), cpus: Some(3), memory_bytes: Some(64 << 30) });
    let mut helper = asks(&json!({"cpu": "1"}));
    helper["restartPolicy"] = json!("Always");
    let spec = json!({"containers": [asks(&json!({"cpu": "2"}))], "overhead": {"cpu": "250m"},
        "initContainers": [helper, asks(&json!({"cpu": "8", "memory": "1Gi"}))]});
    assert_eq!(of(&spec), Requests { gpus: None, cpus: Some(10), memory_bytes: Some(1 << 30) });
    assert_eq!(of(&json!({})), Requests::default());
    let whole = json!({"resources": {"requests": {"cpu": "16"}}, "containers": [asks(&json!({"cpu": "2"}))]});
    assert_eq!(of(&whole).cpus, Some(16));
}

#[test]
fn names_come_from_labels_owners_and_the_namespace() {
    let metadata = json!({
        "labels": {"kueue.x-k8s.io/queue-name": "team-a", "batch.kubernetes.io/job-name": "train", "team": "vision",
            "controller-uid": "x", "coulomb/project": "llm"},
        "annotations": {"coulomb/user": "ada@example.com"},
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "j", "controller": true}]});
    let mut status = container(&json!({"running": {}}), 2);
    status["lastState"] = ended(137, "OOMKilled", "2026-03-01T10:01:00Z");
    let names = facts(&pod(&metadata, &json!({}), &json!({"containerStatuses": [status]}))).unwrap().names;
    let text = |value: &Option<Arc<str>>| value.as_deref().unwrap_or_default().to_owned();
    assert_eq!(text(&names.name), "train");
    assert_eq!(text(&names.user), "ada@example.com");
    assert_eq!(text(&names.account), "research");
    assert_eq!(text(&names.project), "llm");
    assert_eq!(text(&names.queue), "team-a");
    let labels: Vec<String> = names.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let expected = [
        "batch.kubernetes.io/job-name=train",
        "coulomb/project=llm",
        "kueue.x-k8s.io/queue-name=team-a",
        "last_exit_code=137",
        "last_reason=OOMKilled",
        "owner_kind=Job",
        "owner_name=train",
        "pod_uid=u1",
        "restarts=2",
        "team=vision",
    ];
    assert_eq!(labels, expected);
}

#[test]
fn a_deployment_is_known_behind_its_replica_set() {
    let owned = |hash: &str| {
        let metadata = json!({"labels": {"pod-template-hash": hash}, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "chat-5d9f7c8b6d", "uid": "r", "controller": true}]});
        facts(&pod(&metadata, &json!({}), &json!({}))).unwrap().names.name.unwrap()
    };
    assert_eq!(&*owned("5d9f7c8b6d"), "chat");
    assert_eq!(&*owned("other"), "chat-5d9f7c8b6d");
    assert_eq!(facts(&pod(&json!({}), &json!({}), &json!({}))).unwrap().names.name.as_deref(), Some("train-0"));
}

#[test]
fn labels_are_bounded_and_those_that_say_most_are_kept() {
    let many = (0..100).map(|i| (format!("a{i}"), json!("x"))).chain([("ray.io/cluster".to_owned(), json!("r"))]);
    let labels: serde_json::Map<String, Value> = many.collect();
    let names = facts(&pod(&json!({"labels": labels}), &json!({}), &json!({}))).unwrap().names;
    assert_eq!(names.labels.len(), 33, "and the UID");
    assert!(names.labels.iter().any(|(key, _)| &**key == "ray.io/cluster"));
    assert_eq!(names.name.as_deref(), Some("r"));
}

#[test]
fn made_up_names_are_told_from_numbered_ones() {
    let is_unique = |prefix: &str, name: &str| {
        facts(&pod(&json!({"generateName": prefix, "name": name}), &json!({}), &json!({}))).unwrap().is_name_unique
    };
    assert!(is_unique("train-", "train-x7k2p"));
    assert!(is_unique("train-3-", "train-3-bcdfg"));
    assert!(!is_unique("web-", "web-0"));
    assert!(!is_unique("web-", "web-22456"), "five digits are an ordinal");
    assert!(!is_unique("web-", "other"));
    assert!(!facts(&pod(&json!({}), &json!({}), &json!({}))).unwrap().is_name_unique);
}

#[test]
fn what_no_api_server_says_is_left_out() {
    for odd in [json!({}), json!({"metadata": {"name": "x"}}), json!({"metadata": {"name": "x", "namespace": "y"}})] {
        assert_eq!(facts(&from_value(odd).unwrap()), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn no_status_panics(
        phase in "(Pending|Running|Succeeded|Failed|Unknown|\\PC{0,5})",
        code in any::<i32>(), signal in any::<i32>(), restarts in any::<i32>(), grace in any::<i64>(),
        label in "\\PC{0,300}",
    ) {
        let ended = json!({"terminated": {"exitCode": code, "signal": signal, "finishedAt": "2026-03-01T10:01:00Z"}});
        let status = json!({"phase": phase, "containerStatuses": [container(&ended, i64::from(restarts))]});
        let metadata = json!({"deletionTimestamp": "2026-03-01T10:01:30Z", "deletionGracePeriodSeconds": grace,
            "labels": {"a": label}});
        let pod = pod(&metadata, &json!({}), &status);
        facts(&pod);
        after_deletion(&pod, 0);
    }
}
