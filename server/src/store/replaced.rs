//! Files that no version names any more: they wait until no query can still read them, then they are deleted.

use super::error::StoreError;
use object_store::path::Path as ObjectPath;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Far longer than any query may take; other readers of the tables get as long.
const REMOVE_AFTER: Duration = Duration::from_secs(3600);

#[derive(Default)]
pub(super) struct Replaced {
    /// Since when they wait, the oldest first.
    files: Mutex<VecDeque<(Instant, ObjectPath)>>,
}

impl Replaced {
    pub(super) fn add(&self, paths: impl Iterator<Item = ObjectPath>, now: Instant) {
        self.files.lock().extend(paths.map(|path| (now, path)));
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.files.lock().len()
    }

    /// Deletes those whose time has come by `remove`.
    pub(super) fn delete_due(&self, now: Instant, mut remove: impl FnMut(&ObjectPath) -> Result<(), StoreError>) {
        let is_due = |since: Instant| now.saturating_duration_since(since) >= REMOVE_AFTER;
        loop {
            let Some((_, path)) = self.files.lock().pop_front_if(|(since, _)| is_due(*since)) else { return };
            if let Err(error) = remove(&path) {
                tracing::warn!(%path, %error, "a file that no version names any more could not be removed");
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_deleted_an_hour_later_and_no_sooner() {
        let (replaced, now) = (Replaced::default(), Instant::now());
        replaced.add(std::iter::once(ObjectPath::from("t/a")), now);
        let mut removed = Vec::new();
        let mut remove = |path: &ObjectPath| {
            removed.push(path.to_string());
            Ok(())
        };
        replaced.delete_due(now + REMOVE_AFTER.mul_f64(0.99), &mut remove);
        assert_eq!(replaced.waiting(), 1);
        replaced.delete_due(now + REMOVE_AFTER, &mut remove);
        assert_eq!((removed, replaced.waiting()), (vec!["t/a".to_owned()], 0));
    }
}
