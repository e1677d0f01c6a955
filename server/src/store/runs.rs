//! Rows of a sorted table, device by device, so that a page of a counter ends where its device does.
//!
//! Differences of a counter are packed in blocks of 128, with as many bits for each as the greatest takes. Where one
//! device follows another the counter jumps, and a block over both costs several times as much: with two hours of a
//! device at every ten seconds, 0.7 bytes a value. A new page begins with a value, so that no difference goes across.
//! **Invariant:** all rows that were added come out once, in their order.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use contract::{Column, Kind, Table};

/// A page has some 80 bytes around its values: in fewer rows they outweigh what a block saves.
const RUN_ROWS_MIN: usize = 512;
/// Rows that are kept for more of their device.
const RUN_ROWS_MAX: usize = 16 * 1024;

/// Counters that rise by different amounts: those of errors stand still, and take no space wherever a page ends.
pub(super) fn ends_pages(column: &Column) -> bool {
    column.kind == Kind::Int && column.name.ends_with("_bytes_total")
}

pub(super) struct Runs {
    /// What a device is told by.
    key: &'static str,
    last: Option<RecordBatch>,
}

impl Runs {
    /// None where no column gains by it.
    pub(super) fn of(table: &'static Table) -> Option<Self> {
        let key = table.sort_key.iter().find(|key| **key != table.time_column)?;
        table.columns.iter().any(ends_pages).then_some(Self { key, last: None })
    }

    /// Takes rows and gives those whose devices have no more, in parts that end with a device.
    pub(super) fn add(&mut self, rows: &RecordBatch) -> Result<Vec<RecordBatch>, ArrowError> {
        let rows = match self.last.take() {
            Some(last) => concat_batches(&rows.schema(), [&last, rows])?,
            None => rows.clone(),
        };
        let mut ended = Vec::new();
        let mut start = 0;
        for end in changes(rows.column(rows.schema().index_of(self.key)?)) {
            if end - start >= RUN_ROWS_MIN {
                ended.push(rows.slice(start, end - start));
                start = end;
            }
        }
        while rows.num_rows() - start >= RUN_ROWS_MAX {
            ended.push(rows.slice(start, RUN_ROWS_MAX));
            start += RUN_ROWS_MAX;
        }
        self.last = (start < rows.num_rows()).then(|| rows.slice(start, rows.num_rows() - start));
        Ok(ended)
    }

    /// What is left when no more rows come.
    pub(super) fn rest(self) -> Option<RecordBatch> {
        self.last
    }
}

/// The rows at which a text is another one than before.
fn changes(texts: &ArrayRef) -> Vec<usize> {
    let Some(texts) = texts.as_string_opt::<i32>() else { return Vec::new() };
    let text = |row: usize| texts.is_valid(row).then(|| texts.value(row));
    (1..texts.len()).filter(|row| text(*row) != text(*row - 1)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::super::columns::FileWriter;
    use super::*;
    use arrow::array::{Float64Array, Int64Array, StringArray, TimestampMicrosecondArray, new_null_array};
    use parquet::file::reader::FileReader;
    use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn table() -> &'static Table {
        contract::table("gpu_samples").unwrap()
    }

    /// Rows of devices in their order, each at the microseconds `from..`; a counter is the row's place.
    fn rows(devices: &[(&str, usize)], from: usize) -> RecordBatch {
        let all: usize = devices.iter().map(|(_, rows)| rows).sum();
        let names: Vec<&str> = devices.iter().flat_map(|(name, rows)| std::iter::repeat_n(*name, *rows)).collect();
        let places = || (from..from + all).map(|place| place as i64);
        let schema = contract::schema(table());
        let columns = table().columns.iter().zip(schema.fields()).map(|(column, field)| -> ArrayRef {
            match (column.name, column.kind) {
                ("gpu_uuid", _) => Arc::new(StringArray::from_iter_values(&names)),
                ("pcie_receive_bytes_total", _) => Arc::new(Int64Array::from_iter_values(places())),
                (_, Kind::Time) => Arc::new(TimestampMicrosecondArray::from_iter_values(places()).with_timezone("UTC")),
                _ if column.nullable => new_null_array(field.data_type(), all),
                (_, Kind::Float) => Arc::new(Float64Array::from_iter_values(places().map(|_| 10.0))),
                (_, Kind::Int) => Arc::new(Int64Array::from_iter_values(places())),
                _ => Arc::new(StringArray::from_iter_values(places().map(|_| "x"))),
            }
        });
        let columns = columns.collect();
        RecordBatch::try_new(schema, columns).unwrap()
    }

    proptest! {
        #[test]
        fn every_row_comes_out_once_in_its_order_and_long_runs_end_with_their_device(
            lengths in proptest::collection::vec(1_usize..2_000, 1..12), size in 1_usize..3_000,
        ) {
            let names: Vec<String> = (0..lengths.len()).map(|at| format!("GPU-{at:03}")).collect();
            let all = rows(&names.iter().map(String::as_str).zip(lengths.iter().copied()).collect::<Vec<_>>(), 0);
            let mut runs = Runs::of(table()).unwrap();
            let mut found = Vec::new();
            for start in (0..all.num_rows()).step_by(size) {
                found.extend(runs.add(&all.slice(start, size.min(all.num_rows() - start))).unwrap());
            }
            found.extend(runs.rest());
            prop_assert_eq!(&concat_batches(&all.schema(), &found).unwrap(), &all);
            for (one, next) in found.iter().zip(&found[1..]) {
                let name = |rows: &RecordBatch, row| rows["gpu_uuid"].as_string::<i32>().value(row).to_owned();
                prop_assert!(name(one, one.num_rows() - 1) != name(next, 0));
                prop_assert!(one.num_rows() >= RUN_ROWS_MIN);
            }
        }
    }

    #[test]
    fn a_page_of_a_counter_ends_where_its_device_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.parquet");
        let mut file = FileWriter::create(table(), &path).unwrap();
        file.write(&rows(&[("GPU-a", 700), ("GPU-b", 300)], 0)).unwrap();
        file.write(&rows(&[("GPU-b", 400), ("GPU-c", 20), ("GPU-d", 600)], 1000)).unwrap();
        file.finish().unwrap();
        let options = ReadOptionsBuilder::new().with_page_index().build();
        let file = SerializedFileReader::new_with_options(std::fs::File::open(path).unwrap(), options).unwrap();
        let pages_of = |name: &str| {
            let at = table().columns.iter().position(|column| column.name == name).unwrap();
            let pages = file.metadata().offset_index().unwrap()[0][at].page_locations();
            pages.iter().map(|page| page.first_row_index).collect::<Vec<_>>()
        };
        assert_eq!(pages_of("pcie_receive_bytes_total"), [0, 700, 1400]);
        assert_eq!(pages_of("ecc_corrected_total"), [0]);
    }
}
