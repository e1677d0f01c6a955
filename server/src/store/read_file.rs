//! Parquet files of others, read batch by batch; the only door to the format for rooms that must not name it.

use super::StoreError;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::fs::File;
use std::path::Path;

/// Rows of one batch: some megabytes of a wide table.
const BATCH_ROWS: usize = 4096;

/// A Parquet file that is being read; an iterator of its batches.
pub struct ParquetFile {
    pub schema: SchemaRef,
    pub rows: u64,
    batches: ParquetRecordBatchReader,
}

/// Opens a Parquet file that need not be one of the store's.
pub fn read_parquet(path: &Path) -> Result<ParquetFile, StoreError> {
    let what = || format!("{}", path.display());
    let file = File::open(path).map_err(|source| StoreError::Io { what: what(), source })?;
    let corrupt = |e: parquet::errors::ParquetError| StoreError::Corrupt { what: what(), why: e.to_string() };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(corrupt)?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let schema = builder.schema().clone();
    let batches = builder.with_batch_size(BATCH_ROWS).build().map_err(corrupt)?;
    Ok(ParquetFile { schema, rows, batches })
}

impl Iterator for ParquetFile {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}
