//! Files that no version names any more: they wait until no query can still read them, then they are deleted.

use super::error::StoreError;
use object_store::path::Path as ObjectPath;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct Replaced {
    remove_after: Duration,
    /// Since when they wait, the oldest first.
    files: Mutex<VecDeque<(Instant, ObjectPath)>>,
    /// Who wants everything that is there now, and until when at most.
    held: Mutex<Option<(uuid::Uuid, Instant)>>,
}

/// While it lives and is renewed, nothing is deleted.
pub(super) struct Hold {
    id: uuid::Uuid,
    of: Arc<Replaced>,
}

impl Hold {
    /// Holds until a later time; false when it was over already, and files may be gone.
    pub(super) fn renew(&self, now: Instant, until: Instant) -> bool {
        let mut held = self.of.held.lock();
        let holds = held.is_some_and(|(id, end)| id == self.id && now < end);
        if holds {
            *held = Some((self.id, until));
        }
        holds
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.of.held.lock();
        if held.is_some_and(|(id, _)| id == self.id) {
            *held = None;
        }
    }
}

impl Replaced {
    pub(super) fn new(remove_after: Duration) -> Self {
        Self { remove_after, files: Mutex::default(), held: Mutex::default() }
    }

    pub(super) fn add(&self, paths: impl Iterator<Item = ObjectPath>, now: Instant) {
        self.files.lock().extend(paths.map(|path| (now, path)));
    }

    /// Nothing is deleted from now on; `None` while somebody else holds.
    pub(super) fn hold(self: &Arc<Self>, now: Instant, until: Instant) -> Option<Hold> {
        let mut held = self.held.lock();
        if held.is_some_and(|(_, end)| now < end) {
            return None;
        }
        let id = uuid::Uuid::new_v4();
        *held = Some((id, until));
        Some(Hold { id, of: Arc::clone(self) })
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.files.lock().len()
    }

    /// Deletes those whose time has come by `remove`.
    pub(super) fn delete_due(&self, now: Instant, mut remove: impl FnMut(&ObjectPath) -> Result<(), StoreError>) {
        let is_due = |since: Instant| now.saturating_duration_since(since) >= self.remove_after;
        loop {
            // Held while it deletes: whoever has been told that nothing is deleted finds every file.
            let held = self.held.lock();
            if held.is_some_and(|(_, end)| now < end) {
                return;
            }
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

    const HOUR: Duration = Duration::from_secs(3600);

    fn with_a_file(now: Instant) -> Arc<Replaced> {
        let replaced = Arc::new(Replaced::new(HOUR));
        replaced.add(std::iter::once(ObjectPath::from("t/a")), now);
        replaced
    }

    /// Whether the file is still there after those whose time has come are deleted.
    fn is_there(replaced: &Replaced, now: Instant) -> bool {
        let mut removed = Vec::new();
        replaced.delete_due(now, |path| {
            removed.push(path.to_string());
            Ok(())
        });
        assert!(removed.is_empty() || removed == ["t/a"]);
        assert_eq!(replaced.waiting(), 1 - removed.len());
        removed.is_empty()
    }

    #[test]
    fn a_file_is_deleted_an_hour_later_and_no_sooner() {
        let now = Instant::now();
        let replaced = with_a_file(now);
        assert!(is_there(&replaced, now + HOUR.mul_f64(0.99)));
        assert!(!is_there(&replaced, now + HOUR));
    }

    #[test]
    fn nothing_is_deleted_while_somebody_holds_it_and_no_longer() {
        let now = Instant::now();
        let replaced = with_a_file(now);
        let hold = replaced.hold(now, now + HOUR).unwrap();
        assert!(replaced.hold(now, now + HOUR).is_none(), "two at once");
        assert!(hold.renew(now, now + 2 * HOUR));
        assert!(is_there(&replaced, now + HOUR));
        drop(hold);
        assert!(!is_there(&replaced, now + HOUR));
    }

    #[test]
    fn who_holds_too_long_is_told_so_and_takes_nothing_from_the_next() {
        let now = Instant::now();
        let replaced = with_a_file(now);
        let first = replaced.hold(now, now + HOUR).unwrap();
        let second = replaced.hold(now + HOUR, now + 3 * HOUR).unwrap();
        assert!(!first.renew(now + HOUR, now + 2 * HOUR));
        drop(first);
        assert!(is_there(&replaced, now + 2 * HOUR));
        assert!(second.renew(now + 2 * HOUR, now + 3 * HOUR));
        assert!(!is_there(&replaced, now + 3 * HOUR));
    }
}
