//! A tar header (POSIX ustar) of one plain file.
//!
//! **Invariant:** a header that decodes encodes to the same bytes: nothing of it is ignored.

use super::BLOCK_BYTES;

const NAME_BYTES: usize = 100;
const PREFIX_BYTES: usize = 155;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const SIZE: std::ops::Range<usize> = 124..136;
const TIME: std::ops::Range<usize> = 136..148;
/// The largest number of eleven octal digits; a larger size stands in base 256, as GNU tar and Python read it.
const OCTAL_MAX: u64 = 0o777_7777_7777;

/// The header of `path`, or `None` when it is too long; `seconds` is the file's time, Unix.
pub(super) fn encode(path: &str, size: u64, seconds: u64) -> Option<[u8; BLOCK_BYTES]> {
    let mut block = [0; BLOCK_BYTES];
    let (prefix, name) = split(path)?;
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000600\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    number(&mut block[SIZE], size);
    number(&mut block[TIME], seconds);
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
    let sum = format!("{:06o}\0 ", checksum(&block));
    block[CHECKSUM].copy_from_slice(sum.as_bytes());
    Some(block)
}

/// Path and size, or why it is none of ours.
pub(super) fn decode(block: &[u8; BLOCK_BYTES]) -> Result<(String, u64), &'static str> {
    if &block[257..262] != b"ustar" {
        return Err("there is no tar header here");
    }
    let stated = text(&block[CHECKSUM]).trim().to_owned();
    if u32::from_str_radix(&stated, 8) != Ok(checksum(block)) {
        return Err("a header does not match its checksum");
    }
    if block[156] != b'0' {
        return Err("there is something that is not a plain file");
    }
    let (name, prefix) = (text(&block[..NAME_BYTES]), text(&block[345..345 + PREFIX_BYTES]));
    let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
    let read = |field: &[u8]| parse(field).ok_or("a header has a number that cannot be read");
    let (size, seconds) = (read(&block[SIZE])?, read(&block[TIME])?);
    if encode(&path, size, seconds).as_ref() != Some(block) {
        return Err("a header says more than a backup's does");
    }
    Ok((path, size))
}

/// Where a path is cut so that both halves fit.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= NAME_BYTES {
        return Some(("", path));
    }
    let fits = |(prefix, name): &(&str, &str)| prefix.len() <= PREFIX_BYTES && name.len() <= NAME_BYTES;
    path.match_indices('/').map(|(at, _)| (&path[..at], &path[at + 1..])).find(fits)
}

fn number(field: &mut [u8], value: u64) {
    if value <= OCTAL_MAX {
        field.copy_from_slice(format!("{value:011o}\0").as_bytes());
    } else {
        field[0] = 0x80;
        field[4..].copy_from_slice(&value.to_be_bytes());
    }
}

fn parse(field: &[u8]) -> Option<u64> {
    if field[0] == 0x80 {
        return Some(u64::from_be_bytes(field.get(4..12)?.try_into().ok()?));
    }
    u64::from_str_radix(&text(field), 8).ok()
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// Of all bytes, those of the checksum itself taken as spaces.
fn checksum(block: &[u8; BLOCK_BYTES]) -> u32 {
    let byte = |(at, byte): (usize, &u8)| u32::from(if CHECKSUM.contains(&at) { b' ' } else { *byte });
    block.iter().enumerate().map(byte).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let path =
            "tables/inference_requests/day=2026-11-23/00000000000000000001-0123456789abcdef0123456789abcdef.parquet";
        let good = encode(path, 12_345, 1_700_000_000).unwrap();
        assert_eq!(decode(&good).unwrap(), (path.to_owned(), 12_345));
        for bit in 0..BLOCK_BYTES * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_path_that_does_not_fit_has_no_header() {
        assert!(encode(&"x".repeat(101), 0, 0).is_none());
        assert!(encode(&format!("{}/{}", "p".repeat(155), "n".repeat(100)), 0, 0).is_some());
        assert!(encode(&format!("{}/{}", "p".repeat(156), "n".repeat(100)), 0, 0).is_none());
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(path in "[a-z]{1,90}(/[a-z=.]{1,40}){0,3}", size: u64, seconds: u64) {
            let block = encode(&path, size, seconds).unwrap();
            prop_assert_eq!(decode(&block).unwrap(), (path, size));
        }

        #[test]
        fn arbitrary_blocks_never_panic(bytes in proptest::collection::vec(any::<u8>(), BLOCK_BYTES), at in 0usize..BLOCK_BYTES) {
            let mut block = encode("meta.sqlite", 1, 2).unwrap();
            block[at..].copy_from_slice(&bytes[at..]);
            // The checksum made right, so that what is behind it is reached.
            let sum = format!("{:06o}\0 ", checksum(&block));
            block[CHECKSUM].copy_from_slice(sum.as_bytes());
            let _unused = decode(&block).is_ok();
        }
    }
}
