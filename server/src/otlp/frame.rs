//! gRPC's frame around the one message of a call, and the body of an answer.

use bytes::{BufMut, Bytes, BytesMut};
use coulomb_otlp::{FRAME_BYTES, Packing, unframed};
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::codegen::http::HeaderMap;

/// The one message within a call's body, and how it is compressed.
pub(super) fn message(body: Bytes, packing: Packing) -> Result<(Bytes, Packing), Status> {
    let (message, packing) = unframed(&body, packing)
        .map_err(|why| Status::invalid_argument(format!("not one message in gRPC's frame: {why}")))?;
    Ok((body.slice_ref(message), packing))
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
