//! Rows become Arrow: one record batch per table, in the contract's columns and types.
//!
//! Owns the correspondence of row fields and columns. Must not know where rows come from or go to.
//! **Invariant:** every column of the tables is named here; a column that the contract adds fails a test.

mod metric;

pub(crate) use metric::{MetricRow, metrics};

use crate::source::{DeviceEventRow, GpuRow, HostRow, JobEventRow, ProcessRow, Sample};
use arrow::array::{
    ArrayRef, Float64Array, Int64Array, ListBuilder, MapBuilder, MapFieldNames, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use contract::Table;
use std::sync::Arc;

/// A record batch and the table that it belongs to.
pub(crate) type TableBatch = (&'static Table, RecordBatch);

/// Rows per record batch: the largest that keeps a batch of 34 columns under the server's body limit with a
/// wide margin (about 250 bytes a row before compression).
pub(crate) const BATCH_ROWS_MAX: usize = 32_768;

#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    #[error("the contract's table {table:?} has a column {column:?} that no row fills")]
    Column { table: &'static str, column: &'static str },
    #[error("the contract has no table {0:?}")]
    Table(&'static str),
    #[error("rows of {table:?} do not form a batch: {source}")]
    Arrow { table: &'static str, source: ArrowError },
}

/// All rows of a sample as record batches of at most [`BATCH_ROWS_MAX`] rows; tables without rows are left out.
pub(crate) fn batches(sample: &Sample) -> Result<Vec<TableBatch>, BatchError> {
    let mut out = Vec::new();
    cut("gpu_samples", &sample.gpus, gpu_column, &mut out)?;
    cut("host_samples", &sample.hosts, host_column, &mut out)?;
    cut("process_samples", &sample.processes, process_column, &mut out)?;
    cut("job_events", &sample.jobs, job_column, &mut out)?;
    cut("device_events", &sample.events, event_column, &mut out)?;
    Ok(out)
}

fn cut<R>(
    name: &'static str,
    rows: &[R],
    column: fn(&str, &[R]) -> Option<ArrayRef>,
    out: &mut Vec<TableBatch>,
) -> Result<(), BatchError> {
    let table = contract::table(name).ok_or(BatchError::Table(name))?;
    for part in rows.chunks(BATCH_ROWS_MAX) {
        let arrays = table
            .columns
            .iter()
            .map(|c| column(c.name, part).ok_or(BatchError::Column { table: name, column: c.name }))
            .collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(contract::schema(table), arrays)
            .map_err(|source| BatchError::Arrow { table: name, source })?;
        out.push((table, batch));
    }
    Ok(())
}

fn times<R>(rows: &[R], of: impl Fn(&R) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().map(of).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn ints<R>(rows: &[R], of: impl Fn(&R) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().map(of).collect::<Int64Array>())
}

fn floats<R>(rows: &[R], of: impl Fn(&R) -> Option<f64>) -> ArrayRef {
    // A NaN or infinity is no measurement; the contract says null.
    Arc::new(rows.iter().map(|r| of(r).filter(|v| v.is_finite())).collect::<Float64Array>())
}

fn texts<'a, R>(rows: &'a [R], of: impl Fn(&'a R) -> Option<&'a str>) -> ArrayRef {
    Arc::new(rows.iter().map(of).collect::<StringArray>())
}

fn text_lists<'a, R>(rows: &'a [R], of: impl Fn(&'a R) -> Option<&'a [Arc<str>]>) -> ArrayRef {
    let mut builder =
        ListBuilder::new(StringBuilder::new()).with_field(Arc::new(Field::new("element", DataType::Utf8, true)));
    for row in rows {
        match of(row) {
            Some(items) => builder.append_value(items.iter().map(|item| Some(item.as_ref()))),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

fn text_maps<'a, R>(rows: &'a [R], of: impl Fn(&'a R) -> &'a [(Arc<str>, Arc<str>)]) -> ArrayRef {
    let names = MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in rows {
        let pairs = of(row);
        for (key, value) in pairs {
            builder.keys().append_value(key);
            builder.values().append_value(value);
        }
        builder.append(!pairs.is_empty()).expect("keys and values were appended in pairs");
    }
    Arc::new(builder.finish())
}

fn gpu_column(name: &str, rows: &[GpuRow]) -> Option<ArrayRef> {
    Some(match name {
        "time" => times(rows, |r| Some(r.interval.time_unix_micros)),
        "interval_seconds" => floats(rows, |r| Some(r.interval.seconds)),
        "cluster" => texts(rows, |r| Some(&r.gpu.node.cluster)),
        "node" => texts(rows, |r| Some(&r.gpu.node.node)),
        "gpu_uuid" => texts(rows, |r| Some(&r.gpu.gpu_uuid)),
        "gpu_index" => ints(rows, |r| Some(r.gpu.gpu_index)),
        "gpu_model" => texts(rows, |r| Some(&r.gpu.gpu_model)),
        "parent_gpu_uuid" => texts(rows, |r| r.gpu.parent_gpu_uuid.as_deref()),
        "mig_profile" => texts(rows, |r| r.gpu.mig_profile.as_deref()),
        "job_id" => texts(rows, |r| r.job_id.as_deref()),
        "process_count" => ints(rows, |r| r.process_count),
        "gpu_busy_ratio" => floats(rows, |r| r.metrics.gpu_busy_ratio),
        "memory_busy_ratio" => floats(rows, |r| r.metrics.memory_busy_ratio),
        "sm_active_ratio" => floats(rows, |r| r.metrics.sm_active_ratio),
        "sm_occupancy_ratio" => floats(rows, |r| r.metrics.sm_occupancy_ratio),
        "tensor_active_ratio" => floats(rows, |r| r.metrics.tensor_active_ratio),
        "dram_active_ratio" => floats(rows, |r| r.metrics.dram_active_ratio),
        "memory_used_bytes" => ints(rows, |r| r.metrics.memory_used_bytes),
        "memory_total_bytes" => ints(rows, |r| r.metrics.memory_total_bytes),
        "power_watts" => floats(rows, |r| r.metrics.power_watts),
        "power_limit_watts" => floats(rows, |r| r.metrics.power_limit_watts),
        "energy_joules_total" => floats(rows, |r| r.metrics.energy_joules_total),
        "temperature_celsius" => floats(rows, |r| r.metrics.temperature_celsius),
        "memory_temperature_celsius" => floats(rows, |r| r.metrics.memory_temperature_celsius),
        "sm_clock_hertz" => ints(rows, |r| r.metrics.sm_clock_hertz),
        "memory_clock_hertz" => ints(rows, |r| r.metrics.memory_clock_hertz),
        "throttle_reasons" => ints(rows, |r| r.metrics.throttle_reasons),
        "pcie_receive_bytes_total" => ints(rows, |r| r.metrics.pcie_receive_bytes_total),
        "pcie_transmit_bytes_total" => ints(rows, |r| r.metrics.pcie_transmit_bytes_total),
        "nvlink_receive_bytes_total" => ints(rows, |r| r.metrics.nvlink_receive_bytes_total),
        "nvlink_transmit_bytes_total" => ints(rows, |r| r.metrics.nvlink_transmit_bytes_total),
        "ecc_corrected_total" => ints(rows, |r| r.metrics.ecc_corrected_total),
        "ecc_uncorrected_total" => ints(rows, |r| r.metrics.ecc_uncorrected_total),
        "remapped_rows_total" => ints(rows, |r| r.metrics.remapped_rows_total),
        _ => return None,
    })
}

fn host_column(name: &str, rows: &[HostRow]) -> Option<ArrayRef> {
    Some(match name {
        "time" => times(rows, |r| Some(r.interval.time_unix_micros)),
        "interval_seconds" => floats(rows, |r| Some(r.interval.seconds)),
        "cluster" => texts(rows, |r| Some(&r.node.cluster)),
        "node" => texts(rows, |r| Some(&r.node.node)),
        "cpu_busy_ratio" => floats(rows, |r| Some(r.cpu_busy_ratio)),
        "load_1m" => floats(rows, |r| Some(r.load_1m)),
        "memory_used_bytes" => ints(rows, |r| Some(r.memory_used_bytes)),
        "memory_total_bytes" => ints(rows, |r| Some(r.memory_total_bytes)),
        "disk_read_bytes_total" => ints(rows, |r| Some(r.disk_read_bytes_total)),
        "disk_write_bytes_total" => ints(rows, |r| Some(r.disk_write_bytes_total)),
        "network_receive_bytes_total" => ints(rows, |r| Some(r.network_receive_bytes_total)),
        "network_transmit_bytes_total" => ints(rows, |r| Some(r.network_transmit_bytes_total)),
        "rdma_receive_bytes_total" => ints(rows, |r| r.rdma_receive_bytes_total),
        "rdma_transmit_bytes_total" => ints(rows, |r| r.rdma_transmit_bytes_total),
        "power_watts" => floats(rows, |r| r.power_watts),
        _ => return None,
    })
}

fn process_column(name: &str, rows: &[ProcessRow]) -> Option<ArrayRef> {
    Some(match name {
        "time" => times(rows, |r| Some(r.interval.time_unix_micros)),
        "interval_seconds" => floats(rows, |r| Some(r.interval.seconds)),
        "cluster" => texts(rows, |r| Some(&r.node.cluster)),
        "node" => texts(rows, |r| Some(&r.node.node)),
        "gpu_uuid" => texts(rows, |r| Some(&r.gpu_uuid)),
        "pid" => ints(rows, |r| Some(r.pid)),
        "user" => texts(rows, |r| r.user.as_deref()),
        "command" => texts(rows, |r| r.command.as_deref()),
        "job_id" => texts(rows, |r| r.job_id.as_deref()),
        "memory_used_bytes" => ints(rows, |r| r.memory_used_bytes),
        "sm_busy_ratio" => floats(rows, |r| r.sm_busy_ratio),
        _ => return None,
    })
}

fn job_column(name: &str, rows: &[JobEventRow]) -> Option<ArrayRef> {
    Some(match name {
        "time" => times(rows, |r| Some(r.time_unix_micros)),
        "cluster" => texts(rows, |r| Some(&r.cluster)),
        "job_id" => texts(rows, |r| Some(&r.job_id)),
        "attempt" => ints(rows, |r| Some(r.attempt)),
        "kind" => texts(rows, |r| Some(r.kind)),
        "state" => texts(rows, |r| r.state.as_deref()),
        "name" => texts(rows, |r| r.name.as_deref()),
        "user" => texts(rows, |r| r.user.as_deref()),
        "account" => texts(rows, |r| r.account.as_deref()),
        "project" => texts(rows, |r| r.project.as_deref()),
        "queue" => texts(rows, |r| r.queue.as_deref()),
        "gpus_requested" => ints(rows, |r| r.gpus_requested),
        "cpus_requested" => ints(rows, |r| r.cpus_requested),
        "memory_requested_bytes" => ints(rows, |r| r.memory_requested_bytes),
        "nodes" => text_lists(rows, |r| r.nodes.as_deref()),
        "gpu_uuids" => text_lists(rows, |r| r.gpu_uuids.as_deref()),
        "submitted_at" => times(rows, |r| r.submitted_unix_micros),
        "started_at" => times(rows, |r| r.started_unix_micros),
        "ended_at" => times(rows, |r| r.ended_unix_micros),
        "exit_code" => ints(rows, |r| r.exit_code),
        "labels" => text_maps(rows, |r| &r.labels),
        _ => return None,
    })
}

fn event_column(name: &str, rows: &[DeviceEventRow]) -> Option<ArrayRef> {
    Some(match name {
        "time" => times(rows, |r| Some(r.time_unix_micros)),
        "cluster" => texts(rows, |r| Some(&r.node.cluster)),
        "node" => texts(rows, |r| Some(&r.node.node)),
        "gpu_uuid" => texts(rows, |r| r.gpu_uuid.as_deref()),
        "kind" => texts(rows, |r| Some(r.kind)),
        "code" => ints(rows, |r| r.code),
        "job_id" => texts(rows, |r| r.job_id.as_deref()),
        "severity" => texts(rows, |r| Some(r.severity)),
        "message" => texts(rows, |r| Some(&r.message)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
