//! Recordings: our own tables as Parquet files `<table>-<n>.parquet` in one directory.
//!
//! Owns how a recording is written and found again. Must not know where its rows come from.
//! **Invariant:** a file under its final name is whole; it is written beside it and renamed.

use crate::batch::TableBatch;
use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMicrosecondType;
use contract::Table;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file holds at most this time, so that a killed recording loses little.
const FILE_SECONDS_MAX: Duration = Duration::from_secs(60);
/// And at most so many rows, so that memory stays small.
const FILE_ROWS_MAX: usize = 65_536;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("the recording {path:?} cannot be used: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("the recording {path:?} cannot be read or written as Parquet: {source}")]
    Parquet { path: PathBuf, source: parquet::errors::ParquetError },
    #[error("rows of {table:?} do not fit together: {source}")]
    Arrow { table: &'static str, source: arrow::error::ArrowError },
    #[error("{0:?} holds no recording: no file is named <table>-<n>.parquet")]
    Empty(PathBuf),
    #[error("the recording {path:?} has no usable column {column:?}; it is not one of our tables")]
    Column { path: PathBuf, column: &'static str },
}

/// A recording that is being written.
#[derive(Debug)]
pub(crate) struct Recording {
    dir: PathBuf,
    number: u64,
    waiting: BTreeMap<&'static str, (&'static Table, Vec<RecordBatch>)>,
    rows_waiting: usize,
    since: Instant,
}

impl Recording {
    /// Starts in a directory, behind the files that it already holds.
    pub(crate) fn create(dir: &Path, now: Instant) -> Result<Self, RecordError> {
        let failed = |source| RecordError::File { path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let number = files(dir)?.iter().map(|f| f.number + 1).max().unwrap_or(0);
        Ok(Self { dir: dir.to_owned(), number, waiting: BTreeMap::new(), rows_waiting: 0, since: now })
    }

    /// Takes a batch; writes files when enough has come together.
    pub(crate) fn put(&mut self, batch: TableBatch, now: Instant) -> Result<(), RecordError> {
        let (table, batch) = batch;
        self.rows_waiting += batch.num_rows();
        self.waiting.entry(table.name).or_insert_with(|| (table, Vec::new())).1.push(batch);
        if self.rows_waiting >= FILE_ROWS_MAX || now.saturating_duration_since(self.since) >= FILE_SECONDS_MAX {
            self.flush(now)?;
        }
        Ok(())
    }

    /// Writes everything that waits.
    pub(crate) fn flush(&mut self, now: Instant) -> Result<(), RecordError> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        for (name, (table, batches)) in waiting {
            let batch = concat_batches(&contract::schema(table), &batches)
                .map_err(|source| RecordError::Arrow { table: name, source })?;
            write(&self.dir.join(format!("{name}-{:06}.parquet", self.number)), &batch)?;
        }
        self.number += 1;
        self.rows_waiting = 0;
        self.since = now;
        Ok(())
    }
}

fn write(path: &Path, batch: &RecordBatch) -> Result<(), RecordError> {
    let unnamed = path.with_extension("partial");
    let failed = |source| RecordError::File { path: path.to_owned(), source };
    let wrong = |source| RecordError::Parquet { path: path.to_owned(), source };
    let file = File::create(&unnamed).map_err(failed)?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = ArrowWriter::try_new(&file, batch.schema(), Some(properties)).map_err(wrong)?;
    writer.write(batch).map_err(wrong)?;
    writer.close().map_err(wrong)?;
    file.sync_data().map_err(failed)?;
    fs::rename(&unnamed, path).map_err(failed)
}

/// One file of a recording.
#[derive(Debug, Clone)]
pub(crate) struct RecordedFile {
    pub table: &'static Table,
    pub path: PathBuf,
    pub number: u64,
}

/// The files of a recording, by number and then table.
pub(crate) fn files(dir: &Path) -> Result<Vec<RecordedFile>, RecordError> {
    let failed = |source| RecordError::File { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".parquet"));
        let Some((table, number)) = name.and_then(|name| name.rsplit_once('-')) else { continue };
        if let (Some(table), Ok(number)) = (contract::table(table), number.parse()) {
            found.push(RecordedFile { table, path, number });
        }
    }
    found.sort_by_key(|f| (f.number, f.table.name));
    Ok(found)
}

/// The batches of one file.
pub(crate) fn read(file: &RecordedFile) -> Result<Vec<RecordBatch>, RecordError> {
    let wrong = |source| RecordError::Parquet { path: file.path.clone(), source };
    let opened = File::open(&file.path).map_err(|source| RecordError::File { path: file.path.clone(), source })?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(wrong)?.build().map_err(wrong)?;
    reader.collect::<Result<Vec<_>, _>>().map_err(|source| RecordError::Arrow { table: file.table.name, source })
}

/// A number that follows from the names and bytes of files, and from `more`: FNV-1a of 128 bits, which keeps
/// recordings apart, though not those of somebody who wants to confuse them.
pub(crate) fn digest(files: &[RecordedFile], more: &[u8]) -> Result<u128, RecordError> {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let take = |digest: u128, bytes: &[u8]| bytes.iter().fold(digest, |d, b| (d ^ u128::from(*b)).wrapping_mul(PRIME));
    let mut digest = take(OFFSET, more);
    for file in files {
        let failed = |source| RecordError::File { path: file.path.clone(), source };
        digest = take(digest, format!("{}-{}", file.table.name, file.number).as_bytes());
        let mut reader = BufReader::new(File::open(&file.path).map_err(failed)?);
        loop {
            let bytes = reader.fill_buf().map_err(failed)?;
            if bytes.is_empty() {
                break;
            }
            digest = take(digest, bytes);
            let length = bytes.len();
            reader.consume(length);
        }
    }
    Ok(digest)
}

/// First and last time in a file, in microseconds; `None` when it has no rows.
pub(crate) fn time_range(file: &RecordedFile) -> Result<Option<(i64, i64)>, RecordError> {
    let column = file.table.time_column;
    let mut range: Option<(i64, i64)> = None;
    for batch in read(file)? {
        let times = batch
            .column_by_name(column)
            .and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>())
            .ok_or(RecordError::Column { path: file.path.clone(), column })?;
        let low = arrow::compute::min(times);
        let high = arrow::compute::max(times);
        if let (Some(low), Some(high)) = (low, high) {
            range = Some(range.map_or((low, high), |(l, h)| (l.min(low), h.max(high))));
        }
    }
    Ok(range)
}
