//! Files that no version names any more: they wait until no query can still read them, then they are deleted.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Far longer than any query may take; other readers of the tables get as long.
const REMOVE_AFTER: Duration = Duration::from_secs(3600);

#[derive(Default)]
pub(super) struct Replaced {
    /// Since when they wait, the oldest first.
    files: Mutex<VecDeque<(Instant, PathBuf)>>,
}

impl Replaced {
    pub(super) fn add(&self, paths: impl Iterator<Item = PathBuf>, now: Instant) {
        self.files.lock().extend(paths.map(|path| (now, path)));
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.files.lock().len()
    }

    /// Deletes those whose time has come.
    pub(super) fn delete_due(&self, now: Instant) {
        let is_due = |since: Instant| now.saturating_duration_since(since) >= REMOVE_AFTER;
        loop {
            let Some((_, path)) = self.files.lock().pop_front_if(|(since, _)| is_due(*since)) else { return };
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(?path, %error, "a file that no version names any more could not be removed");
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
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"rows").unwrap();
        let (replaced, now) = (Replaced::default(), Instant::now());
        replaced.add(std::iter::once(path.clone()), now);
        replaced.delete_due(now + REMOVE_AFTER.mul_f64(0.99));
        assert!(path.is_file());
        replaced.delete_due(now + REMOVE_AFTER);
        assert!(!path.exists());
    }
}
