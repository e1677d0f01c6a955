//! How rows become a Parquet file: sort order, encodings, statistics.

use super::error::StoreError;
use super::order;
use super::summed::Summed;
use super::word_index;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringBuilder, StringViewArray, new_null_array};
use arrow::compute::{cast, interleave};
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use contract::{Kind, Table};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Rows of one row group: small enough to prune within a day, large enough for dictionaries to pay.
const ROW_GROUP_ROWS_MAX: usize = 256 * 1024;
/// Rows that are gathered for the writer at once: they stay in the processor's caches, and nothing is ever copied whole.
const GATHERED_ROWS: usize = 8 * 1024;
/// zstd 1: higher levels save about 3 % for twice the time on these columns.
const ZSTD_LEVEL: i32 = 1;
/// Texts that are searched lie in pages of about as many rows as a filter of words is for, so that a search unpacks no
/// more than it reads.
const SEARCHED_PAGE_BYTES: usize = 256 * 1024;
pub(super) const DAY_MICROS: i64 = 86_400_000_000;

/// The rows of one UTC day.
pub(super) struct Day<'a> {
    /// Days since the epoch.
    pub day: i64,
    /// In the read schema.
    batches: &'a [RecordBatch],
    /// Batch and row of each, in the order of the table's key.
    order: order::Rows,
}

/// Splits batches of the read schema by day; nothing is lost, nothing is added.
pub(super) fn by_day<'a>(table: &'static Table, batches: &'a [RecordBatch]) -> Result<Vec<Day<'a>>, StoreError> {
    let all: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let days = order::by_day(table, batches)?;
    let days: Vec<_> = days.into_iter().map(|(day, order)| Day { day, batches, order }).collect();
    assert_eq!(days.iter().map(|day| day.order.len()).sum::<usize>(), all);
    Ok(days)
}

impl Day<'_> {
    /// Some of its rows in the stored schema, gathered from all batches.
    fn rows(&self, schema: &SchemaRef, order: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
        let columns = schema.fields().iter().enumerate().map(|(at, field)| {
            let parts: Vec<&dyn Array> = self.batches.iter().map(|batch| batch.column(at).as_ref()).collect();
            match field.data_type() {
                DataType::Utf8 => Ok(texts(&parts, order)),
                _ => interleave(&parts, order),
            }
        });
        RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
    }
}

/// Texts from views, copied once.
fn texts(parts: &[&dyn Array], order: &[(usize, usize)]) -> ArrayRef {
    let parts: Vec<&StringViewArray> = parts.iter().map(|part| part.as_string_view()).collect();
    if parts.iter().all(|part| part.null_count() == part.len()) {
        return new_null_array(&DataType::Utf8, order.len());
    }
    let mut texts = StringBuilder::with_capacity(order.len(), 0);
    for (part, row) in order {
        texts.append_option(parts[*part].is_valid(*row).then(|| parts[*part].value(*row)));
    }
    Arc::new(texts.finish())
}

fn properties(table: &Table) -> Result<WriterProperties, StoreError> {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(StoreError::internal)?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX));
    if let Some(column) = word_index::searched_column(table) {
        properties = properties.set_column_data_page_size_limit(ColumnPath::from(column), SEARCHED_PAGE_BYTES);
    }
    for column in table.columns {
        let path = ColumnPath::from(column.name);
        // Values that rise repeat too seldom for a dictionary.
        let rising = match column.kind {
            Kind::Time => Some(Encoding::DELTA_BINARY_PACKED),
            Kind::Int if column.name.ends_with("_total") => Some(Encoding::DELTA_BINARY_PACKED),
            // Its high bytes hardly change: 5.8 bytes a value of energy, against 9.1 with a dictionary.
            Kind::Float if column.name.ends_with("_total") => Some(Encoding::BYTE_STREAM_SPLIT),
            _ => None,
        };
        if let Some(encoding) = rising {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), encoding);
        }
        if table.sort_key.contains(&column.name) || column.name == table.time_column {
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Page);
        }
    }
    Ok(properties.build())
}

/// What is known of a file that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub size_bytes: u64,
    pub modified: SystemTime,
    pub rows: u64,
    pub time_min_micros: i64,
    pub time_max_micros: i64,
    /// Of all its bytes.
    pub crc32: u32,
}

impl Written {
    pub(super) fn modified_millis(&self) -> i64 {
        self.modified.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
    }
}

/// A file of a table that is being written, batch by batch, in the order of the table's key.
pub(super) struct FileWriter {
    table: &'static Table,
    schema: SchemaRef,
    parquet: ArrowWriter<Summed>,
    /// Of a table that is searched.
    words: Option<word_index::Builder>,
    rows: u64,
    times: Option<(i64, i64)>,
}

fn not_written(error: parquet::errors::ParquetError) -> StoreError {
    StoreError::Io { what: "write a data file".into(), source: std::io::Error::other(error) }
}

impl FileWriter {
    pub(super) fn create(table: &'static Table, path: &Path) -> Result<Self, StoreError> {
        let file = File::create(path).map_err(StoreError::io("create a data file"))?;
        let schema = contract::schema(table);
        let parquet = ArrowWriter::try_new(Summed::new(file), Arc::clone(&schema), Some(properties(table)?));
        let parquet = parquet.map_err(StoreError::internal)?;
        Ok(Self { table, schema, parquet, words: word_index::Builder::of(table), rows: 0, times: None })
    }

    /// `rows` are in the stored schema and do not come before those that were written.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), StoreError> {
        let no_time = || StoreError::Internal(format!("rows of {} have no time", self.table.name));
        let time = rows.column_by_name(self.table.time_column).ok_or_else(no_time)?;
        let micros = time.as_primitive::<TimestampMicrosecondType>();
        if let (Some(min), Some(max)) = (arrow::compute::min(micros), arrow::compute::max(micros)) {
            let (low, high) = self.times.unwrap_or((min, max));
            self.times = Some((low.min(min), high.max(max)));
        }
        self.rows += rows.num_rows() as u64;
        if let Some(words) = &mut self.words {
            words.add(rows)?;
        }
        self.parquet.write(rows).map_err(not_written)
    }

    /// Returns when the file's bytes are on disk; its name is not until the directory is synced.
    pub(super) fn finish(mut self) -> Result<Written, StoreError> {
        self.write_words()?;
        let looked = || StoreError::io("look at a data file");
        let (file, crc32) = self.parquet.into_inner().map_err(not_written)?.finish();
        file.sync_all().map_err(StoreError::io("sync a data file"))?;
        let metadata = file.metadata().map_err(looked())?;
        let no_time = || StoreError::Internal(format!("a file of {} has no time", self.table.name));
        let (time_min_micros, time_max_micros) = self.times.ok_or_else(no_time)?;
        let modified = metadata.modified().map_err(looked())?;
        let (size_bytes, rows) = (metadata.len(), self.rows);
        Ok(Written { size_bytes, modified, rows, time_min_micros, time_max_micros, crc32 })
    }
}

impl FileWriter {
    /// Behind the rows and before the footer, which says where it is.
    fn write_words(&mut self) -> Result<(), StoreError> {
        let Some(words) = self.words.take() else { return Ok(()) };
        self.parquet.flush().map_err(not_written)?;
        let (offset, index) = (self.parquet.bytes_written() as u64, words.finish());
        self.parquet.write_all(&index).map_err(StoreError::io("write a data file"))?;
        self.parquet.append_key_value_metadata(word_index::note(offset, index.len()));
        Ok(())
    }
}

/// Writes one file, durably but for its name. Leaves nothing after an error.
pub(super) fn write_file(table: &'static Table, day: &Day<'_>, path: &Path) -> Result<Written, StoreError> {
    let written = FileWriter::create(table, path).and_then(|mut file| {
        for order in day.order.chunks(GATHERED_ROWS) {
            file.write(&day.rows(&file.schema, order).map_err(StoreError::internal)?)?;
        }
        file.finish()
    });
    written.inspect_err(|_| {
        // It may not even be there; what stays is removed by the next start.
        drop(std::fs::remove_file(path));
    })
}

/// Rows that were written earlier in the schema of today; columns that the table has gained since are null.
pub(super) fn in_stored_schema(table: &Table, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    in_schema(&contract::schema(table), rows)
}

/// The columns of a schema; those that are not there are null.
pub(super) fn in_schema(schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().map(|field| match rows.column_by_name(field.name()) {
        Some(array) => Arc::clone(array),
        None => new_null_array(field.data_type(), rows.num_rows()),
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect())
}

/// Casts rows of the stored schema to the read schema: texts become views.
pub(super) fn to_read_schema(table: &Table, rows: &RecordBatch) -> Result<RecordBatch, StoreError> {
    as_read(&contract::read_schema(table), rows)
}

/// The same with a schema that was made before.
pub(super) fn as_read(schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, StoreError> {
    let columns = rows.columns().iter().zip(schema.fields()).map(|(array, field)| match field.data_type() {
        DataType::Utf8View => cast(array, field.data_type()),
        _ => Ok(Arc::clone(array)),
    });
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(StoreError::internal)?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(StoreError::internal)
}
