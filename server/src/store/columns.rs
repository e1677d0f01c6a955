//! How rows become a Parquet file: sort order, encodings, statistics.

use super::error::StoreError;
use super::summed::Summed;
use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{SortColumn, cast, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
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
/// zstd 1: higher levels save about 3 % for twice the time on these columns.
const ZSTD_LEVEL: i32 = 1;
pub(super) const DAY_MICROS: i64 = 86_400_000_000;

/// The rows of one UTC day, sorted by the table's key.
pub(super) struct Day {
    /// Days since the epoch.
    pub day: i64,
    pub rows: RecordBatch,
}

fn times(table: &Table, rows: &RecordBatch) -> Result<ArrayRef, StoreError> {
    rows.column_by_name(table.time_column)
        .cloned()
        .ok_or_else(|| StoreError::Internal(format!("rows of {} have no {}", table.name, table.time_column)))
}

/// Joins batches of the read schema and splits them by day; nothing is lost, nothing is added.
pub(super) fn by_day(table: &'static Table, batches: &[RecordBatch]) -> Result<Vec<Day>, StoreError> {
    let all = concat_batches(&contract::read_schema(table), batches).map_err(StoreError::internal)?;
    if all.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let time = times(table, &all)?;
    let micros = time.as_primitive::<TimestampMicrosecondType>();
    let days: ArrayRef =
        Arc::new(arrow::array::Int64Array::from_iter_values(micros.values().iter().map(|t| t.div_euclid(DAY_MICROS))));
    let mut order = vec![SortColumn { values: Arc::clone(&days), options: None }];
    for key in table.sort_key {
        let values = all.column_by_name(key).cloned();
        let values = values.ok_or_else(|| StoreError::Internal(format!("{} has no {key}", table.name)))?;
        order.push(SortColumn { values, options: None });
    }
    let order = lexsort_to_indices(&order, None).map_err(StoreError::internal)?;
    let days = days.as_primitive::<arrow::datatypes::Int64Type>();
    let mut parts = Vec::new();
    let mut start = 0;
    while start < order.len() {
        let day = days.value(order.value(start) as usize);
        let length = order.values()[start..].iter().take_while(|i| days.value(**i as usize) == day).count();
        parts.push(one_day(table, &all, &order.slice(start, length), day)?);
        start += length;
    }
    assert_eq!(parts.iter().map(|d| d.rows.num_rows()).sum::<usize>(), all.num_rows());
    Ok(parts)
}

fn one_day(table: &'static Table, all: &RecordBatch, indices: &UInt32Array, day: i64) -> Result<Day, StoreError> {
    let sorted = take_record_batch(all, indices).map_err(StoreError::internal)?;
    let stored = contract::schema(table);
    let columns = sorted.columns().iter().zip(stored.fields()).map(|(array, field)| cast(array, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(StoreError::internal)?;
    let rows = RecordBatch::try_new(stored, columns).map_err(StoreError::internal)?;
    Ok(Day { day, rows })
}

fn properties(table: &Table) -> Result<WriterProperties, StoreError> {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(StoreError::internal)?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX));
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
    parquet: ArrowWriter<Summed>,
    rows: u64,
    times: Option<(i64, i64)>,
}

fn not_written(error: parquet::errors::ParquetError) -> StoreError {
    StoreError::Io { what: "write a data file".into(), source: std::io::Error::other(error) }
}

impl FileWriter {
    pub(super) fn create(table: &'static Table, path: &Path) -> Result<Self, StoreError> {
        let file = File::create(path).map_err(StoreError::io("create a data file"))?;
        let parquet = ArrowWriter::try_new(Summed::new(file), contract::schema(table), Some(properties(table)?));
        Ok(Self { table, parquet: parquet.map_err(StoreError::internal)?, rows: 0, times: None })
    }

    /// `rows` are in the stored schema and do not come before those that were written.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), StoreError> {
        let time = times(self.table, rows)?;
        let micros = time.as_primitive::<TimestampMicrosecondType>();
        if let (Some(min), Some(max)) = (arrow::compute::min(micros), arrow::compute::max(micros)) {
            let (low, high) = self.times.unwrap_or((min, max));
            self.times = Some((low.min(min), high.max(max)));
        }
        self.rows += rows.num_rows() as u64;
        self.parquet.write(rows).map_err(not_written)
    }

    /// Returns when the file's bytes are on disk; its name is not until the directory is synced.
    pub(super) fn finish(self) -> Result<Written, StoreError> {
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

/// Writes one file, durably but for its name. Leaves nothing after an error.
pub(super) fn write_file(table: &'static Table, rows: &RecordBatch, path: &Path) -> Result<Written, StoreError> {
    let written = FileWriter::create(table, path).and_then(|mut file| {
        file.write(rows)?;
        file.finish()
    });
    written.inspect_err(|_| {
        // It may not even be there; what stays is removed by the next start.
        drop(std::fs::remove_file(path));
    })
}

/// Rows that were written earlier in the schema of today; columns that the table has gained since are null.
pub(super) fn in_stored_schema(table: &Table, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = contract::schema(table);
    let columns = schema.fields().iter().map(|field| match rows.column_by_name(field.name()) {
        Some(array) => Arc::clone(array),
        None => new_null_array(field.data_type(), rows.num_rows()),
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect())
}

/// Casts rows of the stored schema to the read schema: texts become views.
pub(super) fn to_read_schema(table: &Table, rows: &RecordBatch) -> Result<RecordBatch, StoreError> {
    let schema = contract::read_schema(table);
    let columns = rows.columns().iter().zip(schema.fields()).map(|(array, field)| match field.data_type() {
        DataType::Utf8View => cast(array, field.data_type()),
        _ => Ok(Arc::clone(array)),
    });
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(StoreError::internal)?;
    RecordBatch::try_new(schema, columns).map_err(StoreError::internal)
}
