//! Sorted files of one table become one sorted file, with a batch of each in memory.
//!
//! **Invariant:** the output has exactly the rows of the inputs, in the order of the table's key; among equal
//! keys the order of the inputs.

use super::columns::{FileWriter, Written};
use super::error::StoreError;
use super::sorted::Sorted;
use arrow::compute::concat_batches;
use contract::Table;
use std::path::{Path, PathBuf};

/// Rows that are gathered before they go to the writer.
const GATHERED_ROWS: usize = 32 * 1024;

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
    let mut writer = FileWriter::create(table, output)?;
    let mut sorted = Sorted::open(table, schema.clone(), inputs)?;
    let mut gathered = Vec::new();
    let mut rows = 0;
    while let Some(run) = sorted.next_run()? {
        rows += run.num_rows();
        gathered.push(run);
        if rows >= GATHERED_ROWS {
            writer.write(&concat_batches(&schema, &gathered).map_err(StoreError::internal)?)?;
            gathered.clear();
            rows = 0;
            pause()?;
        }
    }
    writer.write(&concat_batches(&schema, &gathered).map_err(StoreError::internal)?)?;
    pause()?;
    writer.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::super::columns;
    use super::super::read_file::read_parquet;
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
            let batches = [columns::to_read_schema(table(), &rows(part.clone(), 1)).unwrap()];
            for day in columns::by_day(table(), &batches).unwrap() {
                columns::write_file(table(), &day, &path).unwrap();
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
        let batches = [columns::to_read_schema(table(), &rows(0..10, 1)).unwrap()];
        let days = columns::by_day(table(), &batches).unwrap();
        columns::write_file(table(), &days[0], &input).unwrap();
        let output = dir.path().join("out.parquet");
        let stopped = merge(table(), &[input.clone(), input], &output, &mut || Err(StoreError::Closed));
        assert!(matches!(stopped, Err(StoreError::Closed)));
        assert!(!output.exists());
    }
}
