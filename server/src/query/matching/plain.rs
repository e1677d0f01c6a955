//! A search of texts of ASCII, whatever the case, many bytes at a time. Pure.

/// Places that are looked at together: as many bytes as the registers of any processor hold.
const LANES: usize = 16;
/// Bytes of lines of logs by how often they are there, about: the first most. Others are seldom.
const OFTEN: &[u8] = b"0123456789 eatoinsrldchmu.:-_/=pgfywbvk\"[](),xjqz";
/// Makes letters small; of other bytes some look alike, which a closer look tells apart.
const SMALL: u8 = 0x20;

/// What is searched for: ASCII in lower case, not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plain {
    bytes: Vec<u8>,
    /// Places of two of its bytes that are seldom, which are looked for first.
    seldom: (usize, usize),
}

impl Plain {
    /// None for a text that has other characters than ASCII.
    pub(super) fn new(lowered: &str) -> Option<Self> {
        let bytes = Some(lowered).filter(|text| text.is_ascii() && !text.is_empty())?.as_bytes().to_vec();
        let rarity = |at: &usize| OFTEN.iter().position(|often| *often == bytes[*at]).unwrap_or(OFTEN.len());
        let mut places: Vec<usize> = (0..bytes.len()).collect();
        places.sort_by_key(|at| std::cmp::Reverse(rarity(at)));
        let seldom = (places[0], places.get(1).copied().unwrap_or(places[0]));
        Some(Self { bytes, seldom })
    }

    /// Whether one of the places where it is passes; they are given as beginning and end.
    pub(super) fn is_in(&self, text: &[u8], mut passes: impl FnMut(usize, usize) -> bool) -> bool {
        let length = self.bytes.len();
        let Some(last) = text.len().checked_sub(length) else { return false };
        let (first, second) = self.seldom;
        let (a, b) = (self.bytes[first] | SMALL, self.bytes[second] | SMALL);
        let (firsts, seconds) = (&text[first..=first + last], &text[second..=second + last]);
        let here = |at: usize| text[at..at + length].eq_ignore_ascii_case(&self.bytes);
        let mut at = 0;
        let (first_chunks, first_rest) = firsts.as_chunks::<LANES>();
        let (second_chunks, _) = seconds.as_chunks::<LANES>();
        for (firsts, seconds) in first_chunks.iter().zip(second_chunks) {
            // Without a branch, so that all of them are compared at once.
            let alike: [u8; LANES] =
                std::array::from_fn(|lane| u8::from(firsts[lane] | SMALL == a) & u8::from(seconds[lane] | SMALL == b));
            if u128::from_ne_bytes(alike) != 0 && (at..at + LANES).any(|at| here(at) && passes(at, at + length)) {
                return true;
            }
            at += LANES;
        }
        (at..at + first_rest.len()).any(|at| here(at) && passes(at, at + length))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_characters_are_not_plain() {
        assert!(Plain::new("").is_none() && Plain::new("ärger").is_none());
        assert!(!Plain::new("step").unwrap().is_in(b"ste", |_, _| true));
    }

    proptest! {
        #[test]
        fn all_places_are_found_in_their_order(text in "[aAbB@`\\[{ 0]{0,70}", literal in "[ab@`\\[{ 0]{1,3}") {
            let mut found = Vec::new();
            Plain::new(&literal).unwrap().is_in(text.as_bytes(), |from, to| {
                found.push((from, to));
                false
            });
            let lowered = text.to_ascii_lowercase();
            let plain: Vec<(usize, usize)> = (0..lowered.len())
                .filter(|at| lowered[*at..].starts_with(&literal))
                .map(|at| (at, at + literal.len()))
                .collect();
            prop_assert_eq!(found, plain);
        }
    }
}
