//! Bodies as they come over the wire, unpacked within bounds.

use std::borrow::Cow;
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

/// Why a body is not unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnpackError<E> {
    /// It is not packed as it says.
    Packed { packing: &'static str, why: String },
    /// It is larger than it may be.
    TooLarge,
    /// The memory was not given.
    Memory(E),
}

/// Reads on while the body stays within `bytes_max`, and `grow` gives the memory for it, which it is asked for before
/// it is used.
pub fn unpack<E>(
    packing: Packing,
    body: &[u8],
    bytes_max: usize,
    mut grow: impl FnMut(u64) -> Result<(), E>,
) -> Result<Cow<'_, [u8]>, UnpackError<E>> {
    let failed = |packing, error: std::io::Error| UnpackError::Packed { packing, why: error.to_string() };
    match packing {
        Packing::None if body.len() > bytes_max => Err(UnpackError::TooLarge),
        Packing::None => Ok(Cow::Borrowed(body)),
        Packing::Gzip => {
            let read = read_all(flate2::read::MultiGzDecoder::new(body), bytes_max, grow)?;
            read.map(Cow::Owned).map_err(|error| failed("gzip", error))
        }
        Packing::Zstd => {
            grow(1 << ZSTD_WINDOW_LOG_MAX).map_err(UnpackError::Memory)?;
            let decoder = zstd::stream::read::Decoder::new(body).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Ok(decoder)
            });
            let read = read_all(decoder.map_err(|error| failed("zstd", error))?, bytes_max, grow)?;
            read.map(Cow::Owned).map_err(|error| failed("zstd", error))
        }
    }
}

/// The inner error is that of the reader.
fn read_all<E>(
    mut from: impl Read,
    bytes_max: usize,
    mut grow: impl FnMut(u64) -> Result<(), E>,
) -> Result<std::io::Result<Vec<u8>>, UnpackError<E>> {
    let mut all = Vec::new();
    loop {
        // Twice, because a vector that grows is there twice for a moment.
        grow(2 * CHUNK_BYTES as u64).map_err(UnpackError::Memory)?;
        let before = all.len();
        if let Err(error) = from.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut all) {
            return Ok(Err(error));
        }
        if all.len() > bytes_max {
            return Err(UnpackError::TooLarge);
        }
        if all.len() < before + CHUNK_BYTES {
            return Ok(Ok(all));
        }
    }
}
