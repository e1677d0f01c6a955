//! Bodies as they come over the wire, unpacked within bounds.

use super::error::ExportError;
use crate::ingest::{BODY_BYTES_MAX, Unpacking};
use bytes::Bytes;
use std::io::Read;

/// What is unpacked between two looks at the bounds.
const CHUNK_BYTES: usize = 256 << 10;
/// What zstd looks back to: what HTTP allows it to; it is allocated as a whole.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// What is accepted, as gRPC lists it.
    pub const ACCEPTED: &'static str = "identity,gzip,zstd";

    /// By its name in HTTP and gRPC.
    pub fn parse(name: &str) -> Option<Self> {
        match name.trim() {
            "" | "identity" => Some(Self::None),
            "gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Reads on while the body stays within [`BODY_BYTES_MAX`] and `held` has memory for it.
pub(super) fn unpack(packing: Packing, body: Bytes, held: &mut Unpacking) -> Result<Bytes, ExportError> {
    let failed = |packing, error: std::io::Error| ExportError::Packed { packing, why: error.to_string() };
    match packing {
        Packing::None if body.len() > BODY_BYTES_MAX => Err(ExportError::UnpackedTooLarge),
        Packing::None => Ok(body),
        Packing::Gzip => {
            let read = read_all(flate2::read::MultiGzDecoder::new(&*body), held)?;
            read.map_err(|error| failed("gzip", error))
        }
        Packing::Zstd => {
            held.grow(1 << ZSTD_WINDOW_LOG_MAX)?;
            let decoder = zstd::stream::read::Decoder::new(&*body).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Ok(decoder)
            });
            let read = read_all(decoder.map_err(|error| failed("zstd", error))?, held)?;
            read.map_err(|error| failed("zstd", error))
        }
    }
}

/// The inner error is that of the reader.
fn read_all(mut from: impl Read, held: &mut Unpacking) -> Result<std::io::Result<Bytes>, ExportError> {
    let mut all = Vec::new();
    loop {
        // Twice, because a vector that grows is there twice for a moment.
        held.grow(2 * CHUNK_BYTES as u64)?;
        let before = all.len();
        if let Err(error) = from.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut all) {
            return Ok(Err(error));
        }
        if all.len() > BODY_BYTES_MAX {
            return Err(ExportError::UnpackedTooLarge);
        }
        if all.len() < before + CHUNK_BYTES {
            return Ok(Ok(all.into()));
        }
    }
}
