//! Rows of sorted files in the order of their table's key, with a batch of each file in memory.
//!
//! **Invariant:** every row of the files comes once; among equal keys in the order of the files.

use super::columns;
use super::error::StoreError;
use super::place::OnDisk;
use super::read_file::{ParquetFile, read_columns};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::row::{Row, RowConverter, Rows, SortField};
use contract::Table;
use std::path::{Path, PathBuf};

/// Rows of some columns of some files, in the order of the table's key; an iterator of parts of their batches.
pub struct SortedRows {
    pub(super) rows: Sorted,
    /// Copies of files of a bucket go when they have been read.
    pub(super) _files: Vec<OnDisk>,
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
