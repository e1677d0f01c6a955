//! What a message may take.

/// What a decoded message, or the rows made of it, may take: a body of 64 MiB of spans takes about three times that.
pub(crate) const MEMORY_BYTES_MAX: u64 = 256 << 20;
/// Messages within each other: some 24 maps or 36 lists within an attribute. The protobuf reader stops at 100.
pub(crate) const DEPTH_MAX: u32 = 80;
/// How far a record's time may lie ahead of ours: clocks drift by minutes, a wrong zone by an hour or more.
pub(crate) const AHEAD_MICROS_MAX: i64 = 3_600_000_000;
/// Different reasons that an answer lists; there are not many more.
pub(crate) const REASONS_LISTED_MAX: usize = 8;
/// A reason's text, and a refusal's.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1_000;
