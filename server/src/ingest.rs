//! The ingest door: outside bytes become checked rows of a table, and are kept.
//!
//! Owns what is accepted and with which words it is refused. Must not know HTTP, queries or files.
//! **Invariants:** no length that a client states is believed; rows are acknowledged only after the store says
//! that they are durable.

mod framing;
mod rows;
mod shape;
#[cfg(test)]
mod tests;
mod unpacked;
mod views;

pub use framing::FramingError;

use crate::error::ErrorKind;
use crate::store::{Appended, Store, StoreError};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bytes::Bytes;
use contract::answers::{IngestAnswer, Rejection};
use contract::{Table, WriterId};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest body: a collector's batch is at most 8 MiB, an import's some more.
pub const BODY_BYTES_MAX: usize = 64 << 20;
/// All bodies that are unpacked at once, before and after casting: one at its limits, and as much beside it.
const UNPACKING_BYTES_MAX: u64 = 768 << 20;
/// What memory is counted in: a semaphore's permits are fewer than bytes.
const PERMIT_BYTES: u64 = 1 << 10;

#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("there is no table {0:?}")]
    NoTable(String),
    /// A header is missing or not what it must be.
    #[error("{0}")]
    Header(String),
    #[error("the body has {bytes} bytes or more, at most {BODY_BYTES_MAX} are allowed")]
    BodyTooLarge { bytes: usize },
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// The framing is right, but what it frames is not.
    #[error("not an Arrow IPC stream: {0}")]
    NotArrow(String),
    /// Columns or types that the table does not have.
    #[error("{message}")]
    Schema { message: String, known: Vec<String> },
    /// Nothing was kept; bodies of others are being unpacked.
    #[error("too many rows are being unpacked at once, send these again")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IngestError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoTable(_) => ErrorKind::NotFound,
            Self::Framing(FramingError::TooLarge { .. }) | Self::BodyTooLarge { .. } => ErrorKind::Limit,
            Self::Header(_) | Self::Framing(_) | Self::NotArrow(_) | Self::Schema { .. } => ErrorKind::Invalid,
            Self::Busy => ErrorKind::Unavailable,
            Self::Store(error) => error.kind(),
        }
    }

    /// Names that would have been accepted.
    pub fn known(&self) -> Vec<String> {
        match self {
            Self::NoTable(_) => contract::TABLES.iter().map(|t| t.name.to_owned()).collect(),
            Self::Schema { known, .. } => known.clone(),
            _ => Vec::new(),
        }
    }

    /// The stream is Arrow, but not of this table: 422 and not 400.
    pub fn is_schema(&self) -> bool {
        matches!(self, Self::Schema { .. })
    }

    /// Ask for less at once: 413.
    pub fn is_too_large(&self) -> bool {
        self.kind() == ErrorKind::Limit
    }

    /// Memory is full: 429. Without it an unavailable store answers 503.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Store(StoreError::Full { .. }))
    }

    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Store(StoreError::Full { retry_after_seconds, .. }) => Some(*retry_after_seconds),
            Self::Busy => Some(1),
            Self::Store(error) if error.kind() == ErrorKind::Unavailable => Some(5),
            _ => None,
        }
    }
}

/// What ingest counts about itself since it started.
#[derive(Debug, Default)]
pub struct Counters {
    pub rejected_rows: AtomicU64,
    pub refused_requests: AtomicU64,
    pub body_bytes: AtomicU64,
    tables: Mutex<BTreeMap<&'static str, Counted>>,
}

/// What was counted of a table.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counted {
    pub rows: u64,
    /// Bodies that were kept before.
    pub duplicates: u64,
}

impl Counters {
    /// Tables by name, those that something was sent to.
    pub fn tables(&self) -> Vec<(&'static str, Counted)> {
        self.tables.lock().iter().map(|(table, counted)| (*table, *counted)).collect()
    }

    fn count(&self, table: &'static Table, count: impl FnOnce(&mut Counted)) {
        count(self.tables.lock().entry(table.name).or_default());
    }
}

/// Shared handle; clones are cheap.
#[derive(Clone)]
pub struct Ingest {
    store: Store,
    counters: Arc<Counters>,
    memory: Arc<Semaphore>,
}

/// A body that has been checked and is ready to be kept.
struct Checked {
    rows: RecordBatch,
    rejected: Vec<Rejection>,
    rejected_rows: u64,
    /// Held until the store has the rows.
    _memory: OwnedSemaphorePermit,
}

/// A body whose rows are in the shape of their table, and not kept yet.
pub struct ReadBody {
    table: &'static contract::Table,
    pub writer: WriterId,
    pub sequence: u64,
    checked: Checked,
}

impl ReadBody {
    pub fn rows(&self) -> &RecordBatch {
        &self.checked.rows
    }

    /// Rows that were not taken, some of them, each with its reason.
    pub fn rejected(&self) -> &[Rejection] {
        &self.checked.rejected
    }
}

impl Ingest {
    pub fn new(store: Store) -> Self {
        let memory = Arc::new(Semaphore::new((UNPACKING_BYTES_MAX / PERMIT_BYTES) as usize));
        Self { store, counters: Arc::default(), memory }
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Checks a posted stream and keeps its rows. `writer` and `sequence` are the request's headers.
    pub async fn post(
        &self,
        table: &str,
        writer: Option<&str>,
        sequence: Option<&str>,
        body: Bytes,
        now_micros: i64,
    ) -> Result<IngestAnswer, IngestError> {
        let posted = self.checked_post(table, writer, sequence, body, now_micros).await;
        if posted.is_err() {
            self.counters.refused_requests.fetch_add(1, Ordering::Relaxed);
        }
        posted
    }

    async fn checked_post(
        &self,
        table: &str,
        writer: Option<&str>,
        sequence: Option<&str>,
        body: Bytes,
        now_micros: i64,
    ) -> Result<IngestAnswer, IngestError> {
        let read = self.read(table, writer, sequence, body, now_micros).await?;
        self.keep(read).await
    }

    /// Checks a posted stream and gives its rows, which are not kept before [`Self::keep`].
    pub async fn read(
        &self,
        table: &str,
        writer: Option<&str>,
        sequence: Option<&str>,
        body: Bytes,
        now_micros: i64,
    ) -> Result<ReadBody, IngestError> {
        let table = contract::table(table).ok_or_else(|| IngestError::NoTable(table.to_owned()))?;
        let writer = parse_writer(writer)?;
        let sequence = parse_sequence(sequence)?;
        if body.len() > BODY_BYTES_MAX {
            return Err(IngestError::BodyTooLarge { bytes: body.len() });
        }
        self.counters.body_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        // On a thread of its own: casting takes a while, and should a reader panic on bytes that the framing
        // check let through, it ends there as a refused request.
        let (memory, schema) = (Arc::clone(&self.memory), self.store.schema(table));
        let checked = tokio::task::spawn_blocking(move || check(table, &schema, &body, now_micros, &memory)).await;
        let checked = checked.map_err(|ended| match ended.is_panic() {
            true => IngestError::NotArrow("its messages contradict each other".into()),
            false => IngestError::Store(StoreError::Closed),
        })??;
        Ok(ReadBody { table, writer, sequence, checked })
    }

    /// Keeps the rows of a body.
    pub async fn keep(&self, read: ReadBody) -> Result<IngestAnswer, IngestError> {
        let ReadBody { table, writer, sequence, checked } = read;
        let accepted = checked.rows.num_rows() as u64;
        match self.store.append(table, &writer, sequence, checked.rows).await? {
            Appended::Duplicate => {
                self.counters.count(table, |counted| counted.duplicates += 1);
                Ok(IngestAnswer { duplicate: true, ..IngestAnswer::default() })
            }
            Appended::Kept => {
                self.counters.count(table, |counted| counted.rows += accepted);
                self.counters.rejected_rows.fetch_add(checked.rejected_rows, Ordering::Relaxed);
                let Checked { rejected, rejected_rows, .. } = checked;
                Ok(IngestAnswer { accepted, duplicate: false, rejected, rejected_rows })
            }
        }
    }
}

/// Memory in which a body is unpacked; it grows with the body, and is given back when dropped.
pub struct Unpacking {
    memory: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Unpacking {
    /// # Errors
    /// When other bodies have the memory.
    pub fn grow(&mut self, bytes: u64) -> Result<(), IngestError> {
        let more = reserve(&self.memory, bytes)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

/// What another room makes rows of.
impl Ingest {
    pub fn unpacking(&self) -> Unpacking {
        Unpacking { memory: Arc::clone(&self.memory), held: None }
    }

    /// Keeps rows of several tables that were made and checked elsewhere, all of them or none.
    pub async fn keep_together(
        &self,
        writer: &WriterId,
        batches: Vec<(&'static Table, RecordBatch)>,
        rejected_rows: u64,
    ) -> Result<(), IngestError> {
        let rows: Vec<_> = batches.iter().map(|(table, batch)| (*table, batch.num_rows() as u64)).collect();
        self.store.append_together(writer, batches).await?;
        rows.into_iter().for_each(|(table, rows)| self.counters.count(table, |counted| counted.rows += rows));
        self.counters.rejected_rows.fetch_add(rejected_rows, Ordering::Relaxed);
        Ok(())
    }
}

/// The batches of a small stream that belongs to no table, such as the parameters of a statement. Text views come
/// as binary views.
///
/// # Errors
/// When the stream is not Arrow, or its columns take more than `bytes_max` bytes.
pub fn read_small(body: &[u8], bytes_max: i64) -> Result<Vec<RecordBatch>, IngestError> {
    let stated = framing::check(body)?.decompressed;
    if stated > bytes_max {
        return Err(FramingError::TooLarge { what: "decompressed size", stated, limit: bytes_max }.into());
    }
    let reader = views::open(body).map_err(|e| IngestError::NotArrow(e.to_string()))?;
    reader.collect::<Result<_, _>>().map_err(|e| IngestError::NotArrow(e.to_string()))
}

fn parse_writer(header: Option<&str>) -> Result<WriterId, IngestError> {
    let name = contract::WRITER_HEADER;
    let text =
        header.ok_or_else(|| IngestError::Header(format!("header {name} is missing, send <node>/<boot-uuid>")))?;
    WriterId::parse(text).map_err(|e| IngestError::Header(format!("header {name}: {e}")))
}

fn parse_sequence(header: Option<&str>) -> Result<u64, IngestError> {
    let name = contract::SEQUENCE_HEADER;
    let text = header.ok_or_else(|| IngestError::Header(format!("header {name} is missing, send a rising number")))?;
    match text.trim().parse::<u64>() {
        Ok(sequence) if i64::try_from(sequence).is_ok() => Ok(sequence),
        _ => Err(IngestError::Header(format!("header {name}: {text:?} is not a whole number from 0 to 2^63-1"))),
    }
}

/// A share of the memory for unpacking.
fn reserve(memory: &Arc<Semaphore>, bytes: u64) -> Result<OwnedSemaphorePermit, IngestError> {
    let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).map_err(|_| IngestError::Busy)?;
    Arc::clone(memory).try_acquire_many_owned(permits).map_err(|_| IngestError::Busy)
}

/// `schema` is [`contract::schema`] of the table.
fn check(
    table: &'static Table,
    schema: &SchemaRef,
    body: &[u8],
    now_micros: i64,
    memory: &Arc<Semaphore>,
) -> Result<Checked, IngestError> {
    let framed = framing::check(body)?;
    let mut held = reserve(memory, framed.decompressed.unsigned_abs())?;
    let not_arrow = |e: ArrowError| IngestError::NotArrow(e.to_string());
    let reader = views::open(body).map_err(not_arrow)?;
    shape::check_schema(table, &reader.schema())?;
    let (mut kept, mut rejected, mut rejected_rows) = (Vec::new(), Vec::new(), 0);
    let mut unpacked = unpacked::Unpacked::default();
    let mut first_row = 0;
    for batch in reader {
        let batch = batch.map_err(not_arrow)?;
        held.merge(reserve(memory, unpacked.count(table, &batch)?)?);
        let columns = shape::conform(table, &batch, first_row)?;
        let sifted = rows::sift(table, schema, columns, first_row, now_micros).map_err(not_arrow)?;
        first_row += batch.num_rows() as u64;
        let room = rows::REJECTIONS_LISTED_MAX - rejected.len();
        rejected.extend(sifted.rejected.into_iter().take(room));
        rejected_rows += sifted.rejected_rows;
        kept.push(sifted.kept);
    }
    let rows = match kept.len() {
        1 => kept.swap_remove(0),
        _ => concat_batches(schema, &kept).map_err(not_arrow)?,
    };
    Ok(Checked { rows, rejected, rejected_rows, _memory: held })
}
