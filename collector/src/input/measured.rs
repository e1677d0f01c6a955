//! The GPUs that the collector measures itself.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// They stay in it while the collector runs, also when one is lost: whoever else still tells of it tells the past.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    gpu_uuids: Mutex<BTreeSet<Arc<str>>>,
    is_known: AtomicBool,
}

impl Measured {
    pub(super) fn add<'a>(&self, gpu_uuids: impl Iterator<Item = &'a Arc<str>>) {
        let mut known = self.gpu_uuids.lock().unwrap_or_else(PoisonError::into_inner);
        for gpu_uuid in gpu_uuids {
            if !known.contains(gpu_uuid) {
                known.insert(Arc::clone(gpu_uuid));
            }
        }
        self.is_known.store(true, Ordering::Release);
    }

    /// Whether the devices were looked for: a driver with many of them takes seconds.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Acquire)
    }

    /// Whether a physical GPU is one of them.
    pub(crate) fn has(&self, gpu_uuid: &str) -> bool {
        self.gpu_uuids.lock().unwrap_or_else(PoisonError::into_inner).contains(gpu_uuid)
    }
}
