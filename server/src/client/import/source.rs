//! The rows of a file, whatever its form: a header and records of texts.
//!
//! **Invariant:** memory is bounded by one record or one batch, whatever the file's size; a record that cannot
//! be read is told with its line and the next one follows.

use super::convert::{Header, Reject};
use super::error::ImportError;
use super::input::{Form, Input};
use super::map::Map;
use super::prometheus::Pages;
use super::texts::texts;
use crate::store::{ParquetFile, StoreError, read_parquet};
use arrow::array::RecordBatch;
use csv::{ByteRecord, StringRecord};
use flate2::read::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::rc::Rc;

/// One record may have this many bytes; more means that the file is no table, or a quote is left open.
const RECORD_BYTES_MAX: u64 = 16 << 20;

/// What the next record is.
pub(super) enum Next {
    /// The record was filled; this is its line, or its row behind a header line.
    Record(u64),
    Rejected(u64, Reject),
    End,
}

pub(super) enum Source {
    Csv(Box<CsvSource>),
    Parquet(Box<ParquetSource>),
    Pages(Pages),
}

impl Source {
    pub(super) fn open(input: &Input, map: &Map) -> Result<Self, ImportError> {
        match input.form {
            Form::Parquet => ParquetSource::open(input).map(|s| Self::Parquet(Box::new(s))),
            Form::Text | Form::Packed => CsvSource::open(input, map).map(|s| Self::Csv(Box::new(s))),
        }
    }

    /// Whether rows lack a time and were given one.
    pub(super) fn needs_time(&self) -> bool {
        matches!(self, Self::Pages(pages) if pages.needs_time())
    }

    pub(super) fn header(&self) -> &Header {
        match self {
            Self::Csv(source) => &source.header,
            Self::Parquet(source) => &source.header,
            Self::Pages(pages) => pages.header(),
        }
    }

    pub(super) fn next(&mut self, record: &mut StringRecord) -> Result<Next, ImportError> {
        match self {
            Self::Csv(source) => source.next(record),
            Self::Parquet(source) => source.next(record),
            Self::Pages(pages) => Ok(pages.next(record)),
        }
    }

    /// Bytes of the file that were read so far, where they can be told.
    pub(super) fn bytes_read(&self) -> u64 {
        match self {
            Self::Csv(source) => source.file_bytes.get(),
            Self::Parquet(source) => source.bytes_read(),
            Self::Pages(_) => 0,
        }
    }
}

/// Counts what is read, and stops when a single record grows without end.
struct Counted<R> {
    inner: R,
    bytes: Rc<Cell<u64>>,
    limit: Option<Rc<Cell<u64>>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.limit.as_ref().is_some_and(|limit| self.bytes.get() > limit.get()) {
            return Err(io::Error::other(format!("one record has more than {RECORD_BYTES_MAX} bytes")));
        }
        let count = self.inner.read(buffer)?;
        self.bytes.set(self.bytes.get() + count as u64);
        Ok(count)
    }
}

/// Delimited text, plain or gzipped.
pub(super) struct CsvSource {
    path: PathBuf,
    reader: csv::Reader<Counted<Box<dyn Read>>>,
    header: Header,
    bytes: ByteRecord,
    /// Bytes of the file, packed or not.
    file_bytes: Rc<Cell<u64>>,
    /// Bytes of text so far, and how far they may go before the next record ends.
    text_bytes: Rc<Cell<u64>>,
    text_limit: Rc<Cell<u64>>,
}

impl CsvSource {
    fn open(input: &Input, map: &Map) -> Result<Self, ImportError> {
        let read = |cause| ImportError::Read { path: input.path.clone(), cause };
        let file = File::open(input.place()).map_err(read)?;
        let file_bytes = Rc::new(Cell::new(0));
        let file = Counted { inner: file, bytes: Rc::clone(&file_bytes), limit: None };
        let packed = input.form == Form::Packed;
        let plain: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let (text_bytes, text_limit) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(RECORD_BYTES_MAX)));
        let text = Counted { inner: plain, bytes: Rc::clone(&text_bytes), limit: Some(Rc::clone(&text_limit)) };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(map.delimiter)
            .quoting(map.quoted)
            .flexible(true)
            .has_headers(map.header.is_none())
            .from_reader(text);
        let format = |why: String| ImportError::Format { path: input.path.clone(), format: map.name.clone(), why };
        let names = match &map.header {
            Some(names) => StringRecord::from(names.clone()),
            None => reader.headers().map_err(|e| format(csv_text(&e)))?.clone(),
        };
        if names.iter().all(|n| n.trim().is_empty()) {
            return Err(format("it has no header line".to_owned()));
        }
        if names.iter().any(|n| n.contains('\0')) {
            return Err(format("it is not text".to_owned()));
        }
        let header = Header::new(names.iter());
        let path = input.path.clone();
        Ok(Self { path, reader, header, bytes: ByteRecord::new(), file_bytes, text_bytes, text_limit })
    }

    fn next(&mut self, record: &mut StringRecord) -> Result<Next, ImportError> {
        self.text_limit.set(self.text_bytes.get() + RECORD_BYTES_MAX);
        match self.reader.read_byte_record(&mut self.bytes) {
            Ok(true) => {}
            Ok(false) => return Ok(Next::End),
            Err(e) => {
                let cause = io::Error::other(csv_text(&e));
                return Err(ImportError::Read { path: self.path.clone(), cause });
            }
        }
        let line = self.bytes.position().map_or(0, csv::Position::line);
        let (found, expected) = (self.bytes.len(), self.header.names().len());
        if found != expected {
            let detail = format!("{found} fields, the header has {expected}");
            return Ok(Next::Rejected(line, Reject::new("not as many fields as the header", detail)));
        }
        record.clear();
        for field in &self.bytes {
            match std::str::from_utf8(field) {
                Ok(text) => record.push_field(text),
                Err(_) => {
                    let detail = String::from_utf8_lossy(field).into_owned();
                    return Ok(Next::Rejected(line, Reject::new("not UTF-8", detail)));
                }
            }
        }
        Ok(Next::Record(line))
    }
}

/// The cause without the record's bytes.
fn csv_text(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(e) => e.to_string(),
        csv::ErrorKind::Utf8 { .. } => "it is not text".to_owned(),
        _ => error.to_string(),
    }
}

/// A Parquet file, each cell as the text that a CSV file of it would have.
pub(super) struct ParquetSource {
    path: PathBuf,
    file: ParquetFile,
    header: Header,
    batch: Option<RecordBatch>,
    /// `None` for bytes that are no text.
    texts: Vec<Vec<Option<String>>>,
    at: usize,
    rows_before: u64,
    file_bytes: u64,
}

impl ParquetSource {
    fn open(input: &Input) -> Result<Self, ImportError> {
        let path = input.path.clone();
        let file = read_parquet(input.place()).map_err(|e| match e {
            StoreError::Io { source, .. } => ImportError::Read { path: path.clone(), cause: source },
            e => ImportError::Format { path: path.clone(), format: "Parquet".to_owned(), why: e.to_string() },
        })?;
        let header = Header::new(file.schema.fields().iter().map(|f| f.name().as_str()));
        Ok(Self { path, file, header, batch: None, texts: Vec::new(), at: 0, rows_before: 0, file_bytes: input.bytes })
    }

    fn next(&mut self, record: &mut StringRecord) -> Result<Next, ImportError> {
        while self.batch.as_ref().is_none_or(|b| self.at >= b.num_rows()) {
            self.rows_before += self.batch.as_ref().map_or(0, |b| b.num_rows() as u64);
            let Some(batch) = self.file.next() else { return Ok(Next::End) };
            let corrupt = |e: arrow::error::ArrowError| ImportError::Format {
                path: self.path.clone(),
                format: "Parquet".to_owned(),
                why: e.to_string(),
            };
            let batch = batch.map_err(corrupt)?;
            self.texts =
                batch.columns().iter().map(|c| texts(c.as_ref())).collect::<Result<_, _>>().map_err(corrupt)?;
            self.batch = Some(batch);
            self.at = 0;
        }
        record.clear();
        // As in a CSV file, whose first line is the header.
        let line = self.rows_before + self.at as u64 + 2;
        self.at += 1;
        for (column, name) in self.texts.iter().zip(self.header.names()) {
            match &column[self.at - 1] {
                Some(text) => record.push_field(text),
                None => return Ok(Next::Rejected(line, Reject::new("not UTF-8", name.clone()))),
            }
        }
        Ok(Next::Record(line))
    }

    fn bytes_read(&self) -> u64 {
        let rows = self.rows_before + self.at as u64;
        (self.file_bytes as f64 * rows as f64 / self.file.rows.max(1) as f64) as u64
    }
}
