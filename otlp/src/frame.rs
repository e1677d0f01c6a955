//! gRPC's frame around the one message of a call.

use crate::unpack::Packing;

/// A flag for compression, and the length.
pub const FRAME_BYTES: usize = 5;

/// The one message within a call's body, and how it is compressed; `packing` is what the call names.
///
/// # Errors
/// Why it is not one message in a frame.
pub fn unframed(body: &[u8], packing: Packing) -> Result<(&[u8], Packing), &'static str> {
    let (header, message) = body.split_at_checked(FRAME_BYTES).ok_or("it is cut off")?;
    let (flag, length) = (header[0], u32::from_be_bytes([header[1], header[2], header[3], header[4]]));
    if message.len() != length as usize {
        return Err("its length is not that of the body");
    }
    match (flag, packing) {
        (0, _) => Ok((message, Packing::None)),
        (1, Packing::None) => Err("it is compressed, and grpc-encoding does not say how"),
        (1, packing) => Ok((message, packing)),
        _ => Err("its flag is neither 0 nor 1"),
    }
}
