//! OTLP's nanoseconds as microseconds, with what is beyond them.

use crate::bounds::AHEAD_MICROS_MAX;

/// Why a record has no place in time.
pub(crate) const NO_TIME: &str = "it has no time";
pub(crate) const AHEAD: &str = "its time lies more than an hour ahead of the server's clock";

const NANOS_PER_MICRO: u64 = 1_000;

/// A time, in the contract's two columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant {
    pub micros: i64,
    /// Nanoseconds beyond the microsecond.
    pub nanos: i64,
}

impl Instant {
    /// OTLP writes 0 for a time that is not known.
    pub(crate) fn of(unix_nanos: u64) -> Option<Self> {
        (unix_nanos > 0).then(|| Self {
            micros: (unix_nanos / NANOS_PER_MICRO) as i64,
            nanos: (unix_nanos % NANOS_PER_MICRO) as i64,
        })
    }

    /// Of a record that has to have one.
    pub(crate) fn required(unix_nanos: u64, now_micros: i64) -> Result<Self, &'static str> {
        let at = Self::of(unix_nanos).ok_or(NO_TIME)?;
        if at.micros.saturating_sub(now_micros) > AHEAD_MICROS_MAX { Err(AHEAD) } else { Ok(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_time_is_lost_and_a_wrong_clock_is_told() {
        assert_eq!(Instant::required(1_700_000_000_123_456_789, 0), Err(AHEAD));
        let now = 1_700_000_000_000_000;
        let at = Instant { micros: 1_700_000_000_123_456, nanos: 789 };
        assert_eq!(Instant::required(1_700_000_000_123_456_789, now), Ok(at));
        assert_eq!(Instant::required(0, now), Err(NO_TIME));
        assert_eq!(Instant::of(1), Some(Instant { micros: 0, nanos: 1 }));
        assert_eq!(Instant::required(u64::MAX, now), Err(AHEAD));
        let hour = (now + AHEAD_MICROS_MAX) as u64 * 1_000;
        assert!(Instant::required(hour, now).is_ok());
        assert_eq!(Instant::required(hour + 1_000, now), Err(AHEAD));
    }
}
