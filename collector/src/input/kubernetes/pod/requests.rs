//! What a pod asks for, as the scheduler adds it up.

use super::super::{device, quantity};
use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

/// GPUs and instances or shares of them count one each; CPUs are rounded up. What is not asked for is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Requests {
    pub gpus: Option<i64>,
    pub cpus: Option<i64>,
    pub memory_bytes: Option<i64>,
}

type Amounts<'a> = Option<&'a BTreeMap<String, Quantity>>;

pub(super) fn of(spec: &PodSpec) -> Requests {
    let total = |counts: fn(&str) -> bool| {
        let whole = spec.resources.as_ref().and_then(|all| sum(all.requests.as_ref(), all.limits.as_ref(), counts));
        let sum = whole.or_else(|| of_containers(spec, counts));
        let over = sum.map(|_| amount(spec.overhead.as_ref(), counts).unwrap_or(0));
        quantity::whole(sum?.checked_add(over?)?)
    };
    Requests {
        gpus: total(device::is_gpu),
        cpus: total(|name| name == "cpu"),
        memory_bytes: total(|name| name == "memory"),
    }
}

/// Containers that run side by side add up; each that prepares them runs beside the helpers started before it.
fn of_containers(spec: &PodSpec, counts: fn(&str) -> bool) -> Option<i128> {
    let add = |a: Option<i128>, b: Option<i128>| match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    };
    let (mut beside, mut peak) = (None, None);
    for container in spec.init_containers.iter().flatten() {
        let own = of_container(container, counts);
        if container.restart_policy.as_deref() == Some("Always") {
            beside = add(beside, own);
        } else {
            peak = peak.max(add(beside, own));
        }
    }
    let main = spec.containers.iter().fold(None, |sum, container| add(sum, of_container(container, counts)));
    add(main, beside).max(peak)
}

fn of_container(container: &Container, counts: fn(&str) -> bool) -> Option<i128> {
    let resources = container.resources.as_ref()?;
    sum(resources.requests.as_ref(), resources.limits.as_ref(), counts)
}

/// Where only a limit is stated, it is the request.
fn sum(requests: Amounts<'_>, limits: Amounts<'_>, counts: fn(&str) -> bool) -> Option<i128> {
    amount(requests, counts).or_else(|| amount(limits, counts))
}

fn amount(amounts: Amounts<'_>, counts: fn(&str) -> bool) -> Option<i128> {
    let mut of_kind = amounts?.iter().filter(|(name, _)| counts(name)).peekable();
    of_kind.peek()?;
    // What is no quantity was not accepted by the API server; it counts for nothing.
    Some(of_kind.filter_map(|(_, amount)| quantity::nanos(&amount.0)).fold(0, i128::saturating_add))
}
