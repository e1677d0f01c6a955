//! Whose a pod is, and what it belongs to: names, owner and labels.

use super::end;
use k8s_openapi::api::core::v1::Pod;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Labels of a pod that are kept; more than people group costs by.
const LABELS_MAX: usize = 32;
/// Kubernetes allows 63; a message is cut.
const VALUE_BYTES_MAX: usize = 256;
/// Labels that differ from one making of the same pod to the next and say nothing.
const NOISE: [&str; 6] = [
    "pod-template-hash",
    "controller-revision-hash",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
];
/// Kept first where there are too many.
const WORTH: [&str; 7] = [
    "coulomb/",
    "app.kubernetes.io/",
    "batch.kubernetes.io/",
    "kueue.x-k8s.io/",
    "ray.io/",
    "training.kubeflow.org/",
    "jobset.",
];
/// The name that somebody gave to what made the pods, by who makes them.
const NAME: [&str; 6] = [
    "training.kubeflow.org/job-name",
    "jobset.sigs.k8s.io/jobset-name",
    "ray.io/cluster",
    "leaderworkerset.sigs.k8s.io/name",
    "batch.kubernetes.io/job-name",
    "job-name",
];
const USER: [&str; 4] = ["coulomb/user", "hub.jupyter.org/username", "user", "owner"];
const ACCOUNT: [&str; 1] = ["coulomb/account"];
const PROJECT: [&str; 3] = ["coulomb/project", "project", "app.kubernetes.io/part-of"];
const QUEUE: [&str; 3] = ["coulomb/queue", "kueue.x-k8s.io/queue-name", "volcano.sh/queue-name"];

/// What the columns of the same name say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Names {
    pub name: Option<Arc<str>>,
    pub user: Option<Arc<str>>,
    pub account: Option<Arc<str>>,
    pub project: Option<Arc<str>>,
    pub queue: Option<Arc<str>>,
    /// Sorted by key.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
}

pub(super) fn of(pod: &Pod) -> Names {
    let empty = BTreeMap::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&empty);
    let annotations = pod.metadata.annotations.as_ref().unwrap_or(&empty);
    // A user's name is often no valid label, so it may be an annotation.
    let said = |keys: &[&str]| {
        let value = keys.iter().find_map(|key| labels.get(*key).or_else(|| annotations.get(*key)));
        value.filter(|value| !value.is_empty()).map(|value| cut(value))
    };
    let owner = owner(pod, labels);
    let named = said(&NAME).or_else(|| owner.as_ref().map(|(_, name)| cut(name)));
    Names {
        name: named.or_else(|| pod.metadata.name.as_deref().map(cut)),
        user: said(&USER),
        account: said(&ACCOUNT).or_else(|| pod.metadata.namespace.as_deref().map(cut)),
        project: said(&PROJECT),
        queue: said(&QUEUE),
        labels: kept(pod, labels, owner),
    }
}

fn cut(value: &str) -> Arc<str> {
    value[..value.floor_char_boundary(VALUE_BYTES_MAX)].into()
}

/// Kind and name of what made the pod; of a ReplicaSet whose name tells it, the Deployment behind it.
fn owner(pod: &Pod, labels: &BTreeMap<String, String>) -> Option<(String, String)> {
    let owners = pod.metadata.owner_references.as_ref()?;
    let owner = owners.iter().find(|owner| owner.controller == Some(true)).or_else(|| owners.first())?;
    let hash = labels.get("pod-template-hash").map(|hash| format!("-{hash}"));
    let deployment = hash.and_then(|hash| owner.name.strip_suffix(&hash)).filter(|_| owner.kind == "ReplicaSet");
    Some(match deployment {
        Some(name) => ("Deployment".to_owned(), name.to_owned()),
        None => (owner.kind.clone(), owner.name.clone()),
    })
}

/// The pod's own labels and, under names that no label can have twice, what else is known of it.
fn kept(pod: &Pod, labels: &BTreeMap<String, String>, owner: Option<(String, String)>) -> Vec<(Arc<str>, Arc<str>)> {
    let mut own: Vec<(&String, &String)> = labels.iter().filter(|(key, _)| !NOISE.contains(&key.as_str())).collect();
    own.sort_by_key(|(key, _)| !WORTH.iter().any(|worth| key.starts_with(worth)));
    let own = own.into_iter().take(LABELS_MAX);
    let mut kept: BTreeMap<Arc<str>, Arc<str>> =
        own.map(|(key, value)| (Arc::from(key.as_str()), cut(value))).collect();
    let mut add = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            kept.insert(key.into(), cut(&value));
        }
    };
    add("pod_uid", pod.metadata.uid.clone());
    let (kind, name) = owner.unzip();
    add("owner_kind", kind);
    add("owner_name", name);
    add("priority_class", pod.spec.as_ref().and_then(|spec| spec.priority_class_name.clone()));
    let status = pod.status.as_ref();
    let containers = status.and_then(|status| status.container_statuses.as_ref()).into_iter().flatten();
    let restarts: i64 = containers.map(|container| i64::from(container.restart_count)).sum();
    add("restarts", (restarts > 0).then(|| restarts.to_string()));
    let before = status.and_then(end::restart_reason);
    add("last_reason", before.and_then(|ended| ended.reason.clone()));
    add("last_exit_code", before.map(|ended| ended.exit_code.to_string()));
    kept.into_iter().collect()
}
