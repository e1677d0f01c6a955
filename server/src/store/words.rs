//! Words and trigrams of texts, and filters that know which of them a block of texts cannot have.
//!
//! A word is a run of letters and digits in lower case; everything else is between words. A trigram is three letters of
//! ASCII that follow each other, wherever in a word. FORMAT.md draws the filter.
//! **Invariant:** a filter that a word was added to holds it; what it holds besides is chance. Pure.

use std::collections::HashSet;

/// Of each word; with ten, one of a hundred blocks is read in vain.
const BITS_OF_WORD: usize = 10;
/// A filter is made of these.
const LINE_BYTES: usize = 32;
/// Of a block of rows: 4 % of its texts, where lines have 200 bytes. A block with more words is found more often.
const FILTER_BYTES_MAX: usize = 16 * 1024;
const SALT: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// A text in lower case, each character for itself, into a buffer that is used again.
pub fn lower(text: &str, into: &mut String) {
    into.clear();
    if text.is_ascii() {
        into.push_str(text);
        into.make_ascii_lowercase();
    } else {
        // The long s is an s to whoever ignores case.
        into.extend(text.chars().map(|c| if c == 'ſ' { 's' } else { c }).flat_map(char::to_lowercase));
    }
}

/// The words of a text that is in lower case.
pub fn words(lowered: &str) -> impl Iterator<Item = &str> {
    lowered.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

const LETTERS: usize = 26;
/// As many as there can be.
pub const TRIGRAMS: usize = LETTERS.pow(3);

/// The trigrams of a text that is in lower case, by their places among all there are.
pub fn trigrams(lowered: &str) -> impl Iterator<Item = usize> {
    let (mut run, mut at) = (0, 0);
    lowered.bytes().filter_map(move |byte| {
        run = if byte.is_ascii_lowercase() { run + 1 } else { 0 };
        at = (at * LETTERS + usize::from(byte.wrapping_sub(b'a'))) % TRIGRAMS;
        (run >= 3).then_some(at)
    })
}

/// A number for a trigram: that of a word which no text has.
pub fn hash_trigram(at: usize) -> u64 {
    let letter = |place: usize| b'a' + (at / place % LETTERS) as u8;
    hash_bytes(&[b'*', letter(LETTERS * LETTERS), letter(LETTERS), letter(1)])
}

/// A number for a word, the same on every machine and in every version: FNV-1a, mixed.
pub fn hash(word: &str) -> u64 {
    hash_bytes(word.as_bytes())
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// The bits of a word in its line.
fn mask(hash: u64) -> [u32; 8] {
    SALT.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

fn line_of(hash: u64, lines: usize) -> usize {
    (((hash >> 32) * lines as u64) >> 32) as usize
}

/// The bytes of a filter that has these words.
pub fn filter(hashes: &HashSet<u64>) -> Vec<u8> {
    let bytes = (hashes.len() * BITS_OF_WORD).div_ceil(8).min(FILTER_BYTES_MAX);
    let lines = bytes.div_ceil(LINE_BYTES).max(1);
    let mut filter = vec![0_u32; lines * 8];
    for hash in hashes {
        let at = line_of(*hash, lines) * 8;
        for (bits, mask) in filter[at..at + 8].iter_mut().zip(mask(*hash)) {
            *bits |= mask;
        }
    }
    filter.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Whether a filter may have a word; one that is no filter may have any.
pub fn may_hold(filter: &[u8], hash: u64) -> bool {
    let lines = filter.len() / LINE_BYTES;
    if lines == 0 {
        return true;
    }
    let at = line_of(hash, lines) * LINE_BYTES;
    let words = filter[at..at + LINE_BYTES].as_chunks::<4>().0;
    words.iter().zip(mask(hash)).all(|(bytes, mask)| u32::from_le_bytes(*bytes) & mask == mask)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words_of(text: &str) -> Vec<String> {
        let mut lowered = String::new();
        lower(text, &mut lowered);
        words(&lowered).map(str::to_owned).collect()
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(
            words_of("NCCL WARN net_send: 10.0.0.7, ÄRGER=ΟΔΟΣ"),
            ["nccl", "warn", "net", "send", "10", "0", "0", "7", "ärger", "οδοσ"]
        );
    }

    #[test]
    fn the_number_of_a_word_never_changes() {
        // Files hold filters made of these.
        assert_eq!(
            [hash(""), hash("error"), hash("ärger")],
            [0xf52a_15e9_a9b5_e89b, 0x3dc3_aab2_1311_f127, 0xaf81_af7c_e6ac_cf51]
        );
    }

    #[test]
    fn trigrams_are_three_letters_of_ascii_in_a_row() {
        let of = |text: &str| trigrams(text).collect::<Vec<_>>();
        let number = |three: &str| three.bytes().fold(0, |at, byte| at * 26 + usize::from(byte - b'a'));
        assert_eq!(of("oom7 xid_ab zzzaä"), ["oom", "xid", "zzz", "zza"].map(number));
        assert_eq!(number("zzz") + 1, TRIGRAMS);
        assert_eq!(hash_trigram(number("oom")), hash("*oom"), "files hold filters made of these");
        assert!(of("ab-cd ä12345").is_empty());
    }

    #[test]
    fn a_filter_seldom_holds_what_it_was_not_given() {
        let given: HashSet<u64> = (0..10_000).map(|n| hash(&format!("word{n}"))).collect();
        let filter = filter(&given);
        assert!(filter.len() <= FILTER_BYTES_MAX && filter.len() * 8 >= given.len() * BITS_OF_WORD);
        let in_vain = (0..20_000).filter(|n| may_hold(&filter, hash(&format!("other{n}")))).count();
        assert!(in_vain < 600, "{in_vain} of 20,000 words that are not there");
    }

    proptest! {
        #[test]
        fn a_filter_holds_every_word(all in proptest::collection::hash_set("\\PC{1,8}", 0..300)) {
            let hashes: HashSet<u64> = all.iter().map(|word| hash(word)).collect();
            let filter = filter(&hashes);
            prop_assert!(hashes.iter().all(|hash| may_hold(&filter, *hash)));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), hash: u64) {
            may_hold(&bytes, hash);
        }
    }
}
