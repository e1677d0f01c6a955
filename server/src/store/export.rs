//! Rows of an answer as a Parquet file, for those who take them away.

use super::StoreError;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// A row group is finished and handed over at this size, encoded: so much of an answer is in memory at once.
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A Parquet file that is handed over part by part while it is written.
pub struct ParquetParts {
    writer: ArrowWriter<Vec<u8>>,
}

impl ParquetParts {
    pub fn new(schema: &SchemaRef) -> Result<Self, StoreError> {
        let level = ZstdLevel::try_new(1).map_err(StoreError::internal)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties));
        Ok(Self { writer: writer.map_err(StoreError::internal)? })
    }

    /// Takes rows in, and returns the bytes that are finished by now: often none.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, StoreError> {
        self.writer.write(batch).map_err(StoreError::internal)?;
        if self.writer.in_progress_size() > GROUP_BYTES_MAX {
            self.writer.flush().map_err(StoreError::internal)?;
        }
        Ok(self.finished())
    }

    /// The end of the file.
    pub fn end(&mut self) -> Result<Vec<u8>, StoreError> {
        self.writer.finish().map_err(StoreError::internal)?;
        Ok(self.finished())
    }

    /// The writer counts what it has written itself, so its buffer may be emptied behind it.
    fn finished(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.inner_mut())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use arrow::compute::concat_batches;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use std::sync::Arc;

    fn file(schema: &SchemaRef, batches: &[RecordBatch]) -> (Vec<u8>, usize) {
        let mut parts = ParquetParts::new(schema).unwrap();
        let (mut bytes, mut ahead) = (Vec::new(), 0);
        for batch in batches {
            bytes.extend(parts.write(batch).unwrap());
            ahead = ahead.max(parts.writer.in_progress_size());
        }
        bytes.extend(parts.end().unwrap());
        (bytes, ahead)
    }

    fn batch(values: impl Iterator<Item = i64>) -> RecordBatch {
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(values)) as ArrayRef)]).unwrap()
    }

    fn read(bytes: Vec<u8>) -> RecordBatch {
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap().build().unwrap();
        let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        concat_batches(&read[0].schema(), &read).unwrap()
    }

    #[test]
    fn a_file_holds_the_batches_that_went_in() {
        let batches = [batch(1..3), batch(3..4)];
        assert_eq!(read(file(&batches[0].schema(), &batches).0), batch(1..4));
        let (nothing, _) = file(&batches[0].schema(), &[]);
        assert!(nothing.starts_with(b"PAR1") && nothing.ends_with(b"PAR1"));
    }

    #[test]
    fn a_long_file_is_handed_over_in_parts() {
        // Values that do not compress.
        let scattered = |i: i64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64);
        let batches: Vec<_> = (0..60).map(|b| batch((b * 65_536..(b + 1) * 65_536).map(scattered))).collect();
        let (bytes, ahead) = file(&batches[0].schema(), &batches);
        assert!(bytes.len() > GROUP_BYTES_MAX && ahead <= GROUP_BYTES_MAX, "{} bytes, {ahead} ahead", bytes.len());
        assert_eq!(read(bytes), batch((0..60 * 65_536).map(scattered)));
    }
}
