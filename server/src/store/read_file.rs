//! Parquet files of others, read batch by batch; the only door to the format for rooms that must not name it.

use super::StoreError;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
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
    let builder = ParquetRecordBatchReaderBuilder::try_new(open(path)?).map_err(corrupt(path))?;
    read(builder).map_err(corrupt(path))
}

/// Opens a file of the store for some columns, which come in the types of `schema`; those that it lacks do not come.
pub(super) fn read_columns(path: &Path, schema: &Schema) -> Result<ParquetFile, StoreError> {
    let file = open(path)?;
    let found = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(corrupt(path))?;
    let wanted = |name: &str| schema.field_with_name(name).ok();
    let fields = found.schema().fields().iter().map(|field| match wanted(field.name()) {
        Some(as_type) => field.as_ref().clone().with_data_type(as_type.data_type().clone()),
        None => field.as_ref().clone(),
    });
    let fields: Vec<_> = fields.collect();
    let places = (0..fields.len()).filter(|at| wanted(fields[*at].name()).is_some());
    let mask = ProjectionMask::roots(found.parquet_schema(), places);
    let options = ArrowReaderOptions::new().with_schema(Schema::new(fields).into());
    let typed = ArrowReaderMetadata::try_new(found.metadata().clone(), options).map_err(corrupt(path))?;
    read(ParquetRecordBatchReaderBuilder::new_with_metadata(file, typed).with_projection(mask)).map_err(corrupt(path))
}

fn open(path: &Path) -> Result<File, StoreError> {
    File::open(path).map_err(|source| StoreError::Io { what: format!("{}", path.display()), source })
}

fn corrupt(path: &Path) -> impl Fn(ParquetError) -> StoreError {
    move |error| StoreError::Corrupt { what: format!("{}", path.display()), why: error.to_string() }
}

fn read(builder: ParquetRecordBatchReaderBuilder<File>) -> Result<ParquetFile, ParquetError> {
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let schema = builder.schema().clone();
    Ok(ParquetFile { schema, rows, batches: builder.with_batch_size(BATCH_ROWS).build()? })
}

impl Iterator for ParquetFile {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}
