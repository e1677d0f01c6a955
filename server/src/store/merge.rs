//! Sorted files of one table become one sorted file, with a batch of each in memory.
//!
//! **Invariant:** the output has exactly the rows of the inputs, in the order of the table's key; among equal
//! keys the order of the inputs.

use super::columns::{self, FileWriter, Written};
use super::error::StoreError;
use super::read_file::{ParquetFile, read_parquet};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::row::{Row, RowConverter, Rows, SortField};
use contract::Table;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows that are gathered before they go to the writer.
const GATHERED_ROWS: usize = 32 * 1024;

/// One input: where its reader stands.
struct Cursor {
    table: &'static Table,
    file: ParquetFile,
    batch: RecordBatch,
    keys: Rows,
    at: usize,
}

impl Cursor {
    /// Goes to the next batch that has rows; false at the end of the file.
    fn refill(&mut self, keys: &RowConverter) -> Result<bool, StoreError> {
        while self.at == self.batch.num_rows() {
            let Some(batch) = self.file.next() else { return Ok(false) };
            self.batch = columns::in_stored_schema(self.table, &batch.map_err(StoreError::internal)?)
                .map_err(StoreError::internal)?;
            self.keys = keys.convert_columns(&key_columns(self.table, &self.batch)?).map_err(StoreError::internal)?;
            self.at = 0;
        }
        Ok(true)
    }

    /// Rows from here on whose key is below `bound`, or equal to it if `or_equal`, within the batch.
    fn run(&self, bound: Option<(Row<'_>, bool)>) -> usize {
        let left = self.batch.num_rows() - self.at;
        let Some((bound, or_equal)) = bound else { return left };
        let belongs = |i: usize| {
            let key = self.keys.row(self.at + i);
            key < bound || (or_equal && key == bound)
        };
        // Runs are often short; doubling finds their end in few looks, halving makes it exact.
        let mut beyond = 1;
        while beyond < left && belongs(beyond) {
            beyond *= 2;
        }
        let (mut inside, mut beyond) = (beyond / 2, beyond.min(left));
        while inside + 1 < beyond {
            let middle = usize::midpoint(inside, beyond);
            if belongs(middle) { inside = middle } else { beyond = middle }
        }
        beyond
    }
}

fn key_columns(table: &Table, batch: &RecordBatch) -> Result<Vec<ArrayRef>, StoreError> {
    let column = |name: &&str| {
        batch.column_by_name(name).cloned().ok_or_else(|| StoreError::Internal(format!("{} has no {name}", table.name)))
    };
    table.sort_key.iter().map(column).collect()
}

/// Merges `inputs` into `output`, which is on disk afterwards (its name is not until the directory is synced).
///
/// `pause` is called between batches; an error of it ends the merge. After an error there is no output.
pub(super) fn merge(
    table: &'static Table,
    inputs: &[PathBuf],
    output: &Path,
    pause: &mut dyn FnMut() -> Result<(), StoreError>,
) -> Result<Written, StoreError> {
    let merged = merge_into(table, inputs, output, pause);
    merged.inspect_err(|_| {
        // It may not even be there; what stays is removed by the next start.
        drop(std::fs::remove_file(output));
    })
}

fn merge_into(
    table: &'static Table,
    inputs: &[PathBuf],
    output: &Path,
    pause: &mut dyn FnMut() -> Result<(), StoreError>,
) -> Result<Written, StoreError> {
    let schema = contract::schema(table);
    let key_types = table.sort_key.iter().map(|key| schema.field_with_name(key).map(|f| f.data_type().clone()));
    let fields = key_types.map(|t| t.map(SortField::new)).collect::<Result<Vec<_>, _>>();
    let keys = RowConverter::new(fields.map_err(StoreError::internal)?).map_err(StoreError::internal)?;
    let mut writer = FileWriter::create(table, output)?;
    let mut cursors = Vec::with_capacity(inputs.len());
    for path in inputs {
        let batch = RecordBatch::new_empty(Arc::clone(&schema));
        let mut cursor = Cursor { table, file: read_parquet(path)?, batch, keys: keys.empty_rows(0, 0), at: 0 };
        if cursor.refill(&keys)? {
            cursors.push(cursor);
        }
    }
    let mut gathered = Vec::new();
    let mut rows = 0;
    while !cursors.is_empty() {
        let (first, second) = two_least(&cursors);
        let bound = second.map(|other| (cursors[other].keys.row(cursors[other].at), first < other));
        let length = cursors[first].run(bound);
        let cursor = &mut cursors[first];
        gathered.push(cursor.batch.slice(cursor.at, length));
        cursor.at += length;
        rows += length;
        if !cursor.refill(&keys)? {
            cursors.remove(first);
        }
        if rows >= GATHERED_ROWS || cursors.is_empty() {
            writer.write(&concat_batches(&schema, &gathered).map_err(StoreError::internal)?)?;
            gathered.clear();
            rows = 0;
            pause()?;
        }
    }
    writer.finish()
}

/// The cursor with the least key, and the one with the next; of equal keys the earlier cursor first.
fn two_least(cursors: &[Cursor]) -> (usize, Option<usize>) {
    let key = |i: usize| cursors[i].keys.row(cursors[i].at);
    let (mut first, mut second) = (0, None);
    for i in 1..cursors.len() {
        if key(i) < key(first) {
            second = Some(first);
            first = i;
        } else if second.is_none_or(|s| key(i) < key(s)) {
            second = Some(i);
        }
    }
    (first, second)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::super::tests::{rows, table};
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
    use proptest::prelude::*;

    /// Node, time and identity of each row of a file, in its order.
    fn read(path: &Path) -> Vec<(String, i64, i64)> {
        let mut found = Vec::new();
        for batch in read_parquet(path).unwrap() {
            let batch = batch.unwrap();
            let node = batch.column_by_name("node").unwrap().as_string::<i32>();
            let time = batch.column_by_name("time").unwrap().as_primitive::<TimestampMicrosecondType>();
            let code = batch.column_by_name("code").unwrap().as_primitive::<Int64Type>();
            found.extend((0..batch.num_rows()).map(|i| (node.value(i).to_owned(), time.value(i), code.value(i))));
        }
        found
    }

    /// Writes each range of identities to a file of its own and merges them.
    fn merged(parts: &[std::ops::Range<i64>]) -> (Vec<(String, i64, i64)>, Written) {
        let dir = tempfile::tempdir().unwrap();
        let mut inputs = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            let path = dir.path().join(format!("{i}.parquet"));
            for day in
                columns::by_day(table(), &[columns::to_read_schema(table(), &rows(part.clone(), 1)).unwrap()]).unwrap()
            {
                columns::write_file(table(), &day.rows, &path).unwrap();
            }
            inputs.push(path);
        }
        let output = dir.path().join("merged.parquet");
        let mut pauses = 0;
        let mut pause = || {
            pauses += 1;
            Ok(())
        };
        let written = merge(table(), &inputs, &output, &mut pause).unwrap();
        assert!(pauses >= 1);
        (read(&output), written)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_row_is_there_once_and_in_order(parts in proptest::collection::vec((0_i64..4_000, 1_i64..9_000), 1..7)) {
            let parts: Vec<_> = parts.into_iter().map(|(from, length)| from..from + length).collect();
            let (found, written) = merged(&parts);
            let mut expected: Vec<_> = parts.iter().cloned().flatten().collect();
            expected.sort_unstable();
            let mut codes: Vec<_> = found.iter().map(|(_, _, code)| *code).collect();
            codes.sort_unstable();
            prop_assert_eq!(&codes, &expected);
            prop_assert!(found.is_sorted_by_key(|(node, time, _)| (node.clone(), *time)));
            prop_assert_eq!(written.rows as usize, expected.len());
            prop_assert_eq!((written.time_min_micros, written.time_max_micros), (expected[0], expected[expected.len() - 1]));
        }
    }

    #[test]
    fn a_merge_that_is_stopped_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("in.parquet");
        let day = columns::by_day(table(), &[columns::to_read_schema(table(), &rows(0..10, 1)).unwrap()]).unwrap();
        columns::write_file(table(), &day[0].rows, &input).unwrap();
        let output = dir.path().join("out.parquet");
        let stopped = merge(table(), &[input.clone(), input], &output, &mut || Err(StoreError::Closed));
        assert!(matches!(stopped, Err(StoreError::Closed)));
        assert!(!output.exists());
    }
}
