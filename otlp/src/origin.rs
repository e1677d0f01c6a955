//! What records share: the resource that they come from, and the columns that are lifted out of attributes.

use crate::proto::attribute::{AnyValue, InstrumentationScope, KeyValue, Resource};
use crate::value;
use contract::checked_id;

/// Names of the attributes that become columns; the first that is there counts, on the record before its resource.
const SERVICE: &[&str] = &["service.name"];
const CLUSTER: &[&str] = &["coulomb.cluster", "k8s.cluster.name"];
/// Within a pod the host's name is that of the pod, so the node's comes first.
const NODE: &[&str] = &["coulomb.node", "k8s.node.name", "host.name"];
const JOB: &[&str] = &["coulomb.job_id", "slurm.job_id", "slurm.job.id"];
const RANK: &[&str] = &["coulomb.rank", "slurm.procid"];
const STEP: &[&str] = &["coulomb.step"];
const NAMESPACE: &[&str] = &["k8s.namespace.name"];
const POD: &[&str] = &["k8s.pod.name"];

/// The value of the first of these names that is there, and is not empty.
pub(crate) fn find<'a>(attributes: &'a [KeyValue], names: &[&str]) -> Option<&'a AnyValue> {
    names.iter().find_map(|name| {
        // Of a name that is there twice the last one counts.
        let value = attributes.iter().rev().find(|pair| pair.key == *name)?.value.as_ref()?;
        value.value.is_some().then_some(value)
    })
}

/// A text that may be an id: not empty, not too long, without control characters. Others stay attributes.
fn id(attributes: &[KeyValue], names: &[&str]) -> Option<String> {
    let text = value::text(find(attributes, names))?;
    checked_id("id", &text).ok()
}

/// A job's id as its scheduler spells it; of Kubernetes `namespace/pod`.
fn job(attributes: &[KeyValue]) -> Option<String> {
    let pod = || checked_id("job", &format!("{}/{}", id(attributes, NAMESPACE)?, id(attributes, POD)?)).ok();
    id(attributes, JOB).or_else(pod)
}

/// What a resource gives each of its records.
pub(crate) struct Origin<'a> {
    pub attributes: &'a [KeyValue],
    pub texts: Vec<(&'a str, Option<String>)>,
    pub service: Option<String>,
    cluster: Option<String>,
    node: Option<String>,
    job_id: Option<String>,
    rank: Option<i64>,
}

impl<'a> Origin<'a> {
    pub(crate) fn of(resource: Option<&'a Resource>) -> Self {
        let attributes = resource.map_or(&[][..], |resource| resource.attributes.as_slice());
        Self {
            attributes,
            texts: value::texts(attributes),
            service: value::text(find(attributes, SERVICE)).filter(|name| !name.is_empty()),
            cluster: id(attributes, CLUSTER),
            node: id(attributes, NODE),
            job_id: job(attributes),
            rank: value::integer(find(attributes, RANK)),
        }
    }

    /// With what a record says itself.
    pub(crate) fn lifted(&self, record: &[KeyValue]) -> Lifted {
        Lifted {
            cluster: id(record, CLUSTER).or_else(|| self.cluster.clone()),
            node: id(record, NODE).or_else(|| self.node.clone()),
            job_id: job(record).or_else(|| self.job_id.clone()),
            rank: value::integer(find(record, RANK)).or(self.rank),
            step: value::integer(find(record, STEP)),
        }
    }
}

/// Columns that are attributes, too.
pub(crate) struct Lifted {
    pub cluster: Option<String>,
    pub node: Option<String>,
    pub job_id: Option<String>,
    pub rank: Option<i64>,
    pub step: Option<i64>,
}

/// The name of a scope; an empty one is none.
pub(crate) fn scope_name(scope: Option<&InstrumentationScope>) -> Option<&str> {
    given(&scope?.name)
}

/// A text; an empty one is how protobuf says that there is none.
pub(crate) fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
