//! What a driver's number means: sentinels become nothing, wrapped counters become whole. Pure.

/// No counter of ours comes near 2^62; blanks such as 9223372036854775794 lie above it.
const COUNT_MAX: u64 = 1 << 62;
/// How far a measured percentage may lie above 100 through rounding of its own sampling.
const PERCENT_SLACK: f64 = 1.0;

/// A 64-bit counter or size, unless it is a sentinel.
pub(super) fn count(value: u64) -> Option<i64> {
    i64::try_from(value).ok().filter(|_| value < COUNT_MAX) // a larger one is a sentinel
}

/// A 32-bit reading, unless it is the sentinel of all ones.
pub(super) fn reading(value: u32) -> Option<u32> {
    (value != u32::MAX).then_some(value)
}

/// A whole percentage as a ratio; above 100 it is a sentinel.
pub(super) fn ratio(percent: u32) -> Option<f64> {
    (percent <= 100).then(|| f64::from(percent) / 100.0)
}

/// A measured percentage as a ratio.
pub(super) fn ratio_of_float(percent: f64) -> Option<f64> {
    (0.0..=100.0 + PERCENT_SLACK).contains(&percent).then(|| (percent / 100.0).min(1.0))
}

/// A temperature, unless it is a sentinel; no silicon works above 200 °C.
pub(super) fn celsius(value: u64) -> Option<f64> {
    (value <= 200).then_some(value as f64)
}

/// A counter that the driver may keep in 32 bits, made whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Unwrapped {
    last: Option<u64>,
    total: u64,
}

impl Unwrapped {
    /// Takes the next raw value. `expected` is an independent estimate of the increase since the last one, from
    /// which a fast link's number of wraps is told; without it at most one wrap is assumed.
    pub(super) fn next(&mut self, raw: u64, expected: Option<f64>) -> Option<i64> {
        /// Values of a 32-bit counter start again here.
        const WRAP: u64 = 1 << 32;
        if raw >= COUNT_MAX {
            return None;
        }
        let step = match self.last {
            None => raw,
            Some(last) if raw >= last && raw >= WRAP => raw - last,
            Some(last) if last < WRAP && raw < WRAP => {
                let once = if raw >= last { raw - last } else { raw + WRAP - last };
                let wraps = expected.map_or(0.0, |e| ((e - once as f64) / WRAP as f64).round().clamp(0.0, 1e6));
                once + wraps as u64 * WRAP
            }
            Some(last) if raw >= last => raw - last,
            // A wide counter that fell was reset.
            Some(_) => raw,
        };
        self.last = Some(raw);
        self.total = self.total.saturating_add(step);
        count(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_are_nothing() {
        for blank in [u64::MAX, 9_223_372_036_854_775_794, i64::MAX as u64, 1 << 62] {
            assert_eq!(count(blank), None, "{blank}");
        }
        assert_eq!(count(0), Some(0));
        assert_eq!(reading(u32::MAX), None);
        assert_eq!((ratio(100), ratio(101), ratio(u32::MAX)), (Some(1.0), None, None));
        assert_eq!(ratio_of_float(100.4), Some(1.0));
        for bad in [-1.0, 250.0, f64::NAN, f64::INFINITY] {
            assert_eq!(ratio_of_float(bad), None);
        }
        assert_eq!(celsius(u64::from(u32::MAX)), None);
    }

    #[test]
    fn a_wrapped_counter_goes_on_rising() {
        let mut counter = Unwrapped::default();
        assert_eq!(counter.next(4_000_000_000, None), Some(4_000_000_000));
        assert_eq!(counter.next(5_032_704, None), Some(4_300_000_000), "one wrap of 2^32");
        assert_eq!(counter.next(5_032_704, Some(8.6e9)), Some(4_300_000_000 + 2 * (1 << 32)), "two wraps, as expected");
        assert_eq!(counter.next(u64::MAX, None), None);
    }

    #[test]
    fn a_wide_counter_that_falls_was_reset() {
        let mut counter = Unwrapped::default();
        assert_eq!(counter.next(1 << 40, None), Some(1 << 40));
        assert_eq!(counter.next(100, None), Some((1 << 40) + 100));
    }
}
