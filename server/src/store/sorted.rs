//! Rows of sorted files in the order of their table's key, with a batch of each file in memory.
//!
//! Where files are many, some at a time are merged to larger ones on disk first. **Invariants:** every row of the files
//! comes once; among equal keys in the order of the files; no more than so many are open at once.

use super::DataFile;
use super::columns;
use super::error::StoreError;
use super::place::{OnDisk, Place};
use super::read_file::{ParquetFile, read_columns};
use super::scratch::ScratchFile;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::row::{Row, RowConverter, Rows, SortField};
use contract::Table;
use object_store::path::Path as ObjectPath;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that are read side by side: each holds 1 to 3 MB of decoded pages, and an hour of a fleet seldom has more.
pub(super) const SIDE_BY_SIDE_MAX: usize = 32;

/// Files on this machine that one read leaves for the next.
#[derive(Default)]
pub struct Copies(HashMap<ObjectPath, Arc<OnDisk>>);

impl Copies {
    /// The files on this machine's disk; others that were here go.
    pub(super) async fn fetch(&mut self, place: &Place, files: &[DataFile]) -> Result<Vec<Arc<OnDisk>>, StoreError> {
        let mut before = std::mem::take(&mut self.0);
        let mut fetched = Vec::with_capacity(files.len());
        for file in files {
            let copy = match before.remove(&file.path) {
                Some(copy) => copy,
                None => Arc::new(place.fetch(file).await?),
            };
            fetched.push(Arc::clone(&copy));
            self.0.insert(file.path.clone(), copy);
        }
        Ok(fetched)
    }
}

/// Rows of some columns of some files, in the order of the table's key; an iterator of parts of their batches.
pub struct SortedRows {
    rows: Sorted,
    /// Copies of files go when they have been read.
    _files: Vec<Arc<OnDisk>>,
}

impl SortedRows {
    /// Opens files of a table for the columns of `schema`. Blocks: with many files all rows but a last merge are read,
    /// and written to `scratch_dir`.
    pub(super) fn open(
        table: &'static Table,
        schema: &SchemaRef,
        mut files: Vec<Arc<OnDisk>>,
        scratch_dir: &Path,
    ) -> Result<Self, StoreError> {
        while files.len() > SIDE_BY_SIDE_MAX {
            let mut merged = Vec::with_capacity(files.len().div_ceil(SIDE_BY_SIDE_MAX));
            for group in files.chunks(SIDE_BY_SIDE_MAX) {
                merged.push(match group {
                    [file] => Arc::clone(file),
                    _ => Arc::new(one_of(table, schema, group, scratch_dir)?),
                });
            }
            files = merged;
        }
        let paths: Vec<PathBuf> = files.iter().map(|file| file.path().to_owned()).collect();
        Ok(Self { rows: Sorted::open(table, Arc::clone(schema), &paths)?, _files: files })
    }
}

/// One file with the rows of some.
fn one_of(
    table: &'static Table,
    schema: &SchemaRef,
    files: &[Arc<OnDisk>],
    scratch_dir: &Path,
) -> Result<OnDisk, StoreError> {
    let paths: Vec<PathBuf> = files.iter().map(|file| file.path().to_owned()).collect();
    let mut rows = Sorted::open(table, Arc::clone(schema), &paths)?;
    let merged = OnDisk::scratch(scratch_dir)?;
    let mut written = ScratchFile::create(merged.path(), schema)?;
    while let Some(run) = rows.next_run()? {
        written.write(&run)?;
    }
    written.finish()?;
    Ok(merged)
}

impl Iterator for SortedRows {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next_run().transpose()
    }
}

/// One input: where its reader stands.
struct Cursor {
    path: PathBuf,
    file: ParquetFile,
    batch: RecordBatch,
    /// Of the batch, as far as there is another file to compare them with.
    keys: Rows,
    at: usize,
}

/// The inputs side by side.
pub(super) struct Sorted {
    schema: SchemaRef,
    keys: RowConverter,
    /// Where the columns of the key are in the schema.
    key_columns: Vec<usize>,
    cursors: Vec<Cursor>,
}

impl Sorted {
    /// Opens files of a table; `schema` has the columns that are wanted, those of the table's key among them.
    pub(super) fn open(table: &'static Table, schema: SchemaRef, paths: &[PathBuf]) -> Result<Self, StoreError> {
        let key_columns = table.sort_key.iter().map(|key| schema.index_of(key)).collect::<Result<Vec<_>, _>>();
        let key_columns = key_columns.map_err(StoreError::internal)?;
        let fields = key_columns.iter().map(|at| SortField::new(schema.field(*at).data_type().clone())).collect();
        let keys = RowConverter::new(fields).map_err(StoreError::internal)?;
        let mut sorted = Self { schema, keys, key_columns, cursors: Vec::with_capacity(paths.len()) };
        for path in paths {
            let file = read_columns(path, &sorted.schema)?;
            let batch = RecordBatch::new_empty(sorted.schema.clone());
            let keys = sorted.keys.empty_rows(0, 0);
            sorted.cursors.push(Cursor { path: path.clone(), file, batch, keys, at: 0 });
        }
        for at in (0..sorted.cursors.len()).rev() {
            sorted.refill(at)?;
        }
        Ok(sorted)
    }

    /// The next rows, which are of one file; none after the last.
    pub(super) fn next_run(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        if self.cursors.is_empty() {
            return Ok(None);
        }
        let (first, second) = two_least(&self.cursors);
        let bound = second.map(|other| (self.cursors[other].keys.row(self.cursors[other].at), first < other));
        let length = self.cursors[first].run(bound);
        let cursor = &mut self.cursors[first];
        let run = cursor.batch.slice(cursor.at, length);
        cursor.at += length;
        self.refill(first)?;
        Ok(Some(run))
    }

    /// Brings a cursor to a batch that has rows left, or takes it away at the end of its file.
    fn refill(&mut self, at: usize) -> Result<(), StoreError> {
        let alone = self.cursors.len() == 1;
        let cursor = &mut self.cursors[at];
        while cursor.at == cursor.batch.num_rows() {
            let Some(batch) = cursor.file.next() else {
                self.cursors.remove(at);
                return Ok(());
            };
            let batch = batch.map_err(|error| damaged(&cursor.path, error.to_string()))?;
            cursor.batch = columns::in_schema(&self.schema, &batch).map_err(StoreError::internal)?;
            cursor.at = 0;
            if !alone {
                let keys: Vec<_> = self.key_columns.iter().map(|at| cursor.batch.column(*at).clone()).collect();
                cursor.keys = self.keys.convert_columns(&keys).map_err(StoreError::internal)?;
            }
        }
        Ok(())
    }
}

fn damaged(path: &Path, why: String) -> StoreError {
    StoreError::Corrupt { what: path.display().to_string(), why }
}

impl Cursor {
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

    #[test]
    fn a_thousand_overlapping_files_come_in_order_a_few_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: i64| {
            let on_disk = OnDisk::scratch(dir.path()).unwrap();
            // Every file has rows of the same time.
            let batches = [columns::to_read_schema(table(), &rows(file * 3..file * 3 + 7, 1)).unwrap()];
            let [day] = &columns::by_day(table(), &batches).unwrap()[..] else { panic!() };
            columns::write_file(table(), day, on_disk.path()).unwrap();
            Arc::new(on_disk)
        };
        let files: Vec<_> = (0..1_100).map(write).collect();
        let read = contract::read_schema(table());
        let places: Vec<usize> = ["time", "node", "code"].iter().map(|name| read.index_of(name).unwrap()).collect();
        let schema = Arc::new(read.project(&places).unwrap());
        let scratch = dir.path().join("scratch");
        let sorted = SortedRows::open(table(), &schema, files.clone(), &scratch).unwrap();
        assert!(sorted.rows.cursors.len() <= SIDE_BY_SIDE_MAX);
        let mut found = Vec::new();
        for batch in sorted {
            let batch = batch.unwrap();
            let time = batch.column(0).as_primitive::<TimestampMicrosecondType>();
            let (node, code) = (batch.column(1).as_string_view(), batch.column(2).as_primitive::<Int64Type>());
            found.extend((0..batch.num_rows()).map(|i| (node.value(i).to_owned(), time.value(i), code.value(i))));
        }
        assert!(found.is_sorted_by_key(|(node, time, _)| (node.clone(), *time)));
        let mut codes: Vec<i64> = found.iter().map(|(_, _, code)| *code).collect();
        codes.sort_unstable();
        let mut expected: Vec<i64> = (0..1_100).flat_map(|file| file * 3..file * 3 + 7).collect();
        expected.sort_unstable();
        assert_eq!(codes, expected);
        assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0, "what was merged on the way is gone");
    }
}
