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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use std::sync::Arc;

    #[test]
    fn a_file_holds_the_batches_that_went_in() {
        let column = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let batch = |values| RecordBatch::try_from_iter([("n", column(values))]).unwrap();
        let batches = [batch(vec![1, 2]), batch(vec![3])];
        let bytes = bytes::Bytes::from(parquet_bytes(&batches[0].schema(), &batches).unwrap());
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(read, [batch(vec![1, 2, 3])]);
        let nothing = parquet_bytes(&batches[0].schema(), &[]).unwrap();
        assert!(nothing.starts_with(b"PAR1"));
    }
}
