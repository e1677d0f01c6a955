//! Why a message is refused as a whole.

use crate::bounds::MEMORY_BYTES_MAX;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    /// The bytes are not the message: send other ones.
    #[error("not an OTLP message: {0}")]
    Malformed(String),
    /// Send fewer records at once.
    #[error("the message takes more than {MEMORY_BYTES_MAX} bytes once it is {0}, send fewer records at once")]
    TooLarge(&'static str),
}
