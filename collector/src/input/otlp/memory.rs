//! Memory of requests on their way, all of them together: bounded, and asked for before it is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bodies, messages and rows at once. The largest body takes up to about four times itself; small ones a megabyte.
const BYTES_MAX: u64 = 128 << 20;

/// Others have the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    used: Arc<AtomicU64>,
}

/// What one request has; it is given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    memory: Memory,
    bytes: u64,
}

impl Memory {
    pub(super) fn hold(&self) -> Held {
        Held { memory: self.clone(), bytes: 0 }
    }
}

impl Held {
    pub(super) fn grow(&mut self, bytes: u64) -> Result<(), Full> {
        let more = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= BYTES_MAX);
        self.memory.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).map_err(|_| Full)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_comes_back() {
        let memory = Memory::default();
        let (mut one, mut other) = (memory.hold(), memory.hold());
        assert_eq!((one.grow(BYTES_MAX - 1), other.grow(1), other.grow(1)), (Ok(()), Ok(()), Err(Full)));
        assert_eq!(other.grow(u64::MAX), Err(Full));
        drop(one);
        assert_eq!(other.grow(BYTES_MAX - 1), Ok(()));
    }
}
