//! Rows of an answer as a Parquet file in memory, for those who take them away.

use super::StoreError;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// The whole file. Bounded by the limits of the query that made the rows.
pub fn parquet_bytes(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>, StoreError> {
    let level = ZstdLevel::try_new(1).map_err(StoreError::internal)?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, schema.clone(), Some(properties)).map_err(StoreError::internal)?;
    for batch in batches {
        writer.write(batch).map_err(StoreError::internal)?;
    }
    writer.close().map_err(StoreError::internal)?;
    Ok(bytes)
}
