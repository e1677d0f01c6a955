//! Rows that somebody waits for: answered when they are on disk, refused when they are not.

use super::Uplink;
use crate::batch::{BATCH_ROWS_MAX, TableBatch};
use crate::spool::KeepError;

/// Of one frame, before it is packed: far below what the server takes at once.
const FRAME_MEMORY_BYTES: usize = 16 << 20;

impl Uplink {
    /// Puts batches into the spool, in this order, and returns after the disk has them.
    ///
    /// # Errors
    /// When it does not have all of them. Those before the one that failed may be kept.
    pub(crate) fn keep(&self, batches: &[TableBatch]) -> Result<(), KeepError> {
        let mut frames = Vec::new();
        for (table, batch) in batches {
            let rows = batch.num_rows();
            let parts = batch.get_array_memory_size().div_ceil(FRAME_MEMORY_BYTES).max(1);
            let step = rows.div_ceil(parts).clamp(1, BATCH_ROWS_MAX);
            for start in (0..rows).step_by(step) {
                let part = batch.slice(start, step.min(rows - start));
                frames.push((table.name, part.num_rows() as u64, crate::wire::encode(&part)?));
            }
        }
        let files = {
            let mut state = self.shared.lock();
            let files = state.spool.append_together(frames);
            state.show(&self.shared.counters);
            files?
        };
        self.shared.changed.notify_all();
        for file in files {
            file.sync_data()?;
        }
        Ok(())
    }
}
