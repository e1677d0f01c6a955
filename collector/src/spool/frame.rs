//! The bytes of a frame and of a segment's head. Pure: bytes in, bytes out.
//!
//! Frame: `"CFRM"`, payload length u32, sequence u64, rows u32, crc32 u32 (of the three before it and the payload),
//! payload. Head: `"CSPOOL01"`, writer length u32, crc32 u32 of the writer, writer. All numbers little-endian.

/// Larger than any batch that the collector makes; a length beyond it is damage.
pub(crate) const FRAME_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// The contract allows a writer of 320 bytes.
const WRITER_BYTES_MAX: usize = 320;
pub(super) const FRAME_MAGIC: &[u8; 4] = b"CFRM";
const HEAD_MAGIC: &[u8; 8] = b"CSPOOL01";
pub(super) const FRAME_HEAD_BYTES: usize = 24;
const HEAD_FIXED_BYTES: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub sequence: u64,
    pub rows: u32,
    pub payload_bytes: u32,
    crc: u32,
}

/// Bytes on disk of a frame with that payload.
pub(super) fn bytes_of(payload_bytes: usize) -> u64 {
    (FRAME_HEAD_BYTES + payload_bytes) as u64
}

fn crc(payload_bytes: u32, sequence: u64, rows: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&payload_bytes.to_le_bytes());
    hasher.update(&sequence.to_le_bytes());
    hasher.update(&rows.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// One write: head and payload together, so that a crash tears at most the last frame.
pub(super) fn encode(sequence: u64, rows: u32, payload: &[u8]) -> Vec<u8> {
    let payload_bytes = u32::try_from(payload.len()).expect("append refuses more than FRAME_BYTES_MAX");
    let mut out = Vec::with_capacity(FRAME_HEAD_BYTES + payload.len());
    out.extend_from_slice(FRAME_MAGIC);
    out.extend_from_slice(&payload_bytes.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&rows.to_le_bytes());
    out.extend_from_slice(&crc(payload_bytes, sequence, rows, payload).to_le_bytes());
    out.extend_from_slice(payload);
    out
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)) // four bytes always fit
}

/// Reads a frame's head; `None` when these bytes are none.
pub(super) fn decode_head(bytes: &[u8; FRAME_HEAD_BYTES]) -> Option<FrameHead> {
    if &bytes[..4] != FRAME_MAGIC {
        return None;
    }
    let sequence = u64::from_le_bytes(bytes[8..16].try_into().ok()?); // eight bytes always fit
    let head =
        FrameHead { payload_bytes: u32_at(bytes, 4)?, sequence, rows: u32_at(bytes, 16)?, crc: u32_at(bytes, 20)? };
    (head.payload_bytes <= FRAME_BYTES_MAX).then_some(head)
}

impl FrameHead {
    pub(super) fn matches(&self, payload: &[u8]) -> bool {
        self.payload_bytes as usize == payload.len()
            && crc(self.payload_bytes, self.sequence, self.rows, payload) == self.crc
    }
}

/// The head of a segment file.
pub(super) fn encode_segment_head(writer: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_FIXED_BYTES + writer.len());
    out.extend_from_slice(HEAD_MAGIC);
    out.extend_from_slice(&u32::try_from(writer.len()).expect("a writer is at most 320 bytes").to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(writer.as_bytes()).to_le_bytes());
    out.extend_from_slice(writer.as_bytes());
    out
}

/// The writer in a segment's head and the head's length.
pub(super) fn decode_segment_head(bytes: &[u8]) -> Option<(String, usize)> {
    if bytes.get(..8)? != HEAD_MAGIC {
        return None;
    }
    let length = u32_at(bytes, 8)? as usize;
    if length > WRITER_BYTES_MAX {
        return None;
    }
    let writer = bytes.get(HEAD_FIXED_BYTES..HEAD_FIXED_BYTES + length)?;
    if crc32fast::hash(writer) != u32_at(bytes, 12)? {
        return None;
    }
    Some((String::from_utf8(writer.to_vec()).ok()?, HEAD_FIXED_BYTES + length)) // not text: not a head of ours
}

/// The longest segment head.
pub(super) const SEGMENT_HEAD_BYTES_MAX: usize = HEAD_FIXED_BYTES + WRITER_BYTES_MAX;
