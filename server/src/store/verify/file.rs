//! One data file against what its table's log says of it.

use super::super::{DataFile, columns};
use super::object::Object;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::row::{OwnedRow, RowConverter, SortField};
use contract::Table;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes that are summed at once.
const PART_BYTES: u64 = 1 << 20;
/// Rows that are decoded at once: some megabytes of a wide table.
const BATCH_ROWS: usize = 4096;

/// What is wrong with a file, if anything: its size, its sum, then every value of it.
pub(super) fn problem(table: &'static Table, file: &DataFile, sum: Option<u32>, object: Object) -> Option<String> {
    let check = || {
        bytes(file, sum, &object)?;
        values(table, file, object)
    };
    // A decoder may panic on bytes that nobody ever wrote.
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| Err("it cannot be decoded".to_owned())).err()
}

fn bytes(file: &DataFile, sum: Option<u32>, object: &Object) -> Result<(), String> {
    let size = object.size()?;
    if size != file.size_bytes {
        return Err(format!("it has {size} bytes, its table says {}", file.size_bytes));
    }
    let mut found = crc32fast::Hasher::new();
    let mut at = 0;
    while at < size {
        let end = size.min(at + PART_BYTES);
        found.update(&object.range(at..end)?);
        at = end;
    }
    match (sum, found.finalize()) {
        (Some(sum), found) if sum != found => Err("its bytes do not match their checksum".to_owned()),
        _ => Ok(()),
    }
}

fn values(table: &'static Table, file: &DataFile, object: Object) -> Result<(), String> {
    let undecoded = |error: &dyn std::fmt::Display| format!("it cannot be decoded: {error}");
    let builder = ParquetRecordBatchReaderBuilder::try_new(object).map_err(|e| undecoded(&e))?;
    let mut rows = 0;
    let mut order = Order::new(table)?;
    for batch in builder.with_batch_size(BATCH_ROWS).build().map_err(|e| undecoded(&e))? {
        let batch = batch.and_then(|batch| columns::in_stored_schema(table, &batch)).map_err(|e| undecoded(&e))?;
        rows += batch.num_rows() as u64;
        times(table, file, &batch)?;
        order.go_on(table, &batch)?;
    }
    if rows != file.rows {
        return Err(format!("it holds {rows} rows, its table says {}", file.rows));
    }
    Ok(())
}

fn times(table: &Table, file: &DataFile, batch: &RecordBatch) -> Result<(), String> {
    let time = batch.column_by_name(table.time_column).ok_or("it has no times")?;
    let micros = time.as_primitive::<TimestampMicrosecondType>();
    let bounds = file.time_min_micros..=file.time_max_micros;
    let outside =
        [arrow::compute::min(micros), arrow::compute::max(micros)].into_iter().flatten().find(|t| !bounds.contains(t));
    match outside {
        Some(time) => Err(format!("it holds the time {time}, which is outside of what its table says")),
        None => Ok(()),
    }
}

/// That rows come in the order of the table's key.
struct Order {
    keys: RowConverter,
    last: Option<OwnedRow>,
}

impl Order {
    fn new(table: &Table) -> Result<Self, String> {
        let schema = contract::schema(table);
        let field = |key: &&str| schema.field_with_name(key).map(|f| SortField::new(f.data_type().clone()));
        let fields: Result<Vec<_>, _> = table.sort_key.iter().map(field).collect();
        let keys = fields.and_then(RowConverter::new).map_err(|e| e.to_string())?;
        Ok(Self { keys, last: None })
    }

    fn go_on(&mut self, table: &Table, batch: &RecordBatch) -> Result<(), String> {
        let columns = table.sort_key.iter().map(|key| batch.column_by_name(key).cloned()).collect::<Option<Vec<_>>>();
        let rows = self.keys.convert_columns(&columns.ok_or("a key column is missing")?).map_err(|e| e.to_string())?;
        let sorted = rows.iter().zip(rows.iter().skip(1)).all(|(one, next)| one <= next);
        let goes_on = rows.num_rows() == 0 || self.last.as_ref().is_none_or(|last| last.row() <= rows.row(0));
        if let Some(end) = rows.num_rows().checked_sub(1) {
            self.last = Some(rows.row(end).owned());
        }
        if sorted && goes_on { Ok(()) } else { Err("its rows are not in the order of the table's key".to_owned()) }
    }
}
