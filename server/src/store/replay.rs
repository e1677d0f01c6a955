//! Reads the log's segments after a start: whole frames in order, damage set aside and counted.
//!
//! Memory is bounded by one segment, which the log keeps under its own limit. A torn tail (the end of the last
//! segment) is what a crash leaves and is cut without alarm; damage anywhere else is kept under `wal/damaged/`.

use super::error::StoreError;
use super::wal::{self, Frame};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// What was found beside good frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// Bytes that were never acknowledged, cut from the end of the log.
    pub torn_bytes: u64,
    /// Byte ranges in the middle that do not match their checksum, set aside.
    pub corrupt_ranges: u64,
    pub corrupt_bytes: u64,
}

/// Calls `each` with every intact frame, in order of position.
pub(super) fn replay(
    dir: &Path,
    mut each: impl FnMut(Frame<'_>) -> Result<(), StoreError>,
) -> Result<Damage, StoreError> {
    let mut damage = Damage::default();
    wal::sync_dir(dir)?;
    let segments = remove_stubs(wal::list_segments(dir)?, &mut damage)?;
    for (i, (first, path)) in segments.iter().enumerate() {
        let bytes = read_synced(path)?;
        let is_last = i + 1 == segments.len();
        let mut at = match wal::decode_segment_header(&bytes) {
            Some(_) => wal::SEGMENT_HEADER_BYTES,
            None => resync(&bytes, 0).unwrap_or(bytes.len()),
        };
        if at > wal::SEGMENT_HEADER_BYTES {
            note(&mut damage, dir, *first, &bytes, 0..at, is_last)?;
        }
        while at < bytes.len() {
            if let Some((frame, length)) = wal::decode(&bytes[at..]) {
                each(frame)?;
                at += length;
            } else {
                let next = resync(&bytes, at + 1).unwrap_or(bytes.len());
                note(&mut damage, dir, *first, &bytes, at..next, is_last)?;
                at = next;
            }
        }
    }
    Ok(damage)
}

/// What a process wrote before it was killed is seen, but may not be on disk; once it was read, its sender is told
/// that it is kept, so it is synced first.
fn read_synced(path: &Path) -> Result<Vec<u8>, StoreError> {
    let read = || {
        let mut file = std::fs::File::open(path)?;
        file.sync_all()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(StoreError::io("read a log segment"))
}

/// Removes segments that end before their first frame could begin: the disk was full or the power went when they
/// were made, and the segment before them is the one that goes on.
fn remove_stubs(segments: Vec<(u64, PathBuf)>, damage: &mut Damage) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut whole = Vec::with_capacity(segments.len());
    for (first, path) in segments {
        let bytes = std::fs::metadata(&path).map_err(StoreError::io("look at a log segment"))?.len();
        if bytes < wal::SEGMENT_HEADER_BYTES as u64 {
            std::fs::remove_file(&path).map_err(StoreError::io("remove an empty log segment"))?;
            damage.torn_bytes += bytes;
        } else {
            whole.push((first, path));
        }
    }
    Ok(whole)
}

/// The next offset at which an intact frame starts.
pub(super) fn resync(bytes: &[u8], from: usize) -> Option<usize> {
    let starts = bytes.get(from..)?.windows(4).enumerate().filter(|(_, w)| wal::is_magic(w));
    starts.map(|(i, _)| from + i).find(|at| wal::decode(&bytes[*at..]).is_some())
}

/// Cuts a torn tail off, so that a later start does not take it for damage in the middle.
fn cut(path: &Path, good_bytes: usize) -> Result<(), StoreError> {
    let cut = || {
        let file = std::fs::OpenOptions::new().write(true).open(path)?;
        file.set_len(good_bytes as u64)?;
        file.sync_all()
    };
    cut().map_err(StoreError::io("cut the torn end of the log"))
}

fn note(
    damage: &mut Damage,
    dir: &Path,
    segment: u64,
    bytes: &[u8],
    range: std::ops::Range<usize>,
    is_last: bool,
) -> Result<(), StoreError> {
    if is_last && range.end == bytes.len() {
        damage.torn_bytes += range.len() as u64;
        return cut(&wal::segment_path(dir, segment), range.start);
    }
    let aside = dir.join("damaged");
    std::fs::create_dir_all(&aside).map_err(StoreError::io("set damaged log bytes aside"))?;
    let path = aside.join(format!("{segment:020}-{}.bytes", range.start));
    let set_aside = || {
        let mut file = std::fs::File::create(&path)?;
        file.write_all(&bytes[range.clone()])?;
        file.sync_all()
    };
    set_aside().map_err(StoreError::io("set damaged log bytes aside"))?;
    // The segment may be removed by the next flush; what it held must be on disk by then.
    wal::sync_dir(&aside)?;
    wal::sync_dir(dir)?;
    tracing::error!(
        segment,
        offset = range.start,
        bytes = range.len(),
        "log bytes do not match their checksum, set aside"
    );
    damage.corrupt_ranges += 1;
    damage.corrupt_bytes += range.len() as u64;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use wal::Segment;

    fn write(dir: &Path, first: u64, count: u64) {
        let Ok(mut segment) = Segment::create(dir, first) else { panic!("cannot create") };
        for position in first..first + count {
            let mut bytes = Vec::new();
            let (rows, joined) = (&[position as u8; 40][..], Vec::new());
            Frame { position, sequence: position, table: "t", writer: "a/b", rows, joined }.encode_into(&mut bytes);
            assert!(segment.append_synced(&bytes).is_ok());
        }
    }

    fn positions(dir: &Path) -> (Vec<u64>, Damage) {
        let mut seen = Vec::new();
        let damage = replay(dir, |f| {
            seen.push(f.position);
            Ok(())
        });
        (seen, damage.unwrap())
    }

    #[test]
    fn a_torn_tail_is_cut_at_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 1, 3);
        let path = wal::segment_path(dir.path(), 1);
        let whole = std::fs::read(&path).unwrap();
        let frame = (whole.len() - wal::SEGMENT_HEADER_BYTES) / 3;
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (seen, damage) = positions(dir.path());
            let frames = cut.saturating_sub(wal::SEGMENT_HEADER_BYTES) / frame;
            assert_eq!(seen.len(), frames, "cut at {cut}");
            assert_eq!(damage.corrupt_ranges, 0, "cut at {cut}");
        }
    }

    #[test]
    fn a_segment_that_was_never_made_whole_is_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 1, 3);
        std::fs::write(wal::segment_path(dir.path(), 4), b"COULWAL").unwrap();
        // The one before it went on, and its end is what a crash leaves.
        let path = wal::segment_path(dir.path(), 1);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let (seen, damage) = positions(dir.path());
        assert_eq!((seen, damage.corrupt_ranges), (vec![1, 2], 0));
        assert!(damage.torn_bytes > 7);
        write(dir.path(), 3, 1);
        assert_eq!(positions(dir.path()), (vec![1, 2, 3], Damage::default()));
    }

    #[test]
    fn a_corrupt_middle_is_set_aside_and_the_rest_is_read() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 1, 3);
        write(dir.path(), 4, 2);
        let path = wal::segment_path(dir.path(), 1);
        let mut bytes = std::fs::read(&path).unwrap();
        let frame = (bytes.len() - wal::SEGMENT_HEADER_BYTES) / 3;
        bytes[wal::SEGMENT_HEADER_BYTES + frame + 30] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let (seen, damage) = positions(dir.path());
        assert_eq!(seen, [1, 3, 4, 5]);
        assert_eq!((damage.corrupt_ranges, damage.corrupt_bytes, damage.torn_bytes), (1, frame as u64, 0));
        assert_eq!(std::fs::read_dir(dir.path().join("damaged")).unwrap().count(), 1);
    }
}
