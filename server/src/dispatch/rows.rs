//! Runs as rows of the table `report_runs`.

use super::DispatchError;
use crate::query::Rows;
use crate::schedule::{Run, RunState};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
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

/// Of an answer with [`COLUMNS`].
pub(super) fn read(batches: &[RecordBatch]) -> Result<Vec<Run>, DispatchError> {
    let mut runs = Vec::new();
    for batch in batches {
        let rows = Rows::new(batch);
        for row in 0..batch.num_rows() {
            runs.push(one(&rows, row).ok_or_else(|| DispatchError::Internal("a run lacks a value".to_owned()))?);
        }
    }
    Ok(runs)
}

fn one(rows: &Rows<'_>, row: usize) -> Option<Run> {
    let (text, number) = (|at| rows.text(at, row).map(str::to_owned), |at| rows.int(at, row));
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
    for batch in batches {
        let rows = Rows::new(batch);
        last.extend((0..batch.num_rows()).filter_map(|row| Some((rows.text(0, row)?.into(), rows.int(1, row)?))));
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
