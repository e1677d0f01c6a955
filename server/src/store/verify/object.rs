//! An object as a file for the blocking Parquet reader. Only for a thread that may block.

use super::super::DataFile;
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What a reader of unknown length asks for at once.
const AHEAD_BYTES: u64 = 64 << 10;

#[derive(Clone)]
pub(super) struct Object {
    pub file: DataFile,
    pub objects: Arc<dyn ObjectStore>,
    pub runtime: Handle,
}

fn unreadable(error: object_store::Error) -> String {
    match error {
        object_store::Error::NotFound { .. } => "it is missing".to_owned(),
        error => format!("it cannot be read: {error}"),
    }
}

impl Object {
    pub(super) fn size(&self) -> Result<u64, String> {
        let head = self.runtime.block_on(self.objects.head(&self.file.path));
        head.map(|meta| meta.size).map_err(unreadable)
    }

    pub(super) fn range(&self, range: Range<u64>) -> Result<Bytes, String> {
        self.runtime.block_on(self.objects.get_range(&self.file.path, range)).map_err(unreadable)
    }
}

impl Length for Object {
    fn len(&self) -> u64 {
        self.file.size_bytes
    }
}

impl ChunkReader for Object {
    type T = Ahead;

    fn get_read(&self, start: u64) -> ParquetResult<Ahead> {
        Ok(Ahead { object: self.clone(), at: start, held: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let end = start.saturating_add(length as u64);
        if end > self.len() {
            return Err(ParquetError::EOF(format!("bytes up to {end} of {}", self.len())));
        }
        self.range(start..end).map_err(ParquetError::General)
    }
}

/// Reads on from somewhere, a lump at a time.
pub(super) struct Ahead {
    object: Object,
    at: u64,
    held: Bytes,
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.object.len().min(self.at.saturating_add(AHEAD_BYTES));
        if self.held.is_empty() && self.at < end {
            self.held = self.object.range(self.at..end).map_err(io::Error::other)?;
            self.at = end;
        }
        let count = buffer.len().min(self.held.len());
        buffer[..count].copy_from_slice(&self.held.split_to(count));
        Ok(count)
    }
}
