//! Bodies as they come over the wire, unpacked within the bounds and the memory of ingest.

use super::error::ExportError;
use crate::ingest::{BODY_BYTES_MAX, Unpacking};
use bytes::Bytes;
use coulomb_otlp::{Packing, UnpackError};
use std::borrow::Cow;

/// Reads on while the body stays within [`BODY_BYTES_MAX`] and `held` has memory for it.
pub(super) fn unpack(packing: Packing, body: Bytes, held: &mut Unpacking) -> Result<Bytes, ExportError> {
    let unpacked = coulomb_otlp::unpack(packing, &body, BODY_BYTES_MAX, |bytes| held.grow(bytes));
    let unpacked = unpacked.map_err(|error| match error {
        UnpackError::Packed { packing, why } => ExportError::Packed { packing, why },
        UnpackError::TooLarge => ExportError::UnpackedTooLarge,
        UnpackError::Memory(error) => error.into(),
    })?;
    let own = match unpacked {
        Cow::Borrowed(_) => None,
        Cow::Owned(own) => Some(own),
    };
    Ok(own.map_or(body, Bytes::from))
}
