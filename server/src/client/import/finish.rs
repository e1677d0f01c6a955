//! What a single row cannot say: a job's attempt and kind, a sample's interval, and who it is where no column says it.
//!
//! One for all files of a command, which come in the order of their times. **Invariant:** the rows and their order
//! follow from the files and the flags alone, so that a second import makes the same chunks.

mod jobs;
mod samples;

use super::convert::{Reject, Values};
use super::map::{Map, Value};
use jobs::Jobs;
use samples::Samples;

/// What the flags say where the columns are silent.
#[derive(Debug, Clone, Default)]
pub(super) struct Defaults {
    pub(super) cluster: Option<String>,
    pub(super) node: Option<String>,
    pub(super) gpu_uuid: Option<String>,
    pub(super) gpu_model: Option<String>,
}

/// A complete row, and where it came from.
#[derive(Debug)]
pub(super) struct Row {
    /// The file's place in the order in which the files are read.
    pub(super) file: usize,
    pub(super) line: u64,
    pub(super) values: Values,
}

/// Where a row comes from, and what its file is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) file: usize,
    pub(super) line: u64,
    pub(super) stem: &'a str,
    pub(super) mark: &'a str,
}

pub(super) enum Finish {
    Jobs(Jobs),
    Samples(Samples),
}

impl Finish {
    pub(super) fn new(map: &Map, defaults: Defaults) -> Self {
        match map.table.name {
            "job_events" => Self::Jobs(Jobs::new(map, defaults)),
            _ => Self::Samples(Samples::new(map, defaults)),
        }
    }

    /// Takes a row and hands out those that are complete.
    pub(super) fn push(&mut self, values: Values, origin: Origin<'_>, out: &mut Vec<Row>) -> Result<(), Reject> {
        match self {
            Self::Jobs(jobs) => {
                let values = jobs.finish(values, origin.file)?;
                out.push(Row { file: origin.file, line: origin.line, values });
            }
            Self::Samples(samples) => samples.push(values, origin, out)?,
        }
        Ok(())
    }

    /// Rows of a file that wait for a next one.
    pub(super) fn waiting(&self, file: usize) -> usize {
        match self {
            Self::Jobs(_) => 0,
            Self::Samples(samples) => samples.waiting(file),
        }
    }

    /// Hands out the rows that waited for a next one in vain.
    pub(super) fn end(&mut self, out: &mut Vec<Row>) {
        if let Self::Samples(samples) = self {
            samples.end(out);
        }
    }
}

fn fill(values: &mut Values, at: usize, default: Option<&str>) {
    if values[at].is_none() {
        values[at] = default.map(|d| Value::Text(d.to_owned()));
    }
}

fn text(values: &Values, at: usize) -> &str {
    match &values[at] {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

fn micros(values: &Values, at: usize) -> Option<i64> {
    match values[at] {
        Some(Value::Time(micros)) => Some(micros),
        _ => None,
    }
}

fn missing(column: &str) -> Reject {
    Reject::new(format!("{column}: missing"), "")
}

#[cfg(test)]
mod tests;
