//! When, how and why a pod ended.

use super::micros;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod, PodStatus};
use std::sync::Arc;

/// Reasons of a pod that its node, its scheduler or a person drove out.
const EVICTED: [&str; 6] = ["Evicted", "Preempting", "Preempted", "NodeShutdown", "Shutdown", "Terminated"];
/// The condition that says that a pod was driven out, and why.
const DISRUPTED: &str = "DisruptionTarget";
/// What containers say that end as they should, or do not say anything.
const PLAIN_REASONS: [&str; 2] = ["Completed", "Error"];
const SIGNAL_BASE: i32 = 128;

#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct End {
    pub at: i64,
    /// Succeeded, Failed, Evicted or Deleted
    pub state: &'static str,
    pub exit_code: Option<i64>,
    /// OOMKilled, Evicted, EvictionByEvictionAPI …
    pub reason: Option<Arc<str>>,
}

/// The end of a pod whose phase says that it is over.
pub(super) fn end(pod: &Pod) -> Option<End> {
    let status = pod.status.as_ref()?;
    let succeeded = match status.phase.as_deref()? {
        "Succeeded" => true,
        "Failed" => false,
        _ => return None,
    };
    let at = finished(status).or_else(|| changed(status)).or_else(|| deletion_requested(pod));
    // Without any time the pod never ran: it was refused when it was made.
    let at = at.or_else(|| pod.metadata.creation_timestamp.as_ref().map(micros))?;
    let state = match (succeeded, disruption(status).is_some()) {
        (true, _) => "Succeeded",
        (false, true) => "Evicted",
        (false, false) if deletion_requested(pod).is_some_and(|asked| asked <= at) => "Deleted",
        (false, false) => "Failed",
    };
    Some(End { at, state, exit_code: exit_code(status), reason: reason(status) })
}

/// The end of a pod that the API server has no more, which was seen at `now`; `pod` is its last state.
pub(in super::super) fn after_deletion(pod: &Pod, now: i64) -> End {
    if let Some(end) = end(pod) {
        return end;
    }
    let status = pod.status.clone().unwrap_or_default();
    let all_ended = terminated(&status).count() == status.container_statuses.as_ref().map_or(0, Vec::len);
    let at = finished(&status).filter(|_| all_ended).unwrap_or(now);
    let state = if disruption(&status).is_some() { "Evicted" } else { "Deleted" };
    let exit_code = exit_code(&status).filter(|_| all_ended);
    End { at, state, exit_code, reason: reason(&status) }
}

/// When deletion was asked for; its time stamp is that of the end of the grace period.
fn deletion_requested(pod: &Pod) -> Option<i64> {
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0).max(0);
    let due = pod.metadata.deletion_timestamp.as_ref().map(micros)?;
    Some(due.saturating_sub(grace.saturating_mul(1_000_000)))
}

/// How the containers ended, those that prepare the others left out.
fn terminated(status: &PodStatus) -> impl Iterator<Item = &ContainerStateTerminated> {
    status.container_statuses.iter().flatten().filter_map(|c| c.state.as_ref()?.terminated.as_ref())
}

fn finished(status: &PodStatus) -> Option<i64> {
    let finished = terminated(status).filter_map(|ended| ended.finished_at.as_ref()).map(micros);
    finished.filter(|at| *at > 0).max()
}

/// When anything was last said of the pod.
fn changed(status: &PodStatus) -> Option<i64> {
    let conditions = status.conditions.iter().flatten();
    let changed = conditions.filter_map(|condition| condition.last_transition_time.as_ref()).map(micros);
    changed.chain(status.start_time.as_ref().map(micros)).max()
}

/// Why it was driven out, if it was.
fn disruption(status: &PodStatus) -> Option<&str> {
    let conditions = status.conditions.iter().flatten();
    let mut disrupted = conditions.filter(|condition| condition.type_ == DISRUPTED && condition.status == "True");
    let said = status.reason.as_deref().filter(|reason| EVICTED.contains(reason));
    said.or_else(|| disrupted.next().map(|condition| condition.reason.as_deref().unwrap_or(DISRUPTED)))
}

/// Of the container that failed first; 0 when all ended well.
fn exit_code(status: &PodStatus) -> Option<i64> {
    let code = |ended: &ContainerStateTerminated| match (ended.exit_code, ended.signal) {
        (0, Some(signal)) if signal > 0 => SIGNAL_BASE.saturating_add(signal),
        (code, _) => code,
    };
    let first = terminated(status).min_by_key(|ended| (code(ended) == 0, ended.finished_at.as_ref().map(micros)));
    first.map(code).map(i64::from)
}

/// What a container died of, or else why the pod was driven out or refused.
fn reason(status: &PodStatus) -> Option<Arc<str>> {
    let of_container = terminated(status)
        .filter_map(|ended| ended.reason.as_deref())
        .find(|reason| !reason.is_empty() && !PLAIN_REASONS.contains(reason));
    let of_pod = disruption(status).or(status.reason.as_deref().filter(|reason| !reason.is_empty()));
    // A container that was killed says less than why its pod was.
    of_pod.or(of_container).map(Arc::from)
}

/// What the last run of a container that was started again died of.
pub(super) fn restart_reason(status: &PodStatus) -> Option<&ContainerStateTerminated> {
    let before = status.container_statuses.iter().flatten().filter_map(|c| c.last_state.as_ref()?.terminated.as_ref());
    before.max_by_key(|ended| ended.finished_at.as_ref().map(micros))
}
