//! The log's segments, frame by frame, as a start would read them.

use super::super::error::StoreError;
use super::super::{replay, wal};
use super::Checked;
use std::path::Path;

/// Checks every segment; all frames up to `acknowledged` that are not in files must be there.
pub(super) fn check(data_dir: &Path, acknowledged: u64) -> Result<Vec<Checked>, StoreError> {
    let dir = data_dir.join("wal");
    let segments = wal::list_segments(&dir)?;
    let mut found = Vec::new();
    for (i, (first, path)) in segments.iter().enumerate() {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            // A flush has just written its rows to files.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(source) => return Err(StoreError::Io { what: "read a log segment".into(), source }),
        };
        let is_last = i + 1 == segments.len();
        let problem = segment(&bytes, *first, is_last, acknowledged).err();
        found.push(Checked { path: format!("wal/{first:020}.wal"), bytes: bytes.len() as u64, rows: 0, problem });
    }
    for entry in std::fs::read_dir(dir.join("damaged")).into_iter().flatten().flatten() {
        let path = format!("wal/damaged/{}", entry.file_name().to_string_lossy());
        let bytes = entry.metadata().map_or(0, |m| m.len());
        let problem = Some("an earlier start could not read these bytes of the log; look at them and remove the file");
        found.push(Checked { path, bytes, rows: 0, problem: problem.map(str::to_owned) });
    }
    Ok(found)
}

fn segment(bytes: &[u8], first: u64, is_last: bool, acknowledged: u64) -> Result<(), String> {
    if wal::decode_segment_header(bytes) != Some(first) {
        return Err("its header is damaged".to_owned());
    }
    let (mut at, mut position) = (wal::SEGMENT_HEADER_BYTES, first.saturating_sub(1));
    while at < bytes.len() {
        if let Some((frame, length)) = wal::decode(&bytes[at..]) {
            position = frame.position;
            at += length;
            continue;
        }
        // The frame that is being written is not acknowledged yet.
        let in_flight = is_last && position >= acknowledged && replay::resync(bytes, at + 1).is_none();
        if in_flight {
            return Ok(());
        }
        return Err(format!("bytes from {at} on, after frame {position}, do not match their checksum"));
    }
    if is_last && position < acknowledged {
        return Err(format!("it ends after frame {position}, frame {acknowledged} was acknowledged"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Vec<u8> {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let mut segment = wal::Segment::create(dir.path(), 5).expect("a segment can be made");
        let mut frames = Vec::new();
        for position in 5..8 {
            let joined = Vec::new();
            wal::Frame { position, sequence: 1, table: "t", writer: "w", rows: b"rows", joined }
                .encode_into(&mut frames);
        }
        assert!(segment.append_synced(&frames).is_ok());
        std::fs::read(wal::segment_path(dir.path(), 5)).expect("the segment is there")
    }

    #[test]
    fn a_whole_segment_is_well_and_every_flipped_bit_is_found() {
        let good = example();
        assert_eq!(segment(&good, 5, true, 7), Ok(()));
        assert_eq!(segment(&good, 5, false, 7), Ok(()));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(segment(&bad, 5, true, 7).is_err() && segment(&bad, 5, false, 7).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn only_what_was_not_acknowledged_may_be_missing() {
        let good = example();
        for cut in 0..good.len() {
            assert!(segment(&good[..cut], 5, true, 7).is_err(), "cut at {cut}");
        }
        assert_eq!(segment(&good[..good.len() - 3], 5, true, 6), Ok(()), "the last frame is being written");
        assert!(segment(&good[..good.len() - 3], 5, false, 6).is_err(), "a closed segment is whole");
    }
}
