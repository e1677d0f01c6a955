//! Request bodies, bounded while they are read, with or without a `Content-Length`.

use super::error::Refusal;
use super::serve::State;
use actix_web::error::JsonPayloadError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{self, Bytes, BytesMut, JsonConfig};
use actix_web::{Error, HttpRequest};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// SQL and its parameters; the longest statement that people generate is some 100 KB.
const JSON_BYTES_MAX: usize = 1 << 20;
/// Ingest bodies in memory at once, over all connections. Beyond it a collector is told to come back.
const BODIES_BYTES_MAX: u64 = 512 << 20;
/// A body that is refused is read on and thrown away up to this, because most clients hear an answer only once
/// they have sent everything.
const DISCARD_BYTES_MAX: u64 = 256 << 20;
/// A sender that pauses this long is gone.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Limits and error texts of JSON bodies.
pub(super) fn json_limits() -> JsonConfig {
    JsonConfig::default().limit(JSON_BYTES_MAX).error_handler(|error, _| {
        let refusal = match &error {
            JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
                Refusal::too_large(format!("the body is larger than {JSON_BYTES_MAX} bytes"))
            }
            JsonPayloadError::ContentType => {
                Refusal::unsupported_body("send the body with Content-Type: application/json")
            }
            other => Refusal::invalid(format!("the body is not the JSON that is wanted here: {other}")),
        };
        Error::from(refusal)
    })
}

/// Reads an ingest body whole. Its bytes count against the bound of all bodies until the last user drops them.
pub(super) async fn read_ingest_body(
    request: &HttpRequest,
    mut payload: web::Payload,
    state: &web::Data<State>,
    bytes_max: usize,
) -> Result<Bytes, Refusal> {
    if let Some(encoding) = request.headers().get(header::CONTENT_ENCODING).filter(|v| v.as_bytes() != b"identity") {
        discard(&mut payload).await;
        let message = "is not taken here, compress the Arrow stream's buffers with zstd or lz4 instead";
        return Err(Refusal::unsupported_body(format!("Content-Encoding {encoding:?} {message}")));
    }
    read_packed_body(request, payload, state, bytes_max).await
}

/// Likewise, of a body that the caller unpacks.
pub(super) async fn read_packed_body(
    request: &HttpRequest,
    mut payload: web::Payload,
    state: &web::Data<State>,
    bytes_max: usize,
) -> Result<Bytes, Refusal> {
    let result = collect(request.headers(), &mut payload, state, bytes_max).await;
    if result.is_err() {
        discard(&mut payload).await;
    }
    result
}

async fn collect(
    headers: &HeaderMap,
    payload: &mut web::Payload,
    state: &web::Data<State>,
    bytes_max: usize,
) -> Result<Bytes, Refusal> {
    let too_large =
        || Refusal::too_large(format!("the body is larger than {bytes_max} bytes, send fewer rows at once"));
    let told = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if told.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large());
    }
    let mut body = Body { bytes: BytesMut::new(), reserved: Reserved { state: state.clone(), bytes: 0 } };
    loop {
        let next = timeout(PAUSE_MAX, payload.next()).await;
        let next = next.map_err(|_| Refusal::invalid(format!("the body stopped for {} s", PAUSE_MAX.as_secs())))?;
        let Some(chunk) = next else { return Ok(Bytes::from_owner(body)) };
        let chunk = chunk.map_err(|e| Refusal::invalid(format!("the body broke off: {e}")))?;
        if body.bytes.len() + chunk.len() > bytes_max {
            return Err(too_large());
        }
        body.reserved.grow(chunk.len() as u64)?;
        body.bytes.extend_from_slice(&chunk);
    }
}

/// Reads a body into a temporary file, which is gone when it is closed; gives the digest of its bytes, too.
pub(super) async fn read_into_file(
    request: &HttpRequest,
    mut payload: web::Payload,
    bytes_max: u64,
) -> Result<(std::fs::File, String), Refusal> {
    let result = spool(request.headers(), &mut payload, bytes_max).await;
    if result.is_err() {
        discard(&mut payload).await;
    }
    result
}

async fn spool(
    headers: &HeaderMap,
    payload: &mut web::Payload,
    bytes_max: u64,
) -> Result<(std::fs::File, String), Refusal> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING).filter(|v| v.as_bytes() != b"identity") {
        return Err(Refusal::unsupported_body(format!("Content-Encoding {encoding:?} is not taken here, unpack it")));
    }
    let too_large = || Refusal::too_large(format!("the body is larger than {bytes_max} bytes, divide it"));
    let told = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if told.is_some_and(|length| length > bytes_max) {
        return Err(too_large());
    }
    let failed = |e: std::io::Error| {
        Refusal::of_kind(crate::error::ErrorKind::Unavailable, format!("the body cannot be put on disk: {e}"))
    };
    let (mut digest, mut length) = (Sha256::new(), 0);
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(failed)?);
    loop {
        let next = timeout(PAUSE_MAX, payload.next()).await;
        let next = next.map_err(|_| Refusal::invalid(format!("the body stopped for {} s", PAUSE_MAX.as_secs())))?;
        let Some(chunk) = next else { break };
        let chunk = chunk.map_err(|e| Refusal::invalid(format!("the body broke off: {e}")))?;
        length += chunk.len() as u64;
        if length > bytes_max {
            return Err(too_large());
        }
        digest.update(&chunk);
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    let digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((file.into_std().await, digest))
}

async fn discard(payload: &mut web::Payload) {
    let mut seen = 0;
    while seen < DISCARD_BYTES_MAX {
        match timeout(PAUSE_MAX, payload.next()).await {
            Ok(Some(Ok(chunk))) => seen += chunk.len() as u64,
            _ => return,
        }
    }
}

/// A body and its room; the handler may be gone while a thread still reads it.
struct Body {
    bytes: BytesMut,
    reserved: Reserved,
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body's share of the bound of all bodies; given back when dropped.
struct Reserved {
    state: web::Data<State>,
    bytes: u64,
}

impl Reserved {
    fn grow(&mut self, more: u64) -> Result<(), Refusal> {
        let before = self.state.body_bytes.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        if before + more <= BODIES_BYTES_MAX {
            return Ok(());
        }
        let message = "too many bodies are being received at once, send this one again";
        Err(Refusal::of_kind(crate::error::ErrorKind::Unavailable, message))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.state.body_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
