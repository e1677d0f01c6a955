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

/// How far an estimate of a link's traffic may be off, as a part of it.
const ESTIMATE_ERROR: f64 = 0.05;

/// What is known of a link's traffic since the last value of its counter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    /// An independent estimate in bytes, from which the number of wraps is told.
    pub expected: Option<f64>,
    /// The bytes that the link can carry in this time: less than a wrap of the counter wraps it once at most.
    pub most: Option<f64>,
}

/// A counter that the driver may keep in 32 bits, made whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Unwrapped {
    last: Option<u64>,
    total: u64,
}

impl Unwrapped {
    /// Takes the next value of a wide counter; one that fell was reset.
    pub(super) fn next(&mut self, raw: u64) -> Option<i64> {
        count(raw)?;
        let step = self.last.map_or(raw, |last| raw.checked_sub(last).unwrap_or(raw));
        self.add(raw, step)
    }

    /// Takes the next value of a counter of 32 bits; `None` where nobody can tell how often it wrapped.
    pub(super) fn next_of_32_bits(&mut self, raw: u64, link: Link) -> Option<i64> {
        /// Values start again here.
        const WRAP: u64 = 1 << 32;
        let Some(last) = self.last else { return self.add(raw, raw) };
        let once = if raw >= last { raw - last } else { (raw + WRAP).saturating_sub(last) };
        let wraps = match link {
            Link { most: Some(most), .. } if most < WRAP as f64 => Some(0.0),
            Link { expected: Some(expected), .. } if expected * ESTIMATE_ERROR < (WRAP / 2) as f64 => {
                Some(((expected - once as f64) / WRAP as f64).round().max(0.0))
            }
            Link { .. } => None,
        };
        let total = self.add(raw, once.saturating_add(wraps.unwrap_or(0.0) as u64 * WRAP));
        total.filter(|_| wraps.is_some())
    }

    fn add(&mut self, raw: u64, step: u64) -> Option<i64> {
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
        let slow = Link { expected: None, most: Some(4e9) };
        assert_eq!(counter.next_of_32_bits(4_000_000_000, slow), Some(4_000_000_000));
        assert_eq!(counter.next_of_32_bits(5_032_704, slow), Some(4_300_000_000), "one wrap of 2^32");
        let fast = Link { expected: Some(8.6e9), most: Some(64e9) };
        let twice = Some(4_300_000_000 + 2 * (1 << 32));
        assert_eq!(counter.next_of_32_bits(5_032_704, fast), twice, "two wraps, as expected");
        assert_eq!(counter.next(u64::MAX), None);
    }

    #[test]
    fn a_counter_that_may_have_wrapped_more_than_once_is_unknown() {
        let mut counter = Unwrapped::default();
        let unknown = Link { expected: None, most: None };
        assert_eq!(counter.next_of_32_bits(1000, unknown), Some(1000), "the first value needs no difference");
        assert_eq!(counter.next_of_32_bits(2000, unknown), None);
        assert_eq!(counter.next_of_32_bits(3000, Link { expected: None, most: Some(16e9) }), None);
        assert_eq!(counter.next_of_32_bits(4000, Link { expected: Some(600e9), most: None }), None, "off by wraps");
        assert_eq!(counter.next_of_32_bits(5000, Link { expected: Some(900.0), most: None }), Some(5000));
    }

    #[test]
    fn a_wide_counter_that_falls_was_reset() {
        let mut counter = Unwrapped::default();
        assert_eq!(counter.next(1 << 40), Some(1 << 40));
        assert_eq!(counter.next(100), Some((1 << 40) + 100));
        assert_eq!(counter.next(50), Some((1 << 40) + 150), "a small number does not make it a narrow one");
    }
}
