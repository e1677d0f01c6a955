//! Frames of a request that somebody waits for: on the disk itself, or refused.
//!
//! **Invariant:** nothing older is dropped for them, and none waits in memory.

use super::{Frame, IN_MEMORY, Spool};
use std::fs::File;
use std::io;

/// Of the bound, in quarters, what such frames may fill; the rest is for what is measured and cannot be asked again.
const QUARTERS: u64 = 3;

/// Why a request is refused; some of its frames may be kept all the same.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error("the spool is full, the rows in it wait for the server")]
    Full,
    /// Send less at once.
    #[error("the rows take {bytes} bytes, the spool has {max} for them, send fewer records at once")]
    TooLarge { bytes: u64, max: u64 },
    #[error("the spool's disk takes nothing: {0}")]
    Disk(#[from] io::Error),
    #[error("rows could not be encoded: {0}")]
    Encode(#[from] arrow::error::ArrowError),
}

impl Spool {
    /// Appends frames, each with its table and rows, in this order; they are on disk once the returned files are
    /// synced.
    pub(crate) fn append_together(
        &mut self,
        frames: Vec<(&'static str, u64, Vec<u8>)>,
    ) -> Result<Vec<File>, KeepError> {
        if !self.memory.is_empty() {
            // They are written first, with the next rows that are measured.
            return Err(io::Error::other("rows wait in memory").into());
        }
        let bytes: u64 = frames.iter().map(|(_, _, payload)| Self::room_for(payload.len())).sum();
        let max = self.settings.bytes_max / 4 * QUARTERS;
        if bytes > max {
            return Err(KeepError::TooLarge { bytes, max });
        }
        if self.bytes() + bytes > max {
            return Err(KeepError::Full);
        }
        let files_before = self.number_next;
        let mut files = Vec::new();
        for (table, rows, payload) in frames {
            let sequence = self.sequence_next;
            self.sequence_next += 1;
            let writer = self.writer.as_str().to_owned();
            let frame = Frame { table: table.to_owned(), writer, sequence, rows, payload, segment: IN_MEMORY, end: 0 };
            // There is room, so nothing is dropped.
            self.write(&frame, &mut Vec::new())?;
            let segment = self.segments.iter().rev().find(|s| s.table == table && s.is_active());
            files.extend(segment.map(|segment| segment.handle()).transpose()?);
        }
        if self.number_next > files_before {
            files.push(File::open(&self.settings.dir)?);
        }
        Ok(files)
    }
}
