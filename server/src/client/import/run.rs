//! One import: the rows of one file, or of several that are joined, in chunks to whoever keeps them.
//!
//! **Invariant:** the same files and options give the same writer and the same chunks, so that a repeated
//! import, also of one that was cut off, adds nothing twice. Memory is bounded by one chunk, one row a GPU and
//! 24 bytes a job; only joined files are held whole.

use super::batch::{Batch, stream};
use super::convert::{Converter, Reject, Values, is_metric, place};
use super::error::ImportError;
use super::finish::{Defaults, Finish};
use super::map::{Map, Value};
use super::presets::PROMETHEUS;
use super::prometheus::Pages;
use super::source::{Next, Source};
use super::tally::Tally;
use contract::answers::IngestAnswer;
use csv::StringRecord;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Rows of one request: under a second of work for the server, and a few megabytes.
const CHUNK_ROWS: usize = 20_000;
/// Text of one request, for rows that carry long lists.
const CHUNK_TEXT_BYTES: usize = 8 << 20;
/// Rows of files that are joined; each takes some 600 bytes until all files are read.
const JOINED_ROWS_MAX: usize = 4_000_000;

/// What is imported as one.
pub(super) struct Unit<'a> {
    pub(super) map: &'a Map,
    pub(super) preset: &'a str,
    pub(super) defaults: &'a Defaults,
    /// For samples without a time of their own.
    pub(super) time_micros: Option<i64>,
    pub(super) files: Vec<PathBuf>,
}

/// Who keeps the chunks and hears how far the import is.
pub(super) trait Sink {
    type Error: From<ImportError>;
    fn keep(&mut self, writer: &str, sequence: u64, body: &[u8]) -> Result<IngestAnswer, Self::Error>;
    fn progress(&mut self, bytes_read: u64, rows: u64);
}

/// Imports the unit as the writer `import/<digest>`.
pub(super) fn import<S: Sink>(unit: &Unit<'_>, digest: &str, sink: &mut S) -> Result<Tally, S::Error> {
    let mut chunks = Chunks::new(unit.map, format!("import/{digest}"), sink);
    if unit.map.joined && unit.files.len() > 1 {
        let mut joined = Joined::new(unit.map);
        for path in &unit.files {
            read_file(unit, path, &mut chunks, |rows, _| rows.into_iter().try_for_each(|row| joined.add(row, path)))?;
        }
        for row in joined.into_rows(unit.map) {
            chunks.push(row)?;
        }
    } else {
        for path in &unit.files {
            read_file(unit, path, &mut chunks, |rows, chunks| rows.into_iter().try_for_each(|row| chunks.push(row)))?;
        }
    }
    chunks.end()
}

fn open(unit: &Unit<'_>, path: &Path) -> Result<Source, ImportError> {
    if unit.preset != PROMETHEUS {
        return Source::open(path, unit.map);
    }
    let read = |cause| ImportError::Read { path: path.to_owned(), cause };
    let time_micros = match unit.time_micros {
        Some(micros) => micros,
        None => {
            let written = std::fs::metadata(path).and_then(|m| m.modified()).map_err(read)?;
            chrono::DateTime::<chrono::Utc>::from(written).timestamp_micros()
        }
    };
    Pages::open(path, time_micros).map(Source::Pages)
}

fn read_file<S: Sink>(
    unit: &Unit<'_>,
    path: &Path,
    chunks: &mut Chunks<'_, S>,
    mut take: impl FnMut(Vec<Values>, &mut Chunks<'_, S>) -> Result<(), S::Error>,
) -> Result<(), S::Error> {
    let map = unit.map;
    let format = |why: String| ImportError::Format { path: path.to_owned(), format: map.name.clone(), why };
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let rules = map.rules_for(&file_name).map_err(format)?;
    let mut source = open(unit, path)?;
    let converter = Converter::new(map, &rules, source.header()).map_err(format)?;
    check_columns(map, &converter, source.header().names()).map_err(format)?;
    let stem = stem(&file_name).to_owned();
    let mut finish = Finish::new(map, Defaults { stem, ..unit.defaults.clone() });
    let mut record = StringRecord::new();
    loop {
        let (line, values) = match source.next(&mut record)? {
            Next::End => break,
            Next::Rejected(line, reject) => (line, Err(reject)),
            Next::Record(line) => (line, converter.row(&record, line)),
        };
        let mut rows = Vec::new();
        match values.and_then(|v| v.map_or(Ok(false), |v| finish.push(v, &mut rows).map(|()| true))) {
            Ok(true) => {}
            Ok(false) => chunks.tally.skipped += 1,
            Err(reject) => chunks.tally.reject(line, reject),
        }
        take(rows, chunks)?;
        chunks.sink.progress(source.bytes_read(), chunks.rows);
    }
    let mut rows = Vec::new();
    finish.end(&mut rows);
    take(rows, chunks)
}

/// `node7.2024` of `node7.2024.csv.gz`.
fn stem(file_name: &str) -> &str {
    let plain = file_name.strip_suffix(".gz").unwrap_or(file_name);
    plain.rsplit_once('.').map_or(plain, |(stem, _)| stem)
}

/// A file without these columns is another kind of file.
fn check_columns(map: &Map, converter: &Converter<'_>, names: &[String]) -> Result<(), String> {
    let fills = |name: &str| converter.fills(place(map, name));
    let has = || format!("; it has {}", names.join(", "));
    if map.table.name == "job_events" {
        if !fills("job_id") {
            return Err(format!("no column for job_id{}", has()));
        }
        if !["time", "ended_at", "started_at", "submitted_at"].iter().any(|n| fills(n)) {
            return Err(format!("no column for any of ended_at, started_at, submitted_at{}", has()));
        }
        return Ok(());
    }
    if !fills("time") {
        return Err(format!("no column for time{}", has()));
    }
    if !(0..map.table.columns.len()).any(|at| is_metric(map, at) && converter.fills(at)) {
        return Err(format!("no column for any metric of {}{}", map.table.name, has()));
    }
    Ok(())
}

/// Rows on their way out.
struct Chunks<'a, S> {
    writer: String,
    sequence: u64,
    batch: Batch,
    rows: u64,
    tally: Tally,
    sink: &'a mut S,
}

impl<'a, S: Sink> Chunks<'a, S> {
    fn new(map: &Map, writer: String, sink: &'a mut S) -> Self {
        Self { writer, sequence: 0, batch: Batch::new(map.table), rows: 0, tally: Tally::default(), sink }
    }

    fn push(&mut self, values: Values) -> Result<(), S::Error> {
        self.batch.push(values).map_err(ImportError::from)?;
        self.rows += 1;
        if self.batch.rows() >= CHUNK_ROWS || self.batch.text_bytes() >= CHUNK_TEXT_BYTES {
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), S::Error> {
        let rows = self.batch.take().map_err(ImportError::from)?;
        let body = stream(&rows).map_err(ImportError::from)?;
        self.sequence += 1;
        let answer = self.sink.keep(&self.writer, self.sequence, &body)?;
        if answer.duplicate {
            self.tally.duplicates += rows.num_rows() as u64;
        }
        self.tally.added += answer.accepted;
        for rejection in answer.rejected {
            self.tally
                .reject(0, Reject::new(format!("{}: {} (by the server)", rejection.column, rejection.reason), ""));
        }
        Ok(())
    }

    fn end(mut self) -> Result<Tally, S::Error> {
        if self.batch.rows() > 0 {
            self.send()?;
        }
        Ok(self.tally)
    }
}

/// Rows of several files with the same GPU and time, made one. Held without their nulls.
struct Joined {
    gpu_uuid: usize,
    time: usize,
    places: HashMap<(String, i64), usize>,
    rows: Vec<Vec<(usize, Value)>>,
}

impl Joined {
    fn new(map: &Map) -> Self {
        let (gpu_uuid, time) = (place(map, "gpu_uuid"), place(map, "time"));
        Self { gpu_uuid, time, places: HashMap::new(), rows: Vec::new() }
    }

    /// Values of the first file stay; a GPU's second row of the same time and metric is a row of its own.
    fn add<E: From<ImportError>>(&mut self, values: Values, path: &Path) -> Result<(), E> {
        if self.rows.len() >= JOINED_ROWS_MAX {
            let why = format!("more than {JOINED_ROWS_MAX} rows to join, import the files one by one");
            return Err(ImportError::Nothing { path: path.to_owned(), why }.into());
        }
        let (Some(Value::Text(gpu)), Some(Value::Time(time))) = (&values[self.gpu_uuid], &values[self.time]) else {
            return Ok(());
        };
        let key = (gpu.clone(), *time);
        let present = values.into_iter().enumerate().filter_map(|(at, v)| Some((at, v?)));
        if let Some(row) = self.places.get(&key).and_then(|at| self.rows.get_mut(*at)) {
            let new: Vec<_> = present.collect();
            let has = |at: usize| row.iter().any(|(a, _)| *a == at);
            let fresh: Vec<_> = new.iter().filter(|(at, _)| !has(*at)).cloned().collect();
            if fresh.is_empty() {
                self.rows.push(new);
            } else {
                row.extend(fresh);
            }
            return Ok(());
        }
        self.places.insert(key, self.rows.len());
        self.rows.push(present.collect());
        Ok(())
    }

    fn into_rows(self, map: &Map) -> impl Iterator<Item = Values> {
        let width = map.table.columns.len();
        self.rows.into_iter().map(move |row| {
            let mut values = vec![None; width];
            for (at, value) in row {
                values[at] = Some(value);
            }
            values
        })
    }
}

/// The digest of a file's bytes.
pub(super) fn file_digest(path: &Path) -> Result<[u8; 32], ImportError> {
    let read = |cause| ImportError::Read { path: path.to_owned(), cause };
    let mut digest = Sha256::new();
    std::io::copy(&mut File::open(path).map_err(read)?, &mut digest).map_err(read)?;
    Ok(digest.finalize().into())
}

/// The digest that names the import: the files' bytes and every option that changes a row.
pub(super) fn import_digest(files: &[[u8; 32]], options: &[(&str, &str)]) -> String {
    let mut digest = Sha256::new();
    files.iter().for_each(|file| digest.update(file));
    for (name, value) in options {
        digest.update(format!("\n{name}={}:{value}", value.len()));
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
