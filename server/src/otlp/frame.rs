//! gRPC's frame around the one message of a call, and the body of an answer.

use super::unpack::Packing;
use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::codegen::http::HeaderMap;

/// A flag for compression, and the length.
pub(super) const FRAME_BYTES: usize = 5;

/// The one message within a call's body, and how it is compressed.
pub(super) fn message(body: Bytes, packing: Packing) -> Result<(Bytes, Packing), Status> {
    let wrong = |why: &str| Status::invalid_argument(format!("not one message in gRPC's frame: {why}"));
    let header = body.get(..FRAME_BYTES).ok_or_else(|| wrong("it is cut off"))?;
    let (flag, length) = (header[0], u32::from_be_bytes([header[1], header[2], header[3], header[4]]));
    let message = body.slice(FRAME_BYTES..);
    if message.len() != length as usize {
        return Err(wrong("its length is not that of the body"));
    }
    match (flag, packing) {
        (0, _) => Ok((message, Packing::None)),
        (1, Packing::None) => Err(wrong("it is compressed, and grpc-encoding does not say how")),
        (1, packing) => Ok((message, packing)),
        _ => Err(wrong("its flag is neither 0 nor 1")),
    }
}

/// An answer: a message and the trailers behind it.
pub(super) struct Reply {
    message: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Reply {
    pub(super) fn new(message: &[u8], trailers: HeaderMap) -> Self {
        let mut framed = BytesMut::with_capacity(FRAME_BYTES + message.len());
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).expect("an answer is a sentence at most"));
        framed.put_slice(message);
        Self { message: Some(framed.freeze()), trailers: Some(trailers) }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let message = self.message.take().map(Frame::data);
        Poll::Ready(message.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_none() && self.trailers.is_none()
    }
}
