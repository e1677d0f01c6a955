//! Messages on the wire.

use prost::Message;
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Reads `Q` and writes `A`.
pub(super) struct Wire<A, Q>(PhantomData<(A, Q)>);

pub(super) fn wire<A, Q>() -> Wire<A, Q> {
    Wire(PhantomData)
}

pub(super) struct Writes<A>(PhantomData<A>);
pub(super) struct Reads<Q>(PhantomData<Q>);

impl<A: Message + 'static, Q: Message + Default + 'static> Codec for Wire<A, Q> {
    type Encode = A;
    type Decode = Q;
    type Encoder = Writes<A>;
    type Decoder = Reads<Q>;

    fn encoder(&mut self) -> Writes<A> {
        Writes(PhantomData)
    }

    fn decoder(&mut self) -> Reads<Q> {
        Reads(PhantomData)
    }
}

impl<A: Message> Encoder for Writes<A> {
    type Item = A;
    type Error = Status;

    fn encode(&mut self, message: A, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(to).map_err(|error| Status::internal(format!("an answer does not fit: {error}")))
    }
}

impl<Q: Message + Default> Decoder for Reads<Q> {
    type Item = Q;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Q>, Status> {
        let read = Q::decode(from).map_err(|error| Status::invalid_argument(format!("not such a message: {error}")));
        read.map(Some)
    }
}
