//! A pod as the API server describes it → what the tables say of a job. Pure.
//!
//! **Invariant:** environments, commands and arguments are never looked at, they may hold secrets.

mod end;
mod names;
mod requests;

pub(super) use end::{End, after_deletion};
pub(super) use names::Names;
pub(super) use requests::Requests;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::sync::Arc;

/// What the last part of a generated name is made of, and how long it is.
const SUFFIX_LETTERS: &str = "bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
/// The kubelet keeps the current and the last run of a container; the start of any before is forgotten.
const RUNS_KEPT: i32 = 2;
/// Under this annotation a static pod has the UID that its cgroups are named by.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// What is known of a pod. Times are Unix microseconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PodFacts {
    pub uid: Arc<str>,
    /// `namespace/pod`
    pub job_id: Arc<str>,
    /// Another UID that its cgroups may be named by.
    pub cgroup_uid: Option<Arc<str>>,
    pub created: i64,
    /// Whether no other pod ever has the same name, because it was made up.
    pub is_name_unique: bool,
    /// When its first container started.
    pub started: Option<i64>,
    pub end: Option<End>,
    /// Pending, Running, Succeeded, Failed, Unknown
    pub phase: Arc<str>,
    pub requests: Requests,
    pub names: Names,
}

pub(super) fn micros(time: &Time) -> i64 {
    time.0.as_microsecond()
}

/// `None` for an object that no API server makes: without name, UID or time of creation.
pub(super) fn facts(pod: &Pod) -> Option<PodFacts> {
    let meta = &pod.metadata;
    let (name, namespace) = (meta.name.as_deref()?, meta.namespace.as_deref()?);
    let status = pod.status.as_ref();
    Some(PodFacts {
        uid: meta.uid.as_deref()?.into(),
        job_id: format!("{namespace}/{name}").into(),
        cgroup_uid: meta.annotations.as_ref().and_then(|all| all.get(CONFIG_HASH)).map(|uid| uid.as_str().into()),
        created: micros(meta.creation_timestamp.as_ref()?),
        is_name_unique: meta.generate_name.as_deref().is_some_and(|prefix| is_made_up(prefix, name)),
        started: status.and_then(started),
        end: end::end(pod),
        phase: status.and_then(|status| status.phase.as_deref()).unwrap_or("Pending").into(),
        requests: pod.spec.as_ref().map(requests::of).unwrap_or_default(),
        names: names::of(pod),
    })
}

/// Whether the API server or a controller put random letters behind `prefix`; a number is not made up.
fn is_made_up(prefix: &str, name: &str) -> bool {
    let suffix = name.strip_prefix(prefix);
    suffix.is_some_and(|suffix| {
        suffix.len() == SUFFIX_LENGTH
            && suffix.chars().all(|c| SUFFIX_LETTERS.contains(c))
            && !suffix.bytes().all(|b| b.is_ascii_digit())
    })
}

fn containers(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    let all = [&status.init_container_statuses, &status.container_statuses];
    all.into_iter().flatten().flatten()
}

fn start_of(state: &ContainerState) -> Option<i64> {
    let running = state.running.as_ref().and_then(|running| running.started_at.as_ref());
    // A container that never ran has the zero time here.
    let ran = state.terminated.as_ref().and_then(|ended| ended.started_at.as_ref());
    running.or(ran).map(micros).filter(|at| *at > 0)
}

/// The earliest start of a container that is still told; when the kubelet took the pod on, where earlier runs are
/// forgotten.
fn started(status: &PodStatus) -> Option<i64> {
    let states = containers(status).flat_map(|c| [&c.state, &c.last_state]).flatten();
    let earliest = states.filter_map(start_of).min()?;
    let taken_on = status.start_time.as_ref().map(micros);
    let forgotten = containers(status).all(|container| container.restart_count >= RUNS_KEPT);
    Some(if forgotten { taken_on.unwrap_or(earliest) } else { earliest })
}

#[cfg(test)]
mod tests;
