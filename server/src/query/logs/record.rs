//! One record of `logs`.

use super::super::ask::each_row;
use arrow::array::{Array, AsArray, RecordBatch};

/// In the order in which [`of`] reads them.
pub(super) const COLUMNS: &str = "time, time_nanos, severity_number, severity, body, service, scope_name, trace_id, \
    span_id, cluster, node, job_id, resource, attributes";
const RESOURCE: usize = 12;
const ATTRIBUTES: usize = 13;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogRecord {
    pub time_unix_micros: i64,
    /// Beyond the microsecond.
    pub time_nanos: i64,
    pub severity_number: Option<i64>,
    pub severity: Option<String>,
    pub body: String,
    pub service: Option<String>,
    pub scope_name: Option<String>,
    pub trace_id: Option<String>,
    pub span_id: Option<String>,
    pub cluster: Option<String>,
    pub node: Option<String>,
    pub job_id: Option<String>,
    pub resource: Vec<(String, String)>,
    pub attributes: Vec<(String, String)>,
}

pub(super) fn of(batches: &[RecordBatch]) -> Vec<LogRecord> {
    let places = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    let records = each_row(batches).zip(places).map(|(row, (batch, at))| LogRecord {
        time_unix_micros: row.time(0).unwrap_or_default(),
        time_nanos: row.int(1).unwrap_or_default(),
        severity_number: row.int(2),
        severity: row.owned(3),
        body: row.owned(4).unwrap_or_default(),
        service: row.owned(5),
        scope_name: row.owned(6),
        trace_id: row.owned(7),
        span_id: row.owned(8),
        cluster: row.owned(9),
        node: row.owned(10),
        job_id: row.owned(11),
        resource: pairs(batch, RESOURCE, at),
        attributes: pairs(batch, ATTRIBUTES, at),
    });
    records.collect()
}

/// A map's texts; a value that is not there is empty.
fn pairs(batch: &RecordBatch, column: usize, row: usize) -> Vec<(String, String)> {
    let Some(map) = batch.column(column).as_map_opt().filter(|map| map.is_valid(row)) else { return Vec::new() };
    let entries = map.value(row);
    let text = |column: usize, at: usize| {
        let texts = entries.column(column).as_string_opt::<i32>().filter(|texts| texts.is_valid(at));
        texts.map(|texts| texts.value(at).to_owned()).unwrap_or_default()
    };
    (0..entries.len()).map(|at| (text(0, at), text(1, at))).collect()
}
