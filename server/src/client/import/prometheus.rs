//! Pages of GPU metrics in the Prometheus text format, as a table: one row a GPU or MIG instance and time.
//!
//! Owns the text format and how the two common exporters name a device. **Invariant:** a blank that DCGM writes
//! for "no value" is null; a label that two series of one device disagree on is null.

use super::convert::{Header, Reject};
use super::error::ImportError;
use super::input::Input;
use super::number::Decimal;
use super::source::Next;
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
    rows: std::vec::IntoIter<(Key, BTreeMap<String, String>)>,
    rejected: std::vec::IntoIter<(u64, Reject)>,
    number: u64,
    needs_time: bool,
}

/// Time, GPU and MIG instance.
type Key = (i64, String, String);

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
        let (mut rows, mut rejected) = (Rows::default(), Vec::new());
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
                rows.help(line);
                continue;
            }
            match sample(line) {
                Some(sample) if rows.values < VALUES_MAX => rows.add(sample, time_micros),
                Some(_) => {
                    return Err(std::io::Error::other(format!("more than {VALUES_MAX} values, split the file")));
                }
                None => rejected.push((number, Reject::new("not a line of the Prometheus text format", clip(line)))),
            }
        }
        Ok(rows.finish(rejected))
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
        let Some(((time, gpu, instance), values)) = self.rows.next() else { return Next::End };
        self.number += 1;
        record.clear();
        record.push_field(&time.to_string());
        if instance.is_empty() {
            record.push_field(&gpu);
            record.push_field("");
        } else {
            record.push_field(&format!("{gpu}/gi{instance}"));
            record.push_field(&gpu);
        }
        for column in &self.columns {
            record.push_field(values.get(column).map_or("", String::as_str));
        }
        Next::Record(self.number)
    }
}

fn clip(line: &str) -> String {
    line.chars().take(80).collect()
}

/// One line: name, labels, value and, where it has one, its time.
#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: String,
    time_micros: Option<i64>,
}

/// `name{label="value",…} 1.5 1700000000000`.
fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')))?;
    let (name, rest) = line.split_at(name_end);
    if name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let mut words = rest.split_whitespace();
    let value = words.next()?;
    if Decimal::parse(value).is_none() && !matches!(value, "NaN" | "Nan" | "nan" | "+Inf" | "-Inf" | "Inf") {
        return None;
    }
    let time_micros = match words.next() {
        None | Some("#") => None,
        Some(word) => Some(sample_time(word)?),
    };
    Some(Sample { name: name.to_owned(), labels, value: value.to_owned(), time_micros })
}

/// Milliseconds in the Prometheus format, seconds in OpenMetrics: told apart by their size.
fn sample_time(text: &str) -> Option<i64> {
    /// As seconds the year 5138, as milliseconds 1973.
    const SECONDS_MAX: i64 = 100_000_000_000;
    let time = Decimal::parse(text)?;
    let places = if time.floor_i64(0)?.abs() < SECONDS_MAX { 6 } else { 3 };
    time.floor_i64(places)
}

/// What follows `{`, up to and without `}`; and the rest.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start().trim_start_matches(',').trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once('=')?;
        let mut value = String::new();
        let mut chars = after.trim_start().strip_prefix('"')?.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => match chars.next()? {
                    'n' => value.push('\n'),
                    c => value.push(c),
                },
                c => value.push(c),
            }
        }
        labels.insert(name.trim().to_owned(), value);
        rest = chars.as_str();
    }
}

/// Rows in the making.
#[derive(Default)]
struct Rows {
    rows: BTreeMap<Key, BTreeMap<String, String>>,
    /// Labels on which series of one row disagree.
    disputed: BTreeSet<(Key, String)>,
    columns: BTreeSet<String>,
    values: usize,
    needs_time: bool,
    /// Metrics that are called ratios but are percents, by their help or by a value above 1.
    percents: BTreeSet<String>,
}

/// What a metric that is called a ratio but is a percent is called here.
const PERCENT: &str = ":percent";

/// DCGM names fields of whole percents a ratio; its profiling fields are ratios.
fn may_be_percent(name: &str) -> bool {
    name.starts_with("DCGM_FI_DEV_") && name.ends_with("_RATIO")
}

impl Rows {
    /// `# HELP name text`.
    fn help(&mut self, line: &str) {
        let mut words = line.trim_start_matches('#').trim_start().splitn(3, ' ');
        let (Some("HELP"), Some(name), Some(text)) = (words.next(), words.next(), words.next()) else { return };
        if may_be_percent(name) && (text.contains('%') || text.to_lowercase().contains("percent")) {
            self.percents.insert(name.to_owned());
        }
    }

    fn add(&mut self, sample: Sample, time_micros: i64) {
        let label = |names: [&str; 2]| names.iter().find_map(|n| sample.labels.get(*n)).filter(|v| !v.is_empty());
        // Metrics of the exporter itself and of the node name no GPU.
        let Some(uuid) = label(["UUID", "uuid"]) else { return };
        let instance = sample.labels.get("GPU_I_ID").cloned().unwrap_or_default();
        let key = (sample.time_micros.unwrap_or(time_micros), gpu_uuid(uuid), instance);
        self.needs_time |= sample.time_micros.is_none();
        if may_be_percent(&sample.name) && sample.value.parse().is_ok_and(|v: f64| v > 1.0) && !is_blank(&sample.value)
        {
            self.percents.insert(sample.name.clone());
        }
        let row = self.rows.entry(key.clone()).or_default();
        for (name, value) in &sample.labels {
            let column = format!("label:{name}");
            match row.get(&column) {
                Some(before) if before != value => {
                    self.disputed.insert((key.clone(), column));
                }
                Some(_) => {}
                None => {
                    self.columns.insert(column.clone());
                    row.insert(column, value.clone());
                    self.values += 1;
                }
            }
        }
        if !is_blank(&sample.value) && !row.contains_key(&sample.name) {
            self.columns.insert(sample.name.clone());
            row.insert(sample.name, sample.value);
            self.values += 1;
        }
    }

    fn finish(mut self, rejected: Vec<(u64, Reject)>) -> Pages {
        for (key, column) in &self.disputed {
            if let Some(row) = self.rows.get_mut(key) {
                row.remove(column);
            }
        }
        for name in &self.percents {
            if !self.columns.remove(name) {
                continue;
            }
            self.columns.insert(format!("{name}{PERCENT}"));
            for row in self.rows.values_mut() {
                if let Some(value) = row.remove(name) {
                    row.insert(format!("{name}{PERCENT}"), value);
                }
            }
        }
        let columns: Vec<String> = self.columns.into_iter().collect();
        let found = ["time", "gpu_uuid", "parent_gpu_uuid"].into_iter();
        let header = Header::new(found.chain(columns.iter().map(String::as_str)));
        let rows: Vec<_> = self.rows.into_iter().collect();
        Pages {
            header,
            columns,
            rows: rows.into_iter(),
            rejected: rejected.into_iter(),
            number: 0,
            needs_time: self.needs_time,
        }
    }
}

/// nvidia_gpu_exporter cuts the prefix that NVML and the collector have.
fn gpu_uuid(text: &str) -> String {
    let is_bare = text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if is_bare { format!("GPU-{text}") } else { text.to_owned() }
}

/// DCGM's "blank", "not found", "not supported" and "not permissioned" in its three number types, and NaN.
fn is_blank(value: &str) -> bool {
    const BLANKS: [i64; 3] = [0x7fff_ffff_ffff_fff0, 0x7fff_fff0, 1 << 47];
    match Decimal::parse(value) {
        // As a double the 64-bit blanks are all 2^63.
        Some(number) => match number.to_i64(0) {
            Some(number) => BLANKS.iter().any(|b| (0..4).contains(&(number.wrapping_sub(*b)))),
            None => true,
        },
        None => true,
    }
}

#[cfg(test)]
mod tests;
