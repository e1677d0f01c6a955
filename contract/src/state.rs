//! The six states of a GPU-second. Every GPU-second is in exactly one.

use serde::{Deserialize, Serialize};

/// What a GPU was doing, in the order in which stacked charts draw it, bottom up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuState {
    /// Allocated, with a process that works.
    Active,
    /// A process, no work.
    HeldIdle,
    /// Allocated, no process.
    HeldEmpty,
    /// No job holds it.
    Unallocated,
    /// It has left the bus, or its node is out of service.
    Down,
    /// No telemetry.
    Unknown,
}

impl GpuState {
    pub const ALL: [Self; 6] =
        [Self::Active, Self::HeldIdle, Self::HeldEmpty, Self::Unallocated, Self::Down, Self::Unknown];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::HeldIdle => "held_idle",
            Self::HeldEmpty => "held_empty",
            Self::Unallocated => "unallocated",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Position in [`GpuState::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// One value for each of the six states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ByState<T> {
    pub active: T,
    pub held_idle: T,
    pub held_empty: T,
    pub unallocated: T,
    pub down: T,
    pub unknown: T,
}

impl<T> ByState<T> {
    pub fn get(&self, state: GpuState) -> &T {
        match state {
            GpuState::Active => &self.active,
            GpuState::HeldIdle => &self.held_idle,
            GpuState::HeldEmpty => &self.held_empty,
            GpuState::Unallocated => &self.unallocated,
            GpuState::Down => &self.down,
            GpuState::Unknown => &self.unknown,
        }
    }

    pub fn get_mut(&mut self, state: GpuState) -> &mut T {
        match state {
            GpuState::Active => &mut self.active,
            GpuState::HeldIdle => &mut self.held_idle,
            GpuState::HeldEmpty => &mut self.held_empty,
            GpuState::Unallocated => &mut self.unallocated,
            GpuState::Down => &mut self.down,
            GpuState::Unknown => &mut self.unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_positions_agree() {
        for (i, state) in GpuState::ALL.into_iter().enumerate() {
            assert_eq!(state.index(), i);
            assert_eq!(GpuState::parse(state.as_str()), Some(state));
        }
        assert_eq!(GpuState::parse("busy"), None);
    }

    #[test]
    fn each_state_has_its_own_place() {
        let mut hours = ByState::<f64>::default();
        for state in GpuState::ALL {
            *hours.get_mut(state) = state.index() as f64;
        }
        for state in GpuState::ALL {
            assert_eq!(*hours.get(state), state.index() as f64);
        }
    }
}
