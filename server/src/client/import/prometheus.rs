//! Pages of GPU metrics in the Prometheus text format, as a table: one row a GPU or MIG instance and time.
//!
//! Owns how rows of pages become records of a table; what a line says and which device it names, the crate
//! `coulomb-exposition` knows.

use super::convert::{Header, Reject};
use super::error::ImportError;
use super::input::Input;
use super::number::Decimal;
use super::source::Next;
use coulomb_exposition::{GpuKey, Gpus, said, sample};
use csv::StringRecord;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};

/// Values of all pages of one file that are held in memory; a page of a full node has some 2,000.
const VALUES_MAX: usize = 2_000_000;
/// A line of metrics is short; a longer one is no metric.
const LINE_BYTES_MAX: usize = 1 << 20;

/// The rows of a file of pages.
pub(super) struct Pages {
    header: Header,
    columns: Vec<String>,
    rows: std::vec::IntoIter<(GpuKey, BTreeMap<String, String>)>,
    rejected: std::vec::IntoIter<(u64, Reject)>,
    number: u64,
    needs_time: bool,
}

impl Pages {
    /// Reads all pages of a file; samples without a time of their own get `time_micros`.
    pub(super) fn open(input: &Input, time_micros: i64) -> Result<Self, ImportError> {
        let path = &input.path;
        let read = |cause| ImportError::Read { path: path.clone(), cause };
        let file = BufReader::new(input.reader().map_err(read)?);
        let pages = Self::read(file, time_micros).map_err(read)?;
        if pages.rows.len() == 0 {
            let why = match pages.rejected.as_slice().first() {
                Some((line, reject)) => format!("line {line}: {}: {}", reject.reason, reject.detail),
                None => "no metric of it has a label UUID or uuid that names a GPU".to_owned(),
            };
            return Err(ImportError::Format { path: path.clone(), format: "prometheus-text".to_owned(), why });
        }
        Ok(pages)
    }

    fn read(mut lines: impl BufRead, time_micros: i64) -> std::io::Result<Self> {
        let (mut gpus, mut rejected) = (Gpus::default(), Vec::new());
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            lines.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut bytes)?;
            if bytes.is_empty() {
                break;
            }
            let line = String::from_utf8_lossy(&bytes);
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                said(line).iter().for_each(|said| gpus.said(said));
                continue;
            }
            match sample(line) {
                Some(sample) if gpus.values() < VALUES_MAX => gpus.add(&sample, time_micros),
                Some(_) => {
                    return Err(std::io::Error::other(format!("more than {VALUES_MAX} values, split the file")));
                }
                None => rejected.push((number, Reject::new("not a line of the Prometheus text format", clip(line)))),
            }
        }
        Ok(Self::of(gpus, rejected))
    }

    fn of(gpus: Gpus, rejected: Vec<(u64, Reject)>) -> Self {
        let needs_time = gpus.needs_time();
        let rows = gpus.finish();
        let names: BTreeSet<&String> = rows.values().flat_map(BTreeMap::keys).collect();
        let columns: Vec<String> = names.into_iter().cloned().collect();
        let found = ["time", "gpu_uuid", "parent_gpu_uuid"].into_iter();
        let header = Header::new(found.chain(columns.iter().map(String::as_str)));
        let rows: Vec<_> = rows.into_iter().collect();
        Self { header, columns, rows: rows.into_iter(), rejected: rejected.into_iter(), number: 0, needs_time }
    }

    /// Whether a sample had no time of its own.
    pub(super) fn needs_time(&self) -> bool {
        self.needs_time
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn next(&mut self, record: &mut StringRecord) -> Next {
        if let Some((line, reject)) = self.rejected.next() {
            return Next::Rejected(line, reject);
        }
        let Some((key, values)) = self.rows.next() else { return Next::End };
        self.number += 1;
        record.clear();
        record.push_field(&key.time_micros.to_string());
        record.push_field(&key.device_uuid());
        record.push_field(key.parent_uuid().unwrap_or_default());
        for column in &self.columns {
            // A number that is too small or too large for any quantity of a GPU is none.
            let field = values.get(column).map_or("", String::as_str);
            let is_field = column.starts_with("label:") || Decimal::parse(field).is_some();
            record.push_field(if is_field { field } else { "" });
        }
        Next::Record(self.number)
    }
}

fn clip(line: &str) -> String {
    line.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
