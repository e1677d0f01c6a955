//! From bytes to messages, of each signal and in both encodings.

use crate::error::OtlpError;
use crate::json;
use crate::proto::logs::ExportLogsServiceRequest;
use crate::proto::metrics::ExportMetricsServiceRequest;
use crate::proto::trace::ExportTraceServiceRequest;
use crate::rows::{self, Rows};
use prost::Message as _;

/// What a message tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    Traces,
    Logs,
    Metrics,
}

impl Signal {
    pub const ALL: [Self; 3] = [Self::Traces, Self::Logs, Self::Metrics];

    /// What its records are called.
    pub fn records(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Logs => "log records",
            Self::Metrics => "data points",
        }
    }
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    Protobuf,
    Json,
}

/// A request to keep what it holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    Traces(ExportTraceServiceRequest),
    Logs(ExportLogsServiceRequest),
    Metrics(ExportMetricsServiceRequest),
}

/// # Errors
/// When the bytes are not such a message. What it would take is for [`crate::weigh`] to say before.
pub fn decode(signal: Signal, encoding: Encoding, body: &[u8]) -> Result<Message, OtlpError> {
    match encoding {
        Encoding::Json => json::decode(signal, body),
        Encoding::Protobuf => match signal {
            Signal::Traces => ExportTraceServiceRequest::decode(body).map(Message::Traces),
            Signal::Logs => ExportLogsServiceRequest::decode(body).map(Message::Logs),
            Signal::Metrics => ExportMetricsServiceRequest::decode(body).map(Message::Metrics),
        }
        .map_err(|error| OtlpError::Malformed(error.to_string())),
    }
}

impl Message {
    pub fn signal(&self) -> Signal {
        match self {
            Self::Traces(_) => Signal::Traces,
            Self::Logs(_) => Signal::Logs,
            Self::Metrics(_) => Signal::Metrics,
        }
    }

    /// Spans, log records or data points.
    pub fn records(&self) -> u64 {
        rows::records(self)
    }

    /// About what its rows will take: each has the attributes of its resource.
    ///
    /// # Errors
    /// When they take too much.
    pub fn rows_bytes(&self) -> Result<u64, OtlpError> {
        rows::bytes(self)
    }

    /// The rows, and what is not kept. `now_micros` is Unix microseconds.
    pub fn rows(&self, now_micros: i64) -> Rows {
        rows::rows(self, now_micros)
    }
}
