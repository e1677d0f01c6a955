//! Segment files of the write-ahead log: frames with length, checksum, position, writer and sequence.
//!
//! Owns the bytes; must not know tables' meaning or hot memory. FORMAT.md draws them.
//! **Invariant:** [`Segment::sync`] has returned before any frame written since is acknowledged.

use super::error::StoreError;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// First bytes of a segment: magic, format version, position of its first frame, checksum of these.
pub(super) const SEGMENT_MAGIC: &[u8; 8] = b"COULWAL1";
pub(super) const SEGMENT_HEADER_BYTES: usize = 8 + 8 + 4;
pub(super) const FRAME_MAGIC: &[u8; 4] = b"CWF1";
/// Of a frame with rows of several tables, which are kept together or not at all.
pub(super) const JOINED_MAGIC: &[u8; 4] = b"CWF2";
/// Magic, body length, checksum of the body.
pub(super) const FRAME_HEADER_BYTES: usize = 4 + 4 + 4;
/// Position, sequence, table name length, writer length.
pub(super) const BODY_FIXED_BYTES: usize = 8 + 8 + 2 + 2;
/// No frame is longer; what reads longer is damage. Far above what an append may bring.
pub(super) const FRAME_BYTES_MAX: usize = 768 << 20;
/// Rows of one append: an ingest body casts to at most 256 MiB, and framing adds a little.
pub(super) const APPEND_BYTES_MAX: u64 = 320 << 20;

/// One append, as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Rises by one with each frame, across segments and restarts.
    pub position: u64,
    pub sequence: u64,
    pub table: &'a str,
    pub writer: &'a str,
    /// The rows as an Arrow IPC stream.
    pub rows: &'a [u8],
    /// Rows of further tables that came with them.
    pub joined: Vec<Part<'a>>,
}

/// Rows of one table within a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub table: &'a str,
    pub rows: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The rows of each table.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'a>> {
        std::iter::once(Part { table: self.table, rows: self.rows }).chain(self.joined.iter().copied())
    }

    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(if self.joined.is_empty() { FRAME_MAGIC } else { JOINED_MAGIC });
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.position.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        let name_bytes = |name: &str| u16::try_from(name.len()).expect("names are bounded by the contract");
        out.extend_from_slice(&name_bytes(self.table).to_le_bytes());
        out.extend_from_slice(&name_bytes(self.writer).to_le_bytes());
        out.extend_from_slice(self.table.as_bytes());
        out.extend_from_slice(self.writer.as_bytes());
        if !self.joined.is_empty() {
            out.extend_from_slice(&rows_length(self.rows));
        }
        out.extend_from_slice(self.rows);
        for Part { table, rows } in &self.joined {
            out.extend_from_slice(&name_bytes(table).to_le_bytes());
            out.extend_from_slice(table.as_bytes());
            out.extend_from_slice(&rows_length(rows));
            out.extend_from_slice(rows);
        }
        let body = start + FRAME_HEADER_BYTES;
        let length = out.len() - body;
        assert!(length <= FRAME_BYTES_MAX, "a frame of {length} bytes would not be read back");
        let length = u32::try_from(length).expect("the limit is far below 4 GiB");
        let checksum = crc32fast::hash(&out[body..]);
        out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
        out[start + 8..start + 12].copy_from_slice(&checksum.to_le_bytes());
    }
}

fn rows_length(rows: &[u8]) -> [u8; 4] {
    u32::try_from(rows.len()).expect("the limit is far below 4 GiB").to_le_bytes()
}

/// Whether a frame may start with these four bytes.
pub(super) fn is_magic(bytes: &[u8]) -> bool {
    bytes == FRAME_MAGIC || bytes == JOINED_MAGIC
}

/// Reads the frame at the start of `bytes` and its length there; `None` if no whole, intact frame starts there.
pub(super) fn decode(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    let header = bytes.get(..FRAME_HEADER_BYTES)?;
    if !is_magic(&header[..4]) {
        return None;
    }
    let length = u32_at(header, 4)? as usize;
    if !(BODY_FIXED_BYTES..=FRAME_BYTES_MAX).contains(&length) {
        return None;
    }
    let body = bytes.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + length)?;
    if crc32fast::hash(body) != u32_at(header, 8)? {
        return None;
    }
    let table_bytes = u16::from_le_bytes(body.get(16..18)?.try_into().ok()?) as usize;
    let writer_bytes = u16::from_le_bytes(body.get(18..20)?.try_into().ok()?) as usize;
    let names = body.get(BODY_FIXED_BYTES..)?;
    let behind = names.get(table_bytes + writer_bytes..)?;
    let (rows, joined) = if &header[..4] == FRAME_MAGIC { (behind, Vec::new()) } else { decode_joined(behind)? };
    let frame = Frame {
        position: u64_at(body, 0)?,
        sequence: u64_at(body, 8)?,
        table: std::str::from_utf8(names.get(..table_bytes)?).ok()?,
        writer: std::str::from_utf8(names.get(table_bytes..table_bytes + writer_bytes)?).ok()?,
        rows,
        joined,
    };
    Some((frame, FRAME_HEADER_BYTES + length))
}

/// The first table's rows, and those of the further ones, each with its length before it.
fn decode_joined(bytes: &[u8]) -> Option<(&[u8], Vec<Part<'_>>)> {
    let counted = |at: usize| {
        let length = u32_at(bytes, at)? as usize;
        Some((bytes.get(at + 4..at + 4 + length)?, at + 4 + length))
    };
    let (rows, mut at) = counted(0)?;
    let mut joined = Vec::new();
    while at < bytes.len() {
        let name = u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?) as usize;
        let table = std::str::from_utf8(bytes.get(at + 2..at + 2 + name)?).ok()?;
        let (rows, end) = counted(at + 2 + name)?;
        joined.push(Part { table, rows });
        at = end;
    }
    Some((rows, joined))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn segment_header(first: u64) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    header[..8].copy_from_slice(SEGMENT_MAGIC);
    header[8..16].copy_from_slice(&first.to_le_bytes());
    let checksum = crc32fast::hash(&header[..16]);
    header[16..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// The position that the segment header names, if it is intact.
pub(super) fn decode_segment_header(bytes: &[u8]) -> Option<u64> {
    let header = bytes.get(..SEGMENT_HEADER_BYTES)?;
    let intact = &header[..8] == SEGMENT_MAGIC && crc32fast::hash(&header[..16]) == u32_at(header, 16)?;
    if intact { u64_at(header, 8) } else { None }
}

pub(super) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.wal"))
}

/// The segment files of `dir` by the position in their names, oldest first.
pub(super) fn list_segments(dir: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(StoreError::io("list the log's segments"))? {
        let path = entry.map_err(StoreError::io("list the log's segments"))?.path();
        if path.extension().is_some_and(|e| e == "wal")
            && let Some(first) = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok())
        {
            segments.push((first, path));
        }
    }
    segments.sort();
    Ok(segments)
}

/// Whether a segment of `dir` is longer than its header.
pub(super) fn holds_frames(dir: &Path) -> Result<bool, StoreError> {
    for (_, path) in list_segments(dir)? {
        let bytes = std::fs::metadata(path).map_err(StoreError::io("look at a log segment"))?.len();
        if bytes > SEGMENT_HEADER_BYTES as u64 {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::io("sync a directory"))
}

/// The segment that frames are appended to.
pub(super) struct Segment {
    file: File,
    /// Bytes that are whole frames; what lies behind is cut off after a failed write.
    good_bytes: u64,
}

impl Segment {
    /// Creates the segment whose first frame will have position `first`, durably.
    pub(super) fn create(dir: &Path, first: u64) -> Result<Self, StoreError> {
        let path = segment_path(dir, first);
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&path)?;
            file.write_all(&segment_header(first))?;
            file.sync_all()?;
            Ok(file)
        };
        let file = open().map_err(|source| {
            // What is left of it holds no frame, and replay knows that should this fail as well.
            drop(std::fs::remove_file(&path));
            StoreError::Io { what: "create a log segment".into(), source }
        })?;
        sync_dir(dir)?;
        Ok(Self { file, good_bytes: SEGMENT_HEADER_BYTES as u64 })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.good_bytes
    }

    /// Writes whole frames and syncs them. After an error none of them is in the file.
    pub(super) fn append_synced(&mut self, frames: &[u8]) -> Result<(), AppendFailure> {
        if let Err(source) = self.file.write_all(frames) {
            let error = StoreError::Io { what: "write to the log".into(), source };
            return Err(match self.cut_back() {
                Ok(()) => AppendFailure::Refused(error),
                Err(_) => AppendFailure::Broken(error),
            });
        }
        if let Err(source) = self.file.sync_data() {
            // After a failed sync the page cache may claim what the disk does not have.
            return Err(AppendFailure::Broken(StoreError::Io { what: "sync the log".into(), source }));
        }
        self.good_bytes += frames.len() as u64;
        Ok(())
    }

    fn cut_back(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.good_bytes)?;
        self.file.seek(SeekFrom::Start(self.good_bytes))?;
        self.file.sync_data()
    }
}

/// Whether the log can go on after a failed append.
pub(super) enum AppendFailure {
    /// The segment is as it was before; a later append may succeed.
    Refused(StoreError),
    /// The segment's state on disk is unknown; only a restart tells.
    Broken(StoreError),
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(position: u64, rows: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let joined = Vec::new();
        Frame { position, sequence: 9, table: "gpu_samples", writer: "n/b", rows, joined }.encode_into(&mut out);
        out
    }

    fn encoded_joined() -> Vec<u8> {
        let mut out = Vec::new();
        let joined = vec![Part { table: "inference_requests", rows: b"second" }, Part { table: "logs", rows: b"" }];
        Frame { position: 8, sequence: 2, table: "spans", writer: "n/b", rows: b"first", joined }.encode_into(&mut out);
        out
    }

    #[test]
    fn tables_of_a_frame_come_back_together() {
        let bytes = encoded_joined();
        let (frame, length) = decode(&bytes).unwrap();
        assert_eq!((frame.position, frame.sequence, frame.writer, length), (8, 2, "n/b", bytes.len()));
        let parts: Vec<_> = frame.parts().map(|part| (part.table, part.rows)).collect();
        assert_eq!(parts, [("spans", &b"first"[..]), ("inference_requests", &b"second"[..]), ("logs", &b""[..])]);
    }

    #[test]
    fn a_frame_comes_back_as_written() {
        let bytes = encoded(7, b"rows");
        let (frame, length) = decode(&bytes).unwrap();
        assert_eq!((frame.position, frame.sequence, frame.table, frame.writer), (7, 9, "gpu_samples", "n/b"));
        assert_eq!((frame.rows, length), (&b"rows"[..], bytes.len()));
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_noticed() {
        for bytes in [encoded(7, b"rows"), encoded_joined()] {
            for cut in 0..bytes.len() {
                assert!(decode(&bytes[..cut]).is_none(), "cut at {cut}");
            }
            // Where a frame starts says which kind it is; the two words differ in more than one bit.
            for bit in 0..bytes.len() * 8 {
                let mut bad = bytes.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(decode(&bad).is_none(), "bit {bit}");
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&bytes).is_none());
            let mut framed = FRAME_MAGIC.to_vec();
            framed.extend(&bytes);
            let _unused = decode(&framed).is_none();
        }
    }
}
