//! Runs as rows of the table `report_runs`.

use super::DispatchError;
use crate::schedule::{Run, RunState};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use contract::Table;
use std::collections::BTreeMap;
use std::sync::Arc;

/// In the order in which [`read`] takes them.
const COLUMNS: &str = "schedule, time, state, asked_by, attempts, server, next_at, started_at, delivered_at, period_from, \
                       period_to, report, format, destination, file, document_bytes, error";

pub(super) fn select(rest: &str) -> String {
    select_from("report_runs", rest)
}

pub(super) fn select_from(table: &str, rest: &str) -> String {
    format!("select {COLUMNS} from {table} {rest}")
}

/// Columns of an answer by their position.
struct Columns {
    texts: BTreeMap<usize, StringArray>,
    numbers: BTreeMap<usize, Int64Array>,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let (mut texts, mut numbers) = (BTreeMap::new(), BTreeMap::new());
        for (at, column) in batch.columns().iter().enumerate() {
            let is_number =
                matches!(column.data_type(), DataType::Int64 | DataType::Timestamp(TimeUnit::Microsecond, _));
            if is_number {
                numbers.insert(at, cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone());
            } else {
                texts.insert(at, cast(column, &DataType::Utf8)?.as_string::<i32>().clone());
            }
        }
        Ok(Self { texts, numbers })
    }

    fn text(&self, at: usize, row: usize) -> Option<String> {
        self.texts.get(&at).filter(|column| column.is_valid(row)).map(|column| column.value(row).to_owned())
    }

    fn number(&self, at: usize, row: usize) -> Option<i64> {
        self.numbers.get(&at).filter(|column| column.is_valid(row)).map(|column| column.value(row))
    }
}

/// Of an answer with [`COLUMNS`].
pub(super) fn read(batches: &[RecordBatch]) -> Result<Vec<Run>, DispatchError> {
    let mut runs = Vec::new();
    for batch in batches {
        let columns = Columns::of(batch).map_err(|error| DispatchError::Internal(error.to_string()))?;
        for row in 0..batch.num_rows() {
            runs.push(one(&columns, row).ok_or_else(|| DispatchError::Internal("a run lacks a value".to_owned()))?);
        }
    }
    Ok(runs)
}

fn one(columns: &Columns, row: usize) -> Option<Run> {
    let (text, number) = (|at| columns.text(at, row), |at| columns.number(at, row));
    Some(Run {
        schedule: text(0)?.into(),
        slot_micros: number(1)?,
        state: RunState::parse(&text(2)?)?,
        asked_by: text(3),
        attempts: number(4)?,
        server: text(5)?,
        next_micros: number(6),
        started_micros: number(7),
        delivered_micros: number(8),
        period_micros: number(9).zip(number(10)),
        report: text(11)?,
        format: text(12)?,
        to: text(13)?,
        file: text(14),
        bytes: number(15),
        error: text(16),
    })
}

/// Names and times of an answer of two columns.
pub(super) fn last(batches: &[RecordBatch]) -> BTreeMap<Arc<str>, i64> {
    let mut last = BTreeMap::new();
    for columns in batches.iter().filter_map(|batch| Columns::of(batch).ok().map(|columns| (batch.num_rows(), columns)))
    {
        let (rows, columns) = columns;
        let pairs = (0..rows).filter_map(|row| Some((columns.text(0, row)?.into(), columns.number(1, row)?)));
        last.extend(pairs);
    }
    last
}

/// In [`contract::schema`] of the table.
pub(super) fn batch(table: &Table, runs: &[Run]) -> Result<RecordBatch, ArrowError> {
    let columns = table.columns.iter().map(|column| array(column.name, runs));
    RecordBatch::try_new(contract::schema(table), columns.collect::<Result<_, _>>()?)
}

fn array(name: &str, runs: &[Run]) -> Result<ArrayRef, ArrowError> {
    let text =
        |pick: fn(&Run) -> Option<&str>| -> ArrayRef { Arc::new(runs.iter().map(pick).collect::<StringArray>()) };
    let number =
        |pick: fn(&Run) -> Option<i64>| -> ArrayRef { Arc::new(runs.iter().map(pick).collect::<Int64Array>()) };
    let time = |pick: fn(&Run) -> Option<i64>| -> ArrayRef {
        Arc::new(runs.iter().map(pick).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    Ok(match name {
        "time" => time(|run| Some(run.slot_micros)),
        "schedule" => text(|run| Some(&run.schedule)),
        "state" => text(|run| Some(run.state.as_str())),
        "attempts" => number(|run| Some(run.attempts)),
        "asked_by" => text(|run| run.asked_by.as_deref()),
        "report" => text(|run| Some(&run.report)),
        "format" => text(|run| Some(&run.format)),
        "period_from" => time(|run| run.period_micros.map(|(from, _)| from)),
        "period_to" => time(|run| run.period_micros.map(|(_, to)| to)),
        "destination" => text(|run| Some(&run.to)),
        "file" => text(|run| run.file.as_deref()),
        "document_bytes" => number(|run| run.bytes),
        "started_at" => time(|run| run.started_micros),
        "delivered_at" => time(|run| run.delivered_micros),
        "next_at" => time(|run| run.next_micros),
        "server" => text(|run| Some(&run.server)),
        "error" => text(|run| run.error.as_deref()),
        name => return Err(ArrowError::SchemaError(format!("nobody knows the column {name}"))),
    })
}
