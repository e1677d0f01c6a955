//! Chance without state: a draw is a point in a tree of hashes, and the same path always gives the same value.
//!
//! **Invariant:** nothing here remembers anything, so any part of the fleet can be made up at any time, in any
//! order, and comes out the same.

/// A point in the tree; [`Draw::of`] goes down one branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Draw(u64);

/// The finaliser of SplitMix64: every input bit reaches every output bit.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(super) fn of(self, key: impl Into<Key>) -> Self {
        Self(mix(self.0 ^ key.into().0.wrapping_mul(0xD6E8_FEB8_6659_FD93)))
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// In `0..1`.
    pub(super) fn unit(self) -> f64 {
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn between(self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Between two positive bounds, each order of magnitude as likely as the next.
    pub(super) fn spread(self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.unit())
    }

    pub(super) fn seconds(self, low: i64, high: i64) -> i64 {
        low + (self.unit() * (high - low) as f64) as i64
    }

    pub(super) fn chance(self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub(super) fn pick<T: Copy>(self, of: &[T]) -> T {
        of[(self.0 % of.len() as u64) as usize]
    }

    /// Time to the next of events that come once in `mean` on average.
    pub(super) fn gap(self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// A random UUID, version 4.
    pub(super) fn uuid(self) -> String {
        let (a, b) = (self.of(1).0, self.of(2).0);
        let (c, d) = ((a & 0xFFF) | 0x4000, ((b >> 48) & 0x3FFF) | 0x8000);
        format!("{:08x}-{:04x}-{c:04x}-{d:04x}-{:012x}", a >> 32, (a >> 16) & 0xFFFF, b & 0xFFFF_FFFF_FFFF)
    }
}

/// What names a branch: a number, or a few words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key(u64);

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3)))
    }
}

macro_rules! number_keys {
    ($($number:ty),*) => {$(
        impl From<$number> for Key {
            fn from(number: $number) -> Self {
                Self(number as u64)
            }
        }
    )*};
}
number_keys!(u64, i64, u32, i32, usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_differ_and_fill_their_range() {
        let root = Draw::new(7);
        assert_eq!(root.of("a").of(3), Draw::new(7).of("a").of(3));
        assert_ne!(root.of("a"), root.of("b"));
        assert_ne!(root.of(1), Draw::new(8).of(1));
        let units: Vec<f64> = (0..10_000).map(|i| root.of("unit").of(i).unit()).collect();
        assert!(units.iter().all(|u| (0.0..1.0).contains(u)));
        let mean = units.iter().sum::<f64>() / units.len() as f64;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        let uuid = root.uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes()[14], b'4');
    }
}
