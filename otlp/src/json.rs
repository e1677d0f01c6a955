//! OTLP/JSON: the dialect that the standard describes, into the same messages as protobuf.
//!
//! Our own types, because those of `opentelemetry-proto` refuse what the standard allows: unknown members within a
//! value, lists without `values`, `null` for what is absent, and numbers as texts where they may be. **Invariant:**
//! names are lowerCamelCase only, enumerations are integers only, ids are hexadecimal in either case.

mod lenient;
mod messages;
mod points;
pub(crate) mod sizes;

use crate::decode::{Message, Signal};
use crate::error::OtlpError;
use lenient::Become;
use serde::de::DeserializeOwned;

pub(crate) fn decode(signal: Signal, body: &[u8]) -> Result<Message, OtlpError> {
    Ok(match signal {
        Signal::Traces => Message::Traces(read::<messages::Traces>(body)?.become_it()),
        Signal::Logs => Message::Logs(read::<messages::Logs>(body)?.become_it()),
        Signal::Metrics => Message::Metrics(read::<points::Metrics>(body)?.become_it()),
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, OtlpError> {
    serde_json::from_slice(body).map_err(|error| OtlpError::Malformed(error.to_string()))
}
