//! Whether the store still keeps rows. The first reason why not stays until a restart.

use super::error::StoreError;
use parking_lot::Mutex;

#[derive(Default)]
pub(super) struct Health {
    broken: Mutex<Option<String>>,
}

impl Health {
    pub(super) fn fail(&self, why: impl std::fmt::Display) {
        let why = why.to_string();
        tracing::error!(why, "the store keeps nothing more until a restart");
        self.broken.lock().get_or_insert(why);
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.broken.lock().clone().map_or(Ok(()), |why| Err(StoreError::Broken { why }))
    }
}
