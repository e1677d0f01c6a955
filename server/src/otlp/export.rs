//! A request of OTLP on its way to the store.

use super::error::ExportError;
use super::unpack::unpack;
use crate::ingest::{Ingest, Unpacking};
use bytes::Bytes;
use contract::WriterId;
use coulomb_otlp::{Encoding, Packing, Rows, Signal, accepted, decode, weigh};
use std::sync::atomic::Ordering;

/// Shared handle; clones are cheap.
#[derive(Clone)]
pub struct Otlp {
    ingest: Ingest,
    /// OTLP names no writer and no sequence. This one is new with each start, so nobody else can have it, and the
    /// log numbers what it appends: any number of requests are on their way at once, and none is a duplicate.
    writer: WriterId,
    clock: fn() -> i64,
}

impl Otlp {
    /// `clock` gives Unix microseconds, UTC.
    pub fn new(ingest: Ingest, clock: fn() -> i64) -> Self {
        let writer = WriterId::parse(&format!("otlp/{}", uuid::Uuid::new_v4()));
        Self { ingest, writer: writer.expect("the name has two parts, and is short"), clock }
    }

    /// Memory for a body on its way in.
    pub(super) fn memory(&self) -> Unpacking {
        self.ingest.unpacking()
    }

    /// Keeps what a body holds, and gives the answer's body in the same encoding.
    ///
    /// # Errors
    /// When nothing of it is kept.
    pub async fn export(
        &self,
        signal: Signal,
        encoding: Encoding,
        packing: Packing,
        body: Bytes,
    ) -> Result<Vec<u8>, ExportError> {
        let kept = self.keep(signal, encoding, packing, body).await;
        if kept.is_err() {
            self.ingest.counters().refused_requests.fetch_add(1, Ordering::Relaxed);
        }
        kept
    }

    async fn keep(
        &self,
        signal: Signal,
        encoding: Encoding,
        packing: Packing,
        body: Bytes,
    ) -> Result<Vec<u8>, ExportError> {
        self.ingest.counters().body_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        let (mut memory, now_micros) = (self.memory(), (self.clock)());
        let read = move || read(signal, encoding, packing, body, now_micros, &mut memory).map(|rows| (rows, memory));
        // On a thread of its own: it takes a while, and should it panic, it ends there.
        let read = tokio::task::spawn_blocking(read).await;
        let (rows, _memory) = read.map_err(|ended| ExportError::Internal(ended.to_string()))??;
        let Rows { rejected, tables, .. } = rows;
        self.ingest.keep_together(&self.writer, tables, rejected.total()).await?;
        Ok(accepted(signal, encoding, &rejected))
    }
}

fn read(
    signal: Signal,
    encoding: Encoding,
    packing: Packing,
    body: Bytes,
    now_micros: i64,
    memory: &mut Unpacking,
) -> Result<Rows, ExportError> {
    let body = unpack(packing, body, memory)?;
    memory.grow(weigh(signal, encoding, &body)?)?;
    let message = decode(signal, encoding, &body)?;
    memory.grow(message.rows_bytes()?)?;
    Ok(message.rows(now_micros))
}
