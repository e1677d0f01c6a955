//! Answers to senders, in the encoding that they have sent.

use crate::bounds::MESSAGE_BYTES_MAX;
use crate::decode::{Encoding, Signal};
use crate::rejected::Rejected;
use prost::Message;
use serde_json::json;

/// The answer to a message whose records are kept, except those that are rejected.
pub fn accepted(signal: Signal, encoding: Encoding, rejected: &Rejected) -> Vec<u8> {
    let partial = (rejected.total() > 0).then(|| {
        let count = i64::try_from(rejected.total()).unwrap_or(i64::MAX);
        (count, cut(rejected.message()))
    });
    match encoding {
        Encoding::Protobuf => {
            let partial = partial.map(|(rejected, message)| PartialSuccess { rejected, message });
            Accepted { partial }.encode_to_vec()
        }
        Encoding::Json => {
            let name = match signal {
                Signal::Traces => "rejectedSpans",
                Signal::Logs => "rejectedLogRecords",
                Signal::Metrics => "rejectedDataPoints",
            };
            // Numbers of 64 bits are texts in this dialect.
            let answer = partial.map_or_else(
                || json!({}),
                |(count, message)| json!({ "partialSuccess": { name: count.to_string(), "errorMessage": message } }),
            );
            answer.to_string().into_bytes()
        }
    }
}

/// `Export…ServiceResponse`, which is written alike for all signals.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Accepted {
    #[prost(message, optional, tag = "1")]
    pub partial: Option<PartialSuccess>,
}

/// `Export…PartialSuccess`, likewise.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub rejected: i64,
    #[prost(string, tag = "2")]
    pub message: String,
}

/// Why nothing of a message is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Of gRPC.
    pub code: i32,
    pub message: String,
    /// When to send it again; without it, never.
    pub retry_after_seconds: Option<u64>,
}

/// A `google.rpc.Status`.
pub fn refused(encoding: Encoding, refusal: &Refusal) -> Vec<u8> {
    let Refusal { code, message, retry_after_seconds } = refusal;
    let message = cut(message.clone());
    match encoding {
        Encoding::Protobuf => {
            let retry = retry_after_seconds.map(|seconds| {
                let delay = Delay { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: 0 };
                let value = RetryInfo { retry_delay: Some(delay) }.encode_to_vec();
                Detail { type_url: RETRY_INFO.to_owned(), value }
            });
            Status { code: *code, message, details: retry.into_iter().collect() }.encode_to_vec()
        }
        Encoding::Json => {
            let details: Vec<_> = retry_after_seconds
                .map(|seconds| json!({ "@type": RETRY_INFO, "retryDelay": format!("{seconds}s") }))
                .into_iter()
                .collect();
            json!({ "code": code, "message": message, "details": details }).to_string().into_bytes()
        }
    }
}

fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Detail {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Delay {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}
