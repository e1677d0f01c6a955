//! A request of OTLP on its way to the spool.

use super::answer::Refused;
use super::memory::{Full, Held, Memory};
use super::origin;
use crate::batch::TableBatch;
use crate::input::Feed;
use crate::metrics::Counters;
use crate::spool::KeepError;
use coulomb_otlp::{Encoding, Packing, Rows, Signal, UnpackError, accepted, decode, unpack, weigh};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::codegen::Body as _;

/// A body, packed or not: SDKs send 512 spans at once, gRPC's own bound is 4 MiB.
pub(super) const BODY_BYTES_MAX: usize = 16 << 20;
/// What memory is reserved in while a body arrives: a sender that sends a byte at a time has no more of it than others.
const PIECE_BYTES: usize = 32 << 10;
/// Of a body that is too large, what is still taken, so that its sender hears why.
const DISCARDED_BYTES_MAX: usize = 64 << 20;
/// A sender that pauses this long is gone.
const PAUSE_MAX: Duration = Duration::from_secs(30);

impl From<Full> for Refused {
    fn from(_: Full) -> Self {
        Self::Busy
    }
}

impl From<UnpackError<Full>> for Refused {
    fn from(error: UnpackError<Full>) -> Self {
        match error {
            UnpackError::Packed { packing, why } => {
                Self::Invalid(format!("the body cannot be unpacked as {packing}: {why}"))
            }
            UnpackError::TooLarge => Self::TooLarge,
            UnpackError::Memory(full) => full.into(),
        }
    }
}

impl From<KeepError> for Refused {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Full | KeepError::Disk(_) => Self::Spool(error.to_string()),
            KeepError::TooLarge { .. } => Self::TooMuch(error.to_string()),
            KeepError::Encode(_) => {
                tracing::error!(%error, "rows of OTLP could not be kept");
                Self::Internal
            }
        }
    }
}

/// A body that has arrived, with its memory.
pub(super) struct Arrived {
    pub bytes: Vec<u8>,
    held: Held,
}

pub(super) struct Exports {
    feed: Feed,
    memory: Memory,
    clock: fn() -> i64,
}

impl Exports {
    pub(super) fn new(feed: Feed, clock: fn() -> i64) -> Self {
        Self { feed, memory: Memory::default(), clock }
    }

    /// All of a request's body.
    pub(super) async fn read(&self, mut body: Body) -> Result<Arrived, Refused> {
        let (mut bytes, mut held, mut reserved) = (Vec::new(), self.memory.hold(), 0);
        let mut discarded = 0;
        loop {
            let next = timeout(PAUSE_MAX, poll_fn(|context| Pin::new(&mut body).poll_frame(context))).await;
            let next = next.map_err(|_| Refused::Stopped)?;
            let frame = match next.transpose() {
                Ok(Some(frame)) => frame,
                Ok(None) if discarded > 0 => return Err(Refused::TooLarge),
                Ok(None) => return Ok(Arrived { bytes, held }),
                Err(error) => return Err(Refused::Invalid(format!("the body breaks off: {error}"))),
            };
            let Ok(part) = frame.into_data() else { continue };
            if discarded > 0 || bytes.len() + part.len() > BODY_BYTES_MAX + coulomb_otlp::FRAME_BYTES {
                (bytes, held) = (Vec::new(), self.memory.hold());
                discarded += part.len();
                if discarded > DISCARDED_BYTES_MAX {
                    return Err(Refused::TooLarge);
                }
                continue;
            }
            while reserved < bytes.len() + part.len() {
                // Twice, because a buffer that grows is there twice for a moment.
                held.grow(2 * PIECE_BYTES as u64)?;
                reserved += PIECE_BYTES;
            }
            bytes.extend_from_slice(&part);
        }
    }

    /// Keeps what a body holds from `start` on, and gives the answer's body in the same encoding.
    ///
    /// # Errors
    /// When nothing of it is answered for. Of several tables the first ones may be kept then, so that what is sent
    /// again is there twice; spans come before requests, because they have ids to tell it by.
    pub(super) async fn export(
        self: Arc<Self>,
        signal: Signal,
        encoding: Encoding,
        packing: Packing,
        arrived: Arrived,
        start: usize,
    ) -> Result<Vec<u8>, Refused> {
        // On a thread of its own: it takes a while, and should it panic, it ends there.
        let exported = tokio::task::spawn_blocking(move || self.keep(signal, encoding, packing, arrived, start)).await;
        exported.unwrap_or_else(|ended| {
            tracing::error!(error = %ended, "a request of OTLP failed");
            Err(Refused::Internal)
        })
    }

    fn keep(
        &self,
        signal: Signal,
        encoding: Encoding,
        packing: Packing,
        arrived: Arrived,
        start: usize,
    ) -> Result<Vec<u8>, Refused> {
        let Arrived { bytes, mut held } = arrived;
        let message = {
            let body = unpack(packing, &bytes[start..], BODY_BYTES_MAX, |more| held.grow(more))?;
            held.grow(weigh(signal, encoding, &body)?)?;
            decode(signal, encoding, &body)?
        };
        drop(bytes);
        held.grow(message.rows_bytes()?)?;
        let Rows { rejected, tables, .. } = message.rows((self.clock)());
        drop(message);
        let node = self.feed.node();
        let named = tables.into_iter().map(|table| origin::named(table, node)).collect::<Result<Vec<TableBatch>, _>>();
        self.feed.keep(&named.map_err(KeepError::from)?)?;
        let counters = self.feed.counters();
        Counters::add(&counters.otlp_requests, 1);
        Counters::add(&counters.otlp_records_rejected, rejected.total());
        Ok(accepted(signal, encoding, &rejected))
    }

    pub(super) fn count_refused(&self) {
        Counters::add(&self.feed.counters().otlp_refused, 1);
    }
}
