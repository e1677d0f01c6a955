//! One file, opened and bound to its map: its rows as ours.

use super::convert::{Converter, Reject, Values, listed, place};
use super::error::ImportError;
use super::input::Input;
use super::map::{Map, Value};
use super::presets::PROMETHEUS;
use super::prometheus::Pages;
use super::run::Settings;
use super::source::{Next, Source};
use chrono::{DateTime, Utc};
use csv::StringRecord;
use sha2::{Digest, Sha256};

pub(super) struct Reading<'a> {
    settings: &'a Settings<'a>,
    source: Source,
    converter: Converter<'a>,
    record: StringRecord,
    stem: String,
    /// The part of the file's name that chose its rules.
    rules_of: &'a str,
    time_micros: i64,
    /// Eight hex digits of the first row: what tells files apart whose rows have no name of their own. A file that
    /// grew, and the same rows as CSV and as Parquet, have the same.
    mark: Option<String>,
}

/// A line, and its row, `None` for one that is to be skipped.
pub(super) type Read = (u64, Result<Option<Values>, Reject>);

impl<'a> Reading<'a> {
    pub(super) fn open(settings: &'a Settings<'a>, input: &Input) -> Result<Self, ImportError> {
        let map = settings.map;
        let format = |why| ImportError::Format { path: input.path.clone(), format: map.name.clone(), why };
        let (rules, rules_of) = map.rules_for(&input.file_name()).map_err(format)?;
        let written = DateTime::<Utc>::from(input.modified).timestamp_micros();
        let time_micros = settings.time_micros.unwrap_or(written);
        let source = match settings.preset {
            PROMETHEUS => Source::Pages(Pages::open(input, time_micros)?),
            _ => Source::open(input, map)?,
        };
        let converter = Converter::new(map, &rules, source.header()).map_err(format)?;
        check_columns(map, &converter, &listed(source.header())).map_err(format)?;
        let (record, stem) = (StringRecord::new(), input.stem());
        Ok(Self { settings, source, converter, record, stem, rules_of, time_micros, mark: None })
    }

    pub(super) fn next(&mut self) -> Result<Option<Read>, ImportError> {
        let (line, values) = match self.source.next(&mut self.record)? {
            Next::End => return Ok(None),
            Next::Rejected(line, reject) => return Ok(Some((line, Err(reject)))),
            Next::Record(line) => (line, self.converter.row(&self.record)),
        };
        let named = values.map(|values| {
            let mut values = values?;
            let mark = self.mark.get_or_insert_with(|| mark(self.settings.map, &values));
            self.converter.number(&mut values, mark, line);
            Some(values)
        });
        Ok(Some((line, named)))
    }

    /// The time of the first row, by which the files of a command are ordered; those without one come last.
    pub(super) fn first_micros(mut self) -> i64 {
        let map = self.settings.map;
        let times: Vec<usize> = (0..map.table.columns.len()).filter(|at| is_time(map, *at)).collect();
        while let Ok(Some((_, values))) = self.next() {
            let Ok(Some(values)) = values else { continue };
            let micros = times.iter().filter_map(|at| match values[*at] {
                Some(Value::Time(micros)) => Some(micros),
                _ => None,
            });
            if let Some(latest) = micros.max() {
                return latest;
            }
        }
        i64::MAX
    }

    pub(super) fn mark(&self) -> &str {
        self.mark.as_deref().unwrap_or_default()
    }

    pub(super) fn stem(&self) -> &str {
        &self.stem
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.source.bytes_read()
    }

    /// Whether rows say nothing about which GPU they are of, so that the file must be of one.
    pub(super) fn is_of_one_gpu(&self) -> bool {
        let map = self.settings.map;
        let filled = |name| self.converter.fills(place(map, name));
        map.table.name == "gpu_samples"
            && self.settings.defaults.gpu_uuid.is_none()
            && !filled("gpu_uuid")
            && !filled("gpu_index")
    }

    /// What of the file beside its bytes changes its rows; it makes another import.
    pub(super) fn circumstances(&self) -> String {
        let map = self.settings.map;
        let node = || self.settings.defaults.node.is_some() || self.converter.fills(place(map, "node"));
        let stem_counts = map.table.name == "gpu_samples" && (self.is_of_one_gpu() || !node());
        let stem = if stem_counts { self.stem.as_str() } else { "" };
        let time = if self.source.needs_time() { self.time_micros.to_string() } else { String::new() };
        format!("stem={stem:?} rules={:?} time={time}", self.rules_of)
    }

    /// What the user should know about how the file was read.
    pub(super) fn notes(&self) -> Vec<String> {
        let guessed = self.settings.map.timezone.is_none() && self.converter.has_zoneless_times();
        let note = "its times have no zone and were read as UTC: give --timezone if they are local";
        if guessed { vec![note.to_owned()] } else { Vec::new() }
    }
}

fn is_time(map: &Map, at: usize) -> bool {
    map.table.columns[at].kind == contract::Kind::Time
}

fn mark(map: &Map, values: &Values) -> String {
    let mut digest = Sha256::new();
    for (column, value) in map.table.columns.iter().zip(values) {
        let text = match value {
            None => continue,
            Some(Value::Time(number) | Value::Int(number)) => number.to_string(),
            Some(Value::Float(number)) => number.to_string(),
            Some(Value::Text(text)) => text.clone(),
            Some(Value::List(list)) => format!("{list:?}"),
            Some(Value::Pairs(pairs)) => format!("{pairs:?}"),
        };
        digest.update(format!("{}={}:{text}\n", column.name, text.len()));
    }
    digest.finalize()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file without these columns is another kind of file.
fn check_columns(map: &Map, converter: &Converter<'_>, has: &str) -> Result<(), String> {
    let fills = |name: &str| converter.fills(place(map, name));
    if map.table.name == "job_events" {
        if !fills("job_id") {
            return Err(format!("no column for job_id; it has {has}"));
        }
        if !["time", "ended_at", "started_at", "submitted_at"].iter().any(|n| fills(n)) {
            return Err(format!("no column for any of ended_at, started_at, submitted_at; it has {has}"));
        }
        return Ok(());
    }
    if !fills("time") {
        return Err(format!("no column for time; it has {has}"));
    }
    if !(0..map.table.columns.len()).any(|at| super::convert::is_metric(map, at) && converter.fills(at)) {
        return Err(format!("no column for any metric of {}; it has {has}", map.table.name));
    }
    Ok(())
}
