//! Which pod a UID is, and which holds a GPU: what others have found out, for whoever names processes and GPUs.
//!
//! Must not know how it is found out. **Invariants:** what nobody said is unknown; a GPU of several pods is no pod's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A GPU, as those who give it out name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Unit {
    Uuid(Arc<str>),
    /// Its index on this node.
    Index(i64),
}

/// Shared by the input that finds out and the source that asks; without an input it knows nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pods {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    is_watched: bool,
    names: HashMap<Arc<str>, Arc<str>>,
    /// The only job of a GPU, or none where there are several.
    holders: HashMap<Unit, Option<Arc<str>>>,
    /// UUIDs of MIG instances by index of their GPU and number of the instance.
    instances: HashMap<(i64, u32), Arc<str>>,
}

impl Pods {
    fn lock(&self) -> MutexGuard<'_, Known> {
        // Each change is one assignment, so a panic elsewhere leaves nothing half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on somebody names pods: a UID without a name is one that has none yet.
    pub(crate) fn watch(&self) {
        self.lock().is_watched = true;
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.lock().is_watched
    }

    /// Jobs by the UID of their pod; replaces what was known.
    pub(crate) fn set_names(&self, names: HashMap<Arc<str>, Arc<str>>) {
        self.lock().names = names;
    }

    pub(crate) fn name(&self, uid: &str) -> Option<Arc<str>> {
        self.lock().names.get(uid).cloned()
    }

    /// Jobs by the GPUs that they hold, all or a share of them; replaces what was known.
    pub(crate) fn set_holders(&self, held: impl IntoIterator<Item = (Unit, Arc<str>)>) {
        let mut holders: HashMap<Unit, Option<Arc<str>>> = HashMap::new();
        for (unit, job) in held {
            let only = holders.entry(unit).or_insert_with(|| Some(Arc::clone(&job)));
            if only.as_ref() != Some(&job) {
                *only = None;
            }
        }
        self.lock().holders = holders;
    }

    /// The job that alone holds a GPU, by whichever name it was given out.
    pub(crate) fn holder(&self, gpu_uuid: &str, gpu_index: i64) -> Option<Arc<str>> {
        let known = self.lock();
        let by_uuid = known.holders.get(&Unit::Uuid(gpu_uuid.into()));
        let by_index = known.holders.get(&Unit::Index(gpu_index));
        match (by_uuid, by_index) {
            (Some(job), None) | (None, Some(job)) => job.clone(),
            (Some(one), Some(other)) if one == other => one.clone(),
            _ => None,
        }
    }

    /// The MIG instances of this node, as the driver lists them; replaces what was known.
    pub(crate) fn set_instances(&self, instances: HashMap<(i64, u32), Arc<str>>) {
        self.lock().instances = instances;
    }

    pub(crate) fn instance(&self, gpu_index: i64, instance: u32) -> Option<Arc<str>> {
        self.lock().instances.get(&(gpu_index, instance)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(units: &[(Unit, &str)]) -> Pods {
        let pods = Pods::default();
        pods.set_holders(units.iter().map(|(unit, job)| (unit.clone(), Arc::from(*job))));
        pods
    }

    #[test]
    fn a_gpu_of_several_pods_is_no_pods() {
        let (one, other) = (Unit::Uuid("GPU-1".into()), Unit::Uuid("GPU-2".into()));
        let pods = held(&[(one.clone(), "a/x"), (one.clone(), "a/x"), (other.clone(), "a/x"), (other, "b/y")]);
        assert_eq!(pods.holder("GPU-1", 0).as_deref(), Some("a/x"));
        assert_eq!(pods.holder("GPU-2", 1), None);
        assert_eq!(pods.holder("GPU-3", 2), None);
        pods.set_holders([]);
        assert_eq!(pods.holder("GPU-1", 0), None);
    }

    #[test]
    fn an_index_is_as_good_as_a_uuid_unless_they_differ() {
        let pods = held(&[(Unit::Index(0), "a/x"), (Unit::Uuid("GPU-1".into()), "a/y"), (Unit::Index(1), "b/z")]);
        assert_eq!(pods.holder("GPU-0", 0).as_deref(), Some("a/x"));
        assert_eq!(pods.holder("GPU-1", 1), None);
        assert_eq!(pods.holder("MIG-1", -1), None, "an instance has no index of its own");
    }
}
