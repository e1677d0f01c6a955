//! Files that live no longer than a read: rows that do not fit in memory.

use super::error::StoreError;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Rows that are gathered for the writer at once.
const GATHERED_ROWS: usize = 8 * 1024;
/// It is read back at once and whole, so memory counts more than size.
const ROW_GROUP_ROWS_MAX: usize = 64 * 1024;

pub(super) struct ScratchFile {
    schema: SchemaRef,
    parquet: ArrowWriter<File>,
    gathered: Vec<RecordBatch>,
    rows: usize,
}

fn not_written(error: ParquetError) -> StoreError {
    StoreError::Io { what: "write a file in transit".into(), source: std::io::Error::other(error) }
}

impl ScratchFile {
    pub(super) fn create(path: &Path, schema: &SchemaRef) -> Result<Self, StoreError> {
        let file = File::create(path).map_err(StoreError::io("create a file in transit"))?;
        let level = ZstdLevel::try_new(1).map_err(StoreError::internal)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::None)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
            .build();
        let parquet = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties)).map_err(StoreError::internal)?;
        Ok(Self { schema: Arc::clone(schema), parquet, gathered: Vec::new(), rows: 0 })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), StoreError> {
        self.rows += rows.num_rows();
        self.gathered.push(rows.clone());
        if self.rows >= GATHERED_ROWS { self.write_gathered() } else { Ok(()) }
    }

    fn write_gathered(&mut self) -> Result<(), StoreError> {
        let rows = concat_batches(&self.schema, &self.gathered).map_err(StoreError::internal)?;
        self.gathered.clear();
        self.rows = 0;
        self.parquet.write(&rows).map_err(not_written)
    }

    pub(super) fn finish(mut self) -> Result<(), StoreError> {
        self.write_gathered()?;
        self.parquet.close().map(drop).map_err(not_written)
    }
}
